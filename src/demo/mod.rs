//! The main job for a newcomer, in one go: a project crosses an air gap, on one machine.
//!
//! A directory for each side stands for the two networks, and a third one for the stick. Everything is done by the same
//! operations that the verbs use.

mod client;
mod upstream;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bundle_format::Mode;
use serde::Serialize;

use crate::access::Read;
use crate::blocking::blocking;
use crate::cancel::Cancel;
use crate::clock;
use crate::config;
use crate::events::{Events, Silent};
use crate::fsx;
use crate::net::{Client, Settings};
use crate::ops::collect::{self, CollectReport, CollectRequest};
use crate::ops::context::Outside;
use crate::ops::import::{self, ImportRequest};
use crate::ops::lock::{Order, Place};
use crate::ops::serve::{self, ServeRequest};
use crate::ops::verify::{self, VerifyReport};
use crate::ops::volumes::Volumes;
use crate::problem::{Kind, Problem};
use crate::store::{Layout, Store};
use crate::trust::{COLLECT_KEY, Trust};
use crate::units;

/// How many downloads at once.
const JOBS: usize = 16;

const REAL: [(&str, &str); 2] = [
    ("package.json", include_str!("../../fixtures/demo/real/package.json")),
    ("package-lock.json", include_str!("../../fixtures/demo/real/package-lock.json")),
];
const EMBEDDED: [(&str, &str); 2] = [
    ("package.json", include_str!("../../fixtures/demo/embedded/package.json")),
    ("package-lock.json", include_str!("../../fixtures/demo/embedded/package-lock.json")),
];

/// How to demonstrate.
#[derive(Debug, Clone)]
pub struct Demonstration {
    /// Fail rather than fall back to invented packages.
    pub real: bool,
    /// The directory that gets everything; made here.
    pub directory: PathBuf,
}

/// One step that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was done.
    pub title: String,
    /// What came of it.
    pub result: String,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// What was demonstrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoReport {
    /// Whether real packages crossed, and not invented ones.
    pub real: bool,
    /// Whether npm installed from the mirror; false if there is no npm.
    pub installed: bool,
    /// The directory with everything.
    pub directory: PathBuf,
    /// The bundle.
    pub bundle: PathBuf,
    /// The steps.
    pub steps: Vec<Step>,
}

/// Takes the steps of a demonstration and tells of each as it is done.
struct Steps<'a> {
    tell: &'a (dyn Fn(&Step) + Sync),
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn done(&mut self, title: &str, began: std::time::Instant, result: String) {
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = Step { title: title.to_owned(), result, milliseconds };
        (self.tell)(&step);
        self.steps.push(step);
    }
}

/// Demonstrates; `tell` hears of each step when it is done, `events` of what happens in between.
///
/// # Errors
/// Unavailable (5) with `real` if no registry can be reached; else whatever goes wrong in a step.
pub async fn demonstrate(
    how: &Demonstration,
    events: Arc<dyn Events>,
    cancel: &Cancel,
    tell: &(dyn Fn(&Step) + Sync),
) -> Result<DemoReport, Problem> {
    let mut steps = Steps { tell, steps: Vec::new() };
    let [outside, inside, stick] = ["outside", "inside", "stick"].map(|name| how.directory.join(name));
    for directory in [&outside, &inside, &stick] {
        make(directory)?;
    }

    let (collected, real) = collect_some(how, &outside, &stick, &events, cancel, &mut steps).await?;
    let bundle = collected
        .bundle
        .and_then(|bundle| bundle.files.into_iter().next())
        .ok_or_else(|| Problem::new(Kind::Failed, "demo.no-bundle", "no bundle was written"))?;

    let began = clock::instant();
    let (path, home, quiet, stop) = (bundle.clone(), outside.clone(), events.clone(), cancel.clone());
    let verified = blocking(move || {
        verify::verify(&[path], &Trust::open(&home)?.verifier(true)?, &*quiet, &stop)?.all()
    })
    .await?;
    let bytes = verified.bundles.first().map_or(0, |bundle| bundle.bytes);
    steps.done(
        "outside: verify the bundle",
        began,
        format!("each of its {} is accounted for", units::count(bytes, "byte")),
    );

    let began = clock::instant();
    let refusal = refused_when_damaged(&bundle, &how.directory, &outside, &events, cancel).await?;
    steps.done("on the way: one bit of a copy is flipped", began, format!("refused: {refusal}"));

    let began = clock::instant();
    let (from, to) = (outside.clone(), inside.clone());
    let key = blocking(move || {
        let key = Trust::open(&from)?.public_key(COLLECT_KEY)?;
        let pem = key.to_pem().map_err(|error| {
            Problem::new(Kind::Failed, "demo.key", "the key cannot be written").caused_by(&error)
        })?;
        Trust::open(&to)?.trust(pem.as_bytes(), Some("demo-collector"), &[])?;
        Ok(key.id().to_owned())
    })
    .await?;
    steps.done(
        "inside: trust the collector's public key",
        began,
        format!("{key}, compared by another way than the stick"),
    );

    let began = clock::instant();
    let (path, home, quiet, stop) = (bundle.clone(), inside.clone(), events.clone(), cancel.clone());
    let (store, imported) = blocking(move || {
        let store = Store::open(&home)?;
        let imported = import::import(
            &store,
            &Trust::open(&home)?,
            &ImportRequest { paths: vec![path], dry_run: false, missing: None },
            &*quiet,
            &stop,
        )?;
        Ok((store, imported))
    })
    .await?;
    let imported = imported.bundles.first().map_or((0, 0), |bundle| (bundle.artifacts, bundle.new_blobs));
    steps.done(
        "inside: import it",
        began,
        format!("{}, {}", units::count(imported.0, "artifact"), units::count(imported.1, "blob")),
    );

    let installed = serve_and_install(&store, &outside, &inside, cancel, &mut steps).await?;
    Ok(DemoReport { real, installed, directory: how.directory.clone(), bundle, steps: steps.steps })
}

/// Collects a real project, or the invented one if there is no registry to be reached.
async fn collect_some(
    how: &Demonstration,
    outside: &Path,
    stick: &Path,
    events: &Arc<dyn Events>,
    cancel: &Cancel,
    steps: &mut Steps<'_>,
) -> Result<(CollectReport, bool), Problem> {
    let began = clock::instant();
    write_project(&outside.join("project"), &REAL)?;
    match collect_project(outside, stick, events, cancel, Variables::Heard).await {
        Ok(report) => {
            steps.done("outside: collect a real npm project from its lockfile", began, described(&report));
            Ok((report, true))
        }
        // A full disk or bytes that do not match are no reason to go on with something else.
        Err(problem) if !is_without_registry(&problem) => Err(problem),
        Err(problem) if how.real => {
            let unavailable =
                Problem::new(Kind::Unavailable, "demo.no-upstream", "no npm registry can be reached");
            Err(unavailable
                .because(problem.to_string())
                .hint("without --real, the demo uses invented packages"))
        }
        Err(problem) => {
            let why =
                format!("NO NPM REGISTRY CAN BE REACHED ({problem}): going on with two INVENTED packages");
            steps.done("outside: collect a real npm project from its lockfile", began, why);
            let began = clock::instant();
            let project = outside.join("project");
            write_project(&project, &EMBEDDED)?;
            let address = upstream::start(&Store::open(outside)?, cancel)?;
            replace(&project.join(".npmrc"), &format!("registry={address}\n"))?;
            let report = collect_project(outside, stick, events, cancel, Variables::Ignored).await?;
            steps.done("outside: collect an invented npm project", began, described(&report));
            Ok((report, false))
        }
    }
}

/// Whether a collect failed because there is no registry, or none that answers or lets one in.
fn is_without_registry(problem: &Problem) -> bool {
    let codes = ["npm.no-registry", "net.unauthorized", "net.forbidden"];
    problem.kind == Kind::Unavailable || codes.contains(&problem.code.as_ref())
}

/// What becomes of the user's `npm_config_…` variables, which beat what a project's npmrc says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variables {
    Heard,
    Ignored,
}

fn described(report: &CollectReport) -> String {
    let bytes = report.bundle.as_ref().map_or(0, |bundle| bundle.bytes);
    let artifacts = units::count(report.artifacts.len(), "artifact");
    format!("{artifacts}, resolved, downloaded, signed: {}", units::bytes(bytes))
}

async fn collect_project(
    outside: &Path,
    stick: &Path,
    events: &Arc<dyn Events>,
    cancel: &Cancel,
    variables: Variables,
) -> Result<CollectReport, Problem> {
    let store = Store::open(outside)?;
    let trust = Trust::open(outside)?;
    trust.ensure_collect_key()?;
    let signer = Arc::new(trust.signer(COLLECT_KEY, None)?);
    let project = outside.join("project");
    let order = Order {
        channel: "demo".to_owned(),
        mode: Mode::Add,
        requests: vec!["npm:./package-lock.json".to_owned()],
        platforms: Vec::new(),
        gaps: Vec::new(),
        settings: Vec::new(),
        place: Place::Project(project.clone()),
    };
    let request = CollectRequest {
        order,
        out: stick.to_owned(),
        locked: false,
        dry_run: false,
        read_back: true,
        jobs: JOBS,
        volumes: Volumes::default(),
        basis: None,
        full_every: None,
        must_install: false,
    };
    let mut settings = Settings::from_environment(config::variable);
    // A demonstration that finds no network should say so soon.
    settings.retries = 1;
    settings.timeouts.connect = Duration::from_secs(5);
    let client = Arc::new(Client::new(settings)?);
    let mut context = Outside::new(&store, client, events.clone(), cancel.clone(), &project)?;
    if variables == Variables::Ignored {
        context = context.ignoring_variables("npm_config_");
    }
    collect::collect(&request, &Arc::new(context), || Ok(signer), None).await
}

/// Flips a bit in the middle of a copy of the bundle; returns why the copy is refused.
async fn refused_when_damaged(
    bundle: &Path,
    directory: &Path,
    home: &Path,
    events: &Arc<dyn Events>,
    cancel: &Cancel,
) -> Result<String, Problem> {
    let (bundle, copy, home) = (bundle.to_owned(), directory.join("damaged.aftk.tar"), home.to_owned());
    let (events, cancel) = (events.clone(), cancel.clone());
    blocking(move || {
        let unreadable = |error: &std::io::Error| {
            Problem::new(Kind::Failed, "demo.copy", format!("cannot copy {}", bundle.display()))
                .caused_by(error)
        };
        let mut bytes = std::fs::read(&bundle).map_err(|error| unreadable(&error))?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        fsx::replace_file(&copy, &bytes).map_err(|error| unreadable(&error))?;
        let verifier = Trust::open(&home)?.verifier(true)?;
        match verify::verify(&[copy], &verifier, &*events, &cancel).and_then(VerifyReport::all) {
            Err(problem) if problem.kind == Kind::Untrusted => Ok(problem.message),
            Err(problem) => Err(problem),
            Ok(_) => Err(Problem::new(Kind::Failed, "demo.accepted", "a damaged bundle was accepted")),
        }
    })
    .await
}

/// Serves the inside, and lets npm install from it if there is an npm.
async fn serve_and_install(
    store: &Store,
    outside: &Path,
    inside: &Path,
    cancel: &Cancel,
    steps: &mut Steps<'_>,
) -> Result<bool, Problem> {
    let began = clock::instant();
    let (ready, listening) = tokio::sync::oneshot::channel();
    let (serving, until) = (store.clone(), cancel.clone());
    let request = ServeRequest {
        mounts: Vec::new(),
        impersonate: false,
        listen: vec!["127.0.0.1:0".to_owned()],
        certificate: None,
        read: Read::Open,
        hosted: Vec::new(),
        accounts: Layout::new(inside).accounts(),
    };
    let silent: Arc<dyn Events> = Arc::new(Silent);
    let server = tokio::spawn(async move {
        serve::serve(&serving, request, None, &silent, &until, |addresses| {
            let _ = ready.send(addresses.into_iter().next().unwrap_or_default());
        })
        .await
    });
    let Ok(server_url) = listening.await else {
        return match server.await {
            Ok(Err(problem)) => Err(problem),
            _ => Err(Problem::new(Kind::Failed, "demo.serve", "the mirror did not start")),
        };
    };
    steps.done("inside: serve it", began, format!("listening on {server_url}"));

    let began = clock::instant();
    let project = inside.join("project");
    make(&project)?;
    for name in ["package.json", "package-lock.json"] {
        let text = std::fs::read_to_string(outside.join("project").join(name)).map_err(|error| {
            Problem::new(Kind::Failed, "demo.copy", format!("cannot read the project's {name}"))
                .caused_by(&error)
        })?;
        replace(&project.join(name), &text)?;
    }
    let installed = client::install(&project, inside, &server_url, cancel).await?;
    let title = "inside: npm ci, from the mirror alone";
    match &installed {
        Some(packages) => steps.done(
            title,
            began,
            format!("{packages} packages in {}", project.join("node_modules").display()),
        ),
        None => steps.done(title, began, "skipped: there is no npm on this machine".to_owned()),
    }
    Ok(installed.is_some())
}

fn write_project(project: &Path, files: &[(&str, &str)]) -> Result<(), Problem> {
    make(project)?;
    files.iter().try_for_each(|(name, text)| replace(&project.join(name), text))
}

fn make(directory: &Path) -> Result<(), Problem> {
    fsx::create_directory(directory, fsx::Access::Ordinary).map_err(|error| {
        Problem::new(Kind::Failed, "demo.directory", format!("cannot make {}", directory.display()))
            .caused_by(&error)
    })
}

fn replace(path: &Path, text: &str) -> Result<(), Problem> {
    fsx::replace_file(path, text.as_bytes()).map_err(|error| {
        Problem::new(Kind::Failed, "demo.file", format!("cannot write {}", path.display())).caused_by(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_that_is_not_there_is_replaced() {
        let says = |kind, code| is_without_registry(&Problem::new(kind, code, "it failed"));
        assert!(says(Kind::Unavailable, "net.connect"));
        assert!(says(Kind::Usage, "npm.no-registry"));
        assert!(says(Kind::Refused, "net.forbidden"));
        for (kind, code) in [
            (Kind::Interrupted, "job.interrupted"),
            (Kind::Failed, "store.io"),
            (Kind::Untrusted, "collect.upstream-mismatch"),
            (Kind::Usage, "npm.bad-registry"),
            (Kind::Incomplete, "net.not-found"),
            (Kind::Refused, "net.plain-http"),
        ] {
            assert!(!says(kind, code), "{code}");
        }
    }
}
