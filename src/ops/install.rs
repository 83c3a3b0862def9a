//! Proving a bundle by installing from it: a site is made that has nothing else, and the ecosystems' own clients install from
//! it in a network namespace, where nothing else answers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::context::Outside;
use super::import::{self, ImportRequest};
use super::isolation::{Failure, Isolation, arguments};
use crate::blocking::blocking;
use crate::clock;
use crate::ecosystem::{Attempt, Attempts, Note, Request, registry};
use crate::events::{Happening, Silent};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::trust::Trust;

/// Where the bundle is served: a namespace has a loopback of its own.
const SERVER: &str = "http://127.0.0.1:2385";
const UNPROVABLE: &str = "it cannot be proved by installing";
/// Serves, and runs what follows once that is ready.
const SCRIPT: &str = r#"
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
    isolation: Isolation,
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
    let isolation = Isolation::find(UNPROVABLE, outside.store().layout.home()).await?;
    Ok(Ready { attempts: all, isolation })
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
            outside.cancel().race(run(attempt, &place, &home, &self.isolation)).await?;
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

async fn run(attempt: &Attempt, place: &Path, home: &Path, isolation: &Isolation) -> Result<(), Problem> {
    let at = |error: std::io::Error| failed("cannot prepare an installation", &error).at(place.display());
    let program = std::env::current_exe().map_err(at)?;
    fsx::create_directory(place, fsx::Access::Private).map_err(at)?;
    for (name, bytes) in &attempt.files {
        fsx::replace_private(&place.join(name), bytes).map_err(at)?;
    }
    let server: [OsString; 3] = [program.into(), home.to_owned().into(), place.join("server.log").into()];
    for step in &attempt.steps {
        let words = [server.to_vec(), arguments(step)].concat();
        let ended = isolation.run(SCRIPT, &words, place, &attempt.variables).await;
        if let Err(Failure(said)) = ended.map_err(|error| failed("cannot run unshare", &error))? {
            return Err(refused(attempt, step).because(said));
        }
    }
    Ok(())
}

fn refused(attempt: &Attempt, step: &[String]) -> Problem {
    let program = step.first().map(String::as_str).unwrap_or_default();
    let program = if step.iter().any(|word| word == "pip") { "pip" } else { program };
    let message = format!("{program} cannot install {} from what is carried", attempt.what);
    Problem::new(Kind::Incomplete, "install.failed", message)
        .hint("the bundle is written, and is not enough: what the client misses has to be asked for too")
}

fn unprovable(message: &str) -> Problem {
    Problem::new(Kind::Usage, "install.unprovable", format!("{UNPROVABLE}: {message}"))
}

fn failed(message: &str, error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "install.prepare", message.to_owned()).caused_by(error)
}
