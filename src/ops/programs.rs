//! Programs of this machine that are asked something: installed clients, what their configuration is; helpers, for the
//! credentials that they keep.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config;
use crate::ecosystem::HelperAnswer;
use crate::fsx;
use crate::problem::{Kind, Problem};

/// How long an installed client may take to answer a question about its configuration. They need a second, and many on a
/// machine that is busy; what does not answer is as if it were not there, which is seldom what its user expects.
const CLIENT_ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How long a helper may take: it may be waiting for a person.
const HELPER_ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How much of an answer is read.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// What programs answered to one job, so that none is asked the same twice.
pub(super) struct Programs {
    /// Where they work.
    directory: PathBuf,
    /// How long a helper is waited for.
    patience: Duration,
    clients: Answers<String, Option<String>>,
    helpers: Answers<[String; 3], HelperAnswer>,
}

/// Answers to questions, some of which may still be on their way: whoever asks the same meanwhile waits for that one.
type Answers<Q, A> = Mutex<HashMap<Q, Arc<OnceCell<A>>>>;

async fn place<Q: Eq + Hash, A>(answers: &Answers<Q, A>, question: Q) -> Arc<OnceCell<A>> {
    answers.lock().await.entry(question).or_default().clone()
}

impl Programs {
    pub(super) fn new(directory: &Path) -> Programs {
        Programs {
            directory: directory.to_owned(),
            patience: HELPER_ANSWERS_WITHIN,
            clients: Answers::default(),
            helpers: Answers::default(),
        }
    }

    /// See [`CollectContext::ask_client`](crate::ecosystem::CollectContext::ask_client).
    pub(super) async fn ask_client(
        &self,
        program: &str,
        arguments: &[&str],
        pristine: bool,
    ) -> Option<String> {
        let question = format!("{pristine} {program} {}", arguments.join(" "));
        let answer = place(&self.clients, question).await;
        answer.get_or_init(|| run_client(program, arguments, pristine, &self.directory)).await.clone()
    }

    /// See [`CollectContext::ask_helper`](crate::ecosystem::CollectContext::ask_helper).
    pub(super) async fn ask_helper(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<HelperAnswer, Problem> {
        let question = [program.to_owned(), arguments.join(" "), input.to_owned()];
        let answer = place(&self.helpers, question).await;
        let asked = answer.get_or_try_init(|| async {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(&self.directory);
            match timeout(self.patience, run_helper(command, input)).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("it took more than {} s", self.patience.as_secs())),
            }
        });
        asked.await.cloned().map_err(|why| {
            let message = format!("the helper {program} gave no answer");
            Problem::new(Kind::Usage, "helper.no-answer", message).because(why)
        })
    }
}

/// Runs an installed client and returns what it prints. A pristine one finds no configuration of the user's.
async fn run_client(program: &str, arguments: &[&str], pristine: bool, directory: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).stderr(Stdio::null());
    // The directory of a pristine client must outlive it.
    let mut empty = None;
    if pristine {
        let directory = fsx::temporary_directory().ok()?;
        command.env_clear().env("HOME", directory.path()).current_dir(directory.path());
        if let Some(path) = config::variable_os("PATH") {
            command.env("PATH", path);
        }
        empty = Some(directory);
    }
    let output = timeout(CLIENT_ANSWERS_WITHIN, command.kill_on_drop(true).output()).await.ok()?.ok()?;
    drop(empty);
    if !output.status.success() || output.stdout.len() as u64 > ANSWER_LIMIT {
        return None;
    }
    String::from_utf8(output.stdout).ok()
}

/// Runs a helper. What it says on standard error is for people who call it themselves; here it would end up amid the
/// progress.
async fn run_helper(mut command: Command, input: &str) -> io::Result<HelperAnswer> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        // One that does not want all of it says so by what it answers.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let read = async {
        let mut output = Zeroizing::new(Vec::new());
        if let Some(stdout) = stdout {
            stdout.take(ANSWER_LIMIT + 1).read_to_end(&mut output).await?;
        }
        io::Result::Ok(output)
    };
    let ((), output) = tokio::join!(write, read);
    let output = output?;
    if output.len() as u64 > ANSWER_LIMIT {
        return Err(io::Error::other(format!("it wrote more than {}", crate::units::bytes(ANSWER_LIMIT))));
    }
    let text =
        std::str::from_utf8(&output).map_err(|_| io::Error::other("it wrote something that is no text"))?;
    let output = Zeroizing::new(text.to_owned());
    Ok(HelperAnswer { succeeded: child.wait().await?.success(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A helper that is the shell, with a script for its argument.
    async fn ask(programs: &Programs, script: &str, input: &str) -> Result<HelperAnswer, Problem> {
        programs.ask_helper("/bin/sh", &["-c", script], input).await
    }

    #[tokio::test]
    async fn a_helper_reads_and_writes_and_is_asked_once() {
        let directory = tempfile::tempdir().unwrap();
        let programs = Programs::new(directory.path());
        let script = "cat; echo; echo asked >> asked; echo noise >&2";
        let both = tokio::join!(ask(&programs, script, "registry"), ask(&programs, script, "registry"));
        for answer in [both.0.unwrap(), both.1.unwrap(), ask(&programs, script, "registry").await.unwrap()] {
            assert_eq!((answer.succeeded, answer.output.as_str()), (true, "registry\n"));
        }
        assert_eq!(std::fs::read_to_string(directory.path().join("asked")).unwrap(), "asked\n");
        assert_eq!(ask(&programs, script, "other").await.unwrap().output.as_str(), "other\n");
        let failed = ask(&programs, "echo no; exit 1", &"x".repeat(1 << 20)).await.unwrap();
        assert_eq!((failed.succeeded, failed.output.as_str()), (false, "no\n"));
    }

    #[tokio::test]
    async fn a_helper_that_misbehaves_is_named() {
        let programs = Programs::new(Path::new("/"));
        for (script, why) in [
            ("cat /dev/zero", "it wrote more than 64.0 KiB"),
            ("printf '\\377'", "it wrote something that is no text"),
        ] {
            let problem = ask(&programs, script, "").await.map(drop).unwrap_err();
            assert_eq!((problem.code.as_ref(), problem.causes[0].as_str()), ("helper.no-answer", why));
        }
        let problem =
            programs.ask_helper("/nowhere/docker-credential-x", &[], "").await.map(drop).unwrap_err();
        assert!(problem.message.contains("/nowhere/docker-credential-x"), "{problem:?}");
    }

    #[tokio::test]
    async fn a_helper_is_not_waited_for_for_ever() {
        let programs = Programs { patience: Duration::from_secs(1), ..Programs::new(Path::new("/")) };
        let problem = ask(&programs, "exec sleep 1000", "").await.map(drop).unwrap_err();
        assert_eq!(problem.causes, ["it took more than 1 s"]);
    }
}
