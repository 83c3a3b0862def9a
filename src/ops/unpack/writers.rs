//! The threads that write. Memory is bounded, however large a blob is and however many there are.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use bundle_format::{Algorithm, BlobKey, Digest, VerifiedBlob};

use super::New;
use crate::ops::Intake;
use crate::problem::{Kind, Problem};
use crate::store::{BlobWrite, Generation, Store, StoreError};

/// How many threads write. More than one, because each computes the checksums that are claimed besides the key, and
/// now and then waits for the disk.
const THREADS: usize = 3;
/// How many batches wait for a thread.
const WAITING: usize = 2;
/// How much makes a batch. For small blobs, handing over one by one would cost more than writing.
const BATCH: usize = 256 * 1024;
/// What a piece weighs besides its bytes, so that blobs of no bytes make a batch, too.
const PIECE: usize = 1024;

/// Where blobs go, and what says what is claimed of them.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) store: &'a Store,
    pub(super) intake: &'a Intake,
    /// The rows; `None` where they are not known yet, so that nothing can be held against them.
    pub(super) generation: Option<Generation>,
    /// The pieces of blobs, with their sizes: rows name only what they make.
    pub(super) pieces: &'a HashMap<BlobKey, u64>,
    /// The bundle, for messages.
    pub(super) path: &'a Path,
}

/// Blobs on their way to a thread.
enum Piece {
    /// The blob of this number begins, of this key and size.
    Begin(u64, BlobKey, u64),
    /// Its next bytes.
    Bytes(Vec<u8>),
    /// That was all of it, and has the digest that names it.
    End(VerifiedBlob),
}

/// Threads that take turns: in its turn, each gets whole blobs that make a batch or more.
pub(super) struct Writers<'scope> {
    threads: Vec<Thread<'scope>>,
    /// Whose turn it is, and the weight of what it has been given in this turn.
    turn: usize,
    given: usize,
    /// What it is given next, and the weight of that.
    batch: Vec<Piece>,
    weight: usize,
    /// How many blobs were begun.
    begun: u64,
}

struct Thread<'scope> {
    batches: SyncSender<Vec<Piece>>,
    /// With a problem comes the number of the blob that has it.
    work: ScopedJoinHandle<'scope, Result<New, (u64, Problem)>>,
}

impl<'scope> Writers<'scope> {
    /// Starts the threads.
    pub(super) fn start<'env: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        target: Target<'env>,
    ) -> Result<Writers<'scope>, Problem> {
        let start = |_| {
            let (batches, receive) = sync_channel(WAITING);
            let thread = Builder::new().name("write".to_owned());
            let work = thread.spawn_scoped(scope, move || write(target, &receive))?;
            Ok(Thread { batches, work })
        };
        let threads = (0..THREADS).map(start).collect::<io::Result<_>>().map_err(|error| {
            Problem::new(Kind::Failed, "job.no-thread", "cannot start a thread").caused_by(&error)
        })?;
        Ok(Writers { threads, turn: 0, given: 0, batch: Vec::new(), weight: 0, begun: 0 })
    }

    /// A blob begins. Like what follows, it fails if a thread has ended: [`Writers::finish`] says why.
    pub(super) fn begin(&mut self, key: BlobKey, size: u64) -> io::Result<()> {
        if self.given + self.weight >= BATCH {
            self.hand_over()?;
            (self.turn, self.given) = ((self.turn + 1) % THREADS, 0);
        }
        self.begun += 1;
        self.push(Piece::Begin(self.begun, key, size), 0)
    }

    /// The blob's next bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push(Piece::Bytes(bytes.to_vec()), bytes.len())
    }

    /// The blob is complete.
    pub(super) fn end(&mut self, proof: VerifiedBlob) -> io::Result<()> {
        self.push(Piece::End(proof), 0)
    }

    /// Waits until all is written: what was new.
    ///
    /// # Errors
    /// What is wrong with the first of the blobs that cannot be taken.
    pub(super) fn finish(mut self) -> Result<New, Problem> {
        // If this fails, the thread says why.
        let _ = self.hand_over();
        let (mut new, mut first) = (New::default(), None::<(u64, Problem)>);
        for Thread { batches, work } in self.threads {
            drop(batches);
            match work.join() {
                Ok(Ok(more)) => {
                    new.blobs += more.blobs;
                    new.bytes += more.bytes;
                }
                Ok(Err((number, problem))) => {
                    if first.as_ref().is_none_or(|(known, _)| number < *known) {
                        first = Some((number, problem));
                    }
                }
                Err(_) => {
                    return Err(Problem::new(
                        Kind::Failed,
                        "internal.panic",
                        "a thread that writes ended early",
                    ));
                }
            }
        }
        first.map_or(Ok(new), |(_, problem)| Err(problem))
    }

    fn push(&mut self, piece: Piece, length: usize) -> io::Result<()> {
        self.batch.push(piece);
        self.weight += PIECE + length;
        if self.weight >= BATCH { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        self.given += std::mem::take(&mut self.weight);
        let batch = std::mem::take(&mut self.batch);
        let thread = self.threads.get(self.turn).map(|thread| &thread.batches);
        let sent = thread.is_some_and(|batches| batches.send(batch).is_ok());
        if sent { Ok(()) } else { Err(io::Error::other("a thread that writes has ended")) }
    }
}

/// What one thread does.
fn write(target: Target<'_>, batches: &Receiver<Vec<Piece>>) -> Result<New, (u64, Problem)> {
    let mut new = New::default();
    let (mut number, mut blob) = (0, None::<Blob<'_>>);
    for piece in batches.iter().flatten() {
        let done = match piece {
            Piece::Begin(next, key, size) => {
                number = next;
                Blob::begin(target, key, size).map(|begun| blob = Some(begun))
            }
            Piece::Bytes(bytes) => blob.as_mut().map_or(Ok(()), |blob| blob.write(&bytes)),
            Piece::End(proof) => blob.take().map_or(Ok(()), |blob| blob.end(proof, &mut new)),
        };
        done.map_err(|problem| (number, problem))?;
    }
    Ok(new)
}

/// A blob that is being written, or only checked where it is held.
struct Blob<'a> {
    target: Target<'a>,
    checksums: Vec<Digest>,
    held: bool,
    /// None if it is held, and nothing is claimed of it but its key.
    write: Option<Box<dyn BlobWrite>>,
}

impl<'a> Blob<'a> {
    fn begin(target: Target<'a>, key: BlobKey, size: u64) -> Result<Blob<'a>, Problem> {
        let checksums = claimed(target, &key, size)?;
        let held = target.intake.hold(&key, size)?;
        let mut algorithms: Vec<Algorithm> = checksums.iter().map(Digest::algorithm).collect();
        algorithms.sort();
        algorithms.dedup();
        let write = (!held || !algorithms.is_empty()).then(|| target.store.blobs.begin(&algorithms, false));
        Ok(Blob { target, checksums, held, write: write.transpose()? })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.write.as_mut().map_or(Ok(()), |write| Ok(write.write(bytes)?))
    }

    fn end(self, proof: VerifiedBlob, new: &mut New) -> Result<(), Problem> {
        let Some(write) = self.write else { return Ok(()) };
        let (key, size) = (proof.key(), proof.size());
        let staged = write.stage_verified(proof, &self.checksums).map_err(|error| match error {
            StoreError::Mismatch { .. } => Problem::new(
                Kind::Untrusted,
                "bundle.checksum-claimed",
                format!("blob {key} is not what the snapshot says that its upstream published"),
            )
            .at(self.target.path.display())
            .because(error.to_string()),
            other => other.into(),
        })?;
        self.target.intake.take(staged, None)?;
        if !self.held {
            new.blobs += 1;
            new.bytes += size;
        }
        Ok(())
    }
}

/// The checksums that rows of the snapshot claim of a blob besides its key, which the reader checks.
fn claimed(target: Target<'_>, key: &BlobKey, size: u64) -> Result<Vec<Digest>, Problem> {
    let Some(generation) = target.generation else { return Ok(Vec::new()) };
    let (claimed, mut checksums) = target.store.catalogue.claimed_checksums(generation, key)?;
    checksums.retain(|checksum| checksum.blob_key() != Some(*key));
    let (code, message) = match claimed.or_else(|| target.pieces.get(key).copied()) {
        Some(claimed) if claimed == size => return Ok(checksums),
        Some(claimed) => {
            ("bundle.size-claimed", format!("blob {key} has {size} bytes, but the snapshot says {claimed}"))
        }
        None => ("bundle.unlisted-blob", format!("blob {key} belongs to nothing that the snapshot lists")),
    };
    Err(Problem::new(Kind::Untrusted, code, message).at(target.path.display()))
}
