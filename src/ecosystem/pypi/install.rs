//! Installing with pip what was collected, for each target that this machine is one of and has the Python of.

use async_trait::async_trait;
use bytes::Bytes;

use super::closure::taken_apart;
use super::group::{Group, Groups, Part, Wants};
use super::indexes::Indexes;
use super::inputs::lock::Origin;
use super::machine;
use super::marker::Chosen;
use super::options::Options;
use super::release::Formats;
use super::requirement::{Requirement, Source};
use super::specifier::Specifiers;
use super::target::Target;
use crate::ecosystem::{Attempt, Attempts, CollectContext, Install, Note, Request};
use crate::problem::Problem;

/// Installs with pip.
pub(super) struct PypiInstall;

#[async_trait]
impl Install for PypiInstall {
    async fn attempts(
        &self,
        requests: &[Request],
        platforms: &[String],
        server: &str,
        context: &dyn CollectContext,
    ) -> Result<Attempts, Problem> {
        let options = Options::load(context)?;
        let mut indexes = Indexes::load(&options, context).await?;
        let groups = Groups::of(requests, &options, &mut indexes, context).await?;
        let mut all = Attempts::default();
        for target in options.targets(platforms, context).await? {
            let python = match machine::python_of(&target, context).await {
                Ok(python) => python.program,
                Err(why) => {
                    all.notes.push(Note {
                        code: "pypi.not-tried".to_owned(),
                        subject: target.name.clone(),
                        message: format!("is not tried: {why}"),
                    });
                    continue;
                }
            };
            for group in &groups.groups {
                match group.part {
                    Part::Document | Part::Build => {
                        all.attempts.extend(attempt(group, &target, &python, server, &options))
                    }
                    // What is asked for one by one need not go together.
                    Part::Words => {
                        let alone = taken_apart(group, 0);
                        let each = alone.iter().map(|one| attempt(one, &target, &python, server, &options));
                        all.attempts.extend(each.flatten());
                    }
                    Part::Installers => {}
                }
            }
        }
        Ok(all)
    }
}

/// What installs a group; nothing, if nothing of it is for the target.
fn attempt(group: &Group, target: &Target, python: &str, server: &str, options: &Options) -> Option<Attempt> {
    let mut constraints = String::new();
    let mut words: Vec<String> = Vec::new();
    let requirements = match &group.wants {
        Wants::Resolved(wanted) => {
            constraints = lines(wanted.constraints.iter().map(|one| by_name(one).to_string()));
            for (formats, option) in [(Formats::Sdists, "--no-binary"), (Formats::Wheels, "--only-binary")] {
                let of = wanted.formats.iter().filter(|(_, allowed)| **allowed == formats);
                let of = of.map(|(name, _)| name.to_string());
                let others = (wanted.other_formats == Some(formats)).then(|| ":all:".to_owned());
                words.extend(others.into_iter().chain(of).flat_map(|name| [option.to_owned(), name]));
            }
            if wanted.with_prereleases {
                words.push("--pre".to_owned());
            }
            lines(wanted.requirements.iter().map(|one| by_name(one).to_string()))
        }
        Wants::Locked { lock, extras, groups, .. } => {
            // What a lockfile leaves out, pip would ask for.
            words.push("--no-deps".to_owned());
            let packages = lock.packages_for(target, Chosen { extras, groups });
            let is_carried = |origin: &Origin| !matches!(origin, Origin::Local(_) | Origin::Repository(_));
            let packages = packages.into_iter().filter(|package| is_carried(&package.origin));
            lines(packages.filter_map(|one| Some(format!("{}=={}", one.name, one.version.as_ref()?))))
        }
    };
    if requirements.is_empty() {
        return None;
    }
    let build = lines(options.build_constraints.iter().map(ToString::to_string));
    let index = format!("{}/pypi/all/simple/", server.trim_end_matches('/'));
    let pip = ["environment/bin/python", "-m", "pip", "install", "--quiet", "--no-cache-dir"];
    let from =
        ["--index-url", &index, "--requirement", "requirements.txt", "--constraint", "constraints.txt"];
    let pip = pip.iter().chain(&from).map(|&word| word.to_owned()).chain(words);
    let file = |name: &str, text: String| (name.to_owned(), Bytes::from(text));
    Some(Attempt {
        what: format!("{} for {}", group.name, target.name),
        files: vec![
            file("requirements.txt", requirements),
            file("constraints.txt", constraints),
            file("build-constraints.txt", build),
        ],
        variables: vec![
            ("PIP_DISABLE_PIP_VERSION_CHECK".to_owned(), "1".to_owned()),
            ("PIP_BUILD_CONSTRAINT".to_owned(), "build-constraints.txt".to_owned()),
        ],
        steps: vec![[python, "-m", "venv", "environment"].map(str::to_owned).to_vec(), pip.collect()],
        ..Attempt::default()
    })
}

/// A requirement by its name: inside, what was had from an address is in an index.
fn by_name(requirement: &Requirement) -> Requirement {
    match &requirement.source {
        Source::Index(_) => requirement.clone(),
        Source::Url(_) => Requirement { source: Source::Index(Specifiers::default()), ..requirement.clone() },
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line + "\n").collect()
}
