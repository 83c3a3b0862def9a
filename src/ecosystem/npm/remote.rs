//! Fetching what stands at an address of its own: the tarball is taken along as it is, once it was held to what lockfiles know of it,
//! and what it says of itself is read from it. None of its scripts is run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _};
use std::sync::{Arc, Mutex, PoisonError};

use bundle_format::{Algorithm, Artifact, BlobKey, Digest, Requirement};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::address::{Address, Allowed, Located};
use super::fetch::{Carried, Fetched, script_note};
use super::ideal::{Dependency, Manifest, Origin};
use super::options::Options;
use super::origin::Routes;
use super::version::Version;
use super::version_object::VersionObject;
use super::wanted::gap;
use super::{REMOTE, integrity, names, tarball, tarball_name};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Evidence, Note, Planned, PlannedFile};
use crate::problem::{Kind, Problem};
use crate::store::digests_of;

/// The attribute that has the package's name: the artifact is called by its address.
pub(crate) const PACKAGE: &str = "package";
/// What lockfiles may know of a tarball that is worth anything.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

/// A package that a lockfile has from an address.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// Where it is.
    pub(crate) located: Located,
    /// The name that the lockfile has for it.
    pub(crate) name: String,
    /// The checksums that lockfiles know.
    pub(crate) checksums: Vec<Digest>,
    /// Whether one can do without it.
    pub(crate) optional: bool,
    /// Who needs it, for messages.
    pub(crate) needed_by: String,
}

/// A tarball that was fetched.
pub(crate) struct Tarball {
    name: String,
    version: String,
    object: VersionObject,
    scripts: Scripts,
    digests: Vec<Digest>,
    key: BlobKey,
    size: u64,
}

/// What came of an address.
type Answer = Result<Arc<Tarball>, String>;

/// What was fetched from addresses in one run, each once.
pub(crate) struct Remotes<'a> {
    /// From where something may be had.
    pub(crate) allowed: Allowed,
    context: &'a dyn CollectContext,
    fetched: Mutex<BTreeMap<Address, Arc<OnceCell<Answer>>>>,
}

impl<'a> Remotes<'a> {
    /// Reads from where the project lets packages come.
    ///
    /// # Errors
    /// Usage, if it says something that cannot be.
    pub(crate) async fn load(context: &'a dyn CollectContext) -> Result<Remotes<'a>, Problem> {
        let allowed = Options::load(context).await?.allowed;
        Ok(Remotes { allowed, context, fetched: Mutex::default() })
    }

    /// Fetches what is wanted of an address.
    ///
    /// # Errors
    /// If the host cannot be reached, or has other bytes than a lockfile knows. What is no package is a gap.
    pub(crate) async fn fetch(&self, routes: &Routes, remote: &Remote) -> Result<Fetched, Problem> {
        let (address, mut fetched) = (&remote.located.address, Fetched::default());
        let tarball = match self.tarball(routes, address).await? {
            Ok(tarball) => tarball,
            Err(why) => {
                let detail = format!("{why}; {}", remote.needed_by);
                fetched.gaps.push(gap(&remote.name, address.url().as_str(), "not-found", detail));
                return Ok(fetched);
            }
        };
        let subject = format!("{}@{}", tarball.name, tarball.version);
        let checksums = integrity::join(&remote.checksums, &tarball.digests).map_err(|algorithm| {
            let message = format!("the address of {subject} has other bytes than the lockfile knows");
            let found = tarball.digests.iter().find(|digest| digest.algorithm() == algorithm);
            Problem::new(Kind::Untrusted, "npm.address-mismatch", message)
                .at(address.url())
                .because(format!("their {} differ", algorithm.name()))
                .because(found.map_or_else(String::new, |found| format!("it has {found}")))
                .hint("nothing of it was kept; find out which of the two was changed")
        })?;
        if remote.located.is_of_git && tarball.scripts.npm_prepares() {
            let detail = format!(
                "its package.json has workspaces or scripts for which npm installs all that it is developed with before it packs \
                 it (prepare, build, install …), and that is not carried; only `aftk setup npm --rewrite-lock` installs it inside, \
                 as it is; {}",
                remote.needed_by
            );
            fetched.gaps.push(gap(&remote.name, address.url().as_str(), "git-prepare", detail));
        }
        fetched.notes = notes(&subject, remote, &tarball);
        fetched.evidence.push(Evidence { origin: address.url().to_string(), digest: tarball.key });
        fetched.carried.push(Carried {
            planned: planned(address, &tarball, &remote.checksums, checksums),
            edges: tarball.object.edges.clone(),
            listed: true,
            optional: remote.optional,
            only_known: false,
        });
        Ok(fetched)
    }

    /// What a dependency called `name` gets that asks for an address; `None`, if nothing can be had from there.
    ///
    /// # Errors
    /// If the host cannot be reached.
    pub(crate) async fn look(
        &self,
        routes: &Routes,
        name: &str,
        text: &str,
    ) -> Result<Option<Manifest>, Problem> {
        let Ok(Located { address, .. }) = self.allowed.locate(text, true) else { return Ok(None) };
        let Ok(tarball) = self.tarball(routes, &address).await? else { return Ok(None) };
        let needed = tarball.object.edges.iter();
        let needed = needed.map(|(name, range, kind)| Dependency::new(name, range, *kind)).collect();
        let name = if tarball.name.is_empty() { name } else { &tarball.name };
        Ok(Some(Manifest::new(name, &tarball.version, needed, Origin::Address(text.to_owned()))))
    }

    /// The tarball at an address, or why it is none.
    async fn tarball(&self, routes: &Routes, address: &Address) -> Result<Answer, Problem> {
        let place = {
            let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            fetched.entry(address.clone()).or_default().clone()
        };
        place.get_or_try_init(|| self.download(routes, address)).await.cloned()
    }

    async fn download(&self, routes: &Routes, address: &Address) -> Result<Answer, Problem> {
        let file = match self.context.download(&routes.elsewhere(address)).await {
            Ok(file) => file,
            Err(problem) if problem.code == "net.not-found" => {
                return Ok(Err(format!("there is nothing at {}", address.url())));
            }
            Err(problem) => return Err(problem),
        };
        let (looked, file) = blocking(move || Ok(look_at(file))).await?;
        let (digests, package) = match looked {
            Ok(looked) => looked,
            Err(error) => return Ok(Err(format!("{} is no package: {error}", address.url()))),
        };
        let tarball::Identity { name, version } = match tarball::Identity::read(&package) {
            Ok(identity) => identity,
            Err(error) => return Ok(Err(format!("{} is no package: {error}", address.url()))),
        };
        if !names::is_valid(&name) || !is_version(&version) {
            let why = format!("{} is no package: it says that it is {name:?} {version:?}", address.url());
            return Ok(Err(why));
        }
        let object = VersionObject::read(&package, &name, &version, address.url())?;
        let scripts = serde_json::from_str(&package).unwrap_or_default();
        let sha512 = digests.iter().find(|digest| digest.algorithm() == Algorithm::Sha512).cloned();
        let (key, size) = self.context.take_in(address.url().as_str(), Box::new(file), sha512).await?;
        Ok(Ok(Arc::new(Tarball { name, version, object, scripts, digests, key, size })))
    }
}

fn is_version(text: &str) -> bool {
    tarball_name::is_sane_version(text) && Version::parse(text).is_some()
}

/// The digests of a tarball and the `package.json` in it; and the tarball, which is at its beginning again.
fn look_at(mut file: File) -> (io::Result<(Vec<Digest>, String)>, File) {
    let looked = (|| {
        let digests = digests_of(&file, &ALGORITHMS).map_err(io::Error::other)?;
        file.rewind()?;
        let package = tarball::package_json(&file)?;
        file.rewind()?;
        Ok((digests, package))
    })();
    (looked, file)
}

/// What a `package.json` has that makes npm prepare a repository before it packs it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Scripts {
    workspaces: Value,
    scripts: Value,
}

impl Scripts {
    /// Whether npm installs what it is developed with first (pacote's `git.js`).
    fn npm_prepares(&self) -> bool {
        let counts = ["postinstall", "build", "preinstall", "install", "prepack", "prepare"];
        super::version_object::is_true(Some(&self.workspaces)) || counts.iter().any(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        super::version_object::is_true(self.scripts.get(name))
    }
}

/// What a person should know of it.
fn notes(subject: &str, remote: &Remote, tarball: &Tarball) -> Vec<Note> {
    let address = &remote.located.address;
    let note =
        |code: &str, message: String| Note { code: code.to_owned(), subject: subject.to_owned(), message };
    let mut notes = vec![note(
        "npm.remote",
        format!(
            "comes from {}; inside it is found there by `serve --impersonate`, or once the lockfile is rewritten",
            address.url()
        ),
    )];
    if remote.checksums.iter().all(|checksum| !checksum.is_strong()) {
        let message = format!(
            "no strong checksum of it is known: what {} answered now is carried, and aftk.lock holds it to that",
            address.host()
        );
        notes.push(note("npm.unpinned", message));
    }
    if !remote.located.is_of_git && address.is_archive() && tarball.scripts.has("prepare") {
        let message = "is the archive of a repository with a `prepare` script, which pnpm runs with what it is developed with: \
                       that is not carried";
        notes.push(note("npm.prepare-script", message.to_owned()));
    }
    notes.extend(script_note(subject, &tarball.object, false));
    notes
}

/// What is recorded of it. `known` is what lockfiles say of it, and `checksums` that and all that was found out.
fn planned(address: &Address, tarball: &Tarball, known: &[Digest], mut checksums: Vec<Digest>) -> Planned {
    checksums.retain(|digest| known.contains(digest) || digest.algorithm() == Algorithm::Sha512);
    let mut attributes = BTreeMap::from([(PACKAGE.to_owned(), Value::from(tarball.name.as_str()))]);
    if let Some(licence) = &tarball.object.licence {
        attributes.insert("licence".to_owned(), licence.as_str().into());
    }
    let edges = tarball.object.edges.iter().map(|(name, range, kind)| Requirement {
        name: name.clone(),
        range: range.clone(),
        kind: kind.name().to_owned(),
    });
    let mut requires: Vec<Requirement> = edges.collect();
    requires.sort();
    requires.dedup();
    Planned {
        ecosystem: "npm".to_owned(),
        repository: address.repository(),
        name: address.name(),
        version: tarball.version.clone(),
        qualifier: String::new(),
        schema: REMOTE.to_owned(),
        attributes,
        files: vec![PlannedFile {
            role: "tarball".to_owned(),
            path: String::new(),
            media_type: "application/octet-stream".to_owned(),
            origin: address.url().to_string(),
            checksums,
            blob: Some(tarball.key),
            size: Some(tarball.size),
            estimate: None,
            held: false,
        }],
        requires,
        requests: Vec::new(),
    }
}

/// The name of the package that an artifact is: its own, unless it is called by its address.
pub(crate) fn package<'a>(name: &'a str, schema: &str, attributes: &'a BTreeMap<String, Value>) -> &'a str {
    let said = attributes.get(PACKAGE).and_then(Value::as_str).filter(|_| schema == REMOTE);
    said.unwrap_or(name)
}

/// Whether an artifact is one that stands at an address.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn admit(artifact: &Artifact) -> Result<(), &'static str> {
    let address = Address::named(&artifact.name).ok_or("its name is no address")?;
    if address.repository() != artifact.repository {
        return Err("its repository is not that of its address");
    }
    if !artifact.attributes.get(PACKAGE).and_then(Value::as_str).is_some_and(names::is_valid) {
        return Err("npm allows no such package name");
    }
    if !is_version(&artifact.version) || !artifact.qualifier.is_empty() {
        return Err("npm allows no such version");
    }
    let [file] = &*artifact.files else { return Err("it has not one file") };
    if file.role != "tarball" || !file.path.is_empty() {
        return Err("its file is no tarball, or has a path of its own");
    }
    // The caller has compared them with the bytes.
    if !file.checksums.iter().any(Digest::is_strong) {
        return Err("no checksum of it is strong enough");
    }
    match Address::read(&file.origin) {
        Some(origin) if origin.name() == artifact.name => Ok(()),
        _ => Err("its file comes from another address"),
    }
}
