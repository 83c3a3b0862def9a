//! Who published files: outside, where an index has attestations of them, and inside once more, by those whom the site
//! believes. An attestation that does not hold is worse than none: then the file is not taken.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use bundle_format::{Artifact, BlobKey};
use futures_util::{StreamExt as _, TryStreamExt as _};
use url::Url;

use super::SCHEMA;
use super::attestations::Provenance;
use super::carry::Carried;
use super::facts::{Facts, PROVENANCE, PROVENANCE_END};
use super::fetch::{AT_ONCE, Fetcher, sha256};
use super::known::{Known, Proven};
use super::wheel::LARGEST_METADATA;
use crate::ecosystem::attested::{self, Attested};
use crate::ecosystem::{AdmitContext, MetadataRequest, Together, Verdict};
use crate::problem::{Kind, Problem};
use crate::protocol::sigstore::Roots;

/// What is wrong with a file of roots.
pub(super) const ROOT: &str = "pypi.trusted-root";

/// What is wrong with a file's attestations.
fn refused(file: &str, why: &str) -> Problem {
    Problem::new(Kind::Untrusted, "pypi.bad-attestation", format!("an attestation of {file} does not hold"))
        .because(why)
        .hint(
            "nothing of it is taken; ask whoever publishes it, or who runs the index or the proxy before it",
        )
}

impl Fetcher<'_> {
    /// Fetches what proves who published the files that are carried, and holds it against the roots that are pinned.
    ///
    /// # Errors
    /// Untrusted, if an attestation does not hold.
    pub(super) async fn prove_publishers(&self, carried: &Carried, known: &mut Known) -> Result<(), Problem> {
        let mut wanted = BTreeMap::new();
        for release in carried.releases() {
            for listed in release.files.keys().filter_map(|file| release.listed(file, known)) {
                if let Some(address) = &listed.provenance {
                    let (name, sha256) = (listed.name.clone(), sha256(listed));
                    wanted.insert(address.clone(), (release.repository.clone(), name, sha256));
                }
            }
        }
        let fetches = wanted.into_iter().map(|(address, (repository, name, sha256))| async move {
            let proven = self.provenance(&address, &repository, &name, sha256).await?;
            Ok::<_, Problem>((address, proven))
        });
        let mut fetches = pin!(futures_util::stream::iter(fetches).buffer_unordered(AT_ONCE));
        while let Some((address, proven)) = fetches.try_next().await? {
            known.provenances.extend(proven.map(|proven| (address, proven)));
        }
        Ok(())
    }

    async fn provenance(
        &self,
        address: &str,
        repository: &str,
        file: &str,
        sha256: Option<BlobKey>,
    ) -> Result<Option<Proven>, Problem> {
        let Ok(url) = Url::parse(address) else { return Ok(None) };
        let access = self.indexes.let_in(url, Some(repository));
        let request = MetadataRequest { access, accept: "", limit: LARGEST_METADATA, fresh: false };
        let Some(document) = self.context.metadata(&request).await? else { return Ok(None) };
        let bad = |why: &str| refused(file, why).at(address);
        let provenance = Provenance::read(&document.bytes).map_err(|why| bad(&why))?;
        let attested = match sha256 {
            Some(sha256) if !self.roots.is_empty() => {
                provenance.verify(file, &sha256, &self.roots).map_err(|fault| bad(&fault.to_string()))?
            }
            _ => Vec::new(),
        };
        let size = document.bytes.len() as u64;
        Ok(Some(Proven { key: self.context.keep(document.bytes).await?, size, attested }))
    }
}

/// What a release says of who published it, and of what nobody published; nothing, if it carries no attestations and was
/// not built.
pub(super) fn shown(artifact: &Artifact) -> Option<String> {
    if artifact.schema != SCHEMA {
        return None;
    }
    let facts = Facts::of(artifact).ok()?;
    let mut says: Vec<String> =
        facts.files.iter().filter_map(|(name, file)| Some(file.built.as_ref()?.says(name))).collect();
    let attested: BTreeSet<&Attested> = facts.files.values().flat_map(|file| &file.attested).collect();
    if !attested.is_empty() {
        says.push(attested::said(attested));
    } else if artifact.files.iter().any(|file| file.role == PROVENANCE) {
        says.push("has attestations, which nobody verified outside".to_owned());
    }
    (!says.is_empty()).then(|| format!("{}, {}", artifact.version, says.join("; ")))
}

/// Holds the attestations of a bundle against the roots that are pinned at this side.
pub(super) struct Publishers<'a> {
    context: &'a dyn AdmitContext,
    roots: Roots,
    /// What was found, by repository and project.
    found: BTreeMap<(String, String), Vec<String>>,
}

impl<'a> Publishers<'a> {
    /// Reads whom this side believes; nothing is looked at where it pins nobody.
    ///
    /// # Errors
    /// If a file of roots cannot be read.
    pub(super) fn begin(context: &'a dyn AdmitContext) -> Result<Option<Box<dyn Together + 'a>>, Problem> {
        let mut roots = Roots::default();
        for (path, bytes) in context.keyrings(&["json"])? {
            let read = Roots::read(&bytes);
            roots.extend(read.map_err(|fault| attested::unreadable(&path, ROOT, &fault))?);
        }
        if roots.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Publishers { context, roots, found: BTreeMap::new() })))
    }
}

impl Together for Publishers<'_> {
    fn first(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        if artifact.schema != SCHEMA {
            return Ok(());
        }
        let mut attested = BTreeSet::new();
        for proof in artifact.files.iter().filter(|file| file.role == PROVENANCE) {
            let of = proof.path.strip_suffix(PROVENANCE_END).unwrap_or_default();
            // That there is one was seen when the release was admitted by itself.
            let Some(file) = artifact.files.iter().find(|file| file.path == of) else { continue };
            let bytes = self.context.read(&proof.blob, LARGEST_METADATA)?;
            let provenance = Provenance::read(&bytes).map_err(|why| refused(of, &why))?;
            let verified = provenance.verify(of, &file.blob, &self.roots);
            attested.extend(verified.map_err(|fault| refused(of, &fault.to_string()))?);
        }
        if !attested.is_empty() {
            let key = (artifact.repository.clone(), artifact.name.clone());
            self.found.entry(key).or_default().push(format!(
                "{}, {}",
                artifact.version,
                attested::said(&attested)
            ));
        }
        Ok(())
    }

    fn second(&mut self, _artifact: &Artifact) -> Result<(), Problem> {
        Ok(())
    }

    fn verdicts(self: Box<Self>) -> Vec<Verdict> {
        let verdict = |((repository, name), found): ((String, String), Vec<String>)| Verdict {
            subject: format!("{repository} {name}"),
            is_proved: true,
            text: found.join("; "),
        };
        self.found.into_iter().map(verdict).collect()
    }
}
