//! Pushing into aptly, which publishes packages and signs them with its own key.
//!
//! Each suite's component becomes a local repository, `REPOSITORY-SUITE-COMPONENT`. When all packages of a suite are there,
//! its components are published together as the distribution of its name, below the prefix of the repository's name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;

use bundle_format::{Artifact, BlobKey, File};
use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::aptly_interface::{Added, Interface, Publication, Shown, Source, flattened, segment, shown};
use super::{AT_ONCE, is_unreachable, outcome_of};
use crate::ecosystem::apt::SCHEMA;
use crate::ecosystem::apt::credentials::Ways;
use crate::ecosystem::push::{Entry, Failure, Ledger, Outcome, Part, PartState, PushContext, PushOrder};
use crate::events::Happening;
use crate::net::FilePart;
use crate::problem::{Kind, Problem};

/// So many packages are uploaded before they are added.
const ADDED_AT_ONCE: usize = 200;

/// An aptly, and how it is reached.
pub(super) struct Aptly<'a> {
    base: Url,
    interface: Interface<'a>,
    /// Which key of its own it signs with, if not the first.
    signing_key: Option<&'a str>,
    dry_run: bool,
}

/// What of a package matters to aptly.
struct Package {
    name: String,
    version: String,
    /// `source`, if it is one.
    architecture: String,
    files: Vec<File>,
}

impl Package {
    /// How aptly's key of it begins.
    fn key(&self) -> String {
        format!("P{} {} {}", self.architecture, self.name, self.version)
    }
}

/// The packages of one suite.
#[derive(Default)]
struct Suite {
    components: BTreeMap<String, Vec<Package>>,
    /// Who they are from, as upstream says it.
    origin: String,
}

impl<'a> Aptly<'a> {
    pub(super) fn new(
        base: Url,
        ways: Ways,
        context: &'a dyn PushContext,
        order: &'a PushOrder,
    ) -> Result<Aptly<'a>, Problem> {
        let api = base.join("api/").map_err(|error| {
            Problem::new(Kind::Usage, "push.target", "this is no address of an aptly").caused_by(&error)
        })?;
        let interface = Interface { api, ways, context };
        Ok(Aptly { base, interface, signing_key: order.signing_key.as_deref(), dry_run: order.dry_run })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Pushes a repository of these packages whole.
    pub(super) async fn repository(
        &self,
        repository: &str,
        names: &BTreeSet<&str>,
        ledger: &mut Ledger,
    ) -> Result<(), Problem> {
        let suites = self.suites(repository, names).await?;
        let published: Vec<Publication> = self.interface.get("publish").await?.ok_or_else(|| {
            Problem::new(Kind::Usage, "push.target", "no aptly answers here")
                .at(&self.base)
                .hint("name the address where `aptly api serve` listens, without /api")
        })?;
        for (suite, packages) in suites {
            let failed_before = ledger.failures.len();
            if packages.components.contains_key("") {
                let message = "aptly publishes no flat repositories";
                let problem = Problem::new(Kind::Usage, "push.flat", message)
                    .hint("push it into a server that keeps files as they are");
                let (source, target) = (format!("{repository}/{suite}"), self.base.to_string());
                ledger.failures.push(Failure { source, target, problem });
                continue;
            }
            let mut sources = Vec::new();
            for (component, packages) in &packages.components {
                let local = format!("{repository}-{suite}-{component}").replace('/', "-");
                self.component(repository, &local, packages, ledger).await?;
                sources.push(Source { component: component.clone(), name: local });
            }
            let target = format!("{}{repository}/dists/{suite}", self.base);
            let source = format!("{repository}/dists/{suite}");
            if ledger.failures.len() > failed_before {
                let message =
                    format!("packages of {suite} are not there, so what is published of it stays as it was");
                let problem = Problem::new(Kind::Incomplete, "push.incomplete", message);
                ledger.failures.push(Failure { source, target, problem });
                continue;
            }
            let version = sources.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" ");
            match self.publish(repository, &suite, &packages, sources, &published).await {
                Ok(outcome) => {
                    let (parts, was) = (Vec::new(), None);
                    ledger.refs.push(Entry { source, target, version, outcome, was, parts });
                }
                Err(problem) if is_unreachable(&problem) => return Err(problem),
                Err(problem) => ledger.failures.push(Failure { source, target, problem }),
            }
        }
        Ok(())
    }

    async fn suites(
        &self,
        repository: &str,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Suite>, Problem> {
        let mut suites = BTreeMap::<String, Suite>::new();
        for name in names {
            let (linked, _) = self.interface.context.package(repository, name).await?;
            let mut seen = BTreeSet::new();
            for Artifact { schema, version, qualifier, attributes, files, .. } in
                linked.into_iter().map(|one| one.artifact)
            {
                // Of one that several channels brought, the first counts.
                if schema != SCHEMA || !seen.insert((version.clone(), qualifier)) {
                    continue;
                }
                let text = |name: &str| {
                    let text = attributes.get(name).and_then(Value::as_str);
                    text.unwrap_or_default().to_owned()
                };
                let suite = suites.entry(text("suite")).or_default();
                if suite.origin.is_empty() {
                    suite.origin = text("origin");
                }
                let (name, architecture) = ((*name).to_owned(), text("architecture"));
                let package = Package { name, version, architecture, files };
                suite.components.entry(text("component")).or_default().push(package);
            }
        }
        Ok(suites)
    }

    /// Brings the packages of a component into its local repository.
    async fn component(
        &self,
        repository: &str,
        local: &str,
        packages: &[Package],
        ledger: &mut Ledger,
    ) -> Result<(), Problem> {
        let keys: Option<Vec<String>> =
            self.interface.get(&format!("repos/{}/packages", segment(local))).await?;
        if keys.is_none() && !self.dry_run {
            let order = json!({ "Name": local, "Comment": format!("{repository}, pushed by aftk") });
            self.interface.act::<Value>(Method::POST, "repos", Some(order)).await?;
        }
        // A key is what we know of a package, and a hash of aptly's own.
        let known: HashMap<&str, &str> =
            keys.iter().flatten().filter_map(|key| Some((key.rsplit_once(' ')?.0, key.as_str()))).collect();
        for some in packages.chunks(ADDED_AT_ONCE) {
            let looks: Vec<_> = some
                .iter()
                .map(|package| self.look(package, known.get(package.key().as_str()).copied()))
                .collect();
            let mut looks = pin!(futures_util::stream::iter(looks).buffered(AT_ONCE));
            let mut missing = Vec::new();
            for package in some {
                let Some(state) = looks.next().await else { break };
                match state {
                    Ok(PartState::Missing) if !self.dry_run => missing.push(package),
                    Err(problem) if is_unreachable(&problem) => return Err(problem),
                    state => self.note(repository, local, package, state, ledger),
                }
            }
            self.add(repository, local, &missing, ledger).await?;
        }
        Ok(())
    }

    /// Whether a package is there, under the key that begins as it would.
    async fn look(&self, package: &Package, key: Option<&str>) -> Result<PartState, Problem> {
        let Some(key) = key else { return Ok(PartState::Missing) };
        let found: Option<Shown> = self.interface.get(&format!("packages/{}", segment(key))).await?;
        let found = found.unwrap_or_default();
        let is_there = |file: &File| {
            let hex = file.blob.hex();
            found.sha256 == hex || found.checksums.split_whitespace().any(|word| word == hex)
        };
        if package.files.iter().all(is_there) {
            return Ok(PartState::Exists);
        }
        let message = format!("{} {} is there with other bytes", package.name, package.version);
        Err(Problem::new(Kind::Refused, "push.conflict", message)
            .at(&self.base)
            .hint("aptly keeps one package of a version: remove that one there, if it is the wrong one"))
    }

    /// Uploads packages and adds them.
    async fn add(
        &self,
        repository: &str,
        local: &str,
        packages: &[&Package],
        ledger: &mut Ledger,
    ) -> Result<(), Problem> {
        if packages.is_empty() {
            return Ok(());
        }
        // Of its own for each repository, so that two pushes at once do not meet.
        let folder = format!("aftk-{}", BlobKey::of(local.as_bytes()).hex().get(..16).unwrap_or_default());
        self.interface.clear(&folder).await?;
        let uploads: Vec<_> = packages.iter().map(|package| self.upload(&folder, package)).collect();
        let mut uploads = pin!(futures_util::stream::iter(uploads).buffered(AT_ONCE));
        let mut uploaded = Vec::new();
        while let Some(result) = uploads.next().await {
            match result {
                Err(problem) if is_unreachable(&problem) => return Err(problem),
                result => uploaded.push(result),
            }
        }
        let path = format!("repos/{}/file/{folder}", segment(local));
        let added: Added = self.interface.act(Method::POST, &path, None).await?;
        self.interface.clear(&folder).await?;
        for (package, uploaded) in packages.iter().zip(uploaded) {
            let outcome = uploaded.and_then(|()| match refusal(package, &added) {
                None => Ok(PartState::Pushed),
                Some(problem) => Err(problem.at(&self.base)),
            });
            self.note(repository, local, package, outcome, ledger);
        }
        Ok(())
    }

    async fn upload(&self, folder: &str, package: &Package) -> Result<(), Problem> {
        let context = self.interface.context;
        for file in &package.files {
            let missing = || crate::store::StoreError::Missing(file.blob);
            let blob = context.open(&file.blob).await?.ok_or_else(missing)?;
            let name = name_of(file);
            if name.contains('"') {
                let message = format!("a file is called {name:?}, which no form can carry");
                return Err(Problem::new(Kind::Usage, "push.name", message));
            }
            let (bytes, progress) = (Arc::new(blob.file), context.progress());
            let part = FilePart { file: bytes, from: 0, length: file.size, progress };
            self.interface.upload(folder, name, part).await?;
            context.machine().events().emit(Happening::ItemDone { item: file.path.clone() });
        }
        Ok(())
    }

    fn note(
        &self,
        repository: &str,
        local: &str,
        package: &Package,
        state: Result<PartState, Problem>,
        ledger: &mut Ledger,
    ) {
        let Package { name, version, architecture, files } = package;
        let source = format!("{repository}/{name}@{version}");
        let target = format!("{}{local}/{name}_{version}_{architecture}", self.base);
        let (outcome, state) = match state {
            Ok(PartState::Exists) => (Outcome::Present, Some(PartState::Exists)),
            Ok(state) => (Outcome::Uploaded, Some(state)),
            Err(problem) => {
                let outcome = outcome_of(&problem);
                ledger.failures.push(Failure { source: source.clone(), target: target.clone(), problem });
                (outcome, None)
            }
        };
        let part = |file: &File, state| Part {
            repository: local.to_owned(),
            digest: file.blob.to_string(),
            size: file.size,
            state,
        };
        let parts = state.into_iter().flat_map(|state| files.iter().map(move |file| part(file, state)));
        let (version, parts) = (version.clone(), parts.collect());
        ledger.artifacts.push(Entry { source, target, version, outcome, was: None, parts });
    }

    /// Publishes a suite, or what has changed of it.
    async fn publish(
        &self,
        repository: &str,
        suite: &str,
        packages: &Suite,
        mut sources: Vec<Source>,
        published: &[Publication],
    ) -> Result<Outcome, Problem> {
        let there = published.iter().find(|one| one.prefix == repository && one.distribution == suite);
        sources.sort();
        let signing = json!({ "Batch": true, "GpgKey": self.signing_key.unwrap_or_default() });
        let prefix = flattened(repository);
        let (method, path, order) = match there {
            None => {
                let all = packages.components.values().flatten().map(|one| one.architecture.as_str());
                let mut architectures: BTreeSet<&str> = all.filter(|one| *one != "all").collect();
                if architectures.is_empty() {
                    architectures.insert("all");
                }
                let sources: Vec<Value> = sources
                    .iter()
                    .map(|one| json!({ "Name": one.name, "Component": one.component }))
                    .collect();
                let order = json!({
                    "SourceKind": "local", "Sources": sources, "Distribution": suite, "Architectures": architectures,
                    "Origin": packages.origin, "AcquireByHash": true, "Signing": signing,
                });
                (Method::POST, format!("publish/{prefix}"), order)
            }
            Some(there) => {
                let mut components = there.sources.clone();
                components.sort();
                if there.source_kind != "local" || components != sources {
                    let message = format!("something else is published there as {repository}/{suite}");
                    return Err(Problem::new(Kind::Refused, "push.conflict", message).hint(format!(
                        "`aptly publish drop {suite} {repository}` there, and push again: aptly adds no component to \
                         what is published"
                    )));
                }
                let order = json!({ "AcquireByHash": true, "Signing": signing });
                (Method::PUT, format!("publish/{prefix}/{}", flattened(suite)), order)
            }
        };
        if !self.dry_run {
            self.interface.act::<Value>(method, &path, Some(order)).await.map_err(|problem| {
                problem.hint(
                    "aptly signs with a key of whoever runs it: `gpg --list-secret-keys` there shows them, and \
                     --signing-key names one",
                )
            })?;
        }
        Ok(Outcome::Uploaded)
    }
}

/// Why aptly did not take a package, if it did not.
fn refusal(package: &Package, added: &Added) -> Option<Problem> {
    let names: Vec<&str> = package.files.iter().map(name_of).collect();
    let is_failed = |path: &&String| names.contains(&path.rsplit('/').next().unwrap_or_default());
    let failed = added.failed_files.iter().find(is_failed)?;
    let file = failed.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    // Epochs are in its words and not in names of files, so the package's name has to do for those.
    let about = |warning: &&String| warning.contains(stem) || warning.contains(&format!("{}_", package.name));
    let warning = added.report.warnings.iter().find(about).cloned().unwrap_or_default();
    let is_conflict = warning.contains("conflict in package");
    let (kind, code) =
        if is_conflict { (Kind::Refused, "push.conflict") } else { (Kind::Failed, "push.aptly") };
    let message = format!("aptly did not take {} {}", package.name, package.version);
    Some(Problem::new(kind, code, message).because(shown(&warning)))
}

fn name_of(file: &File) -> &str {
    file.path.rsplit('/').next().unwrap_or(&file.path)
}
