//! Exporting: what selectors select, as an archive or directory that other programs read without a server.

use std::path::{Path, PathBuf};

use bundle_format::BlobKey;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::export_files::{self, Outcome};
use super::plain_files;
use super::preflight;
use super::select::{self, Selector};
use crate::cancel::Cancel;
use crate::ecosystem::{
    Ecosystem, Export, ExportContext, ExportKind, Exported, ExportedFile, ExportedItem, Note, registry,
};
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};
use crate::store::{Linked, LinkedRef, Store};
use crate::units;

/// The most missing blobs that are named; all are counted.
const NAMED: usize = 20;

/// A wish to export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// The form, by its name.
    pub kind: String,
    /// The archive or directory to be made.
    pub out: PathBuf,
    /// The platforms that were named.
    pub platforms: Vec<String>,
    /// Stop before anything is written.
    pub dry_run: bool,
}

/// What was exported.
#[derive(Debug, Clone, Serialize)]
pub struct ExportReport {
    /// The form.
    pub kind: String,
    /// The archive or directory.
    pub out: PathBuf,
    /// What became of it; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How many files it consists of.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What its readers find in it.
    pub items: Vec<ExportedItem>,
    /// What a person should know, such as what was left out.
    pub notes: Vec<Note>,
}

/// The forms of this build.
pub fn kinds() -> impl Iterator<Item = &'static ExportKind> {
    let own = registry::ECOSYSTEMS.iter().filter_map(|ecosystem| ecosystem.export()).flat_map(Export::kinds);
    own.chain([&plain_files::PLAIN])
}

/// Exports what selectors select; all of the form's ecosystem, if there is none.
///
/// # Errors
/// Incomplete (4) if a selector selects nothing, or the store lacks something of what is selected; refused (6) if something
/// else has the name already. Nothing is left under the name then.
pub fn export(
    request: &ExportRequest,
    selectors: &[Selector],
    store: &Store,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<ExportReport, Problem> {
    let (exported, is_directory) = gather(request, selectors, store)?;
    must_be_held(&exported, store)?;
    let report = |outcome| ExportReport {
        kind: request.kind.clone(),
        out: request.out.clone(),
        outcome,
        files: exported.files.len() as u64,
        bytes: exported.files.values().map(ExportedFile::size).sum(),
        items: exported.items.clone(),
        notes: exported.notes.clone(),
    };
    let planned = report(None);
    if request.dry_run {
        return Ok(planned);
    }
    let (items, bytes) = (Some(planned.files), Some(planned.bytes));
    events.emit(Happening::Stage { name: "export".into(), items, bytes });
    let reading = export_files::Reading { store, events, cancel };
    let (out, files) = (request.out.as_path(), &exported.files);
    let there = match is_directory {
        true => reading.compare_directory(files, out)?,
        false => reading.compare_archive(files, out)?,
    };
    if there {
        return Ok(report(Some(Outcome::Unchanged)));
    }
    must_fit(out, planned.bytes)?;
    match is_directory {
        true => reading.write_directory(files, out)?,
        false => reading.write_archive(files, out)?,
    }
    Ok(report(Some(Outcome::Written)))
}

/// What the export consists of, and whether it is a directory.
fn gather(
    request: &ExportRequest,
    selectors: &[Selector],
    store: &Store,
) -> Result<(Exported, bool), Problem> {
    if request.kind == plain_files::PLAIN.name {
        if !request.platforms.is_empty() {
            let message = "plain files are exported for all platforms that are here";
            return Err(Problem::new(Kind::Usage, "export.platform", message).hint("leave --platform out"));
        }
        let is_archive = request.out.extension().is_some_and(|ending| ending == "tar");
        return Ok((plain_files::gather(store, selectors)?, !is_archive));
    }
    let (ecosystem, export, kind) = find(&request.kind)?;
    let use_for = format!("{} can hold", kind.name);
    let chosen = select::chosen(store, ecosystem.name(), selectors, &use_for)?;
    if chosen.is_empty() {
        return Err(select::nothing(format!("nothing is here that {use_for}")));
    }
    let context = Context { store, ecosystem: ecosystem.name() };
    Ok((export.export(kind.name, &chosen, &request.platforms, &context)?, kind.is_directory))
}

fn find(kind: &str) -> Result<(&'static dyn Ecosystem, &'static dyn Export, &'static ExportKind), Problem> {
    for &ecosystem in registry::ECOSYSTEMS {
        let Some(export) = ecosystem.export() else { continue };
        if let Some(found) = export.kinds().iter().find(|one| one.name == kind) {
            return Ok((ecosystem, export, found));
        }
    }
    Err(Problem::new(
        Kind::Usage,
        "export.unknown-kind",
        format!("there is no form of export called {kind:?}"),
    ))
}

/// One ecosystem's view of the store.
struct Context<'a> {
    store: &'a Store,
    ecosystem: &'static str,
}

impl ExportContext for Context<'_> {
    fn artifacts(&self, repository: &str, name: &str) -> Result<Vec<Linked>, Problem> {
        Ok(self.store.catalogue.artifacts(self.ecosystem, Some(repository), name)?)
    }

    fn refs(&self, repository: &str, name: &str) -> Result<Vec<LinkedRef>, Problem> {
        Ok(self.store.catalogue.refs(self.ecosystem, Some(repository), name, None)?)
    }

    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        super::read_blob(self.store, key, limit)
    }
}

/// Whether every blob is held, before anything is written.
fn must_be_held(exported: &Exported, store: &Store) -> Result<(), Problem> {
    let (mut missing, mut count) = (Vec::new(), 0_u64);
    for content in exported.files.values() {
        let ExportedFile::Blob { key, size } = content else { continue };
        if store.blobs.size(key)? != Some(*size) {
            count += 1;
            if missing.len() < NAMED {
                missing.push(key.to_string());
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    let message = format!("the store lacks {} of what is selected", units::count(count, "blob"));
    let problem = Problem::new(Kind::Incomplete, "export.missing", message);
    let problem = missing.into_iter().fold(problem, Problem::because);
    Err(problem.hint("`aftk check` says what else is missing; collect or import it again"))
}

fn must_fit(out: &Path, bytes: u64) -> Result<(), Problem> {
    let Some(free) = preflight::free_space(out).filter(|free| *free < bytes) else { return Ok(()) };
    let (needs, free) = (units::bytes(bytes), units::bytes(free));
    let message = format!("{} needs {needs}, and {free} are free there", out.display());
    Err(Problem::new(Kind::Refused, "export.no-space", message)
        .hint("free some space, or choose another place"))
}
