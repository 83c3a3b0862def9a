//! What refers to a manifest, where a registry does not find that out by itself: a list under a tag (distribution
//! specification, "Referrers Tag Schema").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::manifest::{LARGEST, OCI_INDEX};
use super::plan::Image;
use super::registry::Repository;
use crate::ecosystem::MetadataRequest;
use crate::problem::{Kind, Problem};

/// The most pages of what refers to one manifest.
const PAGES: usize = 1000;

impl Repository<'_> {
    /// Sees to it that everything pushed that refers to something is found from there. The tags that were written.
    ///
    /// # Errors
    /// If the registry refuses a list.
    pub(super) async fn list_referrers(
        &self,
        pushed: &BTreeMap<&Digest, &Arc<Image>>,
    ) -> Result<BTreeSet<String>, Problem> {
        let mut about: BTreeMap<&Digest, Vec<&Image>> = BTreeMap::new();
        for image in pushed.values() {
            if let Some(subject) = &image.subject {
                about.entry(subject).or_default().push(image);
            }
        }
        let mut written = BTreeSet::new();
        if self.target.order.dry_run {
            return Ok(written);
        }
        for (subject, images) in about {
            let found = self.found_by_itself(subject).await?;
            if images.iter().any(|image| !found.contains(&image.digest.to_string())) {
                written.insert(self.list_under_tag(subject, &images).await?);
            }
        }
        Ok(written)
    }

    /// What the registry itself says to refer to a manifest; nothing if it has no API for it.
    async fn found_by_itself(&self, subject: &Digest) -> Result<BTreeSet<String>, Problem> {
        let mut access = self.access(&format!("referrers/{subject}")).await?;
        let mut found = BTreeSet::new();
        for _ in 0..PAGES {
            let request =
                MetadataRequest { access: access.clone(), accept: OCI_INDEX, limit: LARGEST, fresh: true };
            let page = match self.target.context.machine().page(&request).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(problem) if super::super::asking::is_denied(&problem) => break,
                Err(problem) => return Err(problem),
            };
            let before = found.len();
            found.extend(digests(&page.bytes));
            match page.next {
                Some(next) if found.len() > before => access.url = next,
                _ => break,
            }
        }
        Ok(found)
    }

    /// Writes the list for a manifest: what it has, and what is new.
    async fn list_under_tag(&self, subject: &Digest, images: &[&Image]) -> Result<String, Problem> {
        let tag = subject.to_string().replacen(':', "-", 1);
        let there = self.manifest(&tag).await?.map(|document| document.bytes);
        let listed = there.as_ref().map(|bytes| digests(bytes)).unwrap_or_default();
        let mut entries = there.as_deref().and_then(entries).unwrap_or_default();
        let before = entries.len();
        entries.extend(
            images
                .iter()
                .filter(|image| !listed.contains(&image.digest.to_string()))
                .map(|image| image.descriptor.clone()),
        );
        if entries.len() == before {
            return Ok(tag);
        }
        let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string();
        if list.len() as u64 > LARGEST {
            let message = format!("more refers to {subject} than one list can have");
            return Err(Problem::new(Kind::Failed, "oci.too-much", message).at(&self.name));
        }
        let digest = Digest::from(BlobKey::of(list.as_bytes()));
        self.put_manifest(&tag, Bytes::from(list), OCI_INDEX, &digest).await?;
        Ok(tag)
    }
}

/// The entries of a list, as they are.
fn entries(bytes: &[u8]) -> Option<Vec<Value>> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    match document.get_mut("manifests")?.take() {
        Value::Array(entries) => Some(entries),
        _ => None,
    }
}

fn digests(bytes: &[u8]) -> BTreeSet<String> {
    let entries = entries(bytes).unwrap_or_default();
    entries.iter().filter_map(|entry| Some(entry.get("digest")?.as_str()?.to_owned())).collect()
}
