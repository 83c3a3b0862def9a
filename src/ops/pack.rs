//! Packing: from a lock whose files are all held to a signed bundle file, the same bytes every time.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bundle_format::signature::{PayloadType, sign};
use bundle_format::{
    BlobHasher, BlobKey, BundlePlan, Cutter, Documents, Format, Mode, PlanError, SegmentRef, SegmentWriter,
    Signer, Snapshot, Source, WriteError, file_name, write_volume,
};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::intake::Intake;
use super::ledger::LockedLedger;
use super::lock_file::Lock;
use super::preflight;
use super::records;
use super::signing::OnceSigner;
use super::verify;
use crate::cancel::{Cancel, interruption};
use crate::events::{Events, Happening};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::units;

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
    /// The most bytes of a volume; `None`: one volume of everything.
    pub volume_size: Option<u64>,
    /// Asked for another medium when the next volume does not fit on this one; says whether there is one now.
    pub next_medium: Option<&'a NextMedium>,
}

/// Asks somebody for the next medium: the number of the volume, how many there are, and its size in bytes.
pub type NextMedium = dyn Fn(u64, u64, u64) -> bool + Send + Sync;

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
    let blobs: Vec<(BlobKey, u64)> = blobs.collect();
    unread?;
    let index = match packing.volume_size {
        None => archive_index::of(records::of_lock(lock))?,
        Some(_) => None,
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
    let cutting = Cutting { packing, segments: &snapshot.segments, blobs, index, store, intake, cancel };
    let (plan, documents) = cutting.cut(&bytes, &signed, &signer)?;
    intake.flush()?;

    let count = plan.volumes().len();
    let sizes: Vec<u64> = plan.volumes().iter().map(|volume| documents.file_size(volume)).collect();
    let size = sizes.iter().sum();
    events.emit(Happening::Stage { name: "pack".into(), items: Some(count as u64), bytes: Some(size) });
    let mut files = Vec::new();
    for (number, size) in sizes.into_iter().enumerate() {
        let volume = Volume { documents: &documents, plan: &plan, number, size };
        let name = file_name(packing.channel, snapshot.sequence, None, volume.place(), count as u64);
        let path = packing.out.join(&name);
        must_have_room(&path, &volume, packing)?;
        fsx::create_directory(packing.out, fsx::Access::Ordinary)
            .map_err(|error| unwritable(packing.out, &error))?;
        if path.exists() {
            must_be_the_same(&path, &volume, packing.signer, events, cancel)?;
            events.emit(Happening::ItemSkip { item: name.clone(), reason: "it is there already".into() });
            if !sidecar(&path).exists() {
                write_sidecar(&path, &name, &hash_file(&path, cancel)?)?;
            }
        } else {
            let digest = write(&path, &volume, store, packing.read_back, events, cancel)?;
            write_sidecar(&path, &name, &digest)?;
            events.emit(Happening::ItemDone { item: name });
        }
        files.push(path);
    }
    let packed = Packed {
        channel: packing.channel.to_owned(),
        sequence: snapshot.sequence,
        snapshot: key,
        held,
        files,
        bytes: size,
        blobs: plan.volumes().iter().map(|volume| volume.blobs().len() as u64).sum(),
    };
    Ok(Made { packed, snapshot, signatures, _ledger: ledger })
}

/// What is to be cut into volumes.
struct Cutting<'a> {
    packing: &'a Packing<'a>,
    segments: &'a [SegmentRef],
    blobs: Vec<(BlobKey, u64)>,
    index: Option<Vec<u8>>,
    store: &'a Store,
    intake: &'a Intake,
    cancel: &'a Cancel,
}

/// What is assumed that a packing list and both signatures take, in bytes. If it is more, volumes are cut again.
const DOCUMENTS: u64 = 64 * 1024;

impl Cutting<'_> {
    /// The volumes and the documents that they all have.
    fn cut(
        self,
        snapshot: &[u8],
        signed: &[u8],
        signer: &dyn Signer,
    ) -> Result<(BundlePlan, Documents), Problem> {
        let most = self.packing.volume_size.unwrap_or(u64::MAX);
        let mut documents = snapshot.len() as u64 + DOCUMENTS;
        loop {
            let plan = self.plan(most, documents)?;
            let plan = match &self.index {
                Some(index) => plan.with_index(index.clone()).map_err(|error| unpackable(&error))?,
                None => plan,
            };
            let made = Documents::sign_packing(snapshot.to_vec(), signed.to_vec(), &plan, &[signer])
                .map_err(|error| unsigned(&error))?;
            let over = plan.volumes().iter().map(|volume| made.file_size(volume).saturating_sub(most)).max();
            match over {
                // The list of volumes is longer than was assumed.
                Some(over) if over > 0 => documents += over.max(DOCUMENTS),
                _ => return Ok((plan, made)),
            }
        }
    }

    fn plan(&self, most: u64, documents: u64) -> Result<BundlePlan, Problem> {
        let cut = BundlePlan::cut(
            self.segments,
            self.blobs.iter().copied(),
            &mut Cutter {
                most,
                documents,
                hash: &mut |part| self.hash(part),
                keep: &mut |_, bytes| {
                    self.intake
                        .keep(bytes, None)
                        .map(drop)
                        .map_err(|problem| io::Error::other(problem.to_string()))
                },
            },
        );
        cut.map_err(|error| match error {
            PlanError::TooSmall(size, least) => Problem::new(
                Kind::Usage,
                "collect.volume-size",
                format!("volumes of {} are too small for this bundle", units::bytes(size)),
            )
            .hint(format!("give --volume-size {} or more", units::bytes(least))),
            PlanError::TooManyVolumes(count) => Problem::new(
                Kind::Usage,
                "collect.volume-size",
                format!("with volumes of {} there would be {count} and more", units::bytes(most)),
            )
            .hint("give a larger --volume-size"),
            PlanError::Unreadable { source, .. } if interruption(&source).is_some() => {
                interruption(&source).unwrap_or_else(|| unpackable(&source))
            }
            error => unpackable(&error),
        })
    }

    fn hash(&self, part: &Source) -> io::Result<BlobKey> {
        let mut hasher = BlobHasher::default();
        let mut left = part.size;
        let mut bytes = open_part(self.store, part)?;
        let mut buffer = vec![0; super::BUFFER];
        loop {
            self.cancel.check_io()?;
            match bytes.read(&mut buffer)? {
                0 if left == 0 => return Ok(hasher.finish()),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    left = left.saturating_sub(read as u64);
                    hasher.update(buffer.get(..read).unwrap_or_default());
                }
            }
        }
    }
}

fn open_blob(store: &Store, key: &BlobKey) -> io::Result<File> {
    let blob = store.blobs.open(key).map_err(|error| io::Error::other(error.to_string()))?;
    let blob = blob.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not in the store"))?;
    Ok(blob.file)
}

fn open_part(store: &Store, part: &Source) -> io::Result<impl Read + use<>> {
    let mut file = open_blob(store, &part.blob)?;
    file.seek(io::SeekFrom::Start(part.offset))?;
    Ok(file.take(part.size))
}

/// One volume of a bundle.
struct Volume<'a> {
    documents: &'a Documents,
    plan: &'a BundlePlan,
    /// Its place, from 0.
    number: usize,
    /// The size of its file in bytes.
    size: u64,
}

impl Volume<'_> {
    /// Its number, from 1.
    fn place(&self) -> u64 {
        self.number as u64 + 1
    }
}

/// Asks for other media until the volume fits. Where nobody can be asked, writing it says that it does not.
fn must_have_room(path: &Path, volume: &Volume<'_>, packing: &Packing<'_>) -> Result<(), Problem> {
    let Some(ask) = packing.next_medium else { return Ok(()) };
    loop {
        let room = preflight::free_space(packing.out).unwrap_or(u64::MAX);
        if path.exists() || room >= volume.size + MEDIUM_RESERVE {
            return Ok(());
        }
        let count = volume.plan.volumes().len() as u64;
        if !ask(volume.place(), count, volume.size) {
            let message = format!("volume {} of {count} has no medium", volume.place());
            return Err(Problem::new(Kind::Refused, "collect.no-medium", message)
                .at(packing.out.display())
                .hint("collect again with the next medium there: what is written already stays as it is"));
        }
    }
}

/// What a file system needs besides the bytes of a volume.
const MEDIUM_RESERVE: u64 = 64 * 1024;

/// An existing file of the volume's name must be that volume.
fn must_be_the_same(
    path: &Path,
    volume: &Volume<'_>,
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
    let only = OnlyThese { documents: volume.documents, key_id: signer.key_id().to_owned() };
    match verify::read_through(path, &only, events, cancel) {
        Ok(number) if number == volume.place() => Ok(()),
        Ok(number) => Err(other(format!("it is volume {number}"))),
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
    volume: &Volume<'_>,
    store: &Store,
    read_back: bool,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<BlobKey, Problem> {
    let failed = |error: &io::Error| unwritable(path, error);
    // The ledger is locked, so nobody is writing what an earlier process left.
    fsx::AtomicFile::remove_leftovers(path).map_err(|error| failed(&error))?;
    let mut file = fsx::AtomicFile::create(path).map_err(|error| failed(&error))?;
    let Volume { documents, plan, number, .. } = *volume;
    let mut open = |key: &BlobKey| -> io::Result<Box<dyn Read>> {
        Ok(match plan.piece(key) {
            Some(part) => Box::new(open_part(store, part)?),
            None => Box::new(open_blob(store, key)?),
        })
    };
    let mut told = Told { file: &mut file, events, cancel };
    let written = write_volume(&mut told, documents, (plan, number), &mut open)
        .map_err(|error| write_problem(error, path))?;
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
