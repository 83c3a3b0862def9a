//! Writes a volume: one pass over the blobs, each hashed again on its way.

use std::io::{self, Read, Write};

use crate::canonical::CanonicalError;
use crate::contents::segments_in_front;
use crate::digest::{BlobHasher, BlobKey};
use crate::error::FormatError;
use crate::names::{self, blob_name};
use crate::packing::PackingList;
use crate::plan::{BundlePlan, VolumePlan};
use crate::signature::{PayloadType, SignError, Signer, parse_signatures, sign};
use crate::snapshot::Snapshot;
use crate::tar::{END, header, member_size, padding};
use crate::whole_hash::{BLOCK, WholeHash};

/// The bytes of the small documents, as every volume carries them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// `aftk/snapshot.json`.
    pub snapshot: Vec<u8>,
    /// `aftk/snapshot.sig`.
    pub snapshot_sig: Vec<u8>,
    /// `aftk/packing.json`.
    pub packing: Vec<u8>,
    /// `aftk/packing.sig`.
    pub packing_sig: Vec<u8>,
}

/// A volume that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The size of the file in bytes.
    pub size: u64,
    /// The sha256 of the whole file, for the `.sha256` beside it.
    pub digest: BlobKey,
}

/// Why documents were not made.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The snapshot or the packing list breaks a rule.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// A signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Why a volume was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The documents would not be accepted by a reader.
    #[error("the documents would not be accepted: {0}")]
    Documents(#[from] FormatError),
    /// The documents do not belong together, or not to the plan.
    #[error("{0}")]
    Mismatch(String),
    /// A blob could not be read.
    #[error("the blob {key} cannot be read: {source}")]
    Blob {
        /// Which blob.
        key: BlobKey,
        /// What the system said.
        source: io::Error,
    },
    /// A blob's bytes are not what its key and size say.
    #[error("the blob {key} is damaged: {met}")]
    DamagedBlob {
        /// Which blob.
        key: BlobKey,
        /// What was met.
        met: String,
    },
    /// The volume could not be written.
    #[error("the volume cannot be written: {0}")]
    Out(#[source] io::Error),
}

impl Documents {
    /// Writes and signs both documents of a snapshot that travels as planned.
    pub fn sign(
        snapshot: &Snapshot,
        plan: &BundlePlan,
        signers: &[&dyn Signer],
    ) -> Result<Documents, DocumentsError> {
        let snapshot = snapshot.to_bytes()?;
        let snapshot_sig = sign(PayloadType::Snapshot, &snapshot, signers)?;
        Documents::sign_packing(snapshot, snapshot_sig, plan, signers)
    }

    /// Writes and signs the packing list for a snapshot that was signed before.
    pub fn sign_packing(
        snapshot: Vec<u8>,
        snapshot_sig: Vec<u8>,
        plan: &BundlePlan,
        signers: &[&dyn Signer],
    ) -> Result<Documents, DocumentsError> {
        let packing = PackingList::new(Snapshot::digest_of(&snapshot), plan).to_bytes()?;
        let packing_sig = sign(PayloadType::PackingList, &packing, signers)?;
        Ok(Documents { snapshot, snapshot_sig, packing, packing_sig })
    }

    /// The size in bytes of the file that [`write_volume`] makes of these and this volume.
    pub fn file_size(&self, plan: &VolumePlan) -> u64 {
        self.head_size() + plan.size()
    }

    /// How many bytes of a volume's file stand before its body: the documents as members.
    pub fn head_size(&self) -> u64 {
        self.members().iter().map(|(_, bytes)| member_size(bytes.len() as u64)).sum()
    }

    /// The beginning of every volume's file: the documents as members.
    pub fn to_members(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.members().into_iter().for_each(|(name, member)| push_member(&mut bytes, name, member));
        bytes
    }

    pub(crate) fn members(&self) -> [(&'static str, &[u8]); 4] {
        [
            (names::SNAPSHOT, &self.snapshot),
            (names::SNAPSHOT_SIGNATURES, &self.snapshot_sig),
            (names::PACKING, &self.packing),
            (names::PACKING_SIGNATURES, &self.packing_sig),
        ]
    }

    /// Refuses to write what a reader would refuse.
    fn check<'p>(&self, plan: &'p BundlePlan, number: usize) -> Result<&'p VolumePlan, WriteError> {
        let snapshot = Snapshot::from_bytes(&self.snapshot)?;
        let packing = PackingList::from_bytes(&self.packing)?;
        for (name, bytes) in
            [(names::SNAPSHOT_SIGNATURES, &self.snapshot_sig), (names::PACKING_SIGNATURES, &self.packing_sig)]
        {
            parse_signatures(bytes).map_err(|met| WriteError::Mismatch(format!("{name}: {met}")))?;
        }
        let planned = PackingList::new(Snapshot::digest_of(&self.snapshot), plan);
        if packing.snapshot != planned.snapshot {
            return Err(WriteError::Mismatch("the packing list belongs to another snapshot".to_owned()));
        }
        if (&packing.volumes, &packing.recipes, packing.recovery)
            != (&planned.volumes, &planned.recipes, planned.recovery)
        {
            return Err(WriteError::Mismatch("the packing list belongs to other blobs".to_owned()));
        }
        let volume = plan
            .volumes()
            .get(number)
            .ok_or_else(|| WriteError::Mismatch("there is no such volume".to_owned()))?;
        segments_in_front(volume.blobs().map(|(key, _)| key), &snapshot, &packing)
            .map_err(WriteError::Mismatch)?;
        Ok(volume)
    }
}

/// Writes the volume in place `number`, from 0, of a bundle to `out`, and flushes it; the caller makes it durable. `out` is written to by a thread of its own.
///
/// `open` is asked for each blob once, in the plan's order. Nothing is kept of a volume that failed: the caller
/// writes to a temporary file.
pub fn write_volume(
    out: &mut (dyn Write + Send),
    documents: &Documents,
    (plan, number): (&BundlePlan, usize),
    open: &mut dyn FnMut(&BlobKey) -> io::Result<Box<dyn Read>>,
) -> Result<Written, WriteError> {
    let plan = documents.check(plan, number)?;
    std::thread::scope(|scope| {
        let mut volume = VolumeWriter { out: WholeHash::begin(out, scope).map_err(WriteError::Out)? };
        for (name, bytes) in documents.members() {
            volume.document(name, bytes)?;
        }
        volume.begin(names::CONTENTS, plan.contents_size())?;
        plan.write_contents(&mut volume.out).map_err(WriteError::Out)?;
        volume.pad(plan.contents_size())?;
        for (name, bytes) in plan.layout() {
            volume.document(name, bytes)?;
        }
        let mut buffer = vec![0; BLOCK];
        for (key, size) in plan.blobs() {
            volume.begin(&blob_name(&key), size)?;
            let source = open(&key).map_err(|source| WriteError::Blob { key, source })?;
            volume.copy(&key, size, source, &mut buffer)?;
            volume.pad(size)?;
        }
        volume.write(&[0; END as usize])?;
        let (size, digest) = volume.out.finish().map_err(WriteError::Out)?;
        Ok(Written { size, digest })
    })
}

/// Adds a small member. Its name and size are ones that fit into a header.
pub(crate) fn push_member(bytes: &mut Vec<u8>, name: &str, member: &[u8]) {
    bytes.extend_from_slice(&header(name, member.len() as u64).unwrap_or([0; 512]));
    bytes.extend_from_slice(member);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

/// Writes members.
struct VolumeWriter<'scope> {
    out: WholeHash<'scope>,
}

impl VolumeWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes).map_err(WriteError::Out)
    }

    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        self.begin(name, bytes.len() as u64)?;
        self.write(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn begin(&mut self, name: &str, size: u64) -> Result<(), WriteError> {
        let header = header(name, size)
            .ok_or_else(|| WriteError::Mismatch(format!("{name} of {size} bytes does not fit into a tar")))?;
        self.write(&header)
    }

    fn pad(&mut self, size: u64) -> Result<(), WriteError> {
        let zeros = [0; 512];
        self.write(zeros.get(..padding(size) as usize).unwrap_or_default())
    }

    /// Copies a blob, and fails if it is not exactly the one that was planned.
    fn copy(
        &mut self,
        key: &BlobKey,
        size: u64,
        mut source: Box<dyn Read>,
        buffer: &mut [u8],
    ) -> Result<(), WriteError> {
        let key = *key;
        let damaged = |met: String| WriteError::DamagedBlob { key, met };
        let mut hasher = BlobHasher::default();
        let mut left = size;
        loop {
            let read = match source.read(buffer) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(WriteError::Blob { key, source }),
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            left = left
                .checked_sub(read as u64)
                .ok_or_else(|| damaged(format!("it has more than its {size} bytes")))?;
            hasher.update(bytes);
            self.write(bytes)?;
        }
        if left > 0 {
            return Err(damaged(format!("it has {} of its {size} bytes", size - left)));
        }
        let met = hasher.finish();
        if met == key { Ok(()) } else { Err(damaged(format!("its bytes have the digest {met}"))) }
    }
}
