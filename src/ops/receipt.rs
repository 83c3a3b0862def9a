//! Receipts: what a site says that it has, signed by the site, so that the next bundle is an exact delta.
//!
//! A receipt is a text: its name and version, one line of canonical JSON, the lines of its signatures, and, where it lists
//! blobs, an empty line and their keys in order, in hex. Without the list it says which snapshots the site has whole, and
//! whoever made those knows the blobs.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::signature::{PayloadType, pae, parse_signatures, sign};
use bundle_format::{BlobHasher, BlobKey, Signer, canonical};
use serde::{Deserialize, Serialize};

use super::at_site;
use crate::cancel::Cancel;
use crate::clock;
use crate::events::Events;
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::{AuditEntry, Change, ChangeSet, Generation, Layout, Precondition, Store};
use crate::trust::{PublicKey, SITE_KEY, Trust};

/// How a receipt begins.
const HEAD: &str = "aftk receipt 1";
/// The largest receipt in bytes: one of four million blobs.
const LARGEST: u64 = 300 * 1024 * 1024;
/// The longest first lines.
const LARGEST_DOCUMENT: usize = 1024 * 1024;
/// How long gc leaves alone what a receipt promised, in seconds: until the bundle that relies on it has come.
const LEASE: u64 = 200 * 24 * 60 * 60;
/// What the numbers of receipts leave out where the log may have lost some: more than anybody writes between two backups.
const LEAP: u64 = 1_000_000;
/// How many blobs are claimed, or rows read, at once.
const BATCH: usize = 1_000;

/// What a site says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The site, by the name that it gave itself.
    pub site: String,
    /// The site's public key: SPKI, base64.
    pub key: String,
    /// Counts up: an older one says less than the site has.
    pub number: u64,
    /// When it was written.
    pub issued: String,
    /// The snapshots that the site has whole, by channel: the newest of each; without a list of blobs, the one that lists most.
    pub channels: BTreeMap<String, Holding>,
    /// What is listed of its blobs, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobs: Option<Listing>,
}

/// How far a site is with a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The epoch.
    pub epoch: u64,
    /// The sequence.
    pub sequence: u64,
    /// The digest of the snapshot.
    pub snapshot: BlobKey,
}

/// The list of blobs behind a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// How many.
    pub count: u64,
    /// The sha256 of the list: 65 bytes for each, its hex digits and a line feed.
    pub digest: BlobKey,
}

/// A receipt that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptReport {
    /// What it says.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// The text.
    pub text: String,
}

/// Writes a receipt for everything that is visible, and keeps what it promises from gc for 200 days. A `short` one lists no
/// blobs.
///
/// # Errors
/// Usage, if this side has no key of its own yet, or the name is none.
pub fn issue(
    store: &Store,
    trust: &Trust,
    site: &str,
    short: bool,
    cancel: &Cancel,
) -> Result<ReceiptReport, Problem> {
    if !bundle_format::document::is_name(site) {
        return Err(Problem::new(Kind::Usage, "receipt.site", format!("{site:?} cannot name a site"))
            .hint("lower-case letters, digits, `.`, `_` and `-`, at most 64"));
    }
    let signer = trust.signer(SITE_KEY, None).map_err(|error| {
        Problem::from(error).hint("a site gets its key when it trusts somebody: `aftk key trust`")
    })?;
    let mut keys = HashSet::new();
    let mut channels = BTreeMap::new();
    for channel in store.catalogue.channels()? {
        let mut most = 0;
        for entry in store.catalogue.snapshots(&channel.name)? {
            // What was packed here says nothing that those who brought it do not.
            if entry.generation == Generation::NONE {
                continue;
            }
            let mut of_snapshot = HashSet::new();
            at_site::listed(&entry, store, &mut of_snapshot)?;
            // Of an older one some may be gone; it is said only of what is whole.
            if all_held(&of_snapshot, store)? {
                let (epoch, sequence, snapshot) = (entry.epoch, entry.sequence, entry.snapshot);
                // Where nothing else says what is held, a patch of one file must not stand for all of it.
                if !short || of_snapshot.len() >= most {
                    most = of_snapshot.len();
                    channels.insert(channel.name.clone(), Holding { epoch, sequence, snapshot });
                }
                keys.extend(of_snapshot);
            }
            cancel.check()?;
        }
    }
    let mut cursor = None;
    loop {
        let page = store.catalogue.list(cursor.as_ref(), BATCH)?;
        let Some(last) = page.last() else { break };
        cursor = Some(last.cursor.clone());
        for file in page.iter().flat_map(|listed| &listed.linked.artifact.files) {
            if store.blobs.size(&file.blob)? == Some(file.size) {
                keys.insert(file.blob);
            }
        }
        cancel.check()?;
    }
    let mut keys: Vec<BlobKey> = keys.into_iter().collect();
    keys.sort_unstable();
    let session = store.catalogue.open_session(LEASE)?;
    keys.chunks(BATCH).try_for_each(|batch| store.catalogue.claim(session, batch))?;

    let listing = (!short).then(|| {
        let mut hasher = BlobHasher::default();
        keys.iter().for_each(|key| hasher.update(format!("{}\n", key.hex()).as_bytes()));
        Listing { count: keys.len() as u64, digest: hasher.finish() }
    });
    let receipt = Receipt {
        site: site.to_owned(),
        key: STANDARD.encode(signer.public().spki()),
        number: numbered(store)?,
        issued: clock::now_text(),
        channels,
        blobs: listing,
    };
    let unwritable = |error: &dyn std::error::Error| {
        Problem::new(Kind::Failed, "receipt.unwritable", "the receipt cannot be written").caused_by(error)
    };
    let document = canonical::to_bytes(&receipt).map_err(|error| unwritable(&error))?;
    let signers: [&dyn Signer; 1] = [&signer];
    let signatures = sign(PayloadType::Receipt, &document, &signers).map_err(|error| unwritable(&error))?;
    let mut text = format!("{HEAD}\n{}\n", String::from_utf8_lossy(&document));
    text.push_str(&String::from_utf8_lossy(&signatures));
    if !short {
        text.push('\n');
        keys.iter().for_each(|key| {
            text.push_str(&key.hex());
            text.push('\n');
        });
    }
    let subject = BTreeMap::from([
        ("number".to_owned(), receipt.number.to_string()),
        ("site".to_owned(), site.to_owned()),
        ("blobs".to_owned(), keys.len().to_string()),
    ]);
    let entry = AuditEntry { time: clock::now_text(), action: "receipt".to_owned(), subject };
    store.catalogue.commit(&ChangeSet { changes: vec![Change::Audit(entry)] }, &Precondition::None)?;
    Ok(ReceiptReport { receipt, text })
}

/// A number that is higher than all before: the log only grows, and where a copy or a new one took its place it says so.
fn numbered(store: &Store) -> Result<u64, Problem> {
    let (mut from, mut number) = (0, 1);
    loop {
        let page = store.catalogue.audit(from, BATCH)?;
        if page.is_empty() {
            return Ok(number);
        }
        from += page.len() as u64;
        let step = |(entry, _): &(AuditEntry, BlobKey)| match entry.action.as_str() {
            "receipt" => 1,
            "recovered" | "catalogue-rebuilt" => LEAP,
            _ => 0,
        };
        number += page.iter().map(step).sum::<u64>();
    }
}

fn all_held(keys: &HashSet<BlobKey>, store: &Store) -> Result<bool, Problem> {
    for key in keys {
        if store.blobs.size(key)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The sites whose receipts were believed, with their keys.
pub struct Pins {
    directory: PathBuf,
}

/// What is remembered of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pin {
    key: String,
    number: u64,
}

impl Pins {
    /// Those of a home.
    pub fn of(home: &Path) -> Pins {
        Pins { directory: Layout::new(home).sites() }
    }

    /// Believes a receipt's key if the site had none before, or this one; and no older number than was seen.
    fn check(&self, receipt: &Receipt, path: &Path, events: &dyn Events) -> Result<(), Problem> {
        let file = self.directory.join(format!("{}.json", receipt.site));
        let failed = |error: &dyn std::error::Error| {
            Problem::new(Kind::Failed, "receipt.pins", format!("cannot keep {}", file.display()))
                .caused_by(error)
        };
        let known: Option<Pin> = match std::fs::read(&file) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| failed(&error))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&error)),
        };
        match &known {
            Some(pin) if pin.key != receipt.key => {
                let message = format!("the site {} signed with another key than before", receipt.site);
                return Err(Problem::new(Kind::Refused, "receipt.other-key", message)
                    .at(path.display())
                    .hint(format!(
                        "if the site has a new key, remove {} and give the receipt again",
                        file.display()
                    )));
            }
            Some(pin) if pin.number > receipt.number => {
                let message = format!(
                    "this is receipt {} of the site {}, and number {} was here already",
                    receipt.number, receipt.site, pin.number
                );
                return Err(Problem::new(Kind::Stale, "receipt.old", message)
                    .at(path.display())
                    .hint("give the newest one: since then the site may have freed what this one lists"));
            }
            None => {
                let message =
                    format!("{} is believed from now on: site {}", short_key(&receipt.key), receipt.site);
                events.warn("receipt.pinned", message);
            }
            _ => {}
        }
        let pin = Pin { key: receipt.key.clone(), number: receipt.number };
        if known.as_ref() != Some(&pin) {
            fsx::create_directory(&self.directory, fsx::Access::Private).map_err(|error| failed(&error))?;
            let bytes = serde_json::to_vec(&pin).map_err(|error| failed(&error))?;
            fsx::replace_file(&file, &bytes).map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

fn short_key(key: &str) -> String {
    let spki = STANDARD.decode(key).unwrap_or_default();
    PublicKey::from_spki(&spki).map(|key| key.id().to_owned()).unwrap_or_default()
}

/// What the site has by its receipt: the blobs that it lists, else those of the snapshots that it has.
///
/// # Errors
/// Untrusted, if it is not what it was when the site signed it; refused for another key than before; stale, if a newer one
/// was seen; usage, if it is none, or names snapshots that are not known here.
pub(super) fn held(
    path: &Path,
    store: &Store,
    pins: &Pins,
    events: &dyn Events,
) -> Result<HashSet<BlobKey>, Problem> {
    let (receipt, list) = read(path)?;
    pins.check(&receipt, path, events)?;
    let mut keys = HashSet::new();
    if let Some(list) = list {
        keys.extend(list);
        return Ok(keys);
    }
    for (channel, holding) in &receipt.channels {
        let known = store.catalogue.snapshots(channel)?;
        match known.iter().find(|entry| entry.snapshot == holding.snapshot) {
            Some(entry) => at_site::listed(entry, store, &mut keys)?,
            // What somebody else collected for the site is none of this side's business.
            None => events.warn(
                "receipt.unknown-snapshot",
                format!(
                    "{}: {channel} {} was not made here, and is not counted",
                    path.display(),
                    holding.sequence
                ),
            ),
        }
    }
    Ok(keys)
}

/// Reads a receipt and verifies its signature by the key that it names.
fn read(path: &Path) -> Result<(Receipt, Option<Vec<BlobKey>>), Problem> {
    let unusable = |kind: Kind, why: String| {
        Problem::new(kind, "receipt.unreadable", "this is no receipt").at(path.display()).because(why)
    };
    let file = fsx::open_regular(path).map_err(|error| unusable(Kind::Usage, error.to_string()))?;
    let length = file.metadata().map_err(|error| unusable(Kind::Usage, error.to_string()))?.len();
    if length > LARGEST {
        return Err(unusable(Kind::Usage, format!("it has {length} bytes")));
    }
    let text = std::io::read_to_string(file).map_err(|error| unusable(Kind::Usage, error.to_string()))?;
    let broken = |why: &str| unusable(Kind::Untrusted, why.to_owned());
    let (papers, list) = match text.split_once("\n\n") {
        Some((papers, list)) => (format!("{papers}\n"), Some(list)),
        None => (text.clone(), None),
    };
    let mut lines = papers.splitn(3, '\n');
    let (head, document, signatures) = (lines.next(), lines.next(), lines.next());
    if head != Some(HEAD) {
        return Err(unusable(Kind::Usage, format!("it does not begin with {HEAD:?}")));
    }
    let document = document.filter(|document| document.len() <= LARGEST_DOCUMENT);
    let (Some(document), Some(signatures)) = (document, signatures) else {
        return Err(broken("it is cut off"));
    };
    let receipt: Receipt =
        canonical::from_bytes(document.as_bytes()).map_err(|error| broken(&error.to_string()))?;
    if !bundle_format::document::is_name(&receipt.site) {
        return Err(broken("the site has no name"));
    }
    let spki = STANDARD.decode(&receipt.key).map_err(|error| broken(&error.to_string()))?;
    let key = PublicKey::from_spki(&spki).map_err(|error| broken(&error.to_string()))?;
    let signed = parse_signatures(signatures.as_bytes()).map_err(|why| broken(&why))?;
    let encoded = pae(PayloadType::Receipt, document.as_bytes());
    let is_signed =
        signed.iter().any(|line| line.key_id == key.id() && key.verifies(&encoded, &line.signature));
    if !is_signed {
        return Err(broken("it is not what the site signed"));
    }
    let list = match (&receipt.blobs, list) {
        (None, None) => None,
        (Some(listing), Some(list)) if BlobKey::of(list.as_bytes()) == listing.digest => {
            let keys = list.lines().map(BlobKey::from_hex).collect::<Result<Vec<_>, _>>();
            Some(keys.map_err(|error| broken(&error.to_string()))?)
        }
        _ => return Err(broken("its list of blobs is not the one that was signed")),
    };
    Ok((receipt, list))
}
