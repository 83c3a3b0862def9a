//! A bundle as a person reads it: a head, then what it lists.

use bundle_format::Mode;

use crate::cli::output::{self, printable};
use crate::ops::bundle::{SignedDocument, Verdict};
use crate::ops::inspect::{Inspected, InspectedArtifact};
use crate::problem::Problem;
use crate::units;

/// Columns are no wider than this, so that one long name does not push the others away.
const WIDEST: usize = 60;

/// So many proofs of upstreams are shown: every package may have one of its own.
const PROOFS: usize = 20;

/// What a bundle lists, by repositories.
pub(super) fn tree(bundle: &Inspected) -> Result<(), Problem> {
    head(bundle);
    output::line(&format!("  lists     {}", units::count(bundle.artifacts.len(), "artifact")));
    let mut repository = None;
    for artifact in bundle.artifacts.iter() {
        let InspectedArtifact { named, artifact, .. } = artifact?;
        let place = (artifact.ecosystem, named.repository);
        if repository.as_ref() != Some(&place) {
            output::line(&format!("    {}: {}", place.0, place.1));
            repository = Some(place);
        }
        let size = named.size.map(units::bytes).unwrap_or_default();
        let mut line = format!("      {:<WIDEST$} {size:>10}", printable(&named.purl));
        for mark in [named.licence.as_deref(), named.metadata_only.then_some("metadata only")] {
            line.extend(mark.map(|mark| format!("  {mark}")));
        }
        output::line(&line);
    }
    Ok(())
}

/// The same in columns.
pub(super) fn table(bundle: &Inspected) -> Result<(), Problem> {
    head(bundle);
    let titles = ["package", "size", "licence", "repository", "from"].map(str::to_owned);
    let mut widths = titles.each_ref().map(String::len);
    for artifact in bundle.artifacts.iter() {
        for (width, cell) in widths.iter_mut().zip(cells(&artifact?)) {
            *width = (*width).max(cell.chars().count()).min(WIDEST);
        }
    }
    row(&titles, &widths);
    for artifact in bundle.artifacts.iter() {
        row(&cells(&artifact?), &widths);
    }
    Ok(())
}

fn cells(artifact: &InspectedArtifact) -> [String; 5] {
    let named = &artifact.named;
    let origin = artifact.files.iter().map(|file| file.origin.as_str()).find(|origin| !origin.is_empty());
    let size = match named.metadata_only {
        true => "metadata".to_owned(),
        false => named.size.map(units::bytes).unwrap_or_default(),
    };
    [
        printable(&named.purl),
        size,
        printable(named.licence.as_deref().unwrap_or("-")),
        printable(&named.repository),
        printable(origin.unwrap_or("-")),
    ]
}

fn row(cells: &[String; 5], widths: &[usize; 5]) {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    output::line(format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end());
}

/// What a bundle says of itself, and who signed that.
fn head(bundle: &Inspected) {
    let which = &bundle.which;
    output::line(&format!("{}", which.file.display()));
    output::line(&format!(
        "  channel   {}, sequence {} (epoch {})",
        which.channel, which.sequence, which.epoch
    ));
    output::line(&format!("  created   {}", bundle.created));
    if let Some(expires) = &bundle.expires {
        output::line(&format!("  expires   {expires}"));
    }
    output::line(&format!("  mode      {}", if bundle.mode == Mode::Add { "add" } else { "replace" }));
    for (label, text) in &bundle.labels {
        output::line(&format!("  label     {label}: {text}"));
    }
    output::line(&format!("  snapshot  {}", which.snapshot.hex()));
    let mut shown: Vec<&str> = Vec::new();
    for signature in &bundle.signatures {
        // Mostly one key signs both documents.
        if shown.contains(&signature.key.as_str()) {
            continue;
        }
        shown.push(&signature.key);
        let what =
            bundle.signatures.iter().filter(|other| other.key == signature.key).map(|other| {
                match other.document {
                    SignedDocument::Snapshot => "snapshot",
                    SignedDocument::PackingList => "packing list",
                }
            });
        let verdict = match signature.verdict {
            Verdict::Trusted => "trusted here",
            Verdict::Revoked => "revoked here",
            Verdict::Unknown => "unknown here, so not looked at",
        };
        let name = signature.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
        let what = what.collect::<Vec<_>>().join(" and ");
        output::line(&format!("  signed by {name}{}: {verdict} ({what})", signature.key));
    }
    let blobs = units::count(bundle.blobs, "blob");
    output::line(&format!("  size      {} in {blobs}", units::bytes(bundle.bytes)));
    if bundle.volume_count > 1 {
        let here: Vec<String> = bundle.volumes.iter().map(|volume| volume.number.to_string()).collect();
        output::line(&format!("  volumes   {} of {}", here.join(", "), bundle.volume_count));
    }
    let evidence = bundle.evidence;
    output::line(&format!(
        "  evidence  {} of {} with a checksum of upstream's, {} with their origin",
        evidence.with_checksums,
        units::count(evidence.files, "file"),
        evidence.with_origins
    ));
    for proof in bundle.proofs.iter().take(PROOFS) {
        output::line(&format!("  upstream  {} {}", printable(&proof.subject), printable(&proof.says)));
    }
    if let Some(more) = bundle.proofs.len().checked_sub(PROOFS).filter(|more| *more > 0) {
        let more = units::count(more as u64, "package");
        output::line(&format!("            and of {more} more: --json has all, aftk why those of one"));
    }
}
