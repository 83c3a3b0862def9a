//! Having programs make files from what is held, cut off from everything: the store takes what they leave.

use std::fs;
use std::path::{Path, PathBuf};

use super::context::Outside;
use super::isolation::{Failure, Isolation, arguments};
use crate::blocking::blocking;
use crate::ecosystem::{Attempt, CollectContext as _, Made};
use crate::fsx;
use crate::problem::{Kind, Problem};

/// The most files that are taken of one attempt.
const MOST_FILES: usize = 64;
/// The largest of them, in bytes: 4 GiB.
const LARGEST: u64 = 4 << 30;
/// Without any right of root's and without a way to one, and with files of 8 GiB at most (in blocks of 512 bytes).
const SCRIPT: &str = "ulimit -f 16777216; ulimit -c 0\n\
                      exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all \"$@\"";

/// See [`CollectContext::make`](crate::ecosystem::CollectContext::make).
pub(super) async fn make(
    outside: &Outside,
    attempt: &Attempt,
    folder: &str,
) -> Result<Result<Vec<Made>, String>, Problem> {
    let home = outside.store().layout.home().to_owned();
    let isolation = Isolation::find(&format!("{} cannot be built", attempt.what), &home).await?;
    let directory = fsx::temporary_directory().map_err(|error| failed(&error))?;
    let place = directory.path().to_owned();
    lay_out(outside, attempt, &place).await?;
    for step in &attempt.steps {
        let words = arguments(step);
        let run = isolation.run(SCRIPT, &words, &place, &attempt.variables);
        let ended = async { run.await.map_err(|error| failed(&error)) };
        if let Err(Failure(said)) = outside.cancel().race(ended).await? {
            return Ok(Err(said));
        }
    }
    let mut all = Vec::new();
    for (name, path) in left_in(&place.join(folder))? {
        // What is no file, or leads to one elsewhere, is none of its making.
        let file = fsx::open_regular(&path).map_err(|error| failed(&error))?;
        if file.metadata().map_err(|error| failed(&error))?.len() > LARGEST {
            return Ok(Err(format!("{name} is larger than {}", crate::units::bytes(LARGEST))));
        }
        let (key, size) = outside.take_in(&name, Box::new(file), None).await?;
        all.push(Made { name, key, size });
    }
    Ok(Ok(all))
}

/// Puts what an attempt begins with into its directory.
async fn lay_out(outside: &Outside, attempt: &Attempt, place: &Path) -> Result<(), Problem> {
    let below = |name: &str| -> Result<PathBuf, Problem> {
        let path = place.join(name);
        let parent = path.parent().unwrap_or(place);
        fsx::create_directory(parent, fsx::Access::Private).map_err(|error| failed(&error))?;
        Ok(path)
    };
    for (name, bytes) in &attempt.files {
        fsx::replace_private(&below(name)?, bytes).map_err(|error| failed(&error))?;
    }
    for (name, key) in &attempt.blobs {
        let (path, mut blob) = (below(name)?, outside.open_blob(key).await?);
        blocking(move || {
            let mut file =
                fsx::File::create_new(&path, fsx::Access::Private).map_err(|error| failed(&error))?;
            std::io::copy(&mut blob, &mut file).map_err(|error| failed(&error)).map(drop)
        })
        .await?;
    }
    Ok(())
}

/// The names of what stands in a folder, in their order; nothing, if there is none.
fn left_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, Problem> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for entry in entries.take(MOST_FILES) {
        let path = entry.map_err(|error| failed(&error))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            left.push((name.to_owned(), path.clone()));
        }
    }
    left.sort();
    Ok(left)
}

fn failed(error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "make.prepare", "cannot prepare or run a build").caused_by(error)
}
