//! What channels were made to forget, in files beside the catalogue: without them a catalogue that is made again would show it
//! once more, as the snapshots that list it are still there.
//!
//! A file is written before what it says is committed. If the process dies in between, what somebody wanted to be forgotten is
//! still shown, but not by a catalogue that is made again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::accepted::files;
use super::error::io_error;
use super::layout::Layout;
use super::{Change, ChangeSet, Generation, Place, Source, StoreError};
use crate::fsx;

/// The most bytes that such a file may have.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The most artifacts that one file names.
const MOST: usize = 10_000;

/// What a channel was made to forget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The channel.
    pub channel: String,
    /// The channel's newest generation then; a later one shows again what it lists.
    pub until: Generation,
    /// The artifacts, by their versions and what tells them apart from others of these.
    pub artifacts: Vec<(Place, String)>,
    /// The generation before which all states were given up, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_go: Option<Generation>,
}

impl Forgotten {
    /// What is forgotten of a channel with these changes, in as many parts as there are to be files. Those that let go of
    /// states say so of `let_go` alone.
    pub(super) fn of(
        channel: &str,
        until: Generation,
        let_go: Option<Generation>,
        changes: &ChangeSet,
    ) -> Vec<Forgotten> {
        let artifacts: Vec<(Place, String)> = changes
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Forget { source: Source::Channel(source), place, qualifier } if source == channel => {
                    Some((place.clone(), qualifier.clone()))
                }
                _ => None,
            })
            .collect();
        let part = |artifacts: &[(Place, String)], let_go| Forgotten {
            channel: channel.to_owned(),
            until,
            artifacts: artifacts.to_vec(),
            let_go,
        };
        let parts = artifacts.chunks(MOST).map(|artifacts| part(artifacts, None));
        parts.chain(let_go.map(|generation| part(&[], Some(generation)))).collect()
    }

    /// The changes that make the channel forget it again.
    pub fn changes(&self) -> Vec<Change> {
        let forget = self.artifacts.iter().map(|(place, qualifier)| Change::Forget {
            source: Source::Channel(self.channel.clone()),
            place: place.clone(),
            qualifier: qualifier.clone(),
        });
        forget.chain(self.let_go.map(Change::LetGo)).collect()
    }

    /// Writes a file; returns where it is.
    pub(super) fn write(&self, layout: &Layout) -> Result<PathBuf, StoreError> {
        let directory = layout.forgotten().join(&self.channel);
        let failed = |error| io_error("cannot write into", &directory, error);
        fsx::create_directory(&directory, fsx::Access::Private).map_err(failed)?;
        let path = directory.join(format!("{}.json", fsx::random_name().map_err(failed)?));
        let bytes = bundle_format::canonical::to_bytes(self)
            .map_err(|error| StoreError::Catalogue(format!("a record cannot be written: {error}")))?;
        fsx::replace_private(&path, &bytes).map_err(|error| io_error("cannot write", &path, error))?;
        Ok(path)
    }
}

/// What the channels of a store were made to forget; and the files that cannot be read, each with the reason.
///
/// # Errors
/// If a directory cannot be read.
pub fn forgotten(layout: &Layout) -> Result<(Vec<Forgotten>, Vec<String>), StoreError> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for path in files(&layout.forgotten())? {
        match read(&path) {
            Ok(forgotten) => found.push(forgotten),
            Err(reason) => unreadable.push(format!("{}: {reason}", path.display())),
        }
    }
    unreadable.sort();
    Ok((found, unreadable))
}

fn read(path: &Path) -> Result<Forgotten, String> {
    let bytes = fsx::read_limited(path, LIMIT).map_err(|error| error.to_string())?.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
