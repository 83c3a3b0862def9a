//! What uv is told of indexes: in `[tool.uv]` of a project, and in `uv.toml`, which may stand beside it or be the user's own.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{read_toml, unreadable};
use crate::ecosystem::pypi::marker::Marker;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::requirement::Requirement;
use crate::problem::Problem;

/// What uv is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UvSettings {
    /// The indexes in uv's order: of projects that several have, the first is meant.
    pub(crate) indexes: Vec<UvIndex>,
    /// Pages and directories that list files.
    pub(crate) find_links: Vec<String>,
    /// Whether no index is to be asked.
    pub(crate) no_index: bool,
    /// Where projects are from, for those of which that is said.
    pub(crate) sources: BTreeMap<Name, Vec<UvSource>>,
    /// What holds for projects that are needed.
    pub(crate) constraints: Vec<Requirement>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UvIndex {
    /// Its name, by which sources mean it.
    pub(crate) name: Option<String>,
    pub(crate) url: String,
    /// Whether it stands in the place of the public index.
    pub(crate) is_default: bool,
    /// Whether only sources mean it.
    pub(crate) is_explicit: bool,
}

/// Where a project is from, on the targets where a marker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UvSource {
    pub(crate) from: From,
    pub(crate) marker: Option<Marker>,
}

/// Where a project is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// The index of that name.
    Index(String),
    /// An address, of a file or a repository of sources.
    Url(String),
    /// Something of this machine.
    Local(String),
}

/// The keys of `uv.toml` and `[tool.uv]` that say where packages are from; of the others uv itself makes sure.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Written {
    index: Vec<WrittenIndex>,
    index_url: Option<String>,
    extra_index_url: Vec<String>,
    find_links: Vec<String>,
    no_index: bool,
    sources: BTreeMap<String, OneOrMore>,
    constraint_dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenIndex {
    name: Option<String>,
    url: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    explicit: bool,
    /// `flat` is a page of links.
    format: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(WrittenSource),
    More(Vec<WrittenSource>),
}

#[derive(Deserialize)]
struct WrittenSource {
    index: Option<String>,
    url: Option<String>,
    git: Option<String>,
    path: Option<String>,
    #[serde(default)]
    workspace: bool,
    marker: Option<String>,
}

impl UvSettings {
    /// Reads `uv.toml`.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn parse(text: &str, place: &str) -> Result<UvSettings, Problem> {
        read_toml::<Written>(text, place)?.read(place)
    }

    /// Reads `[tool.uv]`.
    ///
    /// # Errors
    /// If it is damaged.
    pub(super) fn of_table(table: toml::Value, place: &str) -> Result<UvSettings, Problem> {
        let written: Result<Written, _> = table.try_into();
        written.map_err(|error| super::damaged(place, format!("[tool.uv]: {}", error.message())))?.read(place)
    }

    /// As uv has it, a `uv.toml` beside a project takes the place of what the project says of indexes; sources and
    /// constraints are the project's alone.
    pub(crate) fn under(self, file: UvSettings) -> UvSettings {
        UvSettings { sources: self.sources, constraints: self.constraints, ..file }
    }
}

impl Written {
    fn read(self, place: &str) -> Result<UvSettings, Problem> {
        let mut settings =
            UvSettings { find_links: self.find_links, no_index: self.no_index, ..UvSettings::default() };
        for index in self.index {
            match index.format.as_deref() {
                Some("flat") => settings.find_links.push(index.url),
                _ => settings.indexes.push(UvIndex {
                    name: index.name,
                    url: index.url,
                    is_default: index.default,
                    is_explicit: index.explicit,
                }),
            }
        }
        let further = self.extra_index_url.into_iter().map(|url| (url, false));
        for (url, is_default) in further.chain(self.index_url.map(|url| (url, true))) {
            settings.indexes.push(UvIndex { name: None, url, is_default, is_explicit: false });
        }
        for (project, sources) in self.sources {
            let project = Name::parse(&project).map_err(unreadable(place))?;
            let sources = match sources {
                OneOrMore::One(source) => vec![source],
                OneOrMore::More(sources) => sources,
            };
            let sources = sources.into_iter().map(|source| source.read(place)).collect::<Result<_, _>>()?;
            settings.sources.insert(project, sources);
        }
        let constraints = self.constraint_dependencies.iter().map(|text| Requirement::parse(text));
        settings.constraints = constraints.collect::<Result<_, _>>().map_err(unreadable(place))?;
        Ok(settings)
    }
}

impl WrittenSource {
    fn read(self, place: &str) -> Result<UvSource, Problem> {
        let from = match (self.index, self.url, self.git, self.path) {
            (Some(index), ..) => From::Index(index),
            (_, Some(url), ..) => From::Url(url),
            (.., Some(git), _) => From::Url(format!("git+{git}")),
            (.., Some(path)) => From::Local(path),
            _ if self.workspace => From::Local("a member of the workspace".to_owned()),
            _ => {
                return Err(super::damaged(place, "a source in tool.uv.sources is of no kind that is known"));
            }
        };
        let marker = self.marker.as_deref().map(Marker::parse).transpose().map_err(unreadable(place))?;
        Ok(UvSource { from, marker })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_stand_in_uvs_order() {
        let text = r#"
            index-url = "https://default.example.test/simple"
            extra-index-url = ["https://extra.example.test/simple"]
            find-links = ["./wheels"]
            [[index]]
            name = "gpu"
            url = "https://gpu.example.test/simple"
            explicit = true
            authenticate = "always"
            [[index]]
            name = "flat"
            url = "https://flat.example.test/page"
            format = "flat"
            [pip]
            no-deps = true
        "#;
        let read = UvSettings::parse(text, "uv.toml").unwrap();
        let all: Vec<_> =
            read.indexes.iter().map(|index| (&*index.url, index.is_default, index.is_explicit)).collect();
        assert_eq!(
            all,
            [
                ("https://gpu.example.test/simple", false, true),
                ("https://extra.example.test/simple", false, false),
                ("https://default.example.test/simple", true, false),
            ]
        );
        assert_eq!(read.find_links, ["./wheels", "https://flat.example.test/page"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("index = 1", "invalid type"),
            ("[sources]\na = { branch = 'x' }", "no kind that is known"),
            ("[sources]\na = { index = 'x', marker = 'odd' }", "odd"),
            ("constraint-dependencies = ['a b']", "no requirement"),
        ] {
            let problem = UvSettings::parse(text, "uv.toml").unwrap_err();
            assert!(problem.causes.iter().any(|cause| cause.contains(why)), "{text:?}: {problem:?}");
        }
    }
}
