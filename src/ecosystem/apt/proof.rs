//! Whether upstream ever published what a bundle brings: its signature on a Release, the Release's digests of indices, and
//! the stanzas in these. All of it is carried as evidence, and held against keyrings that were pinned at this side.
//!
//! A keyring that is called like a repository (`debian.asc`) makes a proof a condition for it. Those of other names prove
//! what they can; what remains unproved is taken in on the word of who signed the bundle, and that is said.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use bundle_format::{Artifact, BlobHasher, BlobKey};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::admit::untrusted;
use super::deb;
use super::deb822::Stanza;
use super::index::Index;
use super::keys::ENDINGS;
use super::release::{self, Listed, Release};
use super::source::evidence_name_of;
use super::{EVIDENCE, SCHEMA};
use crate::ecosystem::{AdmitContext, Together, Verdict};
use crate::problem::Problem;
use crate::protocol::openpgp::{self, Fault, Keyring};

/// The largest Release or signature that is read, in bytes.
const LARGEST: u64 = 16 << 20;
/// The most stanzas that all indices of a bundle may have: 32 bytes are kept of each.
const MOST_STANZAS: usize = 5_000_000;

/// The proof of the packages of one bundle.
pub(super) struct Proving<'a> {
    context: &'a dyn AdmitContext,
    /// By repository.
    pinned: BTreeMap<String, Keyring>,
    any: Keyring,
    suites: BTreeMap<(String, String), Suite>,
    stanzas: HashSet<BlobKey>,
}

/// What is known of a suite.
#[derive(Default)]
struct Suite {
    /// Who signed it, by their fingerprints; or why that is not known here.
    signed: Option<Result<Vec<String>, String>>,
    /// How many packages are in none of its indices, and the first of them.
    unlisted: u64,
    example: String,
}

impl<'a> Proving<'a> {
    /// Reads the keyrings that are pinned here.
    pub(super) fn begin(context: &'a dyn AdmitContext) -> Result<Proving<'a>, Problem> {
        let (mut pinned, mut any) = (BTreeMap::<String, Keyring>::new(), Keyring::default());
        for (path, bytes) in context.keyrings(ENDINGS)? {
            let keyring = super::keys::read(&bytes, &path)?;
            any.extend(keyring.clone());
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            pinned.entry(name).or_default().extend(keyring);
        }
        Ok(Proving { context, pinned, any, suites: BTreeMap::new(), stanzas: HashSet::new() })
    }

    /// Takes in what proves a suite.
    fn believe(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        let wrong = |why: &str| untrusted(artifact, why);
        let read = |role: &str| -> Result<Option<Bytes>, Problem> {
            let file = artifact.files.iter().find(|file| file.role == role);
            file.map(|file| self.context.read(&file.blob, LARGEST)).transpose()
        };
        let attribute = |name: &str| artifact.attributes.get(name).and_then(Value::as_str);
        let now = release::now();
        // As of when it was looked at outside: Debian's own suites of former times are signed with keys that expired since.
        let observed = attribute("observed_at").and_then(|text| text.parse::<Timestamp>().ok());
        let observed = observed.unwrap_or(now).min(now);
        let must = self.pinned.get(&artifact.repository);
        let keys = must.unwrap_or(&self.any);
        let (text, signed) = match (read("inrelease")?, read("release")?, read("signature")?) {
            (Some(inline), ..) => {
                let text = openpgp::unverified(&inline).map_err(|fault| wrong(&fault.to_string()))?;
                (text, openpgp::verify_inline(&inline, keys, observed).map(|(_, signers)| signers))
            }
            (None, Some(text), Some(signature)) => {
                (text.to_vec(), openpgp::verify_detached(&text, &signature, keys, observed))
            }
            (None, Some(text), None) => {
                (text.to_vec(), Err(Fault::NotSigned(vec!["upstream has no signature".to_owned()])))
            }
            (None, None, _) => return Err(wrong("it has no Release")),
        };
        let signed = match signed {
            Ok(signers) => Ok(signers.into_iter().map(|signer| signer.certificate).collect::<Vec<_>>()),
            Err(Fault::NotSigned(reasons)) if must.is_none() => Err(match self.any.is_empty() {
                true => "no keyring is pinned in HOME/apt/keyrings".to_owned(),
                false => reasons.join("; "),
            }),
            Err(fault) => return Err(wrong(&fault.to_string())),
        };
        let release = release::read(&text, &artifact.name)?;
        if artifact.version != release.date.to_string() {
            return Err(wrong("its Release is of another date"));
        }
        self.list(artifact, &release)?;
        let key = (artifact.repository.clone(), artifact.name.clone());
        self.suites.entry(key).or_default().signed = Some(signed);
        Ok(())
    }

    /// Takes in the stanzas of the indices of a suite, which have to be those that its Release lists.
    fn list(&mut self, artifact: &Artifact, release: &Release) -> Result<(), Problem> {
        let wrong = |why: String| untrusted(artifact, &why);
        let names = artifact.attributes.get("files").and_then(Value::as_object);
        for (name, key) in names.into_iter().flatten() {
            let of_name = |file: &&bundle_format::File| key.as_str() == Some(&file.blob.to_string());
            let Some(file) = artifact.files.iter().filter(|file| file.role == "index").find(of_name) else {
                continue;
            };
            // The caller has held the file to the checksums that it lists.
            let is_it = |listed: &Listed| {
                let key = listed.digest.blob_key();
                let has_digest = key.map_or(file.checksums.contains(&listed.digest), |key| key == file.blob);
                has_digest && listed.size == file.size
            };
            let Some(listed) = release.files.get(name).cloned().filter(is_it) else {
                return Err(wrong(format!("its Release lists another {name}, or none")));
            };
            let index = Index::carried(name, listed, release);
            let mut stanzas = index.stanzas(self.context.open(&file.blob)?)?;
            let (component, kind) = of_index(name);
            while let Some(stanza) = stanzas.next().map_err(|error| index.damaged(&error))? {
                if self.stanzas.len() >= MOST_STANZAS {
                    return Err(wrong(format!("its indices have more than {MOST_STANZAS} packages")));
                }
                self.stanzas
                    .insert(mark([&artifact.repository, &artifact.name, component, kind], stanza.raw));
            }
        }
        Ok(())
    }
}

impl Together for Proving<'_> {
    fn first(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        if artifact.schema == EVIDENCE { self.believe(artifact) } else { Ok(()) }
    }

    fn second(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        if artifact.schema != SCHEMA {
            return Ok(());
        }
        let text = |name: &str| artifact.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
        let control = text("control").as_bytes();
        let kind = if text("architecture") == SOURCE { SOURCE } else { BINARY };
        if let (BINARY, [file]) = (kind, artifact.files.as_slice()) {
            let package = self.context.open(&file.blob)?;
            deb::must_agree(package, &Stanza::only(control)).map_err(|why| untrusted(artifact, &why))?;
        }
        let name = evidence_name_of(text("suite"));
        let is_listed =
            self.stanzas.contains(&mark([&artifact.repository, &name, text("component"), kind], control));
        let must = self.pinned.contains_key(&artifact.repository);
        if must && !is_listed {
            return Err(untrusted(
                artifact,
                "no index that its upstream signed has it, or the bundle brings none",
            ));
        }
        let suite = self.suites.entry((artifact.repository.clone(), name)).or_default();
        if !is_listed {
            suite.unlisted += 1;
            if suite.example.is_empty() {
                suite.example = format!("{} {}", artifact.name, artifact.version);
            }
        }
        Ok(())
    }

    fn verdicts(self: Box<Self>) -> Vec<Verdict> {
        let verdict = |((repository, name), suite): ((String, String), Suite)| {
            let (mut is_proved, mut text) = match suite.signed {
                Some(Ok(signers)) => (true, format!("signed by {}", signers.join(" "))),
                Some(Err(why)) => (false, format!("not verified here: {why}")),
                None => (false, "not verified here: the bundle brings nothing that proves it".to_owned()),
            };
            if suite.unlisted > 0 && is_proved {
                is_proved = false;
                text.push_str(&format!(
                    "; {} packages are in no index of it, such as {}",
                    suite.unlisted, suite.example
                ));
            }
            Verdict { subject: format!("{repository} {name}"), is_proved, text }
        };
        self.suites.into_iter().map(verdict).collect()
    }
}

const SOURCE: &str = "source";
const BINARY: &str = "binary";

/// The component and kind that an index is of: `main/binary-amd64/Packages.xz`.
fn of_index(path: &str) -> (&str, &'static str) {
    let kind =
        if Path::new(path).file_stem().is_some_and(|name| name == "Sources") || path.ends_with("Sources") {
            SOURCE
        } else {
            BINARY
        };
    let mut parts = path.rsplitn(3, '/');
    (parts.nth(2).unwrap_or_default(), kind)
}

/// What is kept of a stanza.
fn mark(place: [&str; 4], stanza: &[u8]) -> BlobKey {
    let mut hasher = BlobHasher::default();
    for part in place {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    hasher.update(stanza);
    hasher.finish()
}
