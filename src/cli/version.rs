//! `aftk version`: what this program is and reads.

use serde::Serialize;

use super::output;
use super::session::Session;
use crate::ecosystem::registry;
use crate::problem::Problem;

/// Print the version, the bundle format and this build's ecosystems
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct VersionReport {
    version: &'static str,
    bundle_format: String,
    ecosystems: Vec<&'static str>,
}

pub(super) fn run(_: Arguments, session: &Session) -> Result<(), Problem> {
    let format = bundle_format::Format::current();
    let report = VersionReport {
        version: env!("CARGO_PKG_VERSION"),
        bundle_format: format!("{}.{}", format.major, format.minor),
        ecosystems: registry::ECOSYSTEMS.iter().map(|ecosystem| ecosystem.name()).collect(),
    };
    session.finish(&report, || {
        output::line(&format!("aftk {}", report.version));
        output::line(&format!("bundle format {}", report.bundle_format));
        output::line(&format!("ecosystems: {}", report.ecosystems.join(", ")));
    })
}
