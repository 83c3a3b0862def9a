//! What a project says to Python packages in its `[[pypi]]` tables: which indexes there are, and what they are for.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use super::machine;
use super::name::Name;
use super::release::Formats;
use super::requirement::Requirement;
use super::target::Target;
use super::unreadable::Unreadable;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};
use crate::settings::{OneOrMore, Settings};

/// All that is said in the project and on the command line; of what is said twice, the last counts.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The indexes, in their order.
    pub(super) indexes: Vec<Declared>,
    /// What packages are for, written out.
    targets: Vec<String>,
    /// The Pythons, for each platform.
    pythons: Vec<String>,
    platforms: Vec<String>,
    /// The extras of projects whose documents are asked for.
    pub(super) extras: Vec<Name>,
    /// Their groups of dependencies; `None`: those that they name as default.
    pub(super) groups: Option<Vec<Name>>,
    /// Files of constraints.
    pub(super) constraints: Vec<String>,
    /// What holds for what builds source distributions.
    pub(super) build_constraints: Vec<Requirement>,
    /// Files that name whose attestations are believed.
    pub(super) trusted_roots: Vec<String>,
    /// What may be used of some projects.
    pub(super) formats: BTreeMap<Name, Formats>,
    /// What may be used of all others.
    pub(super) other_formats: Option<Formats>,
    pub(super) with_prereleases: bool,
    /// Whether source distributions are carried beside wheels.
    pub(super) with_sdists: bool,
    /// Whether pip, setuptools and wheel stay away.
    pub(super) without_installers: bool,
    /// Whether wheels are built of source distributions that have none.
    pub(super) builds_wheels: bool,
    /// Packages of the system that building a project from its sources needs.
    pub(super) system_packages: BTreeMap<Name, Vec<String>>,
}

/// An index that a project names.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// What its repository is called, if that is said.
    pub(super) name: Option<String>,
    /// Its address.
    pub(super) url: String,
    /// Whether it stands for the public index.
    pub(super) is_default: bool,
    /// The projects that are to be had from it alone; from no other index, and no other from it. `*` at the end stands for
    /// anything.
    pub(super) packages: Vec<String>,
    /// Where that is written.
    pub(super) place: String,
}

/// One `[[pypi]]`: an index, where it has an `index`; and settings for all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    index: Option<String>,
    name: Option<String>,
    default: bool,
    packages: Vec<String>,
    targets: Option<OneOrMore>,
    python: Option<OneOrMore>,
    platforms: Option<OneOrMore>,
    extras: Option<OneOrMore>,
    groups: Option<OneOrMore>,
    constraints: Option<OneOrMore>,
    trusted_root: Option<OneOrMore>,
    build_constraints: Option<OneOrMore>,
    only_binary: Option<OneOrMore>,
    no_binary: Option<OneOrMore>,
    prereleases: Option<bool>,
    with_sdists: Option<bool>,
    with_installers: Option<bool>,
    build_wheels: Option<bool>,
    system_packages: BTreeMap<String, Vec<String>>,
}

impl Options {
    /// Reads what is said.
    ///
    /// # Errors
    /// Usage, with the place of what is wrong.
    pub(super) fn load(context: &dyn CollectContext) -> Result<Options, Problem> {
        let mut options = Options::default();
        for settings in context.settings("pypi") {
            let wrong = |why: String| {
                Problem::new(Kind::Usage, "pypi.settings", format!("[[pypi]]: {why}")).at(&settings.place)
            };
            options.take(settings.read()?, &settings).map_err(wrong)?;
        }
        Ok(options)
    }

    fn take(&mut self, table: Table, settings: &Settings) -> Result<(), String> {
        let said = |list: Option<OneOrMore>| list.map(OneOrMore::list);
        let wrong = |error: Unreadable| error.to_string();
        let names = |list: Vec<String>| {
            list.iter().map(|text| Name::parse(text)).collect::<Result<Vec<_>, _>>().map_err(wrong)
        };
        self.targets = said(table.targets).unwrap_or(std::mem::take(&mut self.targets));
        self.pythons = said(table.python).unwrap_or(std::mem::take(&mut self.pythons));
        self.platforms = said(table.platforms).unwrap_or(std::mem::take(&mut self.platforms));
        self.constraints = said(table.constraints).unwrap_or(std::mem::take(&mut self.constraints));
        self.trusted_roots = said(table.trusted_root).unwrap_or(std::mem::take(&mut self.trusted_roots));
        if let Some(extras) = said(table.extras) {
            self.extras = names(extras)?;
        }
        if let Some(groups) = said(table.groups) {
            self.groups = Some(names(groups)?);
        }
        if let Some(constraints) = said(table.build_constraints) {
            let read = constraints.iter().map(|text| Requirement::parse(text)).collect::<Result<_, _>>();
            self.build_constraints = read.map_err(wrong)?;
        }
        for (list, formats) in [(table.no_binary, Formats::Sdists), (table.only_binary, Formats::Wheels)] {
            for name in said(list).unwrap_or_default() {
                match name.as_str() {
                    ":all:" => self.other_formats = Some(formats),
                    name => drop(self.formats.insert(Name::parse(name).map_err(wrong)?, formats)),
                }
            }
        }
        self.with_prereleases = table.prereleases.unwrap_or(self.with_prereleases);
        self.with_sdists = table.with_sdists.unwrap_or(self.with_sdists);
        self.without_installers = table.with_installers.map_or(self.without_installers, |with| !with);
        self.builds_wheels = table.build_wheels.unwrap_or(self.builds_wheels);
        for (name, packages) in table.system_packages {
            self.system_packages.insert(Name::parse(&name).map_err(wrong)?, packages);
        }
        let Some(url) = table.index else {
            return match table.name.is_some() || table.default || !table.packages.is_empty() {
                true => Err("an index has its address as `index`".to_owned()),
                false => Ok(()),
            };
        };
        if !Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err("`index` is the address of an index: https://…/simple/".to_owned());
        }
        if let Some(name) = table.name.as_deref().filter(|name| !bundle_format::document::is_name(name)) {
            return Err(format!("{name:?} is no name of a repository"));
        }
        let (name, is_default, packages, place) =
            (table.name, table.default, table.packages, settings.place.clone());
        self.indexes.push(Declared { name, url, is_default, packages, place });
        Ok(())
    }

    /// What packages are for: what is written out; else each Python on each platform, `platforms` being what was said to all
    /// ecosystems; else what this machine has.
    ///
    /// # Errors
    /// Usage, if one is none, or nobody says.
    pub(super) async fn targets(
        &self,
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Vec<Target>, Problem> {
        let wrong = |error: Unreadable| Problem::new(Kind::Usage, "pypi.target", error.to_string());
        let mut targets: Vec<Target> =
            self.targets.iter().map(|text| Target::parse(text)).collect::<Result<_, _>>().map_err(wrong)?;
        if targets.is_empty() {
            let said = if self.platforms.is_empty() { platforms } else { &self.platforms };
            let (mut pythons, mut platforms) = (self.pythons.clone(), said.to_vec());
            if pythons.is_empty() || platforms.is_empty() {
                let (python, platform) = machine::own_target(context).await.ok_or_else(unsaid)?;
                if pythons.is_empty() {
                    pythons.push(python);
                }
                if platforms.is_empty() {
                    platforms.push(platform);
                }
            }
            for python in &pythons {
                for platform in &platforms {
                    targets.push(Target::new(python, platform).map_err(wrong)?);
                }
            }
            if self.pythons.is_empty() || said.is_empty() {
                let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
                let message = format!(
                    "nobody says what Python packages are for, so they are for {}, as this machine is; --python and \
                     --platform say it",
                    names.join(", ")
                );
                context.events().warn("pypi.own-target", message);
            }
        }
        targets.sort_by(|one, other| one.name.cmp(&other.name));
        targets.dedup_by(|one, other| one.name == other.name);
        Ok(targets)
    }
}

fn unsaid() -> Problem {
    Problem::new(Kind::Usage, "pypi.no-target", "it is not said which Python and platform packages are for")
        .hint("say so: --python 3.12 --platform linux-x86_64")
        .hint("or in aftk.toml: [[pypi]] targets = [\"cp312-manylinux_2_28_x86_64\"]")
}
