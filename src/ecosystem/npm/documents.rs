//! Registries' documents of packages: asked for once in a run, then read again from memory or from the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bundle_format::BlobKey;
use bytes::Bytes;

use crate::ecosystem::{CollectContext, MetadataRequest};
use crate::problem::Problem;

/// How many bytes of documents stay in memory.
const IN_MEMORY: usize = 32 << 20;

/// A registry's document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// Their digest.
    pub(crate) digest: BlobKey,
}

/// The documents that were asked for.
pub(crate) struct Documents<'a> {
    context: &'a dyn CollectContext,
    /// `None` if none is read twice.
    known: Option<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// By their addresses; `None` for those that there are none of.
    digests: HashMap<String, Option<BlobKey>>,
    /// Those in memory, the oldest first, and how many bytes they have.
    held: VecDeque<(BlobKey, Bytes)>,
    bytes: usize,
}

impl<'a> Documents<'a> {
    /// None yet.
    pub(crate) fn new(context: &'a dyn CollectContext) -> Documents<'a> {
        Documents { context, known: Some(Mutex::default()) }
    }

    /// Those that are read once each, as a lockfile asks for them: nothing of them is kept.
    pub(crate) fn passing(context: &'a dyn CollectContext) -> Documents<'a> {
        Documents { context, known: None }
    }

    /// A document; `None` if the registry has none. With `request.fresh`, it is asked for again.
    ///
    /// # Errors
    /// If the registry cannot be reached.
    pub(crate) async fn get(&self, request: &MetadataRequest) -> Result<Option<Document>, Problem> {
        let place = request.access.url.to_string();
        if !request.fresh {
            match self.known(&place) {
                None => {}
                Some(None) => return Ok(None),
                Some(Some((digest, Some(bytes)))) => return Ok(Some(Document { bytes, digest })),
                Some(Some((digest, None))) => {
                    let bytes = self.context.held(&digest, request.limit).await?;
                    return Ok(Some(Document { bytes, digest }));
                }
            }
        }
        let found = self.context.metadata(request).await?;
        let found = found.map(|document| Document { bytes: document.bytes, digest: document.digest });
        if let Some(known) = &self.known {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.digests.insert(place, found.as_ref().map(|document| document.digest));
            if let Some(Document { bytes, digest }) = &found {
                known.hold(*digest, bytes);
            }
        }
        Ok(found)
    }

    fn known(&self, place: &str) -> Option<Option<(BlobKey, Option<Bytes>)>> {
        let known = self.known.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = *known.digests.get(place)?;
        Some(digest.map(|digest| {
            let held = known.held.iter().find(|(held, _)| *held == digest);
            (digest, held.map(|(_, bytes)| bytes.clone()))
        }))
    }
}

impl Known {
    /// Keeps a document in memory, for as long as there is room.
    fn hold(&mut self, digest: BlobKey, bytes: &Bytes) {
        // A large one would push out all others; it is read from the store.
        if bytes.len() > IN_MEMORY / 8 {
            return;
        }
        self.bytes += bytes.len();
        self.held.push_back((digest, bytes.clone()));
        while self.bytes > IN_MEMORY
            && let Some((_, oldest)) = self.held.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }
}
