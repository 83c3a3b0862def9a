//! Adding requests to a project, and taking them out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::requests;
use super::wanted::WantedReport;
use crate::config::{self, Edit};
use crate::fsx;
use crate::problem::{Kind, Problem};

/// The largest list of requests that is read, in bytes.
const LIST_LIMIT: u64 = 64 * 1024 * 1024;

/// What became of the requests of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditReport {
    /// The file.
    pub file: PathBuf,
    /// Those that were added, or taken out.
    pub changed: Vec<String>,
    /// Those that were there already, or were not there.
    pub unchanged: Vec<String>,
    /// Those of a list that this version cannot collect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A request that this version cannot collect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// As it was written.
    pub request: String,
    /// Why not.
    pub problem: Problem,
}

/// Adds requests to an `aftk.toml`: those that are named, and those of a list. What of the list cannot be collected stands
/// in the report.
///
/// # Errors
/// Usage (2), if one that is named cannot be read, or there is no such file; if it cannot be written.
pub fn add(
    file: &Path,
    named: &[String],
    list: Option<&[String]>,
    dry_run: bool,
) -> Result<EditReport, Problem> {
    named.iter().try_for_each(|request| requests::check(request))?;
    let mut wanted = named.to_vec();
    let mut refused = Vec::new();
    for request in list.into_iter().flatten() {
        match requests::check(request) {
            Ok(()) => wanted.push(request.clone()),
            Err(problem) => refused.push(Refused { request: request.clone(), problem }),
        }
    }
    let edited = config::edit_requests(file, Edit::Add(&wanted), dry_run)?;
    Ok(EditReport { file: file.to_owned(), changed: edited.changed, unchanged: edited.unchanged, refused })
}

/// Takes requests out of an `aftk.toml`.
///
/// # Errors
/// Usage (2), if one is not in it, there is no such file, or none would be left; if it cannot be written.
pub fn remove(file: &Path, requests: &[String], dry_run: bool) -> Result<EditReport, Problem> {
    let rehearsed = config::edit_requests(file, Edit::Remove(requests), true)?;
    if let Some(unknown) = rehearsed.unchanged.first() {
        let message = format!("{unknown} is no request of {}", file.display());
        return Err(Problem::new(Kind::Usage, "request.absent", message).hint("write it as it stands there"));
    }
    let edited = config::edit_requests(file, Edit::Remove(requests), dry_run)?;
    let (changed, unchanged) = (edited.changed, edited.unchanged);
    Ok(EditReport { file: file.to_owned(), changed, unchanged, refused: Vec::new() })
}

/// Reads a list of requests: one a line, with comments behind ` #`; or what `wanted --json` printed.
///
/// # Errors
/// Usage (2), if it cannot be read.
pub fn read_list(path: &Path) -> Result<Vec<String>, Problem> {
    let unreadable =
        || Problem::new(Kind::Usage, "request.list", format!("cannot read requests from {}", path.display()));
    let bytes = fsx::read_limited(path, LIST_LIMIT).map_err(|error| unreadable().caused_by(&error))?;
    let bytes = bytes.ok_or_else(|| unreadable().because("there is no such file"))?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable().caused_by(&error))?;
    if text.trim_start().starts_with('{') {
        let report: WantedReport =
            serde_json::from_str(&text).map_err(|error| unreadable().caused_by(&error))?;
        return Ok(report.wanted.into_iter().filter_map(|wanted| wanted.request).collect());
    }
    let lines = text.lines().map(|line| {
        // A `#` within a request is part of it.
        let line = line.trim();
        let end = if line.starts_with('#') { 0 } else { line.find(" #").unwrap_or(line.len()) };
        line.get(..end).unwrap_or_default().trim()
    });
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
