//! Packing: from a lock whose files are all held to a signed bundle file, the same bytes every time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bundle_format::signature::{PayloadType, sign};
use bundle_format::{
    BlobHasher, BlobKey, Documents, Format, Mode, SegmentWriter, Signer, Snapshot, VolumePlan, WriteError,
    file_name, write_volume,
};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::intake::Intake;
use super::ledger::LockedLedger;
use super::lock_file::Lock;
use super::records;
use super::signing::OnceSigner;
use super::verify::{self, VerifyReport};
use crate::cancel::{Cancel, interruption};
use crate::events::{Events, Happening};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// This version opens no epoch but the first: only a new root document does.
const EPOCH: u64 = 1;

/// Where and how to pack.
pub struct Packing<'a> {
    /// The channel.
    pub channel: &'a str,
    /// How it changes the channel inside.
    pub mode: Mode,
    /// The ledger.
    pub ledger: &'a Path,
    /// The directory that gets the bundle.
    pub out: &'a Path,
    /// Who signs.
    pub signer: &'a dyn Signer,
    /// Whether the finished file is read back from the medium.
    pub read_back: bool,
}

/// A bundle that was packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its channel.
    pub channel: String,
    /// Its place in the channel.
    pub sequence: u64,
    /// The digest of its snapshot.
    pub snapshot: BlobKey,
    /// Whether the content was packed before under this sequence.
    pub held: bool,
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// Their size in bytes.
    pub bytes: u64,
    /// How many blobs they carry.
    pub blobs: u64,
}

/// A snapshot with its documents.
pub struct Made {
    /// What was packed.
    pub packed: Packed,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The blob of its signatures.
    pub signatures: BlobKey,
    /// Held until the catalogue knows the snapshot: whoever packs next must find it there.
    _ledger: LockedLedger,
}

/// Packs a lock.
///
/// # Errors
/// Refused (6) if the channel has another snapshot of that sequence here, or another file of that name is in the way.
pub fn pack(
    lock: &Lock,
    packing: &Packing<'_>,
    store: &Store,
    intake: &Intake,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Made, Problem> {
    let mut segments = SegmentWriter::new(|_, bytes: &[u8]| {
        intake.keep(bytes, None).map(|_| ()).map_err(|problem| io::Error::other(problem.to_string()))
    });
    for record in records::of_lock(lock) {
        segments.push(&record?).map_err(|error| unpackable(&error))?;
    }
    let segments = segments.finish().map_err(|error| unpackable(&error))?;
    let mut snapshot = Snapshot {
        format: Format::current(),
        channel: packing.channel.to_owned(),
        epoch: EPOCH,
        sequence: 1,
        previous: None,
        created: lock.resolved.clone(),
        expires: None,
        mode: packing.mode,
        sites: Vec::new(),
        labels: Default::default(),
        segments,
        ext: Default::default(),
    };
    let mut unread = Ok(());
    let artifacts =
        lock.artifacts.iter().map_while(|artifact| artifact.map_err(|error| unread = Err(error)).ok());
    let files = artifacts.flat_map(|artifact| artifact.files);
    let blobs = files.filter_map(|file| Some((file.blob?, file.size?)));
    let plan = VolumePlan::new(&snapshot.segments, blobs).map_err(|error| unpackable(&error))?;
    unread?;
    let plan = match archive_index::of(records::of_lock(lock))? {
        Some(index) => plan.with_index(index).map_err(|error| unpackable(&error))?,
        None => plan,
    };

    // Held to the end and beyond: two that pack the same would write the same file.
    let mut ledger = LockedLedger::open(packing.ledger)?;
    let held = ledger.reserve(&mut snapshot, lock, store)?;
    let bytes = snapshot.to_bytes().map_err(|error| unpackable(&error))?;
    let key = Snapshot::digest_of(&bytes);
    intake.keep(&bytes, None)?;
    let signer = OnceSigner::new(packing.signer, store, intake);
    let signed = sign(PayloadType::Snapshot, &bytes, &[&signer]).map_err(|error| unsigned(&error))?;
    let signatures = intake.keep(&signed, None)?;
    let documents =
        Documents::sign_packing(bytes, signed, &plan, &[&signer]).map_err(|error| unsigned(&error))?;
    intake.flush()?;

    let name = file_name(packing.channel, snapshot.sequence, None, 1, 1);
    let path = packing.out.join(&name);
    let size = documents.file_size(&plan);
    fsx::create_directory(packing.out, fsx::Access::Ordinary)
        .map_err(|error| unwritable(packing.out, &error))?;
    events.emit(Happening::Stage { name: "pack".into(), items: Some(1), bytes: Some(size) });
    if path.exists() {
        must_be_the_same(&path, &documents, packing.signer, events, cancel)?;
        events.emit(Happening::ItemSkip { item: name.clone(), reason: "it is there already".into() });
        if !sidecar(&path).exists() {
            write_sidecar(&path, &name, &hash_file(&path, cancel)?)?;
        }
    } else {
        let digest = write(&path, &documents, &plan, store, packing.read_back, events, cancel)?;
        write_sidecar(&path, &name, &digest)?;
        events.emit(Happening::ItemDone { item: name });
    }
    let packed = Packed {
        channel: packing.channel.to_owned(),
        sequence: snapshot.sequence,
        snapshot: key,
        held,
        files: vec![path],
        bytes: size,
        blobs: plan.blobs().len() as u64,
    };
    Ok(Made { packed, snapshot, signatures, _ledger: ledger })
}

/// An existing file of the bundle's name must be that bundle.
fn must_be_the_same(
    path: &Path,
    documents: &Documents,
    signer: &dyn Signer,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(), Problem> {
    let other = |why: String| {
        Problem::new(
            Kind::Refused,
            "collect.in-the-way",
            "another file of the bundle's name is there already",
        )
        .at(path.display())
        .because(why)
        .hint("move it away, or choose another directory with --out")
    };
    let only = OnlyThese { documents, key_id: signer.key_id().to_owned() };
    match verify::verify(&[path.to_owned()], &only, events, cancel).and_then(VerifyReport::all) {
        Ok(_) => Ok(()),
        Err(problem) if problem.kind == Kind::Interrupted => Err(problem),
        Err(problem) => Err(other(problem.message)),
    }
}

/// Accepts the very documents that were just signed, and nothing else. As every byte of a volume follows from them,
/// a volume that passes is the one that would be written.
struct OnlyThese<'a> {
    documents: &'a Documents,
    key_id: String,
}

impl bundle_format::Verifier for OnlyThese<'_> {
    fn verify(
        &self,
        kind: PayloadType,
        payload: &[u8],
        lines: &[bundle_format::SignatureLine],
    ) -> Result<Vec<String>, bundle_format::Untrusted> {
        let (document, signatures) = match kind {
            PayloadType::Snapshot => (&self.documents.snapshot, &self.documents.snapshot_sig),
            _ => (&self.documents.packing, &self.documents.packing_sig),
        };
        let expected = bundle_format::signature::parse_signatures(signatures);
        if payload == document.as_slice() && expected.as_deref() == Ok(lines) {
            return Ok(vec![self.key_id.clone()]);
        }
        Err(bundle_format::Untrusted {
            code: "collect.other".to_owned(),
            message: "it is another bundle".to_owned(),
        })
    }

    fn authorise(&self, _: PayloadType, _: &Snapshot, _: &[String]) -> Result<(), bundle_format::Untrusted> {
        Ok(())
    }
}

/// Writes the volume beside its final name, reads it back, and only then gives it its name.
fn write(
    path: &Path,
    documents: &Documents,
    plan: &VolumePlan,
    store: &Store,
    read_back: bool,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<BlobKey, Problem> {
    let failed = |error: &io::Error| unwritable(path, error);
    // The ledger is locked, so nobody is writing what an earlier process left.
    fsx::AtomicFile::remove_leftovers(path).map_err(|error| failed(&error))?;
    let mut file = fsx::AtomicFile::create(path).map_err(|error| failed(&error))?;
    let mut open = |key: &BlobKey| -> io::Result<Box<dyn Read>> {
        let blob = store.blobs.open(key).map_err(|error| io::Error::other(error.to_string()))?;
        let blob = blob.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not in the store"))?;
        Ok(Box::new(blob.file))
    };
    let mut told = Told { file: &mut file, events, cancel };
    let written =
        write_volume(&mut told, documents, plan, &mut open).map_err(|error| write_problem(error, path))?;
    if read_back {
        events.emit(Happening::Stage { name: "read back".into(), items: Some(1), bytes: Some(written.size) });
        let medium = file.read_back().map_err(|error| failed(&error))?;
        let met = hash(medium, events, cancel).map_err(|error| failed(&error))?;
        if met != written.digest {
            return Err(Problem::new(
                Kind::Failed,
                "collect.read-back",
                "the medium returns other bytes than were written",
            )
            .at(path.display())
            .hint("use another medium; nothing was kept under the bundle's name"));
        }
    }
    file.commit().map_err(|error| failed(&error))?;
    Ok(written.digest)
}

/// A file that is being written, and everybody told of it: who listens how far it is, and we of the wish to stop.
struct Told<'a> {
    file: &'a mut fsx::AtomicFile,
    events: &'a dyn Events,
    cancel: &'a Cancel,
}

impl Write for Told<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cancel.check_io()?;
        let written = self.file.write(bytes)?;
        self.events.emit(Happening::ItemProgress { bytes: written as u64 });
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn hash_file(path: &Path, cancel: &Cancel) -> Result<BlobKey, Problem> {
    let file = fsx::open_regular(path).map_err(|error| unwritable(path, &error))?;
    hash(file, &crate::events::Silent, cancel).map_err(|error| unwritable(path, &error))
}

fn hash(file: File, events: &dyn Events, cancel: &Cancel) -> io::Result<BlobKey> {
    let mut hasher = BlobHasher::default();
    fsx::read_ahead(file, &mut |bytes| {
        cancel.check_io()?;
        hasher.update(bytes);
        events.emit(Happening::ItemProgress { bytes: bytes.len() as u64 });
        Ok(())
    })?;
    Ok(hasher.finish())
}

fn sidecar(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// The digest of the whole file, as `sha256sum -c` reads it: for people whose process asks for one.
fn write_sidecar(path: &Path, name: &str, digest: &BlobKey) -> Result<(), Problem> {
    let path = sidecar(path);
    fsx::replace_file(&path, format!("{}  {name}\n", digest.hex()).as_bytes())
        .map_err(|error| unwritable(&path, &error))
}

fn unpackable(error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Failed, "collect.unpackable", "this cannot be packed").caused_by(error)
}

fn unsigned(error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Failed, "collect.unsigned", "the bundle could not be signed").caused_by(error)
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    if let Some(problem) = interruption(error) {
        return problem;
    }
    let problem =
        Problem::new(Kind::Failed, "collect.unwritable", format!("cannot write {}", path.display()));
    let problem = problem.caused_by(error);
    match error.kind() {
        io::ErrorKind::StorageFull => {
            problem.hint("free some space there, or choose another place with --out")
        }
        _ => problem,
    }
}

fn write_problem(error: WriteError, path: &Path) -> Problem {
    match error {
        WriteError::Out(error) => unwritable(path, &error),
        WriteError::Blob { source, .. } if interruption(&source).is_some() => unwritable(path, &source),
        WriteError::Blob { .. } | WriteError::DamagedBlob { .. } => {
            Problem::new(Kind::Untrusted, "store.damaged", "the store cannot give what was collected")
                .caused_by(&error)
                .hint("run `aftk check`, which sets damaged blobs aside, then collect again")
        }
        _ => unpackable(&error),
    }
}
