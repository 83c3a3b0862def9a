//! `aftk why`: where something is from, who vouched for it, and where it went.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::select::Selector;
use crate::ops::why::{self, Brought, InLock, Where, Why};
use crate::problem::{Kind, Problem};
use crate::units;

/// Tell why something is here: request, lock, origin, signer, import, pushes
///
/// Outside, the project's aftk.toml and aftk.lock say why it was resolved; on both sides the store says which snapshot
/// brought it and who signed that, and the audit log where it was pushed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to tell of: `pkg:npm/left-pad@1.3.0`, `npm:left-pad`, `docker:redis:7`
    #[arg(value_name = "PURL")]
    what: String,
    /// The project's aftk.toml; by default the one that is here, if there is one
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selector = Selector::parse(&arguments.what)?;
    let project = session.path(arguments.file.as_deref().unwrap_or("aftk.toml".as_ref()));
    let project = (arguments.file.is_some() || project.exists()).then_some(project);
    let store = match session.existing_store() {
        Ok(store) => Some(store),
        Err(problem) if problem.kind != Kind::Usage || project.is_none() => return Err(problem),
        Err(_) => None,
    };
    let (trust, cancel) = (session.trust()?, session.cancel.clone());
    let report = session.block(move || {
        let places = Where { store: store.as_ref(), project: project.as_deref() };
        why::why(selector, &places, &trust, &cancel)
    })?;
    session.finish(&report, || {
        report.artifacts.iter().for_each(print);
        if report.more > 0 {
            session.say(&format!("and {} more: name one of them", report.more));
        }
    })
}

/// A line of what is told: what it is about, in a column of its own, and the text.
fn told(about: &str, text: &str) {
    output::line(&format!("  {about:<9} {text}"));
}

fn print(why: &Why) {
    output::line(&why.named.purl);
    if let Some(locked) = &why.locked {
        print_lock(locked);
    }
    if let Some(licence) = &why.named.licence {
        told("licence", licence);
    }
    for file in &why.files {
        let name = if file.path.is_empty() { &file.role } else { &file.path };
        let size = if file.size == 0 { String::new() } else { format!(", {}", units::bytes(file.size)) };
        told("file", &format!("{name}{size}"));
        if file.size > 0 {
            told("", &file.blob.to_string());
        }
        if !file.origin.is_empty() {
            told("", &format!("from {} of {}", file.origin, why.named.repository));
        }
        for checksum in &file.checksums {
            told("", &format!("upstream says {checksum}"));
        }
    }
    for upstream in &why.upstream {
        told("upstream", &format!("{} {}", upstream.proof.subject, upstream.proof.says));
        if let Some(verdict) = &upstream.verdict {
            told("", &format!("when it was accepted here: {verdict}"));
        }
    }
    why.brought.iter().for_each(print_brought);
    for push in &why.pushes {
        told("pushed", &format!("{} to {}: {} ({})", push.time, push.target, push.there, push.outcome));
    }
}

fn print_lock(locked: &InLock) {
    told("requested", &locked.requests.join(", "));
    for requirer in &locked.required_by {
        told("needed by", &format!("{} ({} {})", requirer.purl, requirer.kind, requirer.range));
    }
    if locked.more_requirers > 0 {
        told("", &format!("and {} more", locked.more_requirers));
    }
    told("locked", &format!("{} in {}", locked.resolved, locked.file.display()));
}

fn print_brought(brought: &Brought) {
    let Some(by) = &brought.snapshot else {
        return told("brought", &format!("by {} (generation {})", brought.source, brought.generation));
    };
    let entry = &by.entry;
    told(
        "brought",
        &format!(
            "by bundle:{}/{}, created {}, accepted {} (generation {})",
            entry.channel, entry.sequence, entry.created, entry.accepted, brought.generation
        ),
    );
    told("", &format!("snapshot {}", entry.snapshot));
    for (key, name) in entry.signers.iter().zip(&by.signer_names) {
        let name = if name.is_empty() { "not known here any more" } else { name };
        told("", &format!("signed by {key} ({name})"));
    }
    if !brought.labels.is_empty() {
        told("tags", &brought.labels.join(", "));
    }
}
