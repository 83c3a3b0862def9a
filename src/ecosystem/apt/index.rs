//! A suite's indices: which files list its packages, in which form they are had, and reading them.

use std::io::{self, BufReader, Read};

use bundle_format::BlobKey;

use super::credentials::Ways;
use super::deb822::Stanzas;
use super::release::{Listed, Release, address};
use super::source::Source;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The most bytes that an index may have, unpacked, where its Release does not say how many: 2 GiB.
const LARGEST: u64 = 2 << 30;
/// What unpacking may need, in KiB: 128 MiB. `xz -9` needs 64 MiB.
const UNPACKING_MEMORY: u32 = 128 << 10;
/// The same for zstd, as the logarithm of its window in bytes.
const LARGEST_WINDOW: u32 = 27;

/// How an index is packed, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Xz,
    Zstd,
    Gzip,
    Plain,
}

impl Packing {
    const ALL: [Packing; 4] = [Packing::Xz, Packing::Zstd, Packing::Gzip, Packing::Plain];

    fn ending(self) -> &'static str {
        match self {
            Packing::Xz => ".xz",
            Packing::Zstd => ".zst",
            Packing::Gzip => ".gz",
            Packing::Plain => "",
        }
    }
}

/// An index that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// Below the Release's directory: `main/binary-amd64/Packages.xz`.
    pub(super) path: String,
    /// Where it is below the archive's address: by its hash, if the archive says that it is there too.
    pub(super) origin: String,
    pub(super) listed: Listed,
    /// Under which it is held; none, if it stands for what is carried.
    pub(super) held: Option<BlobKey>,
    packing: Packing,
    /// The most bytes that it may have, unpacked.
    largest: u64,
}

/// The indices of binary packages of a component (none in a flat repository) for an architecture, without endings.
pub(super) fn names_of_binaries(
    release: &Release,
    component: Option<&str>,
    architectures: &[String],
) -> Vec<(String, String)> {
    let Some(component) = component else {
        let architecture = architectures.first().cloned().unwrap_or_default();
        return vec![("Packages".to_owned(), architecture)];
    };
    let all = release.has_index_for_all.then(|| "all".to_owned());
    let wanted = architectures.iter().cloned().chain(all);
    wanted.map(|one| (format!("{component}/binary-{one}/Packages"), one)).collect()
}

/// The index of source packages.
pub(super) fn name_of_sources(component: Option<&str>) -> String {
    component.map_or_else(|| "Sources".to_owned(), |component| format!("{component}/source/Sources"))
}

/// Takes an index into the store, in the smallest form that can be had. `Ok(None)` if the Release lists none of the name.
///
/// # Errors
/// Untrusted, if other bytes come than the Release lists; unavailable, if none does.
pub(super) async fn fetch(
    name: &str,
    release: &Release,
    source: &Source,
    ways: &Ways,
    context: &dyn CollectContext,
) -> Result<Option<Index>, Problem> {
    let largest = largest_of(name, release);
    let directory = source.directory();
    let mut tried = Vec::new();
    let mut mismatched = None;
    for packing in Packing::ALL {
        let path = format!("{name}{}", packing.ending());
        let Some(listed) = release.files.get(&path).cloned() else { continue };
        let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let by_hash = format!(
            "{directory}{folder}by-hash/{}/{}",
            listed.digest.algorithm().name().to_uppercase(),
            listed.digest.hex()
        );
        let by_name = format!("{directory}{path}");
        let places = match release.by_hash && source.by_hash {
            true => vec![by_hash, by_name],
            false => vec![by_name],
        };
        // The same, wherever it was had: else a lock would change by what is held.
        let first = places[0].clone();
        for origin in places {
            let access = ways.access(address(source, &origin)?, context).await?;
            match context.obtain(&access, &listed.digest, listed.size).await {
                Ok(held @ Some(_)) => {
                    return Ok(Some(Index { path, origin: first, listed, held, packing, largest }));
                }
                Ok(None) => tried.push(origin),
                // So do stores of objects say that they have none.
                Err(problem) if problem.code == "net.forbidden" => tried.push(origin),
                // By its name, it may be a newer one than the Release knows.
                Err(problem) if problem.kind == Kind::Untrusted || problem.code == "net.size" => {
                    mismatched.get_or_insert(problem);
                }
                Err(problem) => return Err(problem),
            }
        }
    }
    if let Some(problem) = mismatched {
        let message = format!("an index of {} is not what its Release lists", source.suite_of_repository());
        let mut mismatch = Problem::new(Kind::Untrusted, "apt.index-mismatch", message);
        mismatch.place = problem.place;
        return Err(mismatch
            .because(problem.message)
            .hint("a mirror that is just being updated: try again in some minutes, or another mirror"));
    }
    if tried.is_empty() {
        return Ok(None);
    }
    let message =
        format!("the Release of {} lists {name}, and it is not there", source.suite_of_repository());
    let mut problem = Problem::new(Kind::Unavailable, "apt.index-missing", message).at(&source.base);
    problem.causes = tried;
    Err(problem.hint("try again in some minutes, or another mirror"))
}

/// How many bytes an index may have, unpacked.
fn largest_of(name: &str, release: &Release) -> u64 {
    release.files.get(name).map_or(LARGEST, |listed| listed.size.min(LARGEST))
}

impl Index {
    /// One that a Release lists under this path.
    pub(super) fn carried(path: &str, listed: Listed, release: &Release) -> Index {
        let packed = Packing::ALL
            .into_iter()
            .find(|packing| *packing != Packing::Plain && path.ends_with(packing.ending()));
        let packing = packed.unwrap_or(Packing::Plain);
        let name = path.strip_suffix(packing.ending()).unwrap_or(path);
        let largest = largest_of(name, release);
        Index { path: path.to_owned(), origin: String::new(), listed, held: None, packing, largest }
    }

    /// Its stanzas, unpacked while they are read. `packed` is the held blob.
    pub(super) fn stanzas(
        &self,
        packed: Box<dyn Read + Send>,
    ) -> Result<Stanzas<impl Read + use<>>, Problem> {
        self.unpack(packed).map(Stanzas::new)
    }

    /// Its text, unpacked while it is read, and no more of it than it may have.
    pub(super) fn unpack(&self, packed: Box<dyn Read + Send>) -> Result<impl Read + use<>, Problem> {
        let unpacked: Box<dyn Read + Send> = match self.packing {
            Packing::Plain => packed,
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
                BufReader::with_capacity(64 << 10, packed),
                true,
                UNPACKING_MEMORY,
            )),
            Packing::Zstd => {
                let mut decoder = zstd::Decoder::new(packed).map_err(|error| self.damaged(&error))?;
                decoder.window_log_max(LARGEST_WINDOW).map_err(|error| self.damaged(&error))?;
                Box::new(decoder)
            }
        };
        Ok(Bounded { inner: unpacked, left: self.largest })
    }

    /// That it cannot be read.
    pub(super) fn damaged(&self, error: &io::Error) -> Problem {
        let message = "an index cannot be read, though it is the one that its Release lists";
        Problem::new(Kind::Untrusted, "apt.index-damaged", message).at(&self.path).caused_by(error)
    }
}

/// Reads so many bytes and no more: what goes on is an error, not an end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it is larger, unpacked, than it may be")
        })?;
        Ok(read)
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
