//! Indices, unpacked once, however often they are read.
//!
//! Unpacking costs more than all that is done with what comes out, and an index is read once for each kind of machine, and once
//! more for what was chosen from it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::sync::Arc;

use super::index::Index;
use super::suites::Suites;
use crate::blocking::blocking;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};
use crate::spill;

/// Indices as plain text, each from its beginning, by their places in the list of all; each is read once.
pub(super) type Texts = Vec<Option<Box<dyn Read + Send>>>;

/// Unpacked indices, by their places in the list of all: files without names, which are gone with this.
#[derive(Default)]
pub(super) struct Unpacked(BTreeMap<usize, File>);

impl Unpacked {
    /// Opens the indices that are wanted. What was opened before must not be read any more.
    ///
    /// # Errors
    /// Untrusted, if one cannot be unpacked; if there is no room for it.
    pub(super) async fn open(
        &mut self,
        suites: &Arc<Suites>,
        context: &dyn CollectContext,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<Texts, Problem> {
        let mut texts = Texts::new();
        for (place, index) in suites.indices.iter().enumerate() {
            let index = &index.index;
            let Some(key) = index.held.filter(|_| is_wanted(place)) else {
                texts.push(None);
                continue;
            };
            if let Entry::Vacant(entry) = self.0.entry(place) {
                let (packed, index): (Box<dyn Read + Send>, _) =
                    (context.open_blob(&key).await?, index.clone());
                let scratch = context.scratch().to_owned();
                let unpack = move || {
                    spill::to_file(&mut index.unpack(packed)?, &scratch).map_err(|error| said(&index, &error))
                };
                entry.insert(blocking(unpack).await?);
            }
            let again = |file: &File| file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
            let file = self.0.get(&place).map(again).transpose().map_err(|error| said(index, &error))?;
            texts.push(file.map(|file| Box::new(file) as Box<dyn Read + Send>));
        }
        Ok(texts)
    }
}

/// What the system says is of this machine, and anything else of the index.
fn said(index: &Index, error: &io::Error) -> Problem {
    if error.raw_os_error().is_none() {
        return index.damaged(error);
    }
    Problem::new(Kind::Failed, "apt.unpack", "an index cannot be unpacked here")
        .at(&index.path)
        .caused_by(error)
        .hint("is there room where temporary files are (TMPDIR)?")
}
