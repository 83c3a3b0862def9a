//! Issuing: how a snapshot travels, in volumes, and without what the site has; the same bytes every time.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bundle_format::signature::PayloadType;
use bundle_format::{
    BlobHasher, BlobKey, BundlePlan, Documents, SegmentRef, Signer, Snapshot, Source, WriteError, file_name,
    recovery_name, spare_name, write_volume,
};

use super::intake::Intake;
use super::media::sidecar;
use super::preflight;
use super::protect::Protecting;
use super::signing::OnceSigner;
use super::verify;
use super::volumes::{Cutting, Files, Medium, Volumes};
use crate::cancel::{Cancel, interruption};
use crate::events::{Events, Happening};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// How a snapshot is to travel.
#[derive(Clone, Copy)]
pub struct Issuing<'a> {
    /// The directory that gets the bundle.
    pub out: &'a Path,
    /// Who signs.
    pub signer: &'a dyn Signer,
    /// Whether the finished files are read back from the medium.
    pub read_back: bool,
    /// Into what it is cut.
    pub volumes: Volumes,
    /// Asked for another medium when the next file does not fit on this one; says whether there is one now.
    pub next_medium: Option<&'a NextMedium>,
    /// What is left out, because the site has it.
    pub at_site: Option<&'a AtSite>,
}

/// Asks somebody for the next medium: the name of the file that it is for, and how many bytes it needs.
pub type NextMedium = dyn Fn(&str, u64) -> bool + Send + Sync;
/// Says whether the site has a blob.
pub type AtSite = dyn Fn(&BlobKey) -> bool + Send + Sync;

impl Issuing<'_> {
    /// Whether the bundle may be an OCI archive as well.
    pub(super) fn can_be_archive(&self) -> bool {
        self.volumes.size.is_none() && self.at_site.is_none()
    }
}

/// What is to travel.
pub(super) struct Contents<'a> {
    /// The snapshot as signed.
    pub(super) bytes: Vec<u8>,
    /// Its signatures.
    pub(super) signed: Vec<u8>,
    /// The same, read.
    pub(super) snapshot: &'a Snapshot,
    /// All blobs that it lists, some perhaps more than once.
    pub(super) blobs: Vec<(BlobKey, u64)>,
    /// The index of an OCI archive, if it can be one.
    pub(super) index: Option<Vec<u8>>,
}

/// What was issued.
#[derive(Default)]
pub(super) struct Issued {
    /// The files, in order.
    pub(super) files: Vec<PathBuf>,
    /// How many of them are volumes, and how many spare ones.
    pub(super) volumes: u64,
    pub(super) spares: u64,
    /// The size of all files in bytes.
    pub(super) bytes: u64,
    /// How many blobs they carry.
    pub(super) blobs: u64,
    /// How many were left out, and their bytes.
    pub(super) left_out: u64,
    pub(super) left_out_bytes: u64,
}

/// Writes the volumes of a snapshot; what is there already stays. The blobs are held.
///
/// # Errors
/// Refused (6) if another file of such a name is in the way.
pub(super) fn issue(
    mut contents: Contents<'_>,
    issuing: &Issuing<'_>,
    (store, intake): (&Store, &Intake),
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Issued, Problem> {
    let snapshot = contents.snapshot;
    let mut segments = snapshot.segments.clone();
    let mut issued = Issued::default();
    if let Some(at_site) = issuing.at_site {
        (issued.left_out, issued.left_out_bytes) = leave_out(at_site, &mut segments, &mut contents.blobs);
    }
    let Contents { bytes, signed, blobs, index, .. } = contents;
    let signer = OnceSigner::new(issuing.signer, store, intake);
    let mut cutting = Cutting {
        volumes: issuing.volumes,
        segments: &segments,
        blobs: &blobs,
        index: index.as_deref(),
        hash: &mut |part| hash_part(part, store, cancel),
        keep: &mut |_, bytes| {
            intake.keep(bytes, None).map(drop).map_err(|problem| io::Error::other(problem.to_string()))
        },
    };
    let (plan, documents) = cutting.cut(&bytes, &signed, &signer)?;
    intake.flush()?;

    let files = Files::of(&plan, &documents);
    issued.bytes = files.all().map(|medium| files.medium(medium)).sum();
    issued.blobs = plan.volumes().iter().map(|volume| volume.blobs().len() as u64).sum();
    let (items, bytes) = (Some(files.all().count() as u64), Some(issued.bytes));
    events.emit(Happening::Stage { name: "pack".into(), items, bytes });
    // What is not all of it has a name that says which part it is.
    let packing = (issued.left_out > 0).then(|| BlobKey::of(&documents.packing));
    let protecting = Protecting {
        plan: &plan,
        documents: &documents,
        files: &files,
        read_back: issuing.read_back,
        store,
        events,
        cancel,
    };
    let (volumes, spares) = files.counts();
    let (channel, sequence, packing) = (&snapshot.channel, snapshot.sequence, packing.as_ref());
    for medium in files.all() {
        let name = match medium {
            Medium::Volume(number) => file_name(channel, sequence, packing, number, volumes),
            Medium::Spare(number) => spare_name(channel, sequence, packing, number, spares),
        };
        let path = issuing.out.join(&name);
        must_have_room(&path, &name, files.medium(medium), issuing)?;
        fsx::create_directory(issuing.out, fsx::Access::Ordinary)
            .map_err(|error| unwritable(issuing.out, &error))?;
        let beside = issuing.out.join(recovery_name(&name));
        match medium {
            Medium::Volume(number) => {
                let volume = Volume { documents: &documents, plan: &plan, number };
                write_or_compare((&path, name), &volume, (store, issuing), events, cancel)?;
                protecting.beside_volume(&beside, number)?;
            }
            Medium::Spare(number) => {
                protecting.spare(&path, number)?;
                protecting.beside_spare(&beside, &path, number)?;
            }
        }
        issued.files.push(path);
        issued.files.extend((files.sizes(medium).1 > 0).then_some(beside));
    }
    (issued.volumes, issued.spares) = (volumes, spares);
    Ok(issued)
}

/// Leaves out what the site has: how many blobs, and their bytes. Of what is listed twice, one is left.
pub(super) fn leave_out(
    at_site: &AtSite,
    segments: &mut Vec<SegmentRef>,
    blobs: &mut Vec<(BlobKey, u64)>,
) -> (u64, u64) {
    blobs.sort_unstable();
    blobs.dedup();
    let (mut left_out, mut bytes) = (0, 0);
    let mut travels = |key: &BlobKey, size: u64| {
        let is_there = at_site(key);
        left_out += u64::from(is_there);
        bytes += if is_there { size } else { 0 };
        !is_there
    };
    segments.retain(|segment| travels(&segment.digest, segment.size));
    blobs.retain(|(key, size)| travels(key, *size));
    (left_out, bytes)
}

/// Writes a volume, unless it is there.
fn write_or_compare(
    (path, name): (&Path, String),
    volume: &Volume<'_>,
    (store, issuing): (&Store, &Issuing<'_>),
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(), Problem> {
    if path.exists() {
        must_be_the_same(path, volume, issuing.signer, events, cancel)?;
        events.emit(Happening::ItemSkip { item: name.clone(), reason: "it is there already".into() });
        if !sidecar(path).exists() {
            write_sidecar(path, &name, &hash_file(path, cancel)?)?;
        }
    } else {
        let digest = write(path, volume, store, issuing.read_back, events, cancel)?;
        write_sidecar(path, &name, &digest)?;
        events.emit(Happening::ItemDone { item: name });
    }
    Ok(())
}

/// The key of a part of a blob.
fn hash_part(part: &Source, store: &Store, cancel: &Cancel) -> io::Result<BlobKey> {
    let mut hasher = BlobHasher::default();
    let mut left = part.size;
    let mut bytes = open_part(store, part)?;
    let mut buffer = vec![0; super::BUFFER];
    loop {
        cancel.check_io()?;
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

pub(super) fn open_blob(store: &Store, key: &BlobKey) -> io::Result<File> {
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
    /// Its number, from 1.
    number: u64,
}

/// Asks for other media until a file and what lies beside it fit. Where nobody can be asked, writing it says that they don't.
fn must_have_room(path: &Path, name: &str, needed: u64, issuing: &Issuing<'_>) -> Result<(), Problem> {
    let Some(ask) = issuing.next_medium else { return Ok(()) };
    loop {
        let room = preflight::free_space(issuing.out).unwrap_or(u64::MAX);
        if path.exists() || room >= needed + MEDIUM_RESERVE {
            return Ok(());
        }
        if !ask(name, needed) {
            return Err(Problem::new(Kind::Refused, "collect.no-medium", format!("{name} has no medium"))
                .at(issuing.out.display())
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
        Ok(number) if number == volume.number => Ok(()),
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
    let Volume { documents, plan, number } = *volume;
    let mut open = |key: &BlobKey| -> io::Result<Box<dyn Read>> {
        Ok(match plan.piece(key) {
            Some(part) => Box::new(open_part(store, part)?),
            None => Box::new(open_blob(store, key)?),
        })
    };
    let mut told = Told { file: &mut file, events, cancel };
    let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let written = write_volume(&mut told, documents, (plan, place), &mut open)
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

/// The digest of the whole file, as `sha256sum -c` reads it: for people whose process asks for one.
fn write_sidecar(path: &Path, name: &str, digest: &BlobKey) -> Result<(), Problem> {
    let path = sidecar(path);
    fsx::replace_file(&path, format!("{}  {name}\n", digest.hex()).as_bytes())
        .map_err(|error| unwritable(&path, &error))
}

pub(super) fn unpackable(error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Failed, "collect.unpackable", "this cannot be packed").caused_by(error)
}

pub(super) fn unsigned(error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Failed, "collect.unsigned", "the bundle could not be signed").caused_by(error)
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Problem {
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
