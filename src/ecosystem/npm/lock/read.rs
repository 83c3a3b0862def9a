//! Finding out whose lockfile a file is, and reading it.

use std::path::Path;

use bundle_format::BlobKey;

use super::{Lock, berry, bun, package_lock, package_lock_1, pnpm, yarn};
use crate::blocking::blocking;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest lockfile that is read as a whole, in bytes: those of other clients than npm.
const LARGEST: u64 = 32 << 20;

/// A lockfile that was read and checked.
#[derive(Debug)]
pub(crate) struct Lockfile {
    pub(crate) lock: Lock,
    /// Of its bytes.
    pub(crate) digest: BlobKey,
    /// The packages whose versions the lockfile says that the project overrides.
    pub(crate) overridden: Vec<String>,
    /// Whether it is yarn 1's, which fetches the packages of every platform, and has a public registry of another name.
    pub(crate) is_of_yarn_1: bool,
    /// Whether it is npm's own, which asks hosts of repositories for archives.
    pub(crate) is_of_npm: bool,
}

/// What is wrong with a lockfile.
#[derive(Debug)]
pub(super) struct Damage {
    /// Counted from 1; 0 if it is of a form that isn't read.
    line: usize,
    message: String,
}

impl Damage {
    pub(super) fn new(line: usize, message: impl Into<String>) -> Damage {
        Damage { line: line.max(1), message: message.into() }
    }

    /// It is of a form that isn't read.
    pub(super) fn unsupported(message: impl Into<String>) -> Damage {
        Damage { line: 0, message: message.into() }
    }
}

/// Whose lockfile it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Npm,
    Yarn,
    Pnpm,
    Bun,
    /// In the form that only bun itself reads.
    BinaryBun,
}

impl Client {
    fn of(file_name: &str) -> Option<Client> {
        match file_name {
            "package-lock.json" | "npm-shrinkwrap.json" => Some(Client::Npm),
            "yarn.lock" => Some(Client::Yarn),
            "pnpm-lock.yaml" => Some(Client::Pnpm),
            "bun.lock" => Some(Client::Bun),
            "bun.lockb" => Some(Client::BinaryBun),
            _ => None,
        }
    }

    /// How it writes its lockfile anew.
    fn writes(self) -> &'static str {
        match self {
            Client::Npm => "npm writes it anew with: npm install --package-lock-only",
            Client::Yarn => "yarn writes it anew with: yarn install",
            Client::Pnpm => "pnpm writes it anew with: pnpm install --lockfile-only",
            Client::Bun | Client::BinaryBun => {
                "bun writes one as text with: bun install --save-text-lockfile --lockfile-only"
            }
        }
    }
}

/// Whether a file is a lockfile of this ecosystem by its name; one that is refused with a hint too.
pub(crate) fn is_lockfile(file_name: &str) -> bool {
    Client::of(file_name).is_some()
}

/// Refuses a lockfile by its name, if it is of a form that isn't read. `shown` is its path in messages.
///
/// # Errors
/// With what writes it in a form that is.
pub(crate) fn must_be_readable(file_name: &str, shown: &Path) -> Result<(), Problem> {
    match Client::of(file_name) {
        Some(client @ Client::BinaryBun) => {
            let message = "bun.lockb is a form that only bun itself reads";
            let problem = Problem::new(Kind::Usage, "npm.binary-lockfile", message);
            Err(problem.at(shown.display()).hint(client.writes()))
        }
        _ => Ok(()),
    }
}

/// Reads and checks the lockfile at `path`. `Ok(None)` if there is none. `shown` is its path in messages.
///
/// # Errors
/// If it cannot be read, is damaged, or not of a form that is read.
pub(crate) async fn load(
    path: &Path,
    shown: &Path,
    context: &dyn CollectContext,
) -> Result<Option<Lockfile>, Problem> {
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    must_be_readable(file_name, shown)?;
    let client = Client::of(file_name).unwrap_or(Client::Npm);
    if client == Client::Npm {
        match package_lock::load(path, shown, context).await? {
            package_lock::Loaded::Missing => return Ok(None),
            package_lock::Loaded::Read(lock, digest) => {
                let (overridden, is_of_yarn_1, is_of_npm) = (Vec::new(), false, true);
                return Ok(Some(Lockfile { lock, digest, overridden, is_of_yarn_1, is_of_npm }));
            }
            package_lock::Loaded::Older => {}
        }
    }
    let Some(bytes) = context.read(path, LARGEST).await? else { return Ok(None) };
    let shown = shown.to_owned();
    blocking(move || read(client, &bytes).map(Some).map_err(|damage| damage.explain(client, &shown, &bytes)))
        .await
}

/// Reads and checks a lockfile whose bytes are at hand, and gives it with its text. `shown` is its path, whose last part says whose it
/// is.
///
/// # Errors
/// As [`load`], and if no client calls its lockfile so.
pub(super) fn read_text<'a>(shown: &Path, bytes: &'a [u8]) -> Result<(Lock, &'a str), Problem> {
    let file_name = shown.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    must_be_readable(file_name, shown)?;
    let Some(client) = Client::of(file_name) else {
        let message = format!("no client of npm's registries calls its lockfile {file_name:?}");
        return Err(Problem::new(Kind::Usage, "npm.no-lockfile", message).at(shown.display()).hint(
            "these are read: package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml, bun.lock",
        ));
    };
    let lock = match (client, package_lock::read(bytes)) {
        (Client::Npm, Ok((lock, _))) => lock,
        (Client::Npm, Err(fault)) if !fault.is_older() => return Err(fault.explain(shown, bytes)),
        _ => read(client, bytes).map_err(|damage| damage.explain(client, shown, bytes))?.lock,
    };
    // It was read as text.
    Ok((lock, std::str::from_utf8(bytes).unwrap_or_default()))
}

/// Reads and checks the lockfile that a package brings along itself. `shown` is whose it is.
///
/// # Errors
/// As [`load`].
pub(crate) fn read_shrinkwrap(bytes: &[u8], shown: &str) -> Result<Lock, Problem> {
    read_text(&Path::new(shown).join("npm-shrinkwrap.json"), bytes).map(|(lock, _)| lock)
}

/// Reads and checks a lockfile that is held as a whole.
fn read(client: Client, bytes: &[u8]) -> Result<Lockfile, Damage> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        Damage::new(1 + before.iter().filter(|byte| **byte == b'\n').count(), "the lockfile is not UTF-8")
    })?;
    let mut is_of_yarn_1 = false;
    let (lock, overridden) = match client {
        Client::Npm | Client::BinaryBun => (package_lock_1::read(text.as_bytes())?, Vec::new()),
        Client::Bun => bun::read(text)?,
        Client::Pnpm => {
            let (flat, overridden) = pnpm::read(text)?;
            (flat.into_lock(), overridden)
        }
        Client::Yarn if text.lines().any(|line| line.starts_with("__metadata:")) => {
            (berry::read(text)?.into_lock(), Vec::new())
        }
        Client::Yarn => {
            is_of_yarn_1 = true;
            (yarn::read(text)?.into_lock(), Vec::new())
        }
    };
    lock.check().map_err(|(_, message)| Damage::new(1, message))?;
    let is_of_npm = client == Client::Npm;
    Ok(Lockfile { lock, digest: BlobKey::of(bytes), overridden, is_of_yarn_1, is_of_npm })
}

impl Damage {
    fn explain(self, client: Client, shown: &Path, bytes: &[u8]) -> Problem {
        if self.line == 0 {
            return Problem::new(Kind::Usage, "npm.unknown-lockfile", self.message)
                .at(shown.display())
                .hint("another version of its client may write one that is read");
        }
        let conflict = bytes.split(|byte| *byte == b'\n').position(|line| line.starts_with(b"<<<<<<< "));
        let (line, message) = match conflict {
            Some(line) => (line + 1, "the lockfile holds an unresolved merge conflict".to_owned()),
            None => (self.line, self.message),
        };
        Problem::new(Kind::Untrusted, "npm.damaged-lockfile", message)
            .at(format_args!("{}:{line}", shown.display()))
            .hint(client.writes())
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
