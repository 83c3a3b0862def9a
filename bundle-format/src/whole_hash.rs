//! The digest of a whole file while it is written, computed on a thread of its own: the writer hashes each of the
//! blobs besides, and one core would do both in turn.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::digest::{BlobHasher, BlobKey};

/// How much is written and hashed at once.
pub(crate) const BLOCK: usize = 256 << 10;
/// How many blocks there are: one that is filled, the others hashed or waiting for it.
const BLOCKS: usize = 4;

/// Gathers what is written into blocks, writes each, and has it hashed.
pub(crate) struct WholeHash<'scope, 'a> {
    out: &'a mut dyn Write,
    block: Vec<u8>,
    size: u64,
    full: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
    hasher: ScopedJoinHandle<'scope, BlobKey>,
}

impl<'scope, 'a> WholeHash<'scope, 'a> {
    /// Begins a file that goes to `out`.
    pub(crate) fn begin(
        out: &'a mut dyn Write,
        scope: &'scope Scope<'scope, '_>,
    ) -> io::Result<WholeHash<'scope, 'a>> {
        let (full, receive) = sync_channel::<Vec<u8>>(BLOCKS);
        let (give_back, spare) = sync_channel(BLOCKS);
        for _ in 1..BLOCKS {
            give_back.send(Vec::new()).map_err(|_| stopped())?;
        }
        let hasher = Builder::new().name("hash".to_owned()).spawn_scoped(scope, move || {
            let mut hasher = BlobHasher::default();
            for mut block in receive {
                hasher.update(&block);
                block.clear();
                // The writer may have finished, and wants none back.
                _ = give_back.send(block);
            }
            hasher.finish()
        })?;
        Ok(WholeHash { out, block: Vec::with_capacity(BLOCK), size: 0, full, spare, hasher })
    }

    /// Writes what is left and flushes: the file's size in bytes, and its digest.
    pub(crate) fn finish(mut self) -> io::Result<(u64, BlobKey)> {
        self.out.write_all(&self.block)?;
        self.size += self.block.len() as u64;
        self.full.send(self.block).map_err(|_| stopped())?;
        drop(self.full);
        self.out.flush()?;
        Ok((self.size, self.hasher.join().map_err(|_| stopped())?))
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.block)?;
        self.size += self.block.len() as u64;
        let spare = self.spare.recv().map_err(|_| stopped())?;
        self.full.send(std::mem::replace(&mut self.block, spare)).map_err(|_| stopped())
    }
}

impl Write for WholeHash<'_, '_> {
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
    io::Error::other("the thread that hashes ended early")
}
