//! What one run of the program works with: its home, its listeners, its wish to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use serde::Serialize;

use super::calls::Calls;
use super::progress::Listener;
use super::{Global, output};
use crate::cancel::Cancel;
use crate::config;
use crate::events::{Events, Happening};
use crate::findings::Note;
use crate::ops::lock_file::AcceptedGap;
use crate::ops::media::Failed;
use crate::problem::{Kind, Problem};
use crate::store::{Layout, Store};
use crate::trust::{COLLECT_KEY, CommandSigner, KeySigner, Trust};
use crate::units;

/// One run.
pub(crate) struct Session {
    pub(crate) global: Global,
    /// The directory of this side.
    pub(crate) home: PathBuf,
    /// Where the person stands.
    pub(crate) directory: PathBuf,
    /// Who listens to what happens.
    pub(crate) events: Arc<dyn Events>,
    listener: Arc<dyn Listener>,
    calls: Calls,
    /// Set by the first interrupt; the second one ends the program at once.
    pub(crate) cancel: Cancel,
    home_is_said: AtomicBool,
    json_is_said: AtomicBool,
    answer: AtomicU8,
}

impl Session {
    /// Finds home and directory. Nothing is created yet.
    pub(super) fn start(global: Global, listener: Arc<dyn Listener>) -> Result<Session, Problem> {
        let directory = match &global.directory {
            Some(directory) if directory.is_dir() => directory.clone(),
            Some(directory) => {
                let message = format!("{} is not a directory", directory.display());
                return Err(Problem::new(Kind::Usage, "usage.directory", message));
            }
            None => PathBuf::from("."),
        };
        let home = match &global.home {
            Some(home) => home.clone(),
            None => config::default_home().ok_or_else(|| {
                Problem::new(Kind::Usage, "usage.home", "there is no home directory to keep things in")
                    .hint("name one with --home DIR or AFTK_HOME")
            })?,
        };
        if home.exists() && !home.is_dir() {
            let message = format!("the home {} is a file, and not a directory", home.display());
            return Err(Problem::new(Kind::Usage, "usage.home", message)
                .hint("name a directory with --home; one that is not there is made"));
        }
        Ok(Session {
            calls: Calls::new(&global),
            events: listener.clone(),
            listener,
            global,
            home,
            directory,
            cancel: Cancel::default(),
            home_is_said: AtomicBool::new(false),
            json_is_said: AtomicBool::new(false),
            answer: AtomicU8::new(0),
        })
    }

    /// Opens the store, which is made on first use.
    pub(crate) fn store(&self) -> Result<Store, Problem> {
        self.say_home();
        Ok(Store::open(&self.home)?)
    }

    /// Says once which home is used, if nobody chose it.
    pub(crate) fn say_home(&self) {
        if self.global.home.is_none() && !self.home_is_said.swap(true, Ordering::Relaxed) {
            self.say(&format!("using {}", self.home.display()));
        }
    }

    /// Opens a store that must be there.
    pub(crate) fn existing_store(&self) -> Result<Store, Problem> {
        self.say_home();
        Ok(Store::open_existing(&self.home)?)
    }

    /// The keys and roots of this home.
    pub(crate) fn trust(&self) -> Result<Trust, Problem> {
        self.say_home();
        Ok(Trust::open(&self.home)?)
    }

    /// The key that signs: the one that is named, or this home's collecting key, which is made on first use.
    pub(crate) fn signer(&self, key: Option<&str>, passphrase: Option<&Path>) -> Result<KeySigner, Problem> {
        let trust = self.trust()?;
        let name = key.unwrap_or(COLLECT_KEY);
        if name == COLLECT_KEY && self.ensure_collect_key(&trust)? {
            self.say("inside must trust it once:");
            self.say("    here:  `aftk key show > collector.pem`");
            self.say("    there: aftk key trust collector.pem");
        }
        let passphrase = passphrase.map(|path| read_passphrase(&self.path(path))).transpose()?;
        Ok(trust.signer(name, passphrase.as_deref().map(|secret| secret.as_slice()))?)
    }

    /// Makes the collecting key on first use, and says so.
    pub(crate) fn ensure_collect_key(&self, trust: &Trust) -> Result<bool, Problem> {
        let made = trust.ensure_collect_key()?;
        if made {
            let keys = Layout::new(&self.home).keys();
            self.say(&format!("made the key {COLLECT_KEY:?} in {}", keys.display()));
        }
        Ok(made)
    }

    /// What signs by a command, for the public key in a file.
    pub(crate) fn command_signer(&self, public: &Path, command: &str) -> Result<CommandSigner, Problem> {
        Ok(self.trust()?.command_signer(&read_key(&self.path(public))?, command)?)
    }

    /// A path as the person means it: below -C, if that is given.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        if self.global.directory.is_none() { path.to_owned() } else { self.directory.join(path) }
    }

    /// A directory that will be written into, as the person means it; it need not be there yet.
    ///
    /// # Errors
    /// Usage, if it is a file, or would be below one.
    pub(crate) fn writable_directory(&self, path: &Path) -> Result<PathBuf, Problem> {
        let path = self.path(path);
        match path.ancestors().find(|above| above.exists()) {
            Some(there) if !there.is_dir() => {
                let message = format!("{} is a file, and not a directory", there.display());
                Err(Problem::new(Kind::Usage, "usage.out", message)
                    .hint("name a directory; one that is not there is made"))
            }
            _ => Ok(path),
        }
    }

    /// Tells a person something on stderr, unless only results are wanted. Calls in backticks (`` `aftk VERB …` ``)
    /// are completed, so that they work as printed.
    pub(crate) fn say(&self, text: &str) {
        if !self.global.quiet {
            self.events.emit(Happening::Message { message: self.calls.complete(text) });
        }
    }

    /// Tells what a person should know of what is carried, and the gaps that were accepted.
    pub(crate) fn remark(&self, notes: &[Note], told: &[Note], gaps: &[AcceptedGap]) {
        let is_news = |note: &&Note| self.global.verbose > 0 || !told.contains(note);
        let news: Vec<&Note> = notes.iter().filter(is_news).collect();
        for note in &news {
            self.say(&format!("note: {}: {}", note.subject, note.message));
        }
        if let Some(more) = notes.len().checked_sub(news.len()).filter(|more| *more > 0) {
            self.say(&format!("{} as before (--verbose tells them)", units::count(more as u64, "note")));
        }
        for AcceptedGap { gap, accepted } in gaps {
            self.say(&format!("gap: {}:{} {} (accepted: {accepted})", gap.ecosystem, gap.name, gap.version));
        }
    }

    /// Whether somebody sits there who can answer.
    pub(crate) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks before something is done that cannot be undone. Only at a terminal: a script has made up its mind.
    ///
    /// # Errors
    /// Interrupted, if the answer is not yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), Problem> {
        let terminal = self.can_ask();
        if self.global.yes || !terminal {
            return Ok(());
        }
        let no = || Problem::new(Kind::Interrupted, "job.declined", "nothing was changed");
        output::ask(&format!("{question} [y/N] "));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|error| no().caused_by(&error))?;
        if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") { Ok(()) } else { Err(no()) }
    }

    /// Prints a result: the report itself with --json, else what `text` prints.
    pub(crate) fn finish<T: Serialize>(&self, report: &T, text: impl FnOnce()) -> Result<(), Problem> {
        self.listener.make_room();
        if self.global.json {
            self.json_is_said.store(true, Ordering::Relaxed);
            return output::json(report);
        }
        text();
        Ok(())
    }

    /// Prints a result that is none to be content with, and fails with the problem that it shows; with --json that is in
    /// the one object, too.
    pub(crate) fn finish_failed<T: Serialize>(
        &self,
        report: &T,
        problem: Problem,
        text: impl FnOnce(),
    ) -> Result<(), Problem> {
        #[derive(Serialize)]
        struct Printed<'a, T> {
            #[serde(flatten)]
            report: &'a T,
            error: &'a Problem,
            exit_code: u8,
        }
        let error = self.calls.complete_hints(problem.clone());
        self.finish(&Printed { report, exit_code: error.kind.exit_code(), error: &error }, text)?;
        Err(problem)
    }

    /// Prints a result about several bundles, then why some of them failed.
    ///
    /// # Errors
    /// Why the first of them failed.
    pub(crate) fn finish_bundles<T: Serialize>(
        &self,
        report: &T,
        failed: &[Failed],
        text: impl FnOnce(),
    ) -> Result<(), Problem> {
        let Some((first, others)) = failed.split_first() else { return self.finish(report, text) };
        let result = self.finish_failed(report, first.problem.clone(), text);
        for other in others {
            let problem = self.calls.complete_hints(other.problem.clone());
            self.events.emit(Happening::Error { problem });
        }
        result
    }

    /// Lets a run that went well end with another exit code than 0, because a script asked for an answer in it.
    pub(crate) fn answer(&self, exit_code: u8) {
        self.answer.store(exit_code, Ordering::Relaxed);
    }

    /// The exit code of a run that went well.
    pub(crate) fn exit_code(&self) -> u8 {
        self.answer.load(Ordering::Relaxed)
    }

    /// Whether the one JSON object of this run is printed.
    pub(crate) fn json_is_said(&self) -> bool {
        self.json_is_said.load(Ordering::Relaxed)
    }

    /// Runs an asynchronous verb; the first interrupt asks it to stop, the second one does.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
            Problem::new(Kind::Failed, "internal.runtime", "cannot start the runtime").caused_by(&error)
        })?;
        let result = runtime.block_on(async {
            tokio::spawn(stop_on_interrupt(self.cancel.clone()));
            work.await
        });
        // A download that hangs must not keep the program.
        runtime.shutdown_background();
        result
    }

    /// Runs a blocking verb with the same rule.
    pub(crate) fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.block_on(crate::blocking::blocking(work))
    }
}

async fn stop_on_interrupt(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut asked = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if asked {
            std::process::exit(i32::from(Kind::Interrupted.exit_code()));
        }
        asked = true;
        cancel.ask();
    }
}

/// Reads a passphrase: the file's bytes without the line feed that editors put at the end.
pub(crate) fn read_passphrase(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Problem> {
    let unreadable = || {
        Problem::new(
            Kind::Usage,
            "key.passphrase",
            format!("cannot read the passphrase in {}", path.display()),
        )
    };
    let bytes = crate::fsx::read_limited(path, 4096).map_err(|error| unreadable().caused_by(&error))?;
    let mut secret = zeroize::Zeroizing::new(bytes.ok_or_else(unreadable)?);
    while secret.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        secret.pop();
    }
    Ok(secret)
}

/// Reads the file of a public key.
pub(crate) fn read_key(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable =
        || Problem::new(Kind::Usage, "key.unreadable", format!("cannot read {}", path.display()));
    crate::fsx::read_limited(path, 64 * 1024)
        .map_err(|error| unreadable().caused_by(&error))?
        .ok_or_else(unreadable)
}
