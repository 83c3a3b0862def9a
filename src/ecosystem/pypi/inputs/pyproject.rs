//! `pyproject.toml`: what a project needs, its extras, its groups of dependencies (PEP 735), and what builds it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::build_system::BuildSystem;
use super::uv_settings::UvSettings;
use super::{damaged, read_toml, unreadable};
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::requirement::Requirement;
use crate::ecosystem::pypi::specifier::Specifiers;
use crate::problem::{Kind, Problem};

/// What a project says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pyproject {
    /// Its name, if it is one that can be installed.
    pub(crate) name: Option<Name>,
    /// The Pythons that it works with.
    pub(crate) requires_python: Option<Specifiers>,
    /// What it needs; `None`, if only building it tells.
    pub(crate) dependencies: Option<Vec<Requirement>>,
    /// What its extras add.
    pub(crate) extras: BTreeMap<Name, Vec<Requirement>>,
    /// What its groups have, with those that they include.
    pub(crate) groups: BTreeMap<Name, Vec<Requirement>>,
    /// What builds it; `None`, if it does not say: then setuptools does.
    pub(crate) build: Option<BuildSystem>,
    /// What it says to uv.
    pub(crate) uv: UvSettings,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Document {
    project: Option<Project>,
    #[serde(default)]
    dependency_groups: BTreeMap<String, Vec<Member>>,
    #[serde(default)]
    tool: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    name: Option<String>,
    requires_python: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    dynamic: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Member {
    Requirement(String),
    Include {
        #[serde(rename = "include-group")]
        group: String,
    },
}

/// How deep groups may include each other.
const DEEPEST: usize = 32;
/// The most members that a group may come to, with those that it includes.
const MOST_MEMBERS: usize = 100_000;

impl Pyproject {
    /// Reads a project's file.
    ///
    /// # Errors
    /// If it is damaged, its groups include each other in a circle, or only Poetry could say what it needs.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Pyproject, Problem> {
        let mut document: Document = read_toml(text, place)?;
        if document.project.is_none()
            && document.tool.get("poetry").is_some_and(|poetry| poetry.get("dependencies").is_some())
        {
            return Err(damaged(place, "what it needs is said in Poetry's own form alone")
                .hint("ask for poetry.lock beside it; poetry writes it with: poetry lock"));
        }
        let list = |texts: &[String]| {
            let read = texts.iter().map(|text| Requirement::parse(text)).collect::<Result<Vec<_>, _>>();
            read.map_err(unreadable(place))
        };
        let name = |text: &str| Name::parse(text).map_err(unreadable(place));
        let mut read = Pyproject::default();
        if let Some(table) = document.tool.remove("uv") {
            read.uv = UvSettings::of_table(table, place)?;
        }
        if let Some(project) = &document.project {
            read.name = project.name.as_deref().map(name).transpose()?;
            let pythons = project.requires_python.as_deref().map(Specifiers::parse).transpose();
            read.requires_python = pythons.map_err(unreadable(place))?;
            let is_dynamic = |field: &str| project.dynamic.iter().any(|dynamic| dynamic == field);
            read.dependencies =
                if is_dynamic("dependencies") { None } else { Some(list(&project.dependencies)?) };
            for (extra, texts) in &project.optional_dependencies {
                read.extras.insert(name(extra)?, list(texts)?);
            }
        }
        let mut groups = BTreeMap::new();
        for (group, members) in &document.dependency_groups {
            groups.insert(name(group)?, members);
        }
        for group in groups.keys() {
            let (mut members, mut left) = (Vec::new(), MOST_MEMBERS);
            collect_group(group, &groups, DEEPEST, &mut left, &mut members)
                .map_err(|why| damaged(place, why))?;
            read.groups.insert(group.clone(), members);
        }
        read.build = BuildSystem::read(text, place)?;
        Ok(read)
    }

    /// What it needs, with extras and groups of it.
    ///
    /// # Errors
    /// Usage, if it does not know one, or only building it tells what it needs.
    pub(crate) fn required<'a>(
        self,
        place: &str,
        extras: impl Iterator<Item = &'a Name>,
        groups: impl Iterator<Item = &'a Name>,
    ) -> Result<Vec<Requirement>, Problem> {
        let unknown = |what: &str, name: &Name| {
            let message = format!("the project has no {what} {name}");
            Problem::new(Kind::Usage, "pypi.no-such-group", message).at(place)
        };
        let mut required = self.dependencies.ok_or_else(|| {
            let message = "what the project needs is only known when it is built";
            Problem::new(Kind::Usage, "pypi.dynamic-project", message)
                .at(place)
                .hint("ask for a lockfile of it instead: uv lock, pip lock, pip-compile write one")
        })?;
        for extra in extras {
            required.extend(self.extras.get(extra).ok_or_else(|| unknown("extra", extra))?.iter().cloned());
        }
        for group in groups {
            required.extend(self.groups.get(group).ok_or_else(|| unknown("group", group))?.iter().cloned());
        }
        // An extra of the project may ask for others of it.
        let Some(own) = &self.name else { return Ok(required) };
        let mut entered = Vec::new();
        while let Some(at) = required.iter().position(|requirement| requirement.name == *own) {
            for extra in required.swap_remove(at).extras {
                if !entered.contains(&extra) {
                    required.extend(self.extras.get(&extra).into_iter().flatten().cloned());
                    entered.push(extra);
                }
            }
        }
        Ok(required)
    }
}

impl Pyproject {
    /// What a project says to uv. Nothing else of the file is read.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn uv_settings(text: &str, place: &str) -> Result<UvSettings, Problem> {
        #[derive(Deserialize)]
        struct Telling {
            #[serde(default)]
            tool: BTreeMap<String, toml::Value>,
        }
        let table = read_toml::<Telling>(text, place)?.tool.remove("uv");
        table.map_or_else(|| Ok(UvSettings::default()), |table| UvSettings::of_table(table, place))
    }
}

fn collect_group(
    group: &Name,
    groups: &BTreeMap<Name, &Vec<Member>>,
    depth: usize,
    left: &mut usize,
    into: &mut Vec<Requirement>,
) -> Result<(), String> {
    let members = groups.get(group).ok_or_else(|| format!("there is no group {group} to include"))?;
    for member in *members {
        if depth == 0 || *left == 0 {
            return Err(format!("the groups include each other without end, {group} for one"));
        }
        *left -= 1;
        match member {
            Member::Requirement(text) => {
                into.push(Requirement::parse(text).map_err(|error| error.to_string())?)
            }
            Member::Include { group } => {
                let group = Name::parse(group).map_err(|error| error.to_string())?;
                collect_group(&group, groups, depth - 1, left, into)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [build-system]
        requires = ["hatchling>=1"]
        build-backend = "hatchling.build"
        [project]
        name = "My.App"
        requires-python = ">=3.9"
        dependencies = ["a>=1", "b ; os_name == 'nt'"]
        [project.optional-dependencies]
        Fast_er = ["c"]
        [dependency-groups]
        test = ["d"]
        dev = [{ include-group = "Test" }, "e<2"]
    "#;

    #[test]
    fn a_project_says_what_it_needs() {
        let read = Pyproject::parse(TEXT, "pyproject.toml").unwrap();
        let texts = |list: &[Requirement]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let name = |text| Name::parse(text).unwrap();
        assert_eq!(read.name, Some(name("my-app")));
        assert_eq!(texts(read.dependencies.as_deref().unwrap()), ["a>=1", "b ; os_name == 'nt'"]);
        assert_eq!(texts(&read.extras[&name("fast-er")]), ["c"]);
        assert_eq!(texts(&read.groups[&name("dev")]), ["d", "e<2"]);
        assert_eq!(texts(&read.build.unwrap().for_wheel), ["hatchling>=1"]);
        let dynamic =
            TEXT.replace("dependencies = [\"a>=1\", \"b ; os_name == 'nt'\"]", "dynamic = ['dependencies']");
        assert_eq!(Pyproject::parse(&dynamic, "p").unwrap().dependencies, None);
        assert_eq!(Pyproject::parse("", "p").unwrap(), Pyproject::default());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("[project", "unclosed table"),
            ("[project]\ndependencies = ['a b']", "\"a b\" is no requirement"),
            ("[dependency-groups]\na = [{include-group='b'}]", "there is no group b"),
            ("[dependency-groups]\na = [{include-group='a'}]", "without end"),
            ("[tool.poetry.dependencies]\na = '^1'", "Poetry's own form"),
        ] {
            let problem = Pyproject::parse(text, "x/pyproject.toml").unwrap_err();
            assert!(problem.causes.iter().any(|cause| cause.contains(why)), "{text:?}: {problem:?}");
            assert!(problem.message.contains("pyproject.toml"));
        }
    }
}
