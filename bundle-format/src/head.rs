//! The head of every file of a bundle: the two documents that are signed, and what proves them.

use std::io::Read;

use crate::digest::BlobKey;
use crate::document;
use crate::error::{Damage, FormatError, Untrusted};
use crate::input::Input;
use crate::limits::{MAX_DOCUMENT, MAX_SIGNATURES};
use crate::names;
use crate::packing::PackingList;
use crate::signature::{PayloadType, Verifier, read_signatures};
use crate::snapshot::Snapshot;
use crate::writer::Documents;

/// The snapshot and the packing list, verified.
#[derive(Debug, Clone)]
pub struct Head {
    snapshot: Signed<Snapshot>,
    packing: Signed<PackingList>,
}

/// A document with what proves it.
#[derive(Debug, Clone)]
struct Signed<T> {
    document: T,
    bytes: Vec<u8>,
    signatures: Vec<u8>,
    signers: Vec<String>,
}

impl Head {
    /// Reads the documents at the beginning of a file and verifies them, before anything else of it is looked at.
    ///
    /// # Errors
    /// If they are damaged, not trusted, or do not belong together.
    pub fn read(source: impl Read, verifier: &dyn Verifier) -> Result<Head, FormatError> {
        Head::read_from(&mut Input::new(source), verifier)
    }

    pub(crate) fn read_from<R: Read>(
        input: &mut Input<R>,
        verifier: &dyn Verifier,
    ) -> Result<Head, FormatError> {
        let snapshot = read_signed::<_, Snapshot>(
            input,
            verifier,
            PayloadType::Snapshot,
            (names::SNAPSHOT, names::SNAPSHOT_SIGNATURES),
        )?;
        authorise(input, verifier, PayloadType::Snapshot, &snapshot.document, &snapshot.signers)?;
        let packing = read_signed::<_, PackingList>(
            input,
            verifier,
            PayloadType::PackingList,
            (names::PACKING, names::PACKING_SIGNATURES),
        )?;
        authorise(input, verifier, PayloadType::PackingList, &snapshot.document, &packing.signers)?;
        let key = Snapshot::digest_of(&snapshot.bytes);
        if packing.document.snapshot != key {
            let met =
                format!("the packing list is for the snapshot {}, not {key}", packing.document.snapshot);
            return Err(input.damaged(Damage::SnapshotMismatch, met));
        }
        Ok(Head { snapshot, packing })
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot.document
    }

    /// The snapshot's digest.
    pub fn snapshot_key(&self) -> BlobKey {
        Snapshot::digest_of(&self.snapshot.bytes)
    }

    /// The snapshot as carried, byte for byte.
    pub fn snapshot_bytes(&self) -> &[u8] {
        &self.snapshot.bytes
    }

    /// The snapshot's signature file as carried.
    pub fn snapshot_signatures(&self) -> &[u8] {
        &self.snapshot.signatures
    }

    /// The ids of the keys that signed the snapshot and verified.
    pub fn signers(&self) -> &[String] {
        &self.snapshot.signers
    }

    /// The packing list.
    pub fn packing(&self) -> &PackingList {
        &self.packing.document
    }

    /// The packing list's digest: by this, bundles are told apart.
    pub fn packing_key(&self) -> BlobKey {
        BlobKey::of(&self.packing.bytes)
    }

    /// The packing list as carried, byte for byte.
    pub fn packing_bytes(&self) -> &[u8] {
        &self.packing.bytes
    }

    /// The packing list's signature file as carried.
    pub fn packing_signatures(&self) -> &[u8] {
        &self.packing.signatures
    }

    /// The ids of the keys that signed the packing list and verified.
    pub fn packing_signers(&self) -> &[String] {
        &self.packing.signers
    }

    /// The bytes of all of it, to be written again.
    pub fn documents(&self) -> Documents {
        Documents {
            snapshot: self.snapshot.bytes.clone(),
            snapshot_sig: self.snapshot.signatures.clone(),
            packing: self.packing.bytes.clone(),
            packing_sig: self.packing.signatures.clone(),
        }
    }

    pub(crate) fn into_snapshot(self) -> (Snapshot, Vec<String>) {
        (self.snapshot.document, self.snapshot.signers)
    }
}

/// Reads a document and its signatures, verifies them, and only then parses it.
fn read_signed<R: Read, T: document::Document>(
    input: &mut Input<R>,
    verifier: &dyn Verifier,
    kind: PayloadType,
    (name, signatures_name): (&str, &str),
) -> Result<Signed<T>, FormatError> {
    let (bytes, place) = input.document(name, MAX_DOCUMENT)?;
    let (signatures, signatures_place) = input.document(signatures_name, MAX_SIGNATURES)?;
    let lines = read_signatures(&signatures, signatures_place.clone())?;
    let signers = verifier
        .verify(kind, &bytes, &lines)
        .and_then(|signers| if signers.is_empty() { Err(nobody()) } else { Ok(signers) })
        .map_err(|reason| FormatError::Untrusted { place: signatures_place, reason })?;
    let document = document::parse(&bytes, place)?;
    Ok(Signed { document, bytes, signatures, signers })
}

/// A verifier that is content although no key verified is mistaken; here it does not get further.
fn nobody() -> Untrusted {
    Untrusted { code: "trust.no-signer".to_owned(), message: "no known key signed it".to_owned() }
}

fn authorise<R: Read>(
    input: &Input<R>,
    verifier: &dyn Verifier,
    kind: PayloadType,
    snapshot: &Snapshot,
    signers: &[String],
) -> Result<(), FormatError> {
    verifier
        .authorise(kind, snapshot, signers)
        .map_err(|reason| FormatError::Untrusted { place: input.place(), reason })
}
