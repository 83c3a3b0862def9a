//! From a lock whose files are all held to the records that a snapshot lists, and back to what people read.

use bundle_format::{Artifact, File, Record};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::lock_file::Lock;
use crate::ecosystem::{Planned, PlannedFile, registry};
use crate::problem::{Kind, Problem};
use crate::spill::{Entry, Sorted};

/// The records of a lock, one after the other, in the order that segments want: the lock's own.
///
/// One is an error if a file's blob or size isn't known yet: that is a fault of ours.
pub fn of_lock(lock: &Lock) -> impl Iterator<Item = Result<Record, Problem>> {
    let artifacts = lock.artifacts.iter().map(|planned| artifact(planned?).map(Record::Artifact));
    let refs = lock.refs.iter().map(|reference| Ok(Record::Ref(reference?)));
    artifacts.chain(refs).chain(lock.repositories.iter().cloned().map(Record::Repository).map(Ok))
}

fn artifact(mut planned: Planned) -> Result<Artifact, Problem> {
    let mut files = Vec::with_capacity(planned.files.len());
    for mut file in planned.files {
        let (Some(blob), Some(size)) = (file.blob, file.size) else {
            let message = format!("{} {} has a file that was not fetched", planned.name, planned.version);
            return Err(Problem::new(Kind::Failed, "internal.unfetched", message));
        };
        file.checksums.sort();
        file.checksums.dedup();
        files.push(File {
            role: file.role,
            path: file.path,
            blob,
            size,
            media_type: file.media_type,
            checksums: file.checksums,
            origin: file.origin,
        });
    }
    files.sort_by(|a, b| (&a.role, &a.path, a.blob).cmp(&(&b.role, &b.path, b.blob)));
    planned.requires.sort();
    planned.requires.dedup();
    Ok(Artifact {
        ecosystem: planned.ecosystem,
        repository: planned.repository,
        name: planned.name,
        version: planned.version,
        qualifier: planned.qualifier,
        schema: planned.schema,
        attributes: planned.attributes,
        files,
        requires: planned.requires,
    })
}

/// An artifact whose files may not be known yet; then they have no size, and a key that no bytes have.
///
/// # Errors
/// None but faults of ours.
pub(super) fn provisional(mut planned: Planned) -> Result<Artifact, Problem> {
    let unknown = bundle_format::BlobKey::new([0; 32]);
    for file in &mut planned.files {
        file.blob.get_or_insert(unknown);
        file.size.get_or_insert(0);
    }
    artifact(planned)
}

/// An artifact as `--json` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its package URL.
    pub purl: String,
    /// The repository it is linked into.
    pub repository: String,
    /// The bytes of all its files, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What its upstream says of its licence, where the records know that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Whether clients see its metadata alone and cannot install it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub metadata_only: bool,
}

impl Named {
    /// Names an artifact. One of an ecosystem that this version does not know gets a generic package URL.
    pub fn of(artifact: &Artifact) -> Named {
        let ecosystem = registry::find(&artifact.ecosystem);
        let purl = match ecosystem {
            Some(ecosystem) => ecosystem.purl(artifact),
            None => format!("pkg:generic/{}/{}@{}", artifact.ecosystem, artifact.name, artifact.version),
        };
        let size = artifact.files.iter().map(|file| file.size).fold(0, u64::saturating_add);
        let licence = ecosystem.and_then(|ecosystem| ecosystem.licence(artifact)).map(str::to_owned);
        let metadata_only = ecosystem.is_some_and(|ecosystem| ecosystem.is_metadata_only(artifact));
        Named { purl, repository: artifact.repository.clone(), size: Some(size), licence, metadata_only }
    }

    /// Names an artifact whose files may not be known yet.
    pub fn of_planned(planned: Planned) -> Named {
        let known = |size: Option<u64>, file: &PlannedFile| Some(size? + file.size?);
        let size = planned.files.iter().fold(Some(0), known);
        let repository = planned.repository.clone();
        match provisional(planned) {
            Ok(artifact) => Named { size, ..Named::of(&artifact) },
            Err(_) => Named { purl: String::new(), repository, size, licence: None, metadata_only: false },
        }
    }
}

/// A list that is too long to be held in memory, whose entries reports show as something else: each when it is asked for.
#[derive(Debug)]
pub struct ShownList<T, S> {
    list: Sorted<T>,
    show: fn(T) -> S,
}

impl<T: Clone, S> Clone for ShownList<T, S> {
    fn clone(&self) -> Self {
        ShownList { list: self.list.clone(), show: self.show }
    }
}

impl<T: Entry, S> ShownList<T, S> {
    /// A list that is shown so.
    pub fn new(list: Sorted<T>, show: fn(T) -> S) -> ShownList<T, S> {
        ShownList { list, show }
    }

    /// The same list, shown as something else.
    pub fn shown_as<Z>(&self, show: fn(T) -> Z) -> ShownList<T, Z> {
        ShownList { list: self.list.clone(), show }
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in order. An error ends it.
    pub fn iter(&self) -> impl Iterator<Item = Result<S, Problem>> {
        let show = self.show;
        self.list.iter().map(move |entry| entry.map(show))
    }
}

impl<T: Entry, S: Serialize> Serialize for ShownList<T, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let mut list = serializer.serialize_seq(usize::try_from(self.len()).ok())?;
        for shown in self.iter() {
            list.serialize_element(&shown.map_err(Z::Error::custom)?)?;
        }
        list.end()
    }
}

/// The artifacts of a lock as reports name them.
pub type NamedList = ShownList<Planned, Named>;

impl NamedList {
    /// The artifacts of a lock.
    pub fn of(lock: &Lock) -> NamedList {
        NamedList::new(lock.artifacts.clone(), Named::of_planned)
    }
}
