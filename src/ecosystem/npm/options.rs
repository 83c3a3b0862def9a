//! What a project says to npm in its `[[npm]]` tables: whose keys and attestations are believed, where advisories are, and from
//! where besides registries packages may come.

use std::path::Path;

use serde::Deserialize;
use url::Url;

use super::address::{Allowed, Hosts};
use super::keys::{self, Keys, RegistryKey};
use super::npmrc::registry_url;
use super::origin::{PUBLIC, Source};
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};
use crate::settings::{OneOrMore, Settings};

/// All that is said.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The keys that registries have to sign with.
    pinned: Vec<Pinned>,
    /// Files that name whose attestations are believed.
    pub(super) trusted_roots: Vec<String>,
    /// What is taken along of known weaknesses.
    pub(super) advisories: Advisories,
    /// From where besides registries packages may come.
    pub(super) allowed: Allowed,
}

/// What is taken along of known weaknesses.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Advisories {
    /// What registries tell.
    #[default]
    OfRegistries,
    /// That, and what files say: paths, directories, or names with a `*`.
    Files(Vec<String>),
    /// Nothing.
    None,
}

/// The keys of one registry.
#[derive(Debug)]
struct Pinned {
    /// Which; the public one, where it is not said.
    registry: Option<Url>,
    keys: Keys,
    place: String,
}

/// One `[[npm]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    registry: Option<String>,
    keys: Option<Written>,
    trusted_root: Option<OneOrMore>,
    advisories: Option<Wanted>,
    allow_remote: Option<WrittenHosts>,
    allow_git: Option<WrittenHosts>,
}

/// Hosts, as they are written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WrittenHosts {
    /// Whether any will do.
    Any(bool),
    /// These.
    Named(OneOrMore),
}

impl WrittenHosts {
    /// Adds them to those of the tables before.
    ///
    /// # Errors
    /// What is no host.
    fn add_to(self, hosts: &mut Hosts) -> Result<(), String> {
        let named = match self {
            WrittenHosts::Any(any) => {
                hosts.any = any;
                return Ok(());
            }
            WrittenHosts::Named(named) => named.list(),
        };
        match named.iter().find(|name| url::Host::parse(name).is_err()) {
            Some(name) => Err(format!("{name:?} is no host: it is written without scheme, port and path")),
            None => {
                hosts.named.extend(named);
                Ok(())
            }
        }
    }
}

/// Advisories, as they are written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wanted {
    /// Whether any are.
    Any(bool),
    /// Files besides.
    Files(OneOrMore),
}

/// Keys, as they are written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    /// A file that has what the registry answers.
    File(String),
    /// One by one.
    List(Vec<RegistryKey>),
}

impl Options {
    /// Reads what is said, and the files that it names.
    ///
    /// # Errors
    /// Usage, with the place of what is wrong.
    pub(super) async fn load(context: &dyn CollectContext) -> Result<Options, Problem> {
        let mut options = Options::default();
        for settings in context.settings("npm") {
            options.take(settings.read()?, &settings, context).await?;
        }
        Ok(options)
    }

    async fn take(
        &mut self,
        table: Table,
        settings: &Settings,
        context: &dyn CollectContext,
    ) -> Result<(), Problem> {
        let wrong = |why: String| {
            Problem::new(Kind::Usage, "npm.settings", format!("[[npm]]: {why}")).at(&settings.place)
        };
        let registry = match &table.registry {
            None => None,
            Some(text) => {
                let url = registry_url(text);
                Some(url.ok_or_else(|| wrong(format!("{text:?} is no address of a registry")))?)
            }
        };
        match table.advisories {
            None => {}
            Some(Wanted::Any(true)) => self.advisories = Advisories::OfRegistries,
            Some(Wanted::Any(false)) => self.advisories = Advisories::None,
            Some(Wanted::Files(files)) => self.advisories = Advisories::Files(files.list()),
        }
        if let Some(files) = table.trusted_root {
            self.trusted_roots = files.list();
        }
        for (written, hosts) in
            [(table.allow_remote, &mut self.allowed.remote), (table.allow_git, &mut self.allowed.git)]
        {
            written.map_or(Ok(()), |written| written.add_to(hosts)).map_err(wrong)?;
        }
        let keys = match table.keys {
            None => return Ok(()),
            Some(Written::List(list)) => Keys::of_list(list).map_err(wrong)?,
            Some(Written::File(path)) => {
                let document = context.read(Path::new(&path), keys::LARGEST).await?;
                let document = document.ok_or_else(|| wrong(format!("there is no file {path}")))?;
                let keys = Keys::read(&document).map_err(|why| wrong(format!("{path}: {why}")))?;
                keys.unwrap_or_default()
            }
        };
        if keys.is_empty() {
            let why = "`keys` has no key; it is what the registry answers at -/npm/v1/keys, in a file or written out";
            return Err(wrong(why.to_owned()));
        }
        self.pinned.push(Pinned { registry, keys, place: settings.place.clone() });
        Ok(())
    }

    /// The keys that a registry has to sign with, and where that is written; `None`, if nobody says.
    pub(super) fn keys_of(&self, source: &Source) -> Option<(&Keys, &str)> {
        let is_it = |pinned: &&Pinned| match &pinned.registry {
            Some(url) => *url == source.base,
            None => source.repository == PUBLIC,
        };
        self.pinned.iter().rev().find(is_it).map(|pinned| (&pinned.keys, pinned.place.as_str()))
    }
}
