//! Writing a file, and the digest of all of it, on a thread of its own: whoever makes the bytes reads and hashes each of
//! the blobs besides, and one core would do all of that in turn.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::digest::{BlobHasher, BlobKey};

/// How much is written and hashed at once.
pub(crate) const BLOCK: usize = 256 << 10;
/// How many blocks there are: one that is filled, the others written or waiting for it.
const BLOCKS: usize = 8;

/// Gathers what is written into blocks, and has each written and hashed.
pub(crate) struct WholeHash<'scope> {
    block: Vec<u8>,
    size: u64,
    full: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
    /// Gone once it was asked how it ended.
    writer: Option<ScopedJoinHandle<'scope, io::Result<BlobKey>>>,
}

impl<'scope> WholeHash<'scope> {
    /// Begins a file that goes to `out`.
    pub(crate) fn begin<'out: 'scope>(
        out: &'out mut (dyn Write + Send),
        scope: &'scope Scope<'scope, '_>,
    ) -> io::Result<WholeHash<'scope>> {
        let (full, receive) = sync_channel::<Vec<u8>>(BLOCKS);
        let (give_back, spare) = sync_channel(BLOCKS);
        for _ in 1..BLOCKS {
            give_back.send(Vec::new()).map_err(|_| stopped())?;
        }
        let writer = Builder::new().name("write".to_owned()).spawn_scoped(scope, move || {
            let mut hasher = BlobHasher::default();
            for mut block in receive {
                out.write_all(&block)?;
                hasher.update(&block);
                block.clear();
                // Whoever fills them may have finished, and wants none back.
                _ = give_back.send(block);
            }
            out.flush()?;
            Ok(hasher.finish())
        })?;
        Ok(WholeHash { block: Vec::with_capacity(BLOCK), size: 0, full, spare, writer: Some(writer) })
    }

    /// Writes what is left and flushes: the file's size in bytes, and its digest.
    ///
    /// # Errors
    /// What `out` said to any block.
    pub(crate) fn finish(mut self) -> io::Result<(u64, BlobKey)> {
        self.send(Vec::new())?;
        let WholeHash { full, writer, size, .. } = self;
        drop(full);
        Ok((size, end(writer)?))
    }

    fn pass_on(&mut self) -> io::Result<()> {
        match self.spare.recv() {
            Ok(spare) => self.send(spare),
            Err(_) => Err(self.failure()),
        }
    }

    /// Hands over the block that was filled; `next` is filled from then on.
    fn send(&mut self, next: Vec<u8>) -> io::Result<()> {
        self.size += self.block.len() as u64;
        self.full.send(std::mem::replace(&mut self.block, next)).map_err(|_| self.failure())
    }

    /// Why the thread takes nothing any more.
    fn failure(&mut self) -> io::Error {
        end(self.writer.take()).err().unwrap_or_else(stopped)
    }
}

fn end(writer: Option<ScopedJoinHandle<'_, io::Result<BlobKey>>>) -> io::Result<BlobKey> {
    writer.and_then(|writer| writer.join().ok()).unwrap_or_else(|| Err(stopped()))
}

impl Write for WholeHash<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() >= BLOCK {
            self.pass_on()?;
        }
        let room = BLOCK - self.block.len();
        let now = bytes.get(..room).unwrap_or(bytes);
        self.block.extend_from_slice(now);
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stopped() -> io::Error {
    io::Error::other("the thread that writes ended early")
}
