//! The chain of root documents on disk: `trust/root-000001.json` and `.sig`, then `-000002` and so on.
//!
//! Each version is signed by the threshold of the one before it and by its own; the first must be signed by the
//! anchor, which is this home's own site key. Every version is verified again whenever the chain is opened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bundle_format::limits::{MAX_DOCUMENT, MAX_SIGNATURES};
use bundle_format::signature::{pae, parse_signatures};
use bundle_format::{PayloadType, SignatureLine};

use super::error::TrustError;
use super::files;
use super::key::PublicKey;
use super::root::{MAX_VERSION, Root};

/// The directory that holds the chain.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    directory: PathBuf,
}

impl Chain {
    pub(super) fn new(directory: PathBuf) -> Chain {
        Chain { directory }
    }

    /// The newest version, after every one of them was verified; `None` if there is no chain.
    ///
    /// # Errors
    /// If a version is missing, damaged or not signed as it must be: half a chain is not trusted.
    pub(super) fn load(&self, anchor: Option<&PublicKey>) -> Result<Option<Root>, TrustError> {
        let Some(newest) = self.newest()? else { return Ok(None) };
        let anchor = anchor.ok_or_else(|| {
            self.damaged(1, "the site's key, which must have signed it, is missing from the directory `keys`")
        })?;
        let mut head: Option<Root> = None;
        for version in 1..=newest {
            let bytes = self.read(version, "json", MAX_DOCUMENT)?;
            let signatures = self.read(version, "sig", MAX_SIGNATURES)?;
            let lines = parse_signatures(&signatures).map_err(|reason| self.damaged(version, reason))?;
            let next = match &head {
                None => first(&bytes, &lines, anchor),
                Some(head) => update(head, &bytes, &lines),
            };
            head = Some(next.map_err(|reason| self.damaged(version, reason))?);
        }
        Ok(head)
    }

    /// Writes the version after `head`, durably. The caller holds the lock of the directory.
    ///
    /// # Errors
    /// If it does not follow `head` by the rules, or cannot be written.
    pub(super) fn append(
        &self,
        head: Option<&Root>,
        anchor: &PublicKey,
        bytes: &[u8],
        signatures: &[u8],
    ) -> Result<Root, TrustError> {
        let checked = parse_signatures(signatures).and_then(|lines| match head {
            None => first(bytes, &lines, anchor),
            Some(head) => update(head, bytes, &lines),
        });
        let root = checked.map_err(TrustError::RootRefused)?;
        // The signatures first: a version exists from the moment that its document does.
        for (extension, bytes) in [("sig", signatures), ("json", bytes)] {
            let path = self.path(root.version, extension);
            files::replace(&path, bytes, 0o644).map_err(TrustError::io("write", &path))?;
        }
        Ok(root)
    }

    /// The highest version that has a document.
    fn newest(&self) -> Result<Option<u64>, TrustError> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TrustError::io("read", &self.directory)(error)),
        };
        let mut newest = None;
        for entry in entries {
            let name = entry.map_err(TrustError::io("read", &self.directory))?.file_name();
            let name = name.to_string_lossy();
            let digits = name.strip_prefix("root-").and_then(|rest| rest.strip_suffix(".json"));
            let version = digits.filter(|digits| digits.len() == 6).and_then(|digits| digits.parse().ok());
            newest = newest.max(version.filter(|version| (1..=MAX_VERSION).contains(version)));
        }
        Ok(newest)
    }

    fn read(&self, version: u64, extension: &str, limit: u64) -> Result<Vec<u8>, TrustError> {
        let path = self.path(version, extension);
        files::read(&path, limit).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => self.damaged(version, format!("{} is missing", path.display())),
            _ => TrustError::io("read", &path)(error),
        })
    }

    fn path(&self, version: u64, extension: &str) -> PathBuf {
        self.directory.join(format!("root-{version:06}.{extension}"))
    }

    fn damaged(&self, version: u64, reason: impl Into<String>) -> TrustError {
        TrustError::DamagedChain { place: self.path(version, "json"), reason: reason.into() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Checks a first version: signed by its own threshold and by the anchor.
fn first(bytes: &[u8], lines: &[SignatureLine], anchor: &PublicKey) -> Result<Root, String> {
    let root = Root::from_bytes(bytes)?;
    if root.version != 1 {
        return Err(format!("version {} stands where version 1 must", root.version));
    }
    let signers = verified(bytes, lines, &[&root])?;
    if !signers.contains(anchor.id()) || root.principal_of(anchor.id()).is_none_or(|(_, key)| key != anchor) {
        return Err("it is not signed by this home's site key".to_owned());
    }
    if !root.root_threshold_met(&signers) {
        return Err("too few of those who may sign it did".to_owned());
    }
    Ok(root)
}

/// Checks that a document may follow `head`: the next version, signed by the old and by the new threshold.
fn update(head: &Root, bytes: &[u8], lines: &[SignatureLine]) -> Result<Root, String> {
    let root = Root::from_bytes(bytes)?;
    if root.version != head.version + 1 {
        return Err(format!("version {} cannot follow version {}", root.version, head.version));
    }
    if root.epoch < head.epoch {
        return Err(format!("epoch {} cannot follow epoch {}", root.epoch, head.epoch));
    }
    let signers = verified(bytes, lines, &[head, &root])?;
    if !head.root_threshold_met(&signers) {
        return Err("too few of those who could sign after the version before did".to_owned());
    }
    if !root.root_threshold_met(&signers) {
        return Err("too few of those who may sign it did".to_owned());
    }
    Ok(root)
}

/// The keys that signed, of those that `roots` know. Every line by a known key must verify.
fn verified<'a>(
    bytes: &[u8],
    lines: &'a [SignatureLine],
    roots: &[&Root],
) -> Result<BTreeSet<&'a str>, String> {
    let encoding = pae(PayloadType::Root, bytes);
    let mut signers = BTreeSet::new();
    for line in lines {
        let Some((_, key)) = roots.iter().find_map(|root| root.principal_of(&line.key_id)) else { continue };
        if !key.verifies(&encoding, &line.signature) {
            return Err(format!("the signature of {} does not verify", line.key_id));
        }
        signers.insert(line.key_id.as_str());
    }
    Ok(signers)
}
