//! Python packages, as pip and uv find and choose them.
//!
//! An artifact is a release: a project's version, with the wheels and the source distribution that targets need.
//!
//! [`version`] and [`specifier`] compare as PEP 440 does; [`name`] and [`file_name`] read what indexes list, of which
//! [`release`] says what can be installed; [`requirement`], [`marker`] and [`metadata`] read what distributions need. A
//! [`target`] is what all of that is asked for, with the [`tags`] of the wheels that it takes.
//!
//! [`inputs`] reads what projects ask for and what they locked, and [`resolve`] finds one version of each project for a
//! target.
//!
//! Collecting: [`request`], [`documents`] and [`options`] read what is asked for, [`machine`], [`pip_settings`], [`indexes`] and [`credentials`]
//! where and how it is to be had, and [`group`] what is installed together, as [`with_uv`] finds it told. [`closure`] resolves that in rounds, in which
//! [`fetch`] asks for what is not [`known`]: pages ([`simple`], [`page_html`]) with what they are looked through together with
//! ([`links`]), and what files say of themselves ([`wheel`], [`parts`], [`sdist`]).
//! [`publishers`] proves who published them, by [`attestations`], and [`build`] builds the wheels that nobody published, as far as their [`glibc`] is one that targets have. [`carry`] chooses files, of which [`record`] makes artifacts. [`prove`] checks that they are enough, and [`install`] has pip install
//! them.
//!
//! Inside: [`admit`] checks what a bundle brings, by the metadata that [`wheel`] finds in wheels. [`serve`] is the index, of
//! what is [`listed`]: on [`pages`] for installers, and as [`project_json`] for those that ask the older interface. What an
//! index said of files stands in [`facts`]. [`host`] takes uploads into indexes of the site's own. [`setup`] points clients
//! at it, and their lockfiles too ([`rewrite`]). [`push`] uploads into somebody else's index, with the account that [`pypirc`] has.

mod admit;
mod attestations;
mod build;
#[cfg(test)]
mod build_tests;
mod carry;
mod closure;
mod collect;
#[cfg(test)]
mod collect_tests;
mod credentials;
mod documents;
mod facts;
#[cfg(test)]
mod fake;
mod fetch;
mod file_name;
mod glibc;
mod group;
mod host;
#[cfg(test)]
mod hostile_tests;
mod indexes;
mod inputs;
mod install;
mod known;
mod links;
mod listed;
mod machine;
mod marker;
mod metadata;
mod name;
mod options;
mod page_html;
mod pages;
mod parts;
mod pip_settings;
mod project_json;
mod prove;
mod publishers;
mod push;
mod pypirc;
mod record;
mod release;
mod request;
mod requirement;
mod resolve;
mod rewrite;
mod sdist;
mod serve;
mod setup;
mod simple;
mod specifier;
mod tags;
mod target;
mod unreadable;
mod version;
mod wheel;
mod with_uv;

use bundle_format::{Artifact, File};

use super::{Admit, Collect, Ecosystem, Serve, Setup};

/// The schema of releases' artifacts.
const SCHEMA: &str = "pypi/1";

/// The ecosystem of Python packages.
pub(super) struct Pypi;

impl Ecosystem for Pypi {
    fn name(&self) -> &'static str {
        "pypi"
    }

    fn words(&self) -> &'static [&'static str] {
        &["pypi"]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn is_lockfile(&self, file_name: &str) -> bool {
        request::is_lockfile(file_name)
    }

    fn collect(&self) -> Option<&dyn Collect> {
        Some(&collect::PypiCollect)
    }

    /// Wheels and source distributions.
    fn plain_files<'a>(&self, artifact: &'a Artifact) -> Vec<(String, &'a File)> {
        let files = artifact.files.iter().filter(|file| matches!(file.role.as_str(), "wheel" | "sdist"));
        files.filter_map(|file| Some((file.path.rsplit('/').next()?.to_owned(), file))).collect()
    }

    fn install(&self) -> Option<&dyn super::Install> {
        Some(&install::PypiInstall)
    }

    fn licence<'a>(&self, artifact: &'a Artifact) -> Option<&'a str> {
        artifact.attributes.get("licence")?.as_str()
    }

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:pypi/{}@{}", artifact.name, pages::encoded(&artifact.version))
    }

    /// A file's name may mean other bytes at another index. The one over all of them shows each under its digest.
    fn repositories_stand_apart(&self) -> bool {
        true
    }

    fn proof(&self, artifact: &Artifact) -> Option<String> {
        publishers::shown(artifact)
    }

    fn admit(&self) -> Option<&dyn Admit> {
        Some(&admit::PypiAdmit)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(&serve::PypiServe)
    }

    fn push(&self) -> Option<&dyn super::push::Push> {
        Some(self)
    }

    fn setup(&self) -> &[&dyn Setup] {
        setup::CLIENTS
    }

    fn request_for(&self, _repository: &str, name: &str, version: &str) -> Option<String> {
        let version = if version.is_empty() { String::new() } else { format!("=={version}") };
        Some(format!("pypi:{name}{version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_encoded_in_its_purl() {
        let artifact = Artifact {
            ecosystem: "pypi".to_owned(),
            repository: "pypi".to_owned(),
            name: "torch".to_owned(),
            version: "1!2.5.1+cu124".to_owned(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes: Default::default(),
            files: Vec::new(),
            requires: Vec::new(),
        };
        assert_eq!(Pypi.purl(&artifact), "pkg:pypi/torch@1%212.5.1%2Bcu124");
    }
}
