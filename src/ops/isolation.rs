//! Running what is not ours: without any network, in a directory and with a home and variables of its own, for a limited
//! time, and with a limited ear for what it says.
//!
//! It is run as the user who runs this program, and may read what they may. The home of this program, with its keys and its
//! store, is hidden from it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::config;
use crate::problem::{Kind, Problem};

/// How long one program may take: some build for minutes.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How much of what a program said is told.
const TOLD: usize = 4000;
/// The ways into namespaces: with the right to them, and as somebody who is root there alone.
const WAYS: [&[&str]; 2] = [&[], &["--map-root-user"]];
/// Without network and with mounts of its own; what it started, a tree of processes of its own, ends with it.
const APART: [&str; 6] = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"];
/// What comes first inside: a loopback, and nothing in the place of the directory that is the first argument.
const BEGINNING: &str =
    "ip link set lo up && mount -t tmpfs -o size=64k,mode=700 none \"$1\" || exit 97\nshift\n";

/// A way to cut programs off.
pub(super) struct Isolation {
    way: &'static [&'static str],
    /// What they do not see.
    hidden: PathBuf,
}

/// How a program ended that did not do what it was to do: the end of what it said.
pub(super) struct Failure(pub(super) String);

impl Isolation {
    /// Finds out how programs can be cut off here, and from `hidden`, which is a directory.
    ///
    /// # Errors
    /// Usage, if it is not permitted: then `cannot` says what cannot be done.
    pub(super) async fn find(cannot: &str, hidden: &Path) -> Result<Isolation, Problem> {
        let mut said = Vec::new();
        // Programs work in directories of their own.
        let hidden = std::path::absolute(hidden).unwrap_or_else(|_| hidden.to_owned());
        for way in WAYS {
            let isolation = Isolation { way, hidden: hidden.clone() };
            match isolation.command("true", &[]).stdin(Stdio::null()).output().await {
                Ok(output) if output.status.success() => return Ok(isolation),
                Ok(output) => said.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(error) => said.push(format!("unshare: {error}")),
            }
        }
        let message =
            format!("{cannot}: namespaces are not permitted here, or unshare, mount and ip are missing");
        let problem = Problem::new(Kind::Usage, "isolation.not-permitted", message);
        Err(said.into_iter().fold(problem, Problem::because).hint(
            "run it as root, or let users have namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces); in \
             a container: --cap-add SYS_ADMIN",
        ))
    }

    fn command(&self, script: &str, arguments: &[OsString]) -> Command {
        let [unshare, apart @ ..] = APART;
        let mut command = Command::new(unshare);
        command.args(apart).args(self.way).args(["sh", "-c", &format!("{BEGINNING}{script}"), "sh"]);
        command.arg(&self.hidden).args(arguments).kill_on_drop(true);
        command
    }

    /// Runs a script of the shell with arguments, in a directory that is its home.
    ///
    /// # Errors
    /// If it cannot be run; that it failed is told in the answer.
    pub(super) async fn run(
        &self,
        script: &str,
        arguments: &[OsString],
        place: &Path,
        variables: &[(String, String)],
    ) -> io::Result<Result<(), Failure>> {
        let mut command = self.command(script, arguments);
        // Neither the user's configuration nor a cache may help.
        command.env_clear().env("HOME", place).env("LANG", "C.UTF-8").current_dir(place);
        command.envs(config::variable_os("PATH").map(|path| ("PATH", path)));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        match timeout(PATIENCE, ended(command)).await {
            Ok(Ok((status, _))) if status.success() => Ok(Ok(())),
            Ok(Ok((_, said))) => Ok(Err(Failure(readable(&said)))),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Err(Failure("it took more than an hour".to_owned()))),
        }
    }
}

/// Waits for a program, and keeps the end of what it says.
async fn ended(mut command: Command) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (said, complained) = tokio::join!(end_of(stdout), end_of(stderr));
    let (mut said, complained) = (said?, complained?);
    said.extend(complained);
    Ok((child.wait().await?, said))
}

/// The end of what is read.
async fn end_of(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let Some(mut from) = from else { return Ok(Vec::new()) };
    let (mut end, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(end);
        }
        end.extend_from_slice(buffer.get(..length).unwrap_or_default());
        end.drain(..end.len().saturating_sub(TOLD));
    }
}

/// What a program said, as a terminal may be told it.
fn readable(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let clean: Vec<char> = said.trim().chars().filter(|one| !one.is_control() || *one == '\n').collect();
    clean.get(clean.len().saturating_sub(TOLD)..).unwrap_or_default().iter().collect()
}

/// Words as arguments.
pub(super) fn arguments<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Vec<OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_what_is_said_is_kept() {
        let said = [b"x".repeat(100_000), b"the \x1b[31mend\n".to_vec()].concat();
        let end = end_of(Some(said.as_slice())).await.unwrap();
        assert_eq!(end.len(), TOLD);
        let readable = readable(&end);
        assert!(readable.ends_with("xthe [31mend") && !readable.contains('\u{1b}'), "{readable}");
    }
}
