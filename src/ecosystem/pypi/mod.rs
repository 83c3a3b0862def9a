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
//! Inside: [`admit`] checks what a bundle brings, by the metadata that [`wheel`] finds in wheels. [`serve`] is the index, of
//! what is [`listed`]: on [`pages`] for installers, and as [`project_json`] for those that ask the older interface. What an
//! index said of files stands in [`facts`]. [`host`] takes uploads into indexes of the site's own. [`setup`]
//! points clients at it.
#![allow(dead_code, reason = "what collects is not here yet")]

mod admit;
mod facts;
mod file_name;
mod host;
#[cfg(test)]
mod hostile_tests;
mod inputs;
mod listed;
mod marker;
mod metadata;
mod name;
mod pages;
mod project_json;
mod release;
mod requirement;
mod resolve;
mod serve;
mod setup;
mod specifier;
mod tags;
mod target;
mod unreadable;
mod version;
mod wheel;

use bundle_format::Artifact;

use super::{Admit, Ecosystem, Serve, Setup};

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

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:pypi/{}@{}", artifact.name, artifact.version)
    }

    /// A file's name may mean other bytes at another index. The one over all of them shows each under its digest.
    fn repositories_stand_apart(&self) -> bool {
        true
    }

    fn admit(&self) -> Option<&dyn Admit> {
        Some(&admit::PypiAdmit)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(&serve::PypiServe)
    }

    fn setup(&self) -> &[&dyn Setup] {
        setup::CLIENTS
    }

    fn request_for(&self, _repository: &str, name: &str, version: &str) -> Option<String> {
        let version = if version.is_empty() { String::new() } else { format!("=={version}") };
        Some(format!("pypi:{name}{version}"))
    }
}
