//! Blobs that travelled in pieces, and what was taken in before it was known what is claimed of it.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bundle_format::{Algorithm, BlobKey, Digest, PackingList, Piece, Recipe, RecipeReader, RecordOrder};

use super::{Side, read_again};
use crate::ops::{BUFFER, media};
use crate::problem::{Kind, Problem};
use crate::store::{BlobWrite, Expected, Generation, StoreError, reads_as};

/// How blobs are made of what travelled.
#[derive(Debug, Default)]
pub(in crate::ops) struct Pieces {
    recipes: Vec<Recipe>,
    sizes: HashMap<BlobKey, u64>,
}

impl Pieces {
    /// Reads the recipes of a packing list, as far as the store has their segments.
    ///
    /// # Errors
    /// If a segment breaks a rule.
    pub(in crate::ops) fn read(
        packing: &PackingList,
        path: &Path,
        side: Side<'_>,
    ) -> Result<Pieces, Problem> {
        let mut pieces = Pieces::default();
        let mut order = RecordOrder::default();
        for segment in &packing.recipes {
            let Some(bytes) = read_again(side.store, segment)? else { continue };
            for recipe in RecipeReader::new(segment, bytes.as_ref(), &mut order) {
                let recipe = recipe.map_err(|error| media::problem(error, path))?;
                pieces.sizes.extend(recipe.concat.iter().map(|piece| (piece.blob, piece.size)));
                pieces.recipes.push(recipe);
            }
        }
        Ok(pieces)
    }

    /// The pieces with their sizes.
    pub(in crate::ops) fn sizes(&self) -> &HashMap<BlobKey, u64> {
        &self.sizes
    }

    /// Puts together what is not here yet. With `rows`, which say what else the bundle has, each piece that nothing else needs
    /// is freed once it is in its place: the disk holds a blob and one piece of it, not a blob and all its pieces.
    ///
    /// # Errors
    /// Untrusted, if the pieces do not make the blob that they are said to make. Incomplete, if some are not here. After both,
    /// all volumes are needed once more.
    pub(in crate::ops) fn assemble(
        &self,
        rows: Option<Generation>,
        path: &Path,
        side: Side<'_>,
    ) -> Result<(), Problem> {
        let mut uses: HashMap<BlobKey, usize> = HashMap::new();
        for piece in self.recipes.iter().flat_map(|recipe| &recipe.concat) {
            *uses.entry(piece.blob).or_default() += 1;
        }
        for recipe in &self.recipes {
            side.cancel.check()?;
            if side.intake.hold(&recipe.blob, recipe.size)? {
                continue;
            }
            let assembly = Assembly { recipe, rows, uses: &uses, path, side };
            assembly.run()?;
        }
        Ok(())
    }
}

/// Putting one blob together. What a process that died has copied is gone on from.
struct Assembly<'a> {
    recipe: &'a Recipe,
    rows: Option<Generation>,
    /// How often pieces occur in all recipes.
    uses: &'a HashMap<BlobKey, usize>,
    path: &'a Path,
    side: Side<'a>,
}

impl Assembly<'_> {
    fn run(&self) -> Result<(), Problem> {
        let Assembly { recipe, side, .. } = self;
        let is_here =
            |piece: &Piece| Ok::<_, Problem>(side.store.blobs.size(&piece.blob)? == Some(piece.size));
        // Pieces are freed from the first one on, and the last one only after all is done.
        let mut gone = 0;
        for piece in &recipe.concat {
            if is_here(piece)? {
                break;
            }
            gone += piece.size;
        }
        if gone >= recipe.size {
            return Err(self.lost());
        }
        let checksums = match self.rows {
            Some(rows) => side.store.catalogue.claimed_checksums(rows, &recipe.blob)?.1,
            None => Vec::new(),
        };
        let mut algorithms: Vec<Algorithm> = checksums.iter().map(Digest::algorithm).collect();
        algorithms.sort();
        algorithms.dedup();
        // A download of the same blob has another name.
        let name = BlobKey::of(format!("pieces of {}", recipe.blob).as_bytes());
        let mut write = side.store.blobs.resume(&name.hex(), &algorithms)?;
        let copied = write.length();
        if copied < gone || copied > recipe.size {
            write.restart()?;
            return Err(self.lost());
        }
        let mut before = 0;
        for (piece, number) in recipe.concat.iter().zip(1..) {
            let from = copied.saturating_sub(before).min(piece.size);
            before += piece.size;
            if from < piece.size {
                if !is_here(piece)? {
                    return Err(self.lost());
                }
                self.copy(piece, from, &mut *write)?;
            }
            if number < recipe.concat.len() && self.is_only_here(piece)? {
                write.sync()?;
                side.intake.free(&piece.blob)?;
            }
        }
        let expected = Expected { key: Some(recipe.blob), size: Some(recipe.size), checksums };
        let staged = write.stage(&expected).map_err(|error| match error {
            StoreError::Mismatch { .. } | StoreError::Size { .. } => {
                let message = format!("the pieces of blob {} make something else", recipe.blob);
                Problem::new(Kind::Untrusted, "bundle.recipe", message)
                    .at(self.path.display())
                    .because(error.to_string())
            }
            other => other.into(),
        })?;
        side.intake.take(staged, None)?;
        side.intake.flush()?;
        match recipe.concat.last() {
            Some(last) if self.is_only_here(last)? => side.intake.free(&last.blob),
            _ => Ok(()),
        }
    }

    /// Appends a piece from some of its bytes on.
    fn copy(&self, piece: &Piece, from: u64, write: &mut dyn BlobWrite) -> Result<(), Problem> {
        let failed =
            |source| StoreError::Io { what: format!("cannot read the piece {}", piece.blob), source };
        let blob = self.side.store.blobs.open(&piece.blob)?.ok_or(StoreError::Missing(piece.blob))?;
        let mut file = blob.file;
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            self.side.cancel.check()?;
            let read = file.read(&mut buffer).map_err(failed)?;
            match buffer.get(..read).unwrap_or_default() {
                [] => return Ok(()),
                bytes => write.write(bytes)?,
            }
        }
    }

    /// Whether this recipe alone needs a piece of it, and once, as far as the bundle goes.
    fn is_only_here(&self, piece: &Piece) -> Result<bool, Problem> {
        let Some(rows) = self.rows else { return Ok(false) };
        let is_listed = self.side.store.catalogue.claimed_checksums(rows, &piece.blob)?.0.is_some();
        Ok(!is_listed && self.uses.get(&piece.blob) == Some(&1))
    }

    fn lost(&self) -> Problem {
        let message = format!("pieces of blob {} are neither in the bundle nor here", self.recipe.blob);
        Problem::new(Kind::Incomplete, "import.pieces-missing", message)
            .at(self.path.display())
            .hint("import all volumes of the bundle once more")
    }
}

/// Holds all blobs against what the rows claim of them besides their keys: those that came before the rows were not.
///
/// # Errors
/// Untrusted, for the first that is not what its upstream published.
pub(in crate::ops) fn recheck(generation: Generation, path: &Path, side: Side<'_>) -> Result<(), Problem> {
    let store = side.store;
    let mut problem = None;
    let check = |key: BlobKey| -> Result<(), Problem> {
        side.cancel.check()?;
        let (_, checksums) = store.catalogue.claimed_checksums(generation, &key)?;
        for checksum in checksums.iter().filter(|checksum| checksum.blob_key() != Some(key)) {
            // What is missing is told elsewhere.
            let Some(blob) = store.blobs.open(&key)? else { return Ok(()) };
            if !reads_as(blob.file, checksum)? {
                let message = format!("blob {key} is not what the snapshot says that its upstream published");
                return Err(Problem::new(Kind::Untrusted, "bundle.checksum-claimed", message)
                    .at(path.display())
                    .because(format!("it is not {checksum}")));
            }
        }
        Ok(())
    };
    store.catalogue.staged_blobs(generation, &mut |key, _| {
        problem = check(key).err();
        Ok(problem.is_none())
    })?;
    problem.map_or(Ok(()), Err)
}
