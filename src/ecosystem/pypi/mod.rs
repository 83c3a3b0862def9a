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
//! Collecting: [`request`], [`documents`] and [`options`] read what is asked for, [`machine`], [`indexes`] and [`credentials`] where and how
//! it is to be had, and [`group`] what is installed together. [`closure`] resolves that in rounds, in which [`fetch`] asks for what is
//! not [`known`]: pages ([`simple`], [`page_html`]), and what files say of themselves ([`wheel`], [`parts`], [`sdist`]).
//! [`carry`] chooses files, of which [`record`] makes artifacts. [`prove`] checks that
//! they are enough.

mod carry;
mod closure;
mod collect;
#[cfg(test)]
mod collect_tests;
mod credentials;
mod documents;
#[cfg(test)]
mod fake;
mod fetch;
mod file_name;
mod group;
#[cfg(test)]
mod hostile_tests;
mod indexes;
mod inputs;
mod known;
mod machine;
mod marker;
mod metadata;
mod name;
mod options;
mod page_html;
mod parts;
mod prove;
mod record;
mod release;
mod request;
mod requirement;
mod resolve;
mod sdist;
mod simple;
mod specifier;
mod tags;
mod target;
mod unreadable;
mod version;
mod wheel;

use bundle_format::Artifact;

use super::{Collect, Ecosystem};

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

    fn licence<'a>(&self, artifact: &'a Artifact) -> Option<&'a str> {
        artifact.attributes.get("licence")?.as_str()
    }

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:pypi/{}@{}", artifact.name, artifact.version)
    }
}
