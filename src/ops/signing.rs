//! Signing the same document with the same key only once: ECDSA and some tokens sign differently every time, and
//! the same snapshot must have the same bytes whenever it is packed.

use bundle_format::{BlobKey, Signer};

use super::intake::Intake;
use crate::store::{CachedAnswer, Store};

/// No signature is longer; the format has its own limit below that.
const SIGNATURE_LIMIT: u64 = 64 * 1024;
/// When a signature counts as confirmed: always, so that no cleaning ever drops it.
const FOR_EVER: &str = "9999-12-31T23:59:59Z";

/// Signs with another signer, and remembers in the store what that one signed.
pub(super) struct OnceSigner<'a> {
    signer: &'a dyn Signer,
    store: &'a Store,
    intake: &'a Intake,
}

impl<'a> OnceSigner<'a> {
    /// Remembers what `signer` signs; it is durable once `intake` was flushed.
    pub(super) fn new(signer: &'a dyn Signer, store: &'a Store, intake: &'a Intake) -> OnceSigner<'a> {
        OnceSigner { signer, store, intake }
    }

    /// The signature that was made before, if it is still held whole.
    fn remembered(&self, name: &str) -> Option<Vec<u8>> {
        let answer = self.store.catalogue.cached(name).ok()??;
        super::read_blob(self.store, &answer.body, SIGNATURE_LIMIT).ok().map(|bytes| bytes.to_vec())
    }
}

impl Signer for OnceSigner<'_> {
    fn key_id(&self) -> &str {
        self.signer.key_id()
    }

    fn sign(&self, pae: &[u8]) -> Result<Vec<u8>, String> {
        let name = format!("signature {} {}", self.signer.key_id(), BlobKey::of(pae).hex());
        if let Some(signature) = self.remembered(&name) {
            return Ok(signature);
        }
        let signature = self.signer.sign(pae)?;
        let answer = CachedAnswer {
            body: BlobKey::of(&signature),
            etag: None,
            last_modified: None,
            content_type: String::new(),
            confirmed: FOR_EVER.to_owned(),
        };
        self.intake.keep(&signature, Some((name, answer))).map_err(|problem| problem.to_string())?;
        Ok(signature)
    }
}
