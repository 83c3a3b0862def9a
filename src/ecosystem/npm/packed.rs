//! Tarballs of this machine, as `npm pack` makes them: `npm-tarball:./a-1.0.0.tgz`, or a directory or a tar of such.
//!
//! A version object is made of each one's `package.json`, as npm makes one to publish it.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::{Algorithm, BlobKey, Digest, Repository};
use bytes::Bytes;
use serde_json::{Value, json};

use super::packument::VERSION_OBJECT_LIMIT;
use super::publication::Publication;
use super::version_object::VersionObject;
use super::{integrity, splice, tarball};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Planned, Request, RequestBody, Resolution};
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;
use crate::store::digests_of;

/// The word before the colon of these requests.
pub(super) const WORD: &str = "npm-tarball";
/// The repository that they are in.
const LOCAL: &str = "local";
/// What the words of such a request begin with.
const MARK: &str = "tarballs";
/// The most tarballs of one request.
const MOST: usize = 100_000;

/// Where a tarball stands: in a file of its own, or in a tar.
struct Place {
    name: String,
    path: PathBuf,
    from: u64,
    length: u64,
}

/// A tarball that is held.
struct Held {
    manifest: BlobKey,
    tarball: BlobKey,
    size: u64,
}

/// Reads a request, and takes its tarballs into the store.
///
/// # Errors
/// If there are none, or one is damaged.
pub(super) async fn parse(what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    let wrong = |error: io::Error| {
        Problem::new(Kind::Usage, "npm.tarball", "the tarballs of a request cannot be read")
            .at(what)
            .because(error.to_string())
    };
    let path = context.directory().join(what);
    let places = blocking(move || Ok(places(&path))).await?.map_err(wrong)?;
    if places.is_empty() {
        return Err(wrong(io::Error::other("there is no *.tgz in it")));
    }
    let mut words = vec![MARK.to_owned()];
    for place in places {
        let held = take_in(place, context).await?;
        words.push(format!("{} {} {}", held.manifest.hex(), held.tarball.hex(), held.size));
    }
    let words = words.join(" ");
    let identity = format!("npm:tarballs:{}", BlobKey::of(words.as_bytes()).hex());
    Ok(Request { ecosystem: "npm", text: what.to_owned(), identity, body: RequestBody::Words(words) })
}

/// Whether a request is one for tarballs.
pub(super) fn is_packed(request: &Request) -> bool {
    matches!(&request.body, RequestBody::Words(words) if words.split(' ').next() == Some(MARK))
}

/// The tarballs at a path, in order.
fn places(path: &Path) -> io::Result<Vec<Place>> {
    let is_tarball = |path: &Path| path.extension().is_some_and(|end| end == "tgz");
    let whole = |path: PathBuf| -> io::Result<Place> {
        let (name, length) = (path.display().to_string(), std::fs::metadata(&path)?.len());
        Ok(Place { name, path, from: 0, length })
    };
    if path.is_dir() {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in path.read_dir()? {
            files.extend(Some(entry?.path()).filter(|path| is_tarball(path)));
        }
        files.sort();
        return files.into_iter().take(MOST).map(whole).collect();
    }
    if path.extension().is_none_or(|end| end != "tar") {
        return Ok(vec![whole(path.to_owned())?]);
    }
    let mut places = Vec::new();
    let mut archive = tar::Archive::new(File::open(path)?);
    for entry in archive.entries_with_seek()?.take(MOST) {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_file() && is_tarball(Path::new(&name)) {
            let (from, length) = (entry.raw_file_position(), entry.size());
            places.push(Place { name, path: path.to_owned(), from, length });
        }
    }
    Ok(places)
}

/// Takes a tarball into the store, and the version object that is made of it.
async fn take_in(place: Place, context: &dyn CollectContext) -> Result<Held, Problem> {
    let name = place.name.clone();
    let wrong = |error: io::Error| {
        Problem::new(Kind::Usage, "npm.tarball", "this is no tarball of a package")
            .at(&name)
            .because(error.to_string())
            .hint("`npm pack` makes one")
    };
    let read = blocking(move || Ok(read(&place))).await?;
    let (object, sha512, file) = read.map_err(wrong)?;
    let manifest = context.keep(object).await?;
    // It has the bytes that were looked at, though somebody may write the file meanwhile.
    let (tarball, size) = context.take_in(&name, file, Some(sha512)).await?;
    Ok(Held { manifest, tarball, size })
}

type Looked = (Bytes, Digest, Box<dyn Read + Send>);

/// The version object of a tarball, its digest, and the tarball once more.
fn read(place: &Place) -> io::Result<Looked> {
    let open = || -> io::Result<io::Take<File>> {
        let mut file = File::open(&place.path)?;
        file.seek(SeekFrom::Start(place.from))?;
        Ok(file.take(place.length))
    };
    let digests = digests_of(open()?, &[Algorithm::Sha512, Algorithm::Sha1]).map_err(io::Error::other)?;
    let digest = |algorithm| digests.iter().find(|digest| digest.algorithm() == algorithm);
    let (Some(sha512), Some(sha1)) = (digest(Algorithm::Sha512), digest(Algorithm::Sha1)) else {
        return Err(io::Error::other("it cannot be hashed"));
    };
    let package = tarball::package_json(open()?)?;
    let identity = tarball::Identity::read(&package)?;
    let integrity = format!("sha512-{}", STANDARD.encode(sha512.as_bytes()));
    let dist = json!({ "integrity": integrity, "shasum": sha1.hex() }).to_string();
    let id = Value::from(format!("{}@{}", identity.name, identity.version)).to_string();
    let mut members = splice::members(&package).map_err(io::Error::other)?;
    members.retain(|(key, _)| key != "dist" && key != "_id");
    members.extend([("_id".to_owned(), id.as_str()), ("dist".to_owned(), dist.as_str())]);
    Ok((splice::object(&members).into(), sha512.clone(), Box::new(open()?)))
}

/// Makes artifacts of requests for tarballs.
///
/// # Errors
/// If two of them are the same version with other bytes, or one could not be published.
pub(super) async fn resolve(
    requests: &[Request],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let mut artifacts: Vec<Planned> = Vec::new();
    for request in requests {
        let RequestBody::Words(words) = &request.body else {
            let message =
                "tarballs are taken by themselves: npm-tarball: stands beside no other request of npm";
            return Err(Problem::new(Kind::Usage, "npm.tarball", message).at(&request.text));
        };
        let words: Vec<&str> = words.split(' ').skip(1).collect();
        for held in words.chunks(3).filter_map(Held::read) {
            let mut planned = Planned::from(held.artifact(context).await?);
            planned.is_asked_for_by([request.text.clone()]);
            match artifacts.iter_mut().find(|other| other.key() == planned.key()) {
                Some(other) if other.files == planned.files => other.is_asked_for_by(planned.requests),
                Some(other) => {
                    let subject = format!("{}@{}", other.name, other.version);
                    let message = format!("two different tarballs say that they are {subject}");
                    return Err(
                        Problem::new(Kind::Refused, "npm.version-conflict", message).at(&request.text)
                    );
                }
                None => artifacts.push(planned),
            }
        }
    }
    let repository =
        Repository { ecosystem: "npm".to_owned(), name: LOCAL.to_owned(), origin: String::new() };
    let mut sorter = Sorter::new(context.scratch());
    sorter.extend(artifacts)?;
    Ok(Resolution { repositories: vec![repository], artifacts: sorter.finish()?, ..Resolution::default() })
}

impl Held {
    fn read(words: &[&str]) -> Option<Held> {
        let [manifest, tarball, size] = words else { return None };
        Some(Held {
            manifest: BlobKey::from_hex(manifest).ok()?,
            tarball: BlobKey::from_hex(tarball).ok()?,
            size: size.parse().ok()?,
        })
    }

    async fn artifact(&self, context: &dyn CollectContext) -> Result<bundle_format::Artifact, Problem> {
        let text = context.held(&self.manifest, VERSION_OBJECT_LIMIT).await?;
        let wrong =
            |why: String| Problem::new(Kind::Usage, "npm.tarball", "a package.json is none").because(why);
        let identity = std::str::from_utf8(&text).map_err(|error| wrong(error.to_string()))?;
        let identity = tarball::Identity::read(identity).map_err(|error| wrong(error.to_string()))?;
        let tarball::Identity { name, version } = identity;
        let raw = String::from_utf8_lossy(&text);
        let object = VersionObject::read(&raw, &name, &version, &format!("the tarball of {name}"))?;
        let publication = Publication {
            repository: LOCAL,
            name: &name,
            version: &version,
            object: &object,
            manifest: (self.manifest, text.len() as u64),
            tarball: (self.tarball, self.size),
            digests: &object.integrity.as_deref().map(integrity::read).unwrap_or_default(),
            time: None,
        };
        let artifact = publication.artifact();
        let read = &mut |_: &BlobKey| Ok(text.clone());
        crate::ecosystem::Admit::admit(&super::admit::NpmAdmit, &artifact, read).map_err(|problem| {
            let why = problem.causes.first().cloned().unwrap_or(problem.message);
            Problem::new(Kind::Usage, "npm.tarball", format!("{name}@{version} could not be published"))
                .because(why)
        })?;
        Ok(artifact)
    }
}
