//! Blobs that travelled in pieces, and what was taken in before it was known what is claimed of it.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use bundle_format::{Algorithm, BlobKey, Digest, PackingList, Recipe, RecipeReader, RecordOrder};

use super::{Side, read_again};
use crate::ops::{BUFFER, media};
use crate::problem::{Kind, Problem};
use crate::store::{Expected, Generation, StoreError, reads_as};

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

    /// Puts together what all pieces are there of. They stay until nothing claims them any more.
    ///
    /// # Errors
    /// Untrusted, if the pieces do not make the blob that they are said to make.
    pub(in crate::ops) fn assemble(
        &self,
        generation: Generation,
        path: &Path,
        side: Side<'_>,
    ) -> Result<(), Problem> {
        for recipe in &self.recipes {
            side.cancel.check()?;
            let mut is_here = true;
            for piece in &recipe.concat {
                is_here &= side.store.blobs.size(&piece.blob)? == Some(piece.size);
            }
            if !is_here || side.intake.hold(&recipe.blob, recipe.size)? {
                continue;
            }
            assemble(recipe, generation, path, side)?;
        }
        side.intake.flush()
    }
}

fn assemble(recipe: &Recipe, generation: Generation, path: &Path, side: Side<'_>) -> Result<(), Problem> {
    let store = side.store;
    let (_, checksums) = store.catalogue.claimed_checksums(generation, &recipe.blob)?;
    let mut algorithms: Vec<Algorithm> = checksums.iter().map(Digest::algorithm).collect();
    algorithms.sort();
    algorithms.dedup();
    let mut write = store.blobs.begin(&algorithms, true)?;
    let mut buffer = vec![0; BUFFER];
    for piece in &recipe.concat {
        let mut blob = store.blobs.open(&piece.blob)?.ok_or(StoreError::Missing(piece.blob))?;
        loop {
            side.cancel.check()?;
            let read = blob.file.read(&mut buffer).map_err(|source| StoreError::Io {
                what: format!("cannot read the piece {}", piece.blob),
                source,
            })?;
            if read == 0 {
                break;
            }
            write.write(buffer.get(..read).unwrap_or_default())?;
        }
    }
    let expected = Expected { key: Some(recipe.blob), size: Some(recipe.size), checksums };
    let staged = write.stage(&expected).map_err(|error| match error {
        StoreError::Mismatch { .. } | StoreError::Size { .. } => {
            let message = format!("the pieces of blob {} make something else", recipe.blob);
            Problem::new(Kind::Untrusted, "bundle.recipe", message)
                .at(path.display())
                .because(error.to_string())
        }
        other => other.into(),
    })?;
    side.intake.take(staged, None)?;
    Ok(())
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
