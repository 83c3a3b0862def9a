//! The proof that what is carried is enough: every edge finds a version that is carried.
//!
//! No tree is laid out. An edge may be met by any carried version of its name, whichever repository it is from: how a
//! client shares the work between registries is its own affair.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::Ref;

use super::held::Held;
use super::spec::{Spec, without_alias};
use super::version::Version;
use super::{REMOTE, SCHEMA, remote};
use crate::ecosystem::{Gap, Gathered, Note, Planned, Proof};
use crate::problem::Problem;

/// What is carried.
#[derive(Default)]
struct Carried {
    /// The versions, and whether the tarball is carried of each.
    versions: Held<bool>,
    /// The dist-tags that point at one of them, by name; without `latest`, which is never missed.
    tags: BTreeSet<(String, String)>,
}

/// How well an edge is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Not,
    /// By a version whose tarball isn't carried, because it is for other platforms.
    ByMetadata,
    Fully,
}

/// Proves every edge of what was gathered.
///
/// # Errors
/// If it cannot be read.
pub(super) fn prove(gathered: &Gathered<'_>) -> Result<Proof, Problem> {
    let is_version = |one: &Result<Planned, Problem>| {
        one.as_ref().map_or(true, |one| matches!(one.schema.as_str(), SCHEMA | REMOTE))
    };
    prove_all(|| gathered.artifacts().filter(is_version), gathered.refs())
}

/// Walks the artifacts twice: for what is carried, and for what they need.
fn prove_all<I: Iterator<Item = Result<Planned, Problem>>>(
    artifacts: impl Fn() -> I,
    refs: impl Iterator<Item = Result<Ref, Problem>>,
) -> Result<Proof, Problem> {
    let mut carried = Carried::default();
    for artifact in artifacts() {
        let artifact = artifact?;
        carried.versions.insert(package(&artifact), &artifact.version, is_whole(&artifact));
    }
    for reference in refs {
        let Ref { name, label, version, .. } = reference?;
        let Some(version) = Version::parse(&version).filter(|_| label != "latest") else { continue };
        if carried.versions.versions(&name).any(|(held, _)| *held == version) {
            carried.tags.insert((name, label));
        }
    }
    let mut findings = Findings::default();
    for artifact in artifacts() {
        prove_one(&artifact?, &carried, &mut findings);
    }
    let (gaps, notes) = (findings.gaps.into_values().collect(), findings.notes.into_iter().collect());
    Ok(Proof { gaps, notes })
}

/// What was found to be missing.
#[derive(Default)]
struct Findings {
    /// One gap for each thing that is missing, by name and version, however many packages miss it.
    gaps: BTreeMap<(String, String), Gap>,
    notes: BTreeSet<Note>,
}

fn prove_one(artifact: &Planned, carried: &Carried, findings: &mut Findings) {
    let whole = is_whole(artifact);
    let needs = format!("{}@{}", package(artifact), artifact.version);
    for edge in &artifact.requires {
        let kind = edge.kind.as_str();
        if !matches!(kind, "runtime" | "optional" | "peer") {
            continue;
        }
        let spec = Spec::read(&edge.range);
        if !spec.is_registry() {
            // Reported when it was resolved; nothing in a registry could meet it.
            continue;
        }
        let bent =
            artifact.requires.iter().filter(|other| other.kind == "override" && other.name == edge.name);
        let by_override = bent.map(|other| match Spec::read(&other.range) {
            spec if spec.is_registry() => met(&other.name, &spec, carried),
            _ => Met::Fully,
        });
        let met = by_override.chain([met(&edge.name, &spec, carried)]).max().unwrap_or(Met::Not);
        let (name, _) = spec.target(&edge.name);
        // A package that is itself not carried whole needs no more of others.
        let enough = if kind == "runtime" && whole { Met::Fully } else { Met::ByMetadata };
        if met >= enough {
            if let Spec::Tag(tag) = &spec
                && tag != "latest"
                && carried.versions.versions(name).next().is_some()
                && !carried.tags.contains(&(name.to_owned(), tag.clone()))
            {
                let message =
                    format!("{needs} asks for {name}@{tag}, a tag that points at no carried version");
                findings.notes.insert(Note {
                    code: "npm.absent-tag".to_owned(),
                    subject: needs.clone(),
                    message,
                });
            }
            continue;
        }
        if kind == "peer" && !whole {
            // Nobody installs it here.
            continue;
        }
        if kind == "peer" {
            let message = format!("wants {name}@{} beside it, which the lockfile leaves out", edge.range);
            findings.notes.insert(Note { code: "npm.open-peer".to_owned(), subject: needs.clone(), message });
            continue;
        }
        let version = without_alias(&edge.range);
        let detail = format!(
            "{needs} needs it, and no version that fits is carried; if the project overrides it, keep \
             package.json beside the lockfile"
        );
        let gap = findings.gaps.entry((name.to_owned(), version.to_owned())).or_insert_with(|| Gap {
            ecosystem: "npm".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            reason: "not-found".to_owned(),
            detail: detail.clone(),
        });
        if detail < gap.detail {
            gap.detail = detail;
        }
    }
}

/// How well what a dependency called `name` asks for is carried.
fn met(name: &str, spec: &Spec, carried: &Carried) -> Met {
    let (name, range) = spec.target(name);
    let fitting = carried.versions.versions(name).filter(|(version, _)| range.admits(version));
    fitting.map(|(_, whole)| if whole { Met::Fully } else { Met::ByMetadata }).max().unwrap_or(Met::Not)
}

fn package(artifact: &Planned) -> &str {
    remote::package(&artifact.name, &artifact.schema, &artifact.attributes)
}

/// Whether a tarball is carried, and not the metadata alone.
fn is_whole(artifact: &Planned) -> bool {
    artifact.files.iter().any(|file| file.role == "tarball")
}

#[cfg(test)]
mod tests {
    use bundle_format::Requirement;

    use super::*;
    use crate::ecosystem::PlannedFile;

    fn artifact(name: &str, version: &str, whole: bool, edges: &[(&str, &str, &str)]) -> Planned {
        let file = |role: &str| PlannedFile {
            role: role.to_owned(),
            path: String::new(),
            media_type: String::new(),
            origin: String::new(),
            checksums: Vec::new(),
            blob: None,
            size: None,
            estimate: None,
            held: false,
        };
        let requires = edges.iter().map(|(name, range, kind)| Requirement {
            name: (*name).to_owned(),
            range: (*range).to_owned(),
            kind: (*kind).to_owned(),
        });
        Planned {
            ecosystem: "npm".to_owned(),
            repository: "npm".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            qualifier: String::new(),
            schema: "npm/1".to_owned(),
            attributes: BTreeMap::new(),
            files: if whole { vec![file("manifest"), file("tarball")] } else { vec![file("manifest")] },
            requires: requires.collect(),
            requests: Vec::new(),
        }
    }

    fn tag(name: &str, label: &str, version: &str) -> Ref {
        let [ecosystem, repository, name, label, version] =
            ["npm", "npm", name, label, version].map(str::to_owned);
        Ref { ecosystem, repository, name, label, version }
    }

    fn proof(artifacts: &[Planned], refs: &[Ref]) -> Proof {
        prove_all(|| artifacts.iter().cloned().map(Ok), refs.iter().cloned().map(Ok)).unwrap()
    }

    #[test]
    fn every_edge_finds_a_carried_version() {
        let artifacts = [
            artifact(
                "a",
                "1.0.0",
                true,
                &[
                    ("b", "^1", "runtime"),
                    ("cjs", "npm:b@~1.1", "runtime"),
                    ("b-any", "npm:b", "runtime"),
                    ("win", "^1", "optional"),
                    ("o", "^1", "runtime"),
                    ("o", "2.0.0", "override"),
                    ("git", "github:a/b", "runtime"),
                    ("gone", "*", "optional-peer"),
                ],
            ),
            artifact("b", "1.1.0", true, &[("a", "1", "peer"), ("tagged", "latest", "runtime")]),
            artifact("win", "1.0.0", false, &[("win-helper", "1", "runtime")]),
            artifact("win-helper", "1.0.0", false, &[]),
            artifact("o", "2.0.0", true, &[]),
            artifact("tagged", "3.0.0-rc.1", true, &[]),
        ];
        assert_eq!(proof(&artifacts, &[]), Proof::default());
    }

    #[test]
    fn what_is_missing_is_named_once() {
        let artifacts = [
            artifact(
                "a",
                "1.0.0",
                true,
                &[
                    ("b", "^2", "runtime"),
                    ("cjs", "npm:absent@1", "runtime"),
                    ("win", "^1", "runtime"),
                    ("none", "^1", "optional"),
                    ("react", "^18", "peer"),
                    ("b", "next", "runtime"),
                ],
            ),
            artifact("b", "1.0.0", true, &[("win", "^1", "runtime")]),
            artifact("win", "1.0.0", false, &[]),
        ];
        let found = proof(&artifacts, &[tag("b", "next", "9.9.9"), tag("unknown", "next", "1.0.0")]);
        let gaps: Vec<_> = found.gaps.iter().map(|gap| (gap.name.as_str(), gap.version.as_str())).collect();
        assert_eq!(gaps, [("absent", "1"), ("b", "^2"), ("none", "^1"), ("win", "^1")]);
        let notes: Vec<_> = found.notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(notes, ["npm.absent-tag", "npm.open-peer"]);
        assert_eq!(proof(&artifacts, &[tag("b", "next", "1.0.0")]).notes.len(), 1);
    }
}
