//! Proving a bundle by installing from it: a site is made that has nothing else, and the ecosystems' own clients install from
//! it in a network namespace, where nothing else answers.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::context::Outside;
use super::import::{self, ImportRequest};
use crate::blocking::blocking;
use crate::clock;
use crate::config;
use crate::ecosystem::{Attempt, Attempts, Note, Request, registry};
use crate::events::{Happening, Silent};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::trust::Trust;

/// Where the bundle is served: a namespace has a loopback of its own.
const SERVER: &str = "http://127.0.0.1:2385";
/// How long one installation may take: some build for minutes.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How much of what a client said is told.
const TOLD: usize = 4000;
/// The ways into a namespace: with the right to it, and as somebody who is root there alone.
const WAYS: [&[&str]; 2] = [&["--net"], &["--net", "--map-root-user"]];
/// Ends with what it started: what is inside is a tree of processes of its own.
const TOGETHER: [&str; 3] = ["--pid", "--fork", "--kill-child"];
/// Serves, and runs what follows once that is ready.
const SCRIPT: &str = r#"
ip link set lo up || exit 97
program=$1 home=$2 log=$3
shift 3
"$program" --home "$home" serve --listen 127.0.0.1:2385 >"$log" 2>&1 &
server=$!
until grep -q 'serving on' "$log"; do
    kill -0 $server 2>/dev/null || { cat "$log" >&2; exit 98; }
    sleep 0.05
done
"$@"
"#;

/// What was installed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Installed {
    /// What, and for what.
    pub what: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What will be installed, on a machine that can.
pub(super) struct Ready {
    attempts: Attempts,
    way: &'static [&'static str],
}

/// Sees what is to be installed, and whether this machine can: best before anything is downloaded.
///
/// # Errors
/// Usage, if nothing can be tried, or namespaces are not permitted.
pub(super) async fn prepare(
    requests: &[Request],
    platforms: &[String],
    outside: &Arc<Outside>,
) -> Result<Ready, Problem> {
    let mut all = Attempts::default();
    for ecosystem in registry::ECOSYSTEMS {
        let own = requests.iter().filter(|request| request.ecosystem == ecosystem.name());
        let own: Vec<Request> = own.cloned().collect();
        if own.is_empty() {
            continue;
        }
        let Some(install) = ecosystem.install() else {
            all.notes.push(Note {
                code: "install.not-tried".to_owned(),
                subject: ecosystem.name().to_owned(),
                message: "is not tried: this version installs with no client of it".to_owned(),
            });
            continue;
        };
        let some = install.attempts(&own, platforms, SERVER, &**outside).await?;
        all.attempts.extend(some.attempts);
        all.notes.extend(some.notes);
    }
    if all.attempts.is_empty() {
        let why = all.notes.iter().map(|note| format!("{} {}", note.subject, note.message));
        let problem = unprovable("nothing of what is asked for can be installed on this machine");
        return Err(why.fold(problem, Problem::because));
    }
    Ok(Ready { attempts: all, way: way().await? })
}

impl Ready {
    /// Installs from a bundle alone, which that key signed; says what was installed, and what could not be tried.
    ///
    /// # Errors
    /// Incomplete, if a client cannot install.
    pub(super) async fn install(
        self,
        bundle: &[PathBuf],
        key: &str,
        outside: &Arc<Outside>,
    ) -> Result<(Vec<Installed>, Vec<Note>), Problem> {
        let directory =
            fsx::temporary_directory().map_err(|error| failed("cannot make a directory", &error))?;
        let home = directory.path().join("site");
        make_site(bundle, key, &home, outside).await?;
        let events = outside.shared_events();
        let items = Some(self.attempts.attempts.len() as u64);
        events.emit(Happening::Stage { name: "install".to_owned(), items, bytes: None });
        let mut installed = Vec::new();
        for (number, attempt) in self.attempts.attempts.iter().enumerate() {
            let began = clock::instant();
            let place = directory.path().join(number.to_string());
            outside.cancel().race(run(attempt, &place, &home, self.way)).await?;
            events.emit(Happening::ItemDone { item: attempt.what.clone() });
            installed.push(Installed { what: attempt.what.clone(), seconds: began.elapsed().as_secs_f64() });
        }
        Ok((installed, self.attempts.notes))
    }
}

/// Makes a site that has the bundle and nothing else.
async fn make_site(
    bundle: &[PathBuf],
    key: &str,
    home: &Path,
    outside: &Arc<Outside>,
) -> Result<(), Problem> {
    let (key, paths, home) = (key.to_owned(), bundle.to_vec(), home.to_owned());
    let (from, cancel) = (outside.store().layout.home().to_owned(), outside.cancel().clone());
    blocking(move || {
        let own = Trust::open(&from)?;
        let keys = own.keys()?;
        let known = keys.iter().find(|known| known.id == key);
        let known = known.ok_or_else(|| unprovable("the key that signs the bundle is not in the home"))?;
        let pem = own.public_key(&known.name)?.to_pem();
        let pem = pem.map_err(|error| unprovable("the key cannot be written").caused_by(&error))?;
        Trust::open(&home)?.trust(pem.as_bytes(), Some("collector"), &[])?;
        let (store, trust) = (Store::open(&home)?, Trust::open(&home)?);
        let request = ImportRequest { paths, dry_run: false, missing: None };
        import::import(&store, &trust, &request, &Silent, &cancel)?.all().map(drop)
    })
    .await
}

/// How one gets into a namespace here.
async fn way() -> Result<&'static [&'static str], Problem> {
    let mut said = Vec::new();
    for way in WAYS {
        let mut command = Command::new("unshare");
        command.args(TOGETHER).args(way).args(["ip", "link", "set", "lo", "up"]).stdin(Stdio::null());
        match command.output().await {
            Ok(output) if output.status.success() => return Ok(way),
            Ok(output) => said.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => said.push(format!("unshare: {error}")),
        }
    }
    let problem = unprovable("network namespaces are not permitted here, or unshare and ip are missing");
    Err(said.into_iter().fold(problem, Problem::because).hint(
        "run it as root, or let users have namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces); in a \
         container: --cap-add SYS_ADMIN",
    ))
}

async fn run(attempt: &Attempt, place: &Path, home: &Path, way: &[&str]) -> Result<(), Problem> {
    let at = |error: std::io::Error| failed("cannot prepare an installation", &error).at(place.display());
    let program = std::env::current_exe().map_err(at)?;
    fsx::create_directory(place, fsx::Access::Private).map_err(at)?;
    for (name, bytes) in &attempt.files {
        fsx::replace_private(&place.join(name), bytes).map_err(at)?;
    }
    for step in &attempt.steps {
        let mut command = Command::new("unshare");
        command.args(TOGETHER).args(way).args(["sh", "-c", SCRIPT, "sh"]);
        command.arg(&program).arg(home).arg(place.join("server.log")).args(step);
        // Neither the user's configuration nor a cache may help.
        command.env_clear().env("HOME", place).env("LANG", "C.UTF-8").current_dir(place);
        command.envs(config::variable_os("PATH").map(|path| ("PATH", path)));
        command.envs(attempt.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await;
        let output = output.map_err(|_| refused(attempt, step).because("it took more than an hour"))?;
        let output = output.map_err(|error| failed("cannot run unshare", &error))?;
        if !output.status.success() {
            return Err(refused(attempt, step).because(last_words(&output)));
        }
    }
    Ok(())
}

/// The end of what a client said.
fn last_words(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let clean: Vec<char> = said.trim().chars().filter(|one| !one.is_control() || *one == '\n').collect();
    clean.get(clean.len().saturating_sub(TOLD)..).unwrap_or_default().iter().collect()
}

fn refused(attempt: &Attempt, step: &[String]) -> Problem {
    let program = step.first().map(String::as_str).unwrap_or_default();
    let program = if step.iter().any(|word| word == "pip") { "pip" } else { program };
    let message = format!("{program} cannot install {} from what is carried", attempt.what);
    Problem::new(Kind::Incomplete, "install.failed", message)
        .hint("the bundle is written, and is not enough: what the client misses has to be asked for too")
}

fn unprovable(message: &str) -> Problem {
    Problem::new(Kind::Usage, "install.unprovable", format!("it cannot be proved by installing: {message}"))
}

fn failed(message: &str, error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "install.prepare", message.to_owned()).caused_by(error)
}
