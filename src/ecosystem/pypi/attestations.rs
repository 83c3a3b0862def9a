//! Attestations of files (PEP 740): who published a file, by the word of an authority and of a log that one believes.

use bundle_format::{BlobKey, Digest};
use serde::Deserialize;

use crate::ecosystem::attested::Attested;
use crate::protocol::sigstore::bundle::{Base64, LogEntry};
use crate::protocol::sigstore::statement::Statement;
use crate::protocol::sigstore::{Attestation, Entry, Fault, Roots, SignedBy};

/// The most attestations that a file may have; real ones have one or two.
const MOST: usize = 64;

/// What an index has of one file.
#[derive(Debug, Deserialize)]
pub(super) struct Provenance {
    version: u32,
    attestation_bundles: Vec<Bundle>,
}

/// Attestations of one publisher. Who that is, the index says of itself; here counts what certificates say.
#[derive(Debug, Deserialize)]
struct Bundle {
    attestations: Vec<Written>,
}

#[derive(Debug, Deserialize)]
struct Written {
    version: u32,
    verification_material: Material,
    envelope: Envelope,
}

#[derive(Debug, Deserialize)]
struct Material {
    certificate: Base64,
    transparency_entries: Vec<LogEntry>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    statement: Base64,
    signature: Base64,
}

impl Provenance {
    /// Reads what an index has of a file.
    ///
    /// # Errors
    /// If it is nothing of the kind, or too much.
    pub(super) fn read(bytes: &[u8]) -> Result<Provenance, String> {
        let read: Provenance = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let all = || read.attestation_bundles.iter().flat_map(|bundle| &bundle.attestations);
        if read.version != 1 || all().any(|one| one.version != 1) {
            return Err("it is of a version that is not known here".to_owned());
        }
        if all().count() > MOST {
            return Err(format!("it has more than {MOST} attestations"));
        }
        Ok(read)
    }

    /// Who published the file of this name and sha256, by those who are believed: one for each attestation.
    ///
    /// # Errors
    /// Why one of them is not believed.
    pub(super) fn verify(self, name: &str, sha256: &BlobKey, roots: &Roots) -> Result<Vec<Attested>, Fault> {
        let mut attested = Vec::new();
        for written in self.attestation_bundles.into_iter().flat_map(|bundle| bundle.attestations) {
            let attestation = written.attestation();
            let signer = attestation.verify(roots)?;
            let statement = Statement::read(&attestation.statement)?;
            statement.is_about(name, &[Digest::from(*sha256)])?;
            attested.push(Attested::by_signer(signer, statement.kind));
        }
        attested.sort();
        attested.dedup();
        Ok(attested)
    }
}

impl Written {
    fn attestation(self) -> Attestation {
        let entries = self.verification_material.transparency_entries.into_iter().map(Entry::from);
        Attestation {
            signed_by: SignedBy::Certificate(self.verification_material.certificate.0),
            statement: self.envelope.statement.0,
            signature: self.envelope.signature.0,
            entries: entries.collect(),
        }
    }
}
