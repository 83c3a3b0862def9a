//! The systems that packages are collected for: by what they are, or by what was captured of them.

use std::path::{Path, PathBuf};

use bundle_format::BlobKey;

use super::machine::Machine;
use super::options::Options;
use super::request::Asked;
use super::status::Baseline;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest status of a machine that is read, in bytes. One with 3000 packages has 4 MiB.
const LARGEST: u64 = 64 << 20;
/// The word for the machine that collects, in place of a capture's path.
const THIS_MACHINE: &str = "this-machine";

/// A kind of system, or one certain.
#[derive(Debug)]
pub(super) struct System {
    /// What people know it by; empty, if there is only one.
    pub(super) name: String,
    /// Its own first.
    pub(super) architectures: Vec<String>,
    pub(super) baseline: Option<Baseline>,
    /// Whether it is yet to be made, beside others that are there already.
    pub(super) is_beside: bool,
}

impl System {
    /// Whether a request is for it. What systems begin with does not depend on those that are there: it is for new ones.
    pub(super) fn is_asked(&self, asked: &Asked) -> bool {
        let is_base = matches!(asked, Asked::Base(_));
        if self.is_beside { is_base } else { self.baseline.is_none() || !is_base }
    }
}

/// The systems that are collected for.
///
/// # Errors
/// Usage, if a capture cannot be read, or nobody says for which architecture.
pub(super) async fn systems(
    options: &Options,
    platforms: &[String],
    machine: &Machine,
    context: &dyn CollectContext,
) -> Result<Vec<System>, Problem> {
    let named = platforms.iter().map(|platform| architecture_of(platform)).collect::<Result<Vec<_>, _>>()?;
    let mut systems = Vec::new();
    for path in &options.baselines {
        let (place, files) = files_of(path, machine, context)?;
        let [status, extended_states, architectures] = files;
        let status = read(&status, context).await?.ok_or_else(|| {
            Problem::new(Kind::Usage, "apt.baseline", "the capture of a machine has no dpkg status")
                .at(status.display())
                .hint("`baseline` names a folder with the machine's /var/lib/dpkg/status, or such a file")
        })?;
        let extended_states = read(&extended_states, context).await?.unwrap_or_default();
        let said = read(&architectures, context).await?.unwrap_or_default();
        let said = String::from_utf8_lossy(&said).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let architectures = [said, options.architectures.clone()].into_iter().find(|list| !list.is_empty());
        let architectures = architectures.unwrap_or_default();
        let baseline = Some(Baseline { status, extended_states });
        systems.push(System { name: place, architectures, baseline, is_beside: false });
    }
    if systems.is_empty() {
        systems = match &named[..] {
            [] => vec![System {
                name: String::new(),
                architectures: options.architectures.clone(),
                baseline: None,
                is_beside: false,
            }],
            some => some.iter().map(|one| of_architecture(one)).collect(),
        };
    } else if !named.is_empty() {
        systems.retain(|system| system.architectures.first().is_some_and(|native| named.contains(native)));
    }
    let mut beside: Vec<Vec<String>> = Vec::new();
    for system in systems.iter().filter(|system| system.baseline.is_some()) {
        if !beside.contains(&system.architectures) {
            beside.push(system.architectures.clone());
        }
    }
    let beside = beside.into_iter().map(|architectures| System {
        name: "a new system".to_owned(),
        architectures,
        baseline: None,
        is_beside: true,
    });
    systems.extend(beside);
    if systems.iter().any(|system| system.architectures.is_empty()) {
        let message = "it is not said for which architecture packages are wanted";
        return Err(Problem::new(Kind::Usage, "apt.architecture", message)
            .hint("write it into aftk.toml, as `architectures = [\"amd64\"]` of the [[apt]], or say --platform linux/amd64"));
    }
    Ok(systems)
}

fn of_architecture(architecture: &str) -> System {
    let (name, architectures) = (architecture.to_owned(), vec![architecture.to_owned()]);
    System { name, architectures, baseline: None, is_beside: false }
}

/// Digests of all that was captured, so that a lock is known to be of other captures.
///
/// # Errors
/// If one cannot be read.
pub(super) async fn digests(
    options: &Options,
    machine: &Machine,
    context: &dyn CollectContext,
) -> Result<Vec<String>, Problem> {
    let mut digests = Vec::new();
    for path in &options.baselines {
        for file in files_of(path, machine, context)?.1 {
            digests
                .push(read(&file, context).await?.map(|bytes| BlobKey::of(&bytes).hex()).unwrap_or_default());
        }
    }
    Ok(digests)
}

/// What people know a capture by, and where its status, extended states and architectures are.
fn files_of(
    path: &Path,
    machine: &Machine,
    context: &dyn CollectContext,
) -> Result<(String, [PathBuf; 3]), Problem> {
    if path == Path::new(THIS_MACHINE) {
        let file = |name| {
            machine.file(name).ok_or_else(|| {
                Problem::new(
                    Kind::Usage,
                    "apt.baseline",
                    "this machine has no apt that could say what it has",
                )
            })
        };
        let files = [file("Dir::State::status")?, file("Dir::State::extended_states")?, PathBuf::new()];
        return Ok((THIS_MACHINE.to_owned(), files));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let whole = context.directory().join(path);
    let folder = if whole.is_dir() { whole.clone() } else { whole.parent().unwrap_or(&whole).to_owned() };
    let status = if whole.is_dir() { whole.join("status") } else { whole };
    Ok((name, [status, folder.join("extended_states"), folder.join("architectures")]))
}

async fn read(path: &Path, context: &dyn CollectContext) -> Result<Option<Vec<u8>>, Problem> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(context.read(path, LARGEST).await?.map(Vec::from))
}

/// Debian's name for the architecture of a platform, `linux/arm64`; or the name itself.
fn architecture_of(platform: &str) -> Result<String, Problem> {
    let name = match platform.strip_prefix("linux/").unwrap_or(platform) {
        "386" => "i386",
        "arm" | "arm/v7" => "armhf",
        "arm/v5" | "arm/v6" => "armel",
        "arm64/v8" => "arm64",
        "ppc64le" => "ppc64el",
        "loong64" => "loong64",
        other => other,
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let message = format!("{platform:?} is no platform that Debian packages are for");
        return Err(
            Problem::new(Kind::Usage, "apt.platform", message).hint("for example linux/amd64, linux/arm64")
        );
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_other_names_at_debian() {
        for (platform, architecture) in [
            ("linux/amd64", "amd64"),
            ("linux/arm/v7", "armhf"),
            ("linux/386", "i386"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(architecture_of(platform).unwrap(), architecture);
        }
        assert!(architecture_of("windows/amd64").is_err() && architecture_of("").is_err());
    }
}
