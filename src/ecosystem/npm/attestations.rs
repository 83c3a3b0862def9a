//! Attestations of versions, which registries keep at `-/npm/v1/attestations`: who built a version from what, by a certificate that
//! names them (provenance), and that it was published, by a key of the registry. They are carried as they are, and always held
//! to the very tarball that they have to be about; who made them is verified where somebody is believed.
//!
//! Each is a bundle of Sigstore with a statement (in-toto) in it.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Algorithm, Artifact, Digest};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::fetch::Fetcher;
use super::keys::Keys;
use super::origin::Source;
use super::{SCHEMA, signers};
use crate::ecosystem::attested::{self, Attested};
use crate::ecosystem::{MetadataRequest, PlannedFile};
use crate::problem::{Kind, Problem};
use crate::protocol::sigstore::bundle::Bundle;
use crate::protocol::sigstore::statement::Statement;
use crate::protocol::sigstore::{Roots, SignedBy};

/// Where registries keep them, and mirrors as well.
pub(super) const PLACE: &str = "-/npm/v1/attestations";
/// The role of the file.
pub(super) const ROLE: &str = "attestations";
/// The attribute of a version that says who was verified to have made it.
pub(super) const ATTRIBUTE: &str = "attested";
/// What is wrong with a file of roots.
pub(super) const ROOT: &str = "npm.trusted-root";
/// The largest document that is read, in bytes: real ones have some 20 KiB.
pub(super) const LARGEST: u64 = 1 << 20;
/// The most attestations of one version; real ones have two.
const MOST: usize = 16;
/// The most bytes that each of the texts has that are noted of who made a version.
const LONGEST: usize = 4096;

/// A document of attestations.
#[derive(Deserialize)]
struct Document {
    attestations: Vec<Attestation>,
}

#[derive(Deserialize)]
struct Attestation {
    bundle: Bundle,
}

/// The attestations of one tarball. Nobody has verified yet who made them.
pub(super) struct Attestations(Vec<(Bundle, Statement)>);

/// Who made a version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verified {
    /// Those who are believed to have.
    pub(super) attested: Vec<Attested>,
    /// The keys that are said to have, and which nobody knows.
    pub(super) unknown: BTreeSet<String>,
}

impl Attestations {
    /// Reads a document, all of which has to be about one tarball, whose checksums these are.
    ///
    /// # Errors
    /// Why it is none, or about what else.
    pub(super) fn read(
        document: &[u8],
        (name, version): (&str, &str),
        checksums: &[Digest],
    ) -> Result<Attestations, String> {
        let read: Document = serde_json::from_slice(document)
            .map_err(|error| format!("its attestations cannot be read: {error}"))?;
        if read.attestations.is_empty() || read.attestations.len() > MOST {
            return Err(format!("it has none or more than {MOST} attestations"));
        }
        let expected = format!("pkg:npm/{}@{version}", name.replacen('@', "%40", 1));
        let about = read.attestations.into_iter().map(|Attestation { bundle }| {
            let statement = Statement::read(bundle.statement()?)?;
            statement.is_about(&expected, checksums)?;
            Ok((bundle, statement))
        });
        let about: Result<Vec<_>, crate::protocol::sigstore::Fault> = about.collect();
        about.map(Attestations).map_err(|fault| format!("of one of its attestations, {fault}"))
    }

    /// Who made them, by those who are believed. Of keys of one name the first one counts.
    ///
    /// # Errors
    /// Why one of them was not made by whom it names.
    pub(super) fn verify(self, roots: &Roots, keys: &[&Keys]) -> Result<Verified, String> {
        let mut verified = Verified::default();
        for (bundle, statement) in self.0 {
            let kind = statement.kind;
            let shown: String = kind.chars().take(200).collect();
            let wrong = |why: String| format!("of the one of kind {}, {why}", shown.escape_debug());
            let attestation = bundle.attestation().map_err(|fault| wrong(fault.to_string()))?;
            let SignedBy::Key(name) = &attestation.signed_by else {
                let signer = attestation.verify(roots).map_err(|fault| wrong(fault.to_string()))?;
                verified.attested.push(Attested::by_signer(signer, kind));
                continue;
            };
            let Some(key) = keys.iter().find_map(|keys| keys.find(name)) else {
                let name: String = name.chars().take(80).collect();
                verified.unknown.insert(name.escape_debug().to_string());
                continue;
            };
            let logged = attestation.verify_with_key(&key.spki(), roots);
            let logged = logged.map_err(|fault| wrong(fault.to_string()))?;
            if key.expiry().is_some_and(|expiry| logged >= expiry) {
                return Err(wrong(format!("it was signed after the key {name} expired")));
            }
            let (by, logged) = (name.clone(), logged.to_string());
            verified.attested.push(Attested { by, logged, kind, ..Attested::default() });
        }
        verified.attested.sort();
        verified.attested.dedup();
        Ok(verified)
    }
}

/// What a record notes of who made its version; nothing, where nobody is known to have.
pub(super) fn attribute(attested: &[Attested]) -> Option<(String, Value)> {
    let noted = serde_json::to_value(attested).ok().filter(|_| !attested.is_empty())?;
    Some((ATTRIBUTE.to_owned(), noted))
}

/// Who made a version, as its record has it; nobody, if it does not say.
///
/// # Errors
/// If what it says is of another form, or is nothing that one can read.
pub(super) fn noted(attributes: &BTreeMap<String, Value>) -> Result<Vec<Attested>, &'static str> {
    let Some(noted) = attributes.get(ATTRIBUTE) else { return Ok(Vec::new()) };
    let noted =
        Vec::<Attested>::deserialize(noted).map_err(|_| "its attribute `attested` is no list of them")?;
    let is_readable = |text: &String| text.len() <= LONGEST && !text.chars().any(char::is_control);
    match noted.len() <= MOST && noted.iter().flat_map(Attested::texts).all(is_readable) {
        true => Ok(noted),
        false => Err("its attribute `attested` says what no one can read"),
    }
}

/// What a record says of who made its version; nothing, where it has no attestations.
pub(super) fn shown(artifact: &Artifact) -> Option<String> {
    if artifact.schema != SCHEMA || !artifact.files.iter().any(|file| file.role == ROLE) {
        return None;
    }
    let noted = noted(&artifact.attributes).ok()?;
    let says = match noted.is_empty() {
        true => "has attestations, which nobody verified outside".to_owned(),
        false => attested::said(&noted),
    };
    Some(format!("{}, {says}", artifact.version))
}

/// The path of a version's attestations, at a registry and at a mirror.
pub(super) fn path(name: &str, version: &str) -> String {
    format!("{PLACE}/{name}@{version}")
}

/// Whether a version without a sha512 could have any: they name it.
pub(super) fn can_be_checked(checksums: &[Digest]) -> bool {
    checksums.iter().any(|digest| digest.algorithm() == Algorithm::Sha512)
}

/// The file with the attestations of a version, kept, and who was verified to have made them. `None`, if the registry has none,
/// though it said so.
///
/// # Errors
/// Untrusted, if they are about something else, or by another than they say; if they cannot be had.
pub(super) async fn fetch(
    fetcher: Fetcher<'_>,
    source: &Source,
    (name, version): (&str, &str),
    checksums: &[Digest],
) -> Result<Option<(PlannedFile, Vec<Attested>)>, Problem> {
    let access = fetcher.routes.beside(source, &path(&name.replace('/', "%2f"), version))?;
    let place = access.url.to_string();
    let request = MetadataRequest { access, accept: "application/json", limit: LARGEST, fresh: false };
    let bytes: Bytes = match fetcher.context.metadata(&request).await {
        Ok(Some(document)) => document.bytes,
        Ok(None) => return Ok(None),
        Err(problem) if signers::is_an_answer(&problem) => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let read = Attestations::read(&bytes, (name, version), checksums);
    let attested = read.and_then(|attestations| fetcher.signers.attest(source, attestations));
    let attested = attested.map_err(|why| {
        Problem::new(
            Kind::Untrusted,
            "npm.attestation",
            format!("the attestations of {name}@{version} do not hold"),
        )
        .at(place)
        .because(why)
        .hint("find out who changed them, or the tarball; nothing of it was kept")
    })?;
    let size = bytes.len() as u64;
    let file = PlannedFile {
        role: ROLE.to_owned(),
        path: path(name, version),
        media_type: "application/json".to_owned(),
        blob: Some(fetcher.context.keep(bytes).await?),
        size: Some(size),
        ..PlannedFile::default()
    };
    Ok(Some((file, attested)))
}

#[cfg(test)]
pub(super) mod testing {
    use serde_json::json;

    use super::*;
    use crate::protocol::sigstore::made::{Made, THEN, bundle};

    /// What is stated of a package: of which kind, under which name, with which sha512.
    pub(in super::super) fn statement(kind: &str, name: &str, sha512: &str) -> Vec<u8> {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "predicate": {},
                                "subject": [{ "name": name, "digest": { "sha512": sha512 } }] });
        statement.to_string().into_bytes()
    }

    /// A document of one provenance with this subject.
    pub(in super::super) fn document(made: &Made, name: &str, sha512: &str) -> Value {
        let kind = "https://slsa.dev/provenance/v1";
        let attestation = made.attest(&statement(kind, name, sha512), THEN, |_| {}).unwrap();
        json!({ "attestations": [{ "predicateType": kind, "bundle": bundle(&attestation, false) }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::keys::testing::Signing;
    use super::testing::{document, statement};
    use super::*;
    use crate::protocol::sigstore::made::{IDENTITY, Made, bundle};

    /// What sigstore@1.0.0 was published with, as its registry tells it, and whom Sigstore's clients believe.
    const REAL: &[u8] = include_bytes!("../../../fixtures/npm/provenance/sigstore@1.0.0.json");
    const REAL_ROOT: &[u8] = include_bytes!("../../../fixtures/sigstore/trusted_root.json");
    const REAL_SHA512: &str = "7bea9f6e7ff37f5fab0b36bf061200fff03099fd2fd696b91d04bc5e4f225eb9fd6e0cadcad54ba980f43fb352a99e8810b4e0abeb5c0ef2cf9108cd1f258b36";
    const REAL_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==";

    fn sha512(hex: &str) -> Digest {
        format!("sha512:{hex}").parse().unwrap()
    }

    #[test]
    fn attestations_are_about_the_very_tarball() {
        let (hex, made) = ("ab".repeat(64), Made::new().unwrap());
        let digest = sha512(&hex);
        let read = |name: &str, document: &Value| {
            let about = (name, "1.0.0");
            Attestations::read(document.to_string().as_bytes(), about, std::slice::from_ref(&digest))
                .map(drop)
        };
        let document = |name: &str, hex: &str| document(&made, name, hex);
        assert_eq!(read("a", &document("pkg:npm/a@1.0.0", &hex)), Ok(()));
        assert_eq!(read("@s/a", &document("pkg:npm/%40s/a@1.0.0", &hex)), Ok(()));
        let changed = |pointer: &str, value: Value| {
            let mut changed = document("pkg:npm/a@1.0.0", &hex);
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        let envelope = "/attestations/0/bundle/dsseEnvelope";
        for (what, bad) in [
            ("another name", document("pkg:npm/b@1.0.0", &hex)),
            ("another version", document("pkg:npm/a@1.0.1", &hex)),
            ("another tarball", document("pkg:npm/a@1.0.0", &"cd".repeat(64))),
            ("no digest", document("pkg:npm/a@1.0.0", "")),
            ("none", changed("/attestations", json!([]))),
            ("too many", changed("/attestations", json!(vec![json!({}); 99]))),
            ("another payload", changed(&format!("{envelope}/payloadType"), json!("text/plain"))),
            ("no signature", changed(&format!("{envelope}/signatures"), json!([]))),
            ("no base64", changed(&format!("{envelope}/payload"), json!("!!!!"))),
            ("no statement", changed(&format!("{envelope}/payload"), json!("AAAA"))),
            ("nothing", json!({})),
        ] {
            assert!(read("a", &bad).is_err(), "{what}");
        }
    }

    #[test]
    fn who_built_and_who_published_is_verified() {
        let (hex, made, key) = ("ab".repeat(64), Made::new().unwrap(), Signing::new("SHA256:one"));
        let roots = Roots::read(made.trusted_root().to_string().as_bytes()).unwrap();
        let published = statement("https://registry.example.test/publish/v0.1", "pkg:npm/a@1.0.0", &hex);
        let published = made.attest_with_key(&published, ("SHA256:one", &key.spki()), |text| key.raw(text));
        let mut document = document(&made, "pkg:npm/a@1.0.0", &hex);
        document["attestations"].as_array_mut().unwrap().push(json!({ "bundle": bundle(&published, true) }));
        let verify = |roots: &Roots, keys: &[&Keys]| {
            let digest = [sha512(&hex)];
            let document = document.to_string();
            Attestations::read(document.as_bytes(), ("a", "1.0.0"), &digest).unwrap().verify(roots, keys)
        };
        let keys = |key: Value| Keys::read(json!({ "keys": [key] }).to_string().as_bytes()).unwrap().unwrap();
        let known = keys(key.key(None));
        let verified = verify(&roots, &[&known]).unwrap();
        assert!(verified.unknown.is_empty());
        let told = attested::said(&verified.attested);
        assert!(told.contains(&format!("built by {IDENTITY} at 06528997")), "{told}");
        assert!(told.contains("published by SHA256:one, logged 2026-01-01T00:00:00Z"), "{told}");
        let unknown = verify(&roots, &[]).unwrap();
        assert_eq!((unknown.attested.len(), unknown.unknown.len()), (1, 1));
        // A key of that name that is another, or was not to be used any more by then; and others' roots.
        let forged = keys(Signing::new("SHA256:one").key(None));
        assert!(verify(&roots, &[&forged, &known]).unwrap_err().contains("its signature is none of the key"));
        let expired = keys(key.key(Some("2025-12-31T00:00:00Z")));
        assert!(verify(&roots, &[&expired]).unwrap_err().contains("expired"));
        let others = Made::new().unwrap().trusted_root();
        let others = Roots::read(others.to_string().as_bytes()).unwrap();
        assert!(verify(&others, &[&known]).unwrap_err().contains("is not pinned"));
    }

    #[test]
    fn real_attestations_hold_by_the_roots_of_their_time() {
        let roots = Roots::read(REAL_ROOT).unwrap();
        let name = "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA";
        let key = json!({ "keyid": name, "scheme": "ecdsa-sha2-nistp256", "key": REAL_KEY,
                          "expires": "2025-01-29T00:00:00.000Z" });
        let keys = Keys::read(json!({ "keys": [key] }).to_string().as_bytes()).unwrap().unwrap();
        let digest = [sha512(REAL_SHA512)];
        let read = |document: &[u8]| Attestations::read(document, ("sigstore", "1.0.0"), &digest);
        let told = read(REAL).unwrap().verify(&roots, &[&keys]).unwrap();
        let told = attested::said(&told.attested);
        let workflow = "/sigstore/sigstore-js/.github/workflows/publish.yml@refs/tags/v1.0.0";
        assert!(told.contains(workflow), "{told}");
        assert!(told.contains("at 06528997c3c8ab9f864fad9a3658446aca7fd86d"), "{told}");
        assert!(told.contains(&format!("published by {name}, logged 2023-02-09T17:56:02Z")), "{told}");
        // A log of signatures that says something else, and a statement that was not signed.
        for (pointer, from, to) in [
            (
                "/attestations/0/bundle/verificationMaterial/tlogEntries/0/integratedTime",
                "1675965360",
                "1675965361",
            ),
            ("/attestations/1/bundle/verificationMaterial/tlogEntries/0/logIndex", "", "7"),
            ("/attestations/1/bundle/dsseEnvelope/signatures/0/sig", "", "AAAA"),
        ] {
            let mut changed: Value = serde_json::from_slice(REAL).unwrap();
            let value = changed.pointer_mut(pointer).unwrap();
            assert!(from.is_empty() || *value == from);
            *value = to.into();
            assert!(
                read(changed.to_string().as_bytes()).unwrap().verify(&roots, &[&keys]).is_err(),
                "{pointer}"
            );
        }
    }
}
