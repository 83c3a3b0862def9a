//! From a lock whose files are all held to the records that a snapshot lists, and back to what people read.

use bundle_format::{Artifact, File, Record};
use serde::Serialize;

use super::lock_file::Lock;
use crate::ecosystem::{Planned, registry};
use crate::problem::{Kind, Problem};

/// The records of a lock, one after the other, in the order that segments want: the lock's own.
///
/// One is an error if a file's blob or size isn't known yet: that is a fault of ours.
pub fn of_lock(lock: &Lock) -> impl Iterator<Item = Result<Record, Problem>> {
    let artifacts = lock.artifacts.iter().map(|planned| artifact(planned).map(Record::Artifact));
    let refs = lock.refs.iter().cloned().map(Record::Ref).map(Ok);
    artifacts.chain(refs).chain(lock.repositories.iter().cloned().map(Record::Repository).map(Ok))
}

fn artifact(planned: &Planned) -> Result<Artifact, Problem> {
    let mut files = Vec::with_capacity(planned.files.len());
    for file in &planned.files {
        let (Some(blob), Some(size)) = (file.blob, file.size) else {
            let message = format!("{} {} has a file that was not fetched", planned.name, planned.version);
            return Err(Problem::new(Kind::Failed, "internal.unfetched", message));
        };
        let mut checksums = file.checksums.clone();
        checksums.sort();
        checksums.dedup();
        files.push(File {
            role: file.role.clone(),
            path: file.path.clone(),
            blob,
            size,
            media_type: file.media_type.clone(),
            checksums,
            origin: file.origin.clone(),
        });
    }
    files.sort_by(|a, b| (&a.role, &a.path, a.blob).cmp(&(&b.role, &b.path, b.blob)));
    let mut requires = planned.requires.clone();
    requires.sort();
    requires.dedup();
    Ok(Artifact {
        ecosystem: planned.ecosystem.clone(),
        repository: planned.repository.clone(),
        name: planned.name.clone(),
        version: planned.version.clone(),
        qualifier: planned.qualifier.clone(),
        schema: planned.schema.clone(),
        attributes: planned.attributes.clone(),
        files,
        requires,
    })
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
}

impl Named {
    /// Names an artifact. One of an ecosystem that this version does not know gets a generic package URL.
    pub fn of(artifact: &Artifact) -> Named {
        let purl = match registry::find(&artifact.ecosystem) {
            Some(ecosystem) => ecosystem.purl(artifact),
            None => format!("pkg:generic/{}/{}@{}", artifact.ecosystem, artifact.name, artifact.version),
        };
        let size = artifact.files.iter().map(|file| file.size).sum();
        Named { purl, repository: artifact.repository.clone(), size: Some(size) }
    }

    /// Names an artifact whose files may not be known yet.
    pub fn of_planned(planned: &Planned) -> Named {
        let known = |size: Option<u64>, file: &crate::ecosystem::PlannedFile| Some(size? + file.size?);
        let size = planned.files.iter().fold(Some(0), known);
        let mut complete = planned.clone();
        let unknown = bundle_format::BlobKey::new([0; 32]);
        for file in &mut complete.files {
            file.blob.get_or_insert(unknown);
            file.size.get_or_insert(0);
        }
        match artifact(&complete) {
            Ok(artifact) => Named { size, ..Named::of(&artifact) },
            Err(_) => Named { purl: String::new(), repository: planned.repository.clone(), size },
        }
    }
}
