//! A suite as its upstream published it, signature and all, for clients that believe nobody but upstream.
//!
//! Its indices list all packages of a component, and clients take what is listed for granted. So this is done only where
//! every one of them is here, in each index that clients of the served architectures ask for.

use std::collections::HashSet;

use bundle_format::{Artifact, BlobHasher, BlobKey};
use jiff::Timestamp;
use serde_json::Value;

use super::{LARGEST_RELEASE, Planned, Row, SOURCE, path_of};
use crate::ecosystem::MaterialiseContext;
use crate::ecosystem::apt::index::Index;
use crate::ecosystem::apt::release::{self, Release};
use crate::ecosystem::apt::source::directory_of;
use crate::problem::Problem;
use crate::protocol::openpgp::{Keyring, unverified, verify_detached, verify_inline};
use crate::store::{EditionDocument, EditionDocuments};

/// What upstream published of a suite, the newest that is here.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) version: String,
    /// Each document by its role and by its name below the Release's directory.
    files: Vec<Carried>,
}

#[derive(Debug, Clone)]
struct Carried {
    role: String,
    name: String,
    blob: BlobKey,
    size: u64,
}

impl Evidence {
    pub(super) fn of(artifact: &Artifact) -> Option<Evidence> {
        let names = artifact.attributes.get("files").and_then(Value::as_object)?;
        let mut files = Vec::new();
        for file in &artifact.files {
            let key = file.blob.to_string();
            // Files of the same bytes have each its name.
            files.extend(names.iter().filter(|(_, value)| value.as_str() == Some(&key)).map(|(name, _)| {
                Carried { role: file.role.clone(), name: name.clone(), blob: file.blob, size: file.size }
            }));
        }
        let evidence = Evidence { version: artifact.version.clone(), files };
        evidence.document("inrelease").or_else(|| evidence.document("release"))?;
        Some(evidence)
    }

    fn document(&self, role: &str) -> Option<&Carried> {
        self.files.iter().find(|file| file.role == role)
    }

    fn indices(&self) -> impl Iterator<Item = &Carried> {
        self.files.iter().filter(|file| file.role == "index")
    }

    /// The architectures of its indices of packages.
    pub(super) fn architectures(&self) -> impl Iterator<Item = &str> {
        let folders = self.indices().filter_map(|index| index.name.rsplit('/').nth(1));
        folders.filter_map(|folder| folder.strip_prefix("binary-"))
    }

    /// Its Release, which nothing is proved of here.
    pub(super) fn release(&self, suite: &str, context: &dyn MaterialiseContext) -> Result<Release, Problem> {
        let text = match (self.document("inrelease"), self.document("release")) {
            (Some(inline), _) => {
                let bytes = context.read(&inline.blob, LARGEST_RELEASE)?;
                unverified(&bytes).map_err(|fault| super::unusable(&fault))?
            }
            (None, Some(release)) => context.read(&release.blob, LARGEST_RELEASE)?.to_vec(),
            (None, None) => Vec::new(),
        };
        release::read(&text, &directory_of(suite))
    }

    /// The certificates of those who signed it, of the ones that are believed.
    fn signers(
        &self,
        keys: &Keyring,
        now: Timestamp,
        context: &dyn MaterialiseContext,
    ) -> Result<Result<Keyring, String>, Problem> {
        let read = |file: &Carried| context.read(&file.blob, LARGEST_RELEASE);
        let verified =
            match (self.document("inrelease"), self.document("release"), self.document("signature")) {
                (Some(inline), ..) => verify_inline(&read(inline)?, keys, now).map(|(_, signers)| signers),
                (None, Some(release), Some(signature)) => {
                    verify_detached(&read(release)?, &read(signature)?, keys, now)
                }
                _ => return Ok(Err("its upstream has not signed it".to_owned())),
            };
        Ok(match verified {
            Ok(signers) => {
                let signers: Vec<_> = signers.into_iter().map(|signer| signer.certificate).collect();
                Ok(keys.only(&signers))
            }
            Err(_) if keys.is_empty() => Err("no keyring is pinned in HOME/apt/keyrings".to_owned()),
            Err(fault) => Err(format!("no keyring in HOME/apt/keyrings proves it: {fault}")),
        })
    }
}

/// The packages of repositories that are to be published so: marks of their stanzas.
#[derive(Debug, Default)]
pub(super) struct Here(HashSet<BlobKey>);

impl Here {
    pub(super) fn add(&mut self, number: usize, row: &Row<'_>) {
        let place = [row.suite, row.component, kind_of(row.architecture)];
        self.0.insert(mark(number, place, row.control.as_bytes()));
    }
}

/// The kinds of indices: what is of one architecture stands in no other's.
fn kind_of(architecture: &str) -> &str {
    if architecture == SOURCE { SOURCE } else { "binary" }
}

fn mark(number: usize, place: [&str; 3], stanza: &[u8]) -> BlobKey {
    let mut hasher = BlobHasher::default();
    hasher.update(&number.to_le_bytes());
    for part in place {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    hasher.update(stanza);
    hasher.finish()
}

/// The documents of a suite as its upstream published it. The error within says what is missing for that.
pub(super) fn documents(
    (number, planned): (usize, &Planned),
    here: &Here,
    keys: &Keyring,
    now: Timestamp,
    context: &dyn MaterialiseContext,
) -> Result<Result<(EditionDocuments, Keyring), String>, Problem> {
    let (Some(evidence), Some(release)) = (&planned.evidence, &planned.suite.upstream) else {
        return Ok(Err("no bundle brought what its upstream signed".to_owned()));
    };
    let signers = match evidence.signers(keys, now, context)? {
        Ok(signers) => signers,
        Err(why) => return Ok(Err(why)),
    };
    let suite = planned.suite.name.as_str();
    let directory = directory_of(suite);
    let mut documents = EditionDocuments::new();
    let for_all = planned.suite.components.iter().filter(|_| release.has_index_for_all);
    let for_all = for_all.map(|component| (component.clone(), "all".to_owned()));
    for (component, architecture) in planned.places().into_iter().chain(for_all) {
        let path = path_of(&component, &architecture);
        let is_it =
            |name: &str| name.strip_prefix(&path).is_some_and(|end| end.is_empty() || end.starts_with('.'));
        let mut carried = evidence.indices().filter(|index| is_it(&index.name)).peekable();
        if carried.peek().is_none() {
            return Ok(Err(format!("no bundle brought its {path}")));
        }
        for index in carried {
            let Some(listed) = release.files.get(&index.name).cloned() else {
                return Ok(Err(format!("its Release lists no {}", index.name)));
            };
            let reader = Index::carried(&index.name, listed, release);
            let packed = context.open(&index.blob)?;
            let mut stanzas = reader.stanzas(packed)?;
            let place = [suite, component.as_str(), kind_of(&architecture)];
            let (mut missing, mut example) = (0_u64, String::new());
            while let Some(stanza) = stanzas.next().map_err(|error| reader.damaged(&error))? {
                if here.0.contains(&mark(number, place, stanza.raw)) {
                    continue;
                }
                missing += 1;
                if example.is_empty() {
                    let text = |name: &str| stanza.text(name).unwrap_or_default().escape_debug().to_string();
                    example = format!("{} {}", text("Package"), text("Version"));
                }
            }
            if missing > 0 {
                let others = match missing - 1 {
                    0 => String::new(),
                    others => format!(", nor are {others} others"),
                };
                return Ok(Err(format!("its {path} lists {example}, which is not here{others}")));
            }
            add(&mut documents, format!("{directory}{}", index.name), index, false);
            let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let by_hash = format!("{directory}{folder}by-hash/SHA256/{}", index.blob.hex());
            add(&mut documents, by_hash, index, true);
        }
    }
    for (role, name) in [("inrelease", "InRelease"), ("release", "Release"), ("signature", "Release.gpg")] {
        if let Some(document) = evidence.document(role) {
            add(&mut documents, format!("{directory}{name}"), document, false);
        }
    }
    Ok(Ok((documents, signers)))
}

fn add(documents: &mut EditionDocuments, path: String, carried: &Carried, lasts: bool) {
    documents.insert(path, EditionDocument { blob: carried.blob, size: carried.size, lasts });
}
