//! The proof that npm inside finds what it needs where no lockfile tells it: the tree is built once more, from what is
//! carried alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::address::{Address, Archive};
use super::fetch::SHRINKWRAP;
use super::ideal::{Dependency, Known, Look, Manifest, Origin, Outcome, Project, build};
use super::lock::EdgeKind;
use super::origin::Routes;
use super::spec::{Spec, without_fragment};
use super::version::Version;
use super::{REMOTE, package_json, remote, request, solve};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Gathered, Planned, Request, RequestBody};
use crate::problem::{Kind, Problem};

/// What is carried, as a registry that has nothing else.
#[derive(Default)]
struct Carried {
    /// By name, the highest version first.
    versions: HashMap<String, Vec<(Version, Arc<Manifest>)>>,
    /// The names and versions of which there is no more than what they say.
    only_known: HashSet<(String, String)>,
    /// What stands at addresses of their own, by these.
    remotes: HashMap<String, Arc<Manifest>>,
    /// The versions that tags point at, by name and tag.
    tags: HashMap<(String, String), String>,
}

/// Builds the trees of all requests that are no lockfiles.
///
/// # Errors
/// Incomplete, if one cannot be built.
pub(super) async fn prove(
    gathered: &Gathered<'_>,
    requests: &[Request],
    context: &dyn CollectContext,
) -> Result<(), Problem> {
    let mut documents = Vec::new();
    for request in requests {
        if let RequestBody::Document { path, .. } = &request.body
            && request::is_package_json(path)
        {
            let read = package_json::load(path, context).await?;
            documents.extend(read.map(|read| (request.text.clone(), read.project)));
        }
    }
    let words = solve::words(requests)?;
    if documents.is_empty() && words.is_empty() {
        return Ok(());
    }
    let carried = Carried::of(gathered)?;
    let settings = Routes::load(context, context.directory()).await?.settings();
    blocking(move || {
        let by_name = words.iter().map(|together| {
            let project = solve::project_of(&together.words, &carried);
            (together.requests.join(" "), project)
        });
        let all: Vec<(String, Project)> = by_name.chain(documents).collect();
        for (text, project) in all {
            let lacks = match build(&project, &carried, settings.clone())? {
                Outcome::Built(ideal) => {
                    let missing = ideal.failed.into_iter();
                    missing
                        .map(|one| format!("{}@{} is missing, {}", one.name, one.text, one.needed_by))
                        .collect()
                }
                Outcome::Conflict(lines) => lines,
                Outcome::Needs(_) | Outcome::Endless => vec!["it cannot be found out".to_owned()],
            };
            if !lacks.is_empty() {
                let message = format!("{text} could not be installed from what is carried alone");
                let mut problem = Problem::new(Kind::Incomplete, "npm.unproved", message);
                problem.causes = lacks;
                return Err(problem.hint("resolve all of it anew: aftk lock --upgrade"));
            }
        }
        Ok(())
    })
    .await
}

impl Carried {
    fn of(gathered: &Gathered<'_>) -> Result<Carried, Problem> {
        let mut carried = Carried::default();
        for artifact in gathered.artifacts() {
            let artifact = artifact?;
            if artifact.schema == REMOTE {
                carried.remotes.insert(artifact.name.clone(), Arc::new(manifest(&artifact)));
            } else if let Some(number) = Version::parse(&artifact.version) {
                let manifest = Arc::new(manifest(&artifact));
                if !artifact.files.iter().any(|file| file.role == "tarball") {
                    carried.only_known.insert((artifact.name.clone(), artifact.version.clone()));
                }
                carried.versions.entry(artifact.name).or_default().push((number, manifest));
            }
        }
        for versions in carried.versions.values_mut() {
            versions.sort_by(|(left, _), (right, _)| right.cmp(left));
        }
        for reference in gathered.refs() {
            let reference = reference?;
            carried.tags.insert((reference.name, reference.label), reference.version);
        }
        Ok(carried)
    }

    fn is_whole(&self, manifest: &Manifest) -> bool {
        !self.only_known.contains(&(manifest.name.to_string(), manifest.version.to_string()))
    }

    fn tagged(&self, name: &str, tag: &str) -> Option<&(Version, Arc<Manifest>)> {
        let version = self.tags.get(&(name.to_owned(), tag.to_owned()))?;
        self.versions.get(name)?.iter().find(|(_, manifest)| *manifest.version == **version)
    }

    /// What npm would choose of what is carried.
    fn pick(&self, name: &str, spec: &Spec) -> Option<Arc<Manifest>> {
        let versions = self.versions.get(name)?;
        let whole = || versions.iter().filter(|(_, manifest)| self.is_whole(manifest));
        let stable = || whole().find(|(version, _)| !version.is_prerelease()).or(whole().next());
        // As the mirror says it inside: see `packument::dist_tags`.
        let latest = || self.tagged(name, "latest").or_else(stable).or(versions.first());
        let found = match spec {
            Spec::Tag(tag) if tag == "latest" => latest(),
            Spec::Tag(tag) => self.tagged(name, tag),
            Spec::Any => latest(),
            spec => latest()
                .filter(|(version, _)| spec.admits(version))
                .or_else(|| versions.iter().find(|(version, _)| spec.admits(version))),
        };
        found.map(|(_, manifest)| manifest.clone())
    }
}

impl Known for Carried {
    fn look(&self, name: &str, text: &str) -> Look {
        let spec = Spec::read(text);
        if !spec.is_registry() {
            let address = Archive::of(text).map(|archive| archive.address);
            let address = address.or_else(|| Address::read(without_fragment(text)));
            if let Some(manifest) = address.and_then(|address| self.remotes.get(&address.name())) {
                return Look::Found(manifest.clone());
            }
            let elsewhere = Manifest::new(name, "", Vec::new(), Origin::Address(text.to_owned()));
            return Look::Found(Arc::new(elsewhere));
        }
        let (real, spec) = spec.target(name);
        self.pick(real, spec).map_or(Look::Absent, Look::Found)
    }
}

/// What a carried version says to the tree.
fn manifest(artifact: &Planned) -> Manifest {
    // What is installed inside of it, its tarball says, and that is carried.
    let has_shrinkwrap = artifact.attributes.get(SHRINKWRAP) == Some(&Value::Bool(true));
    let counts = |kind: &str| !has_shrinkwrap || matches!(kind, "peer" | "optional-peer");
    let requires = artifact.requires.iter().filter(|edge| counts(&edge.kind));
    let needed = requires.filter_map(|edge| {
        let kind = match edge.kind.as_str() {
            "runtime" => EdgeKind::Runtime,
            "optional" | "absent-optional" => EdgeKind::Optional,
            "peer" => EdgeKind::Peer,
            "optional-peer" => EdgeKind::OptionalPeer,
            _ => return None,
        };
        Some(Dependency::new(&edge.name, &edge.range, kind))
    });
    let name = remote::package(&artifact.name, &artifact.schema, &artifact.attributes);
    let origin = match artifact.schema == REMOTE {
        true => Origin::Address(artifact.name.clone()),
        false => Origin::Registry,
    };
    Manifest::new(name, &artifact.version, needed.collect(), origin)
}
