//! Beginning a project: an `aftk.toml` for what is in a directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::requests;
use crate::config;
use crate::ecosystem::registry;
use crate::fsx;
use crate::problem::{Kind, Problem};

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitReport {
    /// The file.
    pub file: PathBuf,
    /// The requests in it.
    pub requests: Vec<String>,
    /// Lockfiles that are here and not in it, because another one says the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
}

/// Writes `file` with `requests`, or with the lockfiles beside it.
///
/// # Errors
/// Refused (6) if the file is there; usage (2) if there is nothing to put into it, or a request cannot be read.
pub fn init(file: &Path, requests: &[String], dry_run: bool) -> Result<InitReport, Problem> {
    if file.exists() {
        return Err(Problem::new(
            Kind::Refused,
            "init.exists",
            format!("{} is there already", file.display()),
        )
        .hint("edit it, or name another one with --file"));
    }
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    requests.iter().try_for_each(|request| requests::check(request))?;
    let (requests, passed_over) =
        if requests.is_empty() { lockfiles(directory)? } else { (requests.to_vec(), Vec::new()) };
    if requests.is_empty() {
        return Err(Problem::new(
            Kind::Usage,
            "init.nothing",
            format!("no lockfile is in {}", directory.display()),
        )
        .hint("name what to collect: `aftk init npm:./web/package-lock.json file:./manual.pdf`"));
    }
    if !dry_run {
        fsx::replace_file(file, config::template(&requests).as_bytes()).map_err(|error| {
            Problem::new(Kind::Failed, "init.unwritable", format!("cannot write {}", file.display()))
                .caused_by(&error)
        })?;
    }
    Ok(InitReport { file: file.to_owned(), requests, passed_over })
}

/// The lockfiles of a directory as requests, by name, and those that only say what another one says. Those that are not
/// read may lie beside one that is; alone, they are why there is nothing to collect.
fn lockfiles(directory: &Path) -> Result<(Vec<String>, Vec<String>), Problem> {
    let unreadable = |error: &std::io::Error| {
        Problem::new(Kind::Usage, "init.unreadable", format!("cannot read {}", directory.display()))
            .caused_by(error)
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    let (mut requests, mut passed_over) = (Vec::new(), Vec::new());
    for ecosystem in registry::ECOSYSTEMS {
        let own: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| ecosystem.is_lockfile(name)).collect();
        let that_count = ecosystem.that_count(&own);
        let request = |name: &str| format!("{}:./{name}", ecosystem.name());
        let others = own.iter().filter(|name| !that_count.contains(name));
        passed_over.extend(others.map(|name| request(name)));
        requests.extend(that_count.iter().map(|name| request(name)));
    }
    requests.sort();
    let mut unread = None;
    requests
        .retain(|request| requests::check(request).map_err(|problem| unread.get_or_insert(problem)).is_ok());
    match unread {
        Some(problem) if requests.is_empty() => Err(problem),
        _ => Ok((requests, passed_over)),
    }
}
