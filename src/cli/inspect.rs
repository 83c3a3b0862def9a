//! `aftk inspect`: what a bundle lists.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::inspect;
use crate::problem::Problem;
use crate::units;

/// Show what bundles list, without unpacking them
///
/// Reads only the signed lists; `aftk verify` reads every byte.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Bundles, or directories of them
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let trust = session.trust()?;
    let paths: Vec<PathBuf> = arguments.bundles.iter().map(|path| session.path(path)).collect();
    let report = session.block(move || inspect::inspect(&paths, &trust.verifier(true)?))?;
    session.finish(&report, || {
        for bundle in &report.bundles {
            output::line(&format!("{}", bundle.which.file.display()));
            output::line(&format!(
                "  channel   {}, sequence {} (epoch {})",
                bundle.which.channel, bundle.which.sequence, bundle.which.epoch
            ));
            output::line(&format!("  created   {}", bundle.created));
            if let Some(expires) = &bundle.expires {
                output::line(&format!("  expires   {expires}"));
            }
            output::line(&format!(
                "  mode      {}",
                if bundle.mode == bundle_format::Mode::Add { "add" } else { "replace" }
            ));
            output::line(&format!("  snapshot  {}", bundle.which.snapshot.hex()));
            output::line(&format!("  signed by {}", bundle.which.signers.join(", ")));
            output::line(&format!(
                "  size      {} in {}",
                units::bytes(bundle.bytes),
                units::count(bundle.blobs, "blob")
            ));
            output::line(&format!("  lists     {}", units::count(bundle.artifacts.len() as u64, "artifact")));
            for artifact in &bundle.artifacts {
                let size = artifact.size.map(units::bytes).unwrap_or_default();
                let mark = if artifact.metadata_only { "  metadata only" } else { "" };
                output::line(&format!("    {:<60} {size:>10}{mark}", output::printable(&artifact.purl)));
            }
        }
    })
}
