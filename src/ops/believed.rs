//! Whether a bundle's documents are still believed when, much later, everything else about it is known to be sound.

use bundle_format::{PayloadType, Snapshot, Verifier, VolumeReader, signature};

use crate::problem::{Kind, Problem};
use crate::trust::{Trust, untrusted_problem};

/// The signed documents of a bundle, as carried.
pub(super) struct Documents {
    snapshot: Snapshot,
    /// Type, bytes, and the file of signatures.
    signed: [(PayloadType, Vec<u8>, Vec<u8>); 2],
}

impl Documents {
    /// Those of a volume.
    pub(super) fn of<R: std::io::Read>(volume: &VolumeReader<R>) -> Documents {
        let signed = [
            (PayloadType::Snapshot, volume.head().snapshot_bytes(), volume.head().snapshot_signatures()),
            (PayloadType::PackingList, volume.head().packing_bytes(), volume.head().packing_signatures()),
        ];
        let signed = signed.map(|(kind, bytes, signatures)| (kind, bytes.to_owned(), signatures.to_owned()));
        Documents { snapshot: volume.snapshot().clone(), signed }
    }

    /// Verifies them again by what the home trusts now: a key may have been revoked since they were read.
    ///
    /// # Errors
    /// Untrusted, if they would be refused now; if the trust cannot be read.
    pub(super) fn must_be_believed(&self, trust: &Trust) -> Result<(), Problem> {
        let verifier = trust.reread()?.verifier(false)?;
        for (kind, bytes, signatures) in &self.signed {
            let lines = signature::parse_signatures(signatures)
                .map_err(|met| Problem::new(Kind::Untrusted, "bundle.signature-line", met))?;
            verifier
                .verify(*kind, bytes, &lines)
                .and_then(|signers| verifier.authorise(*kind, &self.snapshot, &signers))
                .map_err(|untrusted| untrusted_problem(&untrusted))?;
        }
        Ok(())
    }
}
