//! The proof that what is carried is enough: each release is resolved once more for each target that it is for, from what is
//! carried alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_format::Requirement as Edge;
use serde_json::Value;

use super::facts::{SDIST, WHEEL};
use super::group::gap;
use super::metadata::Metadata;
use super::name::Name;
use super::release::{File, Release, releases};
use super::request::{Asked, Form};
use super::requirement::Requirement;
use super::resolve::{Candidates, Outcome, Wanted, solve};
use super::target::Target;
use super::version::Version;
use crate::ecosystem::{Gathered, Note, Planned, Proof};
use crate::problem::Problem;

/// What is carried, as an index that lists nothing else.
#[derive(Default)]
struct Carried {
    releases: HashMap<Name, Vec<Release>>,
    /// What each file says of itself, by its name.
    metadata: HashMap<String, Metadata>,
    /// The names of the files that were had from an address, by that.
    at: HashMap<String, String>,
    proved: Vec<ToProve>,
}

/// What has to be possible on a target.
struct ToProve {
    target: String,
    project: Name,
    version: String,
    requirements: Vec<Requirement>,
    is_build: bool,
    /// Whether only lockfiles asked for it: they may leave out what others want, and say so by it.
    is_locked: bool,
}

/// Proves what was gathered.
///
/// # Errors
/// If it cannot be read.
pub(super) fn prove(gathered: &Gathered<'_>) -> Result<Proof, Problem> {
    let mut carried = Carried::default();
    let mut files: BTreeMap<Name, Vec<File>> = BTreeMap::new();
    for artifact in gathered.artifacts() {
        carried.take(&artifact?, &mut files);
    }
    carried.releases = files.into_iter().map(|(name, files)| (name, releases(files))).collect();
    Ok(carried.prove())
}

impl Candidates for Carried {
    fn releases(&self, _index: usize, project: &Name) -> Option<&[Release]> {
        Some(self.releases.get(project).map(Vec::as_slice).unwrap_or_default())
    }

    fn metadata(&self, _index: usize, _project: &Name, file: &str) -> Option<Result<&Metadata, &str>> {
        Some(self.metadata.get(file).ok_or("nothing is known of it"))
    }

    fn metadata_at(&self, url: &str) -> Option<Result<&Metadata, &str>> {
        let address = url.split('#').next().unwrap_or_default();
        let found = self.at.get(address).and_then(|file| self.metadata.get(file));
        Some(found.ok_or("what stands there is not carried"))
    }
}

impl Carried {
    fn take(&mut self, artifact: &Planned, files: &mut BTreeMap<Name, Vec<File>>) {
        let (Ok(project), Some(version)) = (Name::parse(&artifact.name), Version::parse(&artifact.version))
        else {
            return;
        };
        let of_kind = |kind: &str| -> Vec<Requirement> {
            let edges = artifact.requires.iter().filter(|edge| edge.kind == kind);
            edges.filter_map(requirement).collect()
        };
        let (requires, build) = (of_kind("runtime"), of_kind("build"));
        let facts = artifact.attributes.get("files");
        let (mut targets, mut built_for) = (BTreeSet::new(), BTreeSet::new());
        for file in artifact.files.iter().filter(|file| matches!(file.role.as_str(), WHEEL | SDIST)) {
            let fact = facts.and_then(|facts| facts.get(&file.path));
            let pythons = fact.and_then(|fact| fact.get("requires_python")).and_then(Value::as_str);
            let is_yanked =
                fact.and_then(|fact| fact.get("yanked")).is_some_and(|yanked| *yanked != Value::Bool(false));
            let Some(read) = File::read(&project, &file.path, pythons, is_yanked) else { continue };
            let serves =
                fact.and_then(|fact| fact.get("targets")).and_then(Value::as_array).into_iter().flatten();
            let serves: Vec<&str> = serves.filter_map(Value::as_str).collect();
            if file.role == SDIST {
                built_for.extend(serves.iter().map(|&target| target.to_owned()));
            }
            targets.extend(serves.iter().map(|&target| target.to_owned()));
            self.at.insert(file.origin.clone(), file.path.clone());
            self.metadata.insert(
                file.path.clone(),
                Metadata {
                    spelled: artifact.name.clone(),
                    name: project.clone(),
                    version: version.clone(),
                    requires: requires.clone(),
                    requires_python: None,
                    extras: Vec::new(),
                    licence: None,
                    is_static: true,
                },
            );
            files.entry(project.clone()).or_default().push(read);
        }
        let is_locked =
            !artifact.requests.is_empty() && artifact.requests.iter().all(|request| is_lockfile(request));
        let extras = artifact.attributes.get("extras");
        for target in targets {
            let wanted =
                extras.and_then(|extras| extras.get(&target)).and_then(Value::as_array).into_iter().flatten();
            let wanted: Vec<&str> = wanted.filter_map(Value::as_str).collect();
            let itself = format!("{project}[{}]=={version}", wanted.join(","));
            let is_built = built_for.contains(&target) && !build.is_empty();
            let mut add = |requirements: Vec<Requirement>, is_build: bool| {
                let (target, version) = (target.clone(), artifact.version.clone());
                let project = project.clone();
                self.proved.push(ToProve { target, project, version, requirements, is_build, is_locked });
            };
            add(Requirement::parse(&itself).into_iter().collect(), false);
            if is_built {
                add(build.clone(), true);
            }
        }
    }

    fn prove(&self) -> Proof {
        let mut proof = Proof::default();
        let mut by_target: BTreeMap<&str, Vec<&ToProve>> = BTreeMap::new();
        for one in &self.proved {
            by_target.entry(&one.target).or_default().push(one);
        }
        for (name, all) in by_target {
            let Ok(target) = Target::parse(name) else { continue };
            // Most often everything goes together, which is quickly shown.
            let together = all.iter().flat_map(|one| &one.requirements).cloned().collect();
            if self.why_not(together, &target).is_none() {
                continue;
            }
            for one in all {
                if let Some(why) = self.why_not(one.requirements.clone(), &target) {
                    one.fails(&why, &mut proof);
                }
            }
        }
        proof.gaps.dedup_by(|a, b| (&a.name, &a.version, &a.reason) == (&b.name, &b.version, &b.reason));
        proof
    }

    /// Why requirements cannot be installed from what is carried, if they cannot.
    fn why_not(&self, requirements: Vec<Requirement>, target: &Target) -> Option<String> {
        let wanted = Wanted { requirements, indexes: 1, with_prereleases: true, ..Wanted::default() };
        match solve(&wanted, target, self) {
            Outcome::Solved(_) => None,
            Outcome::Conflict(lines) => Some(lines.join("; ")),
            Outcome::Needs(_) => Some("something of it is not known".to_owned()),
        }
    }
}

impl ToProve {
    fn fails(&self, why: &str, proof: &mut Proof) {
        let what = if self.is_build { "be built" } else { "be installed" };
        let detail = format!("it cannot {what} on {} from what is carried: {why}", self.target);
        let (name, version) = (self.project.to_string(), self.version.clone());
        match self.is_locked && !self.is_build {
            true => proof.notes.push(Note {
                code: "pypi.open-requirement".to_owned(),
                subject: format!("{name} {version}"),
                message: format!("{detail}; the lockfile leaves that out"),
            }),
            false => proof.gaps.push(gap(&name, &version, "unproved", detail)),
        }
    }
}

fn requirement(edge: &Edge) -> Option<Requirement> {
    Requirement::parse(&format!("{}{}", edge.name, edge.range)).ok()
}

/// Whether a request was of a lockfile, whose choice is not ours.
fn is_lockfile(request: &str) -> bool {
    let what = request.strip_prefix("pypi:").unwrap_or(request);
    let Ok(Asked::Document(document)) = Asked::read(what) else { return false };
    !matches!(document.form, Form::Requirements | Form::Pyproject)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ecosystem::PlannedFile;

    const TARGET: &str = "cp312-manylinux_2_28_x86_64";

    fn planned(release: &str, requires: &[(&str, &str)], request: &str) -> Planned {
        let (name, version) = release.split_once(' ').unwrap();
        let is_built = requires.iter().any(|(_, kind)| *kind == "build");
        let (path, role) = match is_built {
            true => (format!("{name}-{version}.tar.gz"), "sdist"),
            false => (format!("{name}-{version}-py3-none-any.whl"), "wheel"),
        };
        let edge = |(text, kind): &(&str, &str)| {
            let at = text.find(|next: char| !next.is_ascii_alphanumeric()).unwrap_or(text.len());
            let (name, range) = text.split_at(at);
            Edge { name: name.to_owned(), range: range.to_owned(), kind: (*kind).to_owned() }
        };
        Planned {
            ecosystem: "pypi".into(),
            repository: "pypi".into(),
            name: name.into(),
            version: version.into(),
            qualifier: String::new(),
            schema: "pypi/1".into(),
            attributes: [
                ("files".to_owned(), json!({ path.clone(): { "targets": [TARGET] } })),
                ("extras".to_owned(), json!({ TARGET: ["x"] })),
            ]
            .into(),
            files: vec![PlannedFile { role: role.into(), path, ..PlannedFile::default() }],
            requires: requires.iter().map(edge).collect(),
            requests: vec![request.to_owned()],
        }
    }

    fn proof(artifacts: &[Planned]) -> Proof {
        let mut carried = Carried::default();
        let mut files = BTreeMap::new();
        artifacts.iter().for_each(|artifact| carried.take(artifact, &mut files));
        carried.releases = files.into_iter().map(|(name, files)| (name, releases(files))).collect();
        carried.prove()
    }

    #[test]
    fn what_is_enough_proves_itself() {
        let all = [
            planned(
                "a 1",
                &[("b>=2", "runtime"), ("c ; extra == 'x'", "runtime"), ("w ; os_name == 'nt'", "runtime")],
                "pypi:a",
            ),
            planned("b 2", &[("s", "build")], "pypi:a"),
            planned("b 1", &[], "pypi:b==1"),
            planned("c 1.0a1", &[], "pypi:a"),
            planned("s 1", &[], "pypi:a"),
        ];
        assert_eq!(proof(&all), Proof::default());
    }

    #[test]
    fn what_is_missing_is_named_for_its_target() {
        let a = planned("a 1", &[("c ; extra == 'x'", "runtime")], "pypi:a");
        let found =
            proof(&[a, planned("b 2", &[("s>=2", "build")], "uv.lock"), planned("s 1", &[], "uv.lock")]);
        let named: Vec<_> = found.gaps.iter().map(|gap| (gap.name.as_str(), gap.reason.as_str())).collect();
        assert_eq!(named, [("a", "unproved"), ("b", "unproved")]);
        assert!(
            found.gaps[0].detail.contains(TARGET)
                && found.gaps[0].detail.contains("no index has a project c")
        );
        assert!(found.gaps[1].detail.contains("be built"));
    }

    #[test]
    fn a_lockfile_may_leave_out_what_it_overrides() {
        let found = proof(&[planned("a 1", &[("b", "runtime")], "./uv.lock[web]")]);
        assert!(found.gaps.is_empty());
        assert_eq!(found.notes[0].code, "pypi.open-requirement");
    }
}
