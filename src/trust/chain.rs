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
use super::key::PublicKey;
use super::root::{MAX_VERSION, Root};
use crate::fsx;

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
            fsx::replace_file(&path, bytes).map_err(TrustError::io("write", &path))?;
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
        let bytes = fsx::read_limited(&path, limit).map_err(TrustError::io("read", &path))?;
        bytes.ok_or_else(|| self.damaged(version, format!("{} is missing", path.display())))
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

#[cfg(test)]
mod tests {
    use bundle_format::signature::write_signatures;

    use super::*;
    use crate::trust::root::{Principal, Role};
    use crate::trust::signer::KeySigner;
    use crate::trust::testing::{self, ed25519, principal};

    const ROOT: &[(Role, &[&str])] = &[(Role::Root, &["*"])];

    /// A chain of three versions in a directory of its own: the site alone, the site and Bob, and again.
    struct Fixture {
        _directory: tempfile::TempDir,
        chain: Chain,
        site: KeySigner,
        bob: KeySigner,
        head: Root,
    }

    fn version(number: u64, principals: Vec<Principal>, threshold: u64) -> Root {
        let mut root = testing::root(principals);
        root.version = number;
        root.thresholds.insert(Role::Root, [("*".to_owned(), threshold)].into());
        root
    }

    fn signed(root: &Root, kind: PayloadType, signers: &[&KeySigner]) -> (Vec<u8>, Vec<u8>) {
        let bytes = root.to_bytes().unwrap();
        let signatures = write_signatures(testing::lines(kind, &bytes, signers)).unwrap();
        (bytes, signatures)
    }

    impl Fixture {
        fn new() -> Fixture {
            let directory = tempfile::tempdir().unwrap();
            let chain = Chain::new(directory.path().to_owned());
            let (site, bob) = (ed25519(), ed25519());
            let alone = vec![principal("site", &[&site], ROOT)];
            let both = vec![principal("bob", &[&bob], ROOT), principal("site", &[&site], ROOT)];
            let head = version(1, alone, 1);
            let mut fixture = Fixture { _directory: directory, chain, site, bob, head: head.clone() };
            let append = |fixture: &Fixture, head: Option<&Root>, next: &Root| {
                let (bytes, signatures) = signed(next, PayloadType::Root, &[&fixture.site, &fixture.bob]);
                fixture.chain.append(head, fixture.site.public(), &bytes, &signatures).unwrap()
            };
            let first = append(&fixture, None, &head);
            let second = append(&fixture, Some(&first), &version(2, both.clone(), 2));
            fixture.head = append(&fixture, Some(&second), &version(3, both, 2));
            fixture
        }

        fn load(&self) -> Result<Option<Root>, TrustError> {
            self.chain.load(Some(self.site.public()))
        }

        fn append(&self, next: &Root, signers: &[&KeySigner]) -> Result<Root, TrustError> {
            let (bytes, signatures) = signed(next, PayloadType::Root, signers);
            self.chain.append(Some(&self.head), self.site.public(), &bytes, &signatures)
        }

        fn next(&self) -> Root {
            Root { version: 4, ..self.head.clone() }
        }
    }

    fn is_damaged(loaded: Result<Option<Root>, TrustError>) -> bool {
        matches!(loaded, Err(TrustError::DamagedChain { .. }))
    }

    #[test]
    fn the_newest_version_of_a_whole_chain_holds() {
        let fixture = Fixture::new();
        assert_eq!(fixture.load().unwrap().unwrap(), fixture.head);
        let empty = tempfile::tempdir().unwrap();
        for directory in [empty.path().to_owned(), empty.path().join("none")] {
            assert!(Chain::new(directory).load(None).unwrap().is_none());
        }
        // A signature whose document was never written is no version.
        fixture.append(&fixture.next(), &[&fixture.site, &fixture.bob]).unwrap();
        assert!(fsx::remove(&fixture.chain.path(4, "json")).unwrap());
        assert_eq!(fixture.load().unwrap().unwrap(), fixture.head);
    }

    #[test]
    fn a_chain_that_lacks_a_file_is_damaged() {
        for number in 1..=3 {
            for extension in ["json", "sig"] {
                let fixture = Fixture::new();
                assert!(fsx::remove(&fixture.chain.path(number, extension)).unwrap());
                // Without its document the newest version is none: the one before it is whole.
                let whole = number == 3 && extension == "json";
                assert_eq!(is_damaged(fixture.load()), !whole, "{number} {extension}");
            }
        }
    }

    #[test]
    fn every_altered_byte_is_damage() {
        let fixture = Fixture::new();
        let mut tried = 0;
        for (number, extension) in [(1, "json"), (2, "json"), (3, "json"), (1, "sig"), (3, "sig")] {
            let path = fixture.chain.path(number, extension);
            let good = std::fs::read(&path).unwrap();
            // Both lines of a signature file are needed from version 2 on; of the first, Bob's is a stranger's.
            let needed =
                if (number, extension) == (1, "sig") { own_line(&good, &fixture) } else { 0..good.len() };
            for at in needed.step_by(3) {
                let mut bad = good.clone();
                bad[at] ^= 1;
                fsx::replace_file(&path, &bad).unwrap();
                assert!(is_damaged(fixture.load()), "byte {at} of {}", path.display());
                tried += 1;
            }
            fsx::replace_file(&path, &good).unwrap();
        }
        assert!(tried > 500, "{tried}");
        assert!(fixture.load().is_ok());
    }

    #[test]
    fn a_chain_of_somebody_else_is_damaged() {
        let (ours, theirs) = (Fixture::new(), Fixture::new());
        assert!(is_damaged(ours.chain.load(Some(theirs.site.public()))));
        assert!(is_damaged(ours.chain.load(None)));
    }

    #[test]
    fn an_update_needs_the_old_threshold_and_the_new_one() {
        let fixture = Fixture::new();
        let (site, bob, eve) = (&fixture.site, &fixture.bob, ed25519());
        assert!(fixture.append(&fixture.next(), &[site]).is_err());
        assert!(fixture.append(&fixture.next(), &[bob]).is_err());
        assert!(fixture.append(&fixture.next(), &[site, &eve]).is_err());
        // Eve takes over, and then Eve joins and is needed.
        let mut taken = fixture.next();
        taken.principals = vec![principal("eve", &[&eve], ROOT)];
        taken.thresholds.clear();
        assert!(fixture.append(&taken, &[&eve]).is_err());
        assert!(fixture.append(&taken, &[site, bob]).is_err());
        let mut joined = fixture.next();
        joined.principals.insert(1, principal("eve", &[&eve], ROOT));
        joined.thresholds.insert(Role::Root, [("*".to_owned(), 3)].into());
        assert!(fixture.append(&joined, &[site, bob]).is_err());
        assert!(fixture.append(&joined, &[site, bob, &eve]).is_ok());
        assert_eq!(fixture.load().unwrap().unwrap(), joined);
    }

    #[test]
    fn versions_and_epochs_never_go_back() {
        let fixture = Fixture::new();
        let both = [&fixture.site, &fixture.bob];
        for number in [1, 2, 3, 5, 999_999] {
            let stale = Root { version: number, ..fixture.next() };
            assert!(fixture.append(&stale, &both).is_err(), "{number}");
        }
        let opened = Root { epoch: 2, ..fixture.next() };
        let head = fixture.append(&opened, &both).unwrap();
        let (bytes, signatures) =
            signed(&Root { version: 5, epoch: 1, ..head.clone() }, PayloadType::Root, &both);
        assert!(fixture.chain.append(Some(&head), fixture.site.public(), &bytes, &signatures).is_err());
    }

    #[test]
    fn a_signature_of_another_document_type_is_none() {
        let fixture = Fixture::new();
        let both = [&fixture.site, &fixture.bob];
        for kind in [PayloadType::Snapshot, PayloadType::Approval, PayloadType::Receipt] {
            let (bytes, signatures) = signed(&fixture.next(), kind, &both);
            let site = fixture.site.public();
            assert!(fixture.chain.append(Some(&fixture.head), site, &bytes, &signatures).is_err());
        }
    }

    fn own_line(file: &[u8], fixture: &Fixture) -> std::ops::Range<usize> {
        let text = std::str::from_utf8(file).unwrap();
        let start = text.find(fixture.site.public().id()).unwrap();
        start..start + text[start..].find('\n').unwrap()
    }
}
