//! Attestations of versions, which registries keep at `-/npm/v1/attestations`: who built a version from what, and that it was
//! published. They are carried as they are; what is looked at here is whether they are about the very tarball.
//!
//! Each is a bundle of Sigstore with a statement (in-toto) in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::{Algorithm, Digest};
use bytes::Bytes;
use serde::Deserialize;

use super::fetch::Fetcher;
use super::origin::Source;
use super::signers;
use crate::ecosystem::{MetadataRequest, PlannedFile};
use crate::problem::{Kind, Problem};

/// Where registries keep them, and mirrors as well.
pub(super) const PLACE: &str = "-/npm/v1/attestations";
/// The role of the file.
pub(super) const ROLE: &str = "attestations";
/// The largest document that is read, in bytes: real ones have some 20 KiB.
pub(super) const LARGEST: u64 = 1 << 20;
/// The most attestations of one version; real ones have two.
const MOST: usize = 16;
/// The type of what is signed.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// A document of attestations, as far as it is looked at.
#[derive(Deserialize)]
struct Document {
    attestations: Vec<Attestation>,
}

#[derive(Deserialize)]
struct Attestation {
    bundle: Bundle,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Statement {
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: std::collections::BTreeMap<String, String>,
}

/// Whether all attestations of a document are about one tarball, whose checksums these are.
///
/// That somebody signed them, and who, is Sigstore's to say: [`crate::protocol::sigstore`] is what would be called here, with
/// the roots that a project or a site pins.
///
/// # Errors
/// Why one is not.
pub(super) fn check(
    document: &[u8],
    (name, version): (&str, &str),
    checksums: &[Digest],
) -> Result<(), String> {
    let wrong = |error: &dyn std::fmt::Display| format!("its attestations cannot be read: {error}");
    let read: Document = serde_json::from_slice(document).map_err(|error| wrong(&error))?;
    if read.attestations.is_empty() || read.attestations.len() > MOST {
        return Err(format!("it has none or more than {MOST} attestations"));
    }
    let expected = format!("pkg:npm/{}@{version}", name.replacen('@', "%40", 1));
    for Attestation { bundle: Bundle { dsse_envelope: envelope } } in read.attestations {
        if envelope.payload_type != STATEMENT || envelope.signatures.len() != 1 {
            return Err("an attestation is no statement that one signed".to_owned());
        }
        let payload = STANDARD.decode(&envelope.payload).map_err(|error| wrong(&error))?;
        let statement: Statement = serde_json::from_slice(&payload).map_err(|error| wrong(&error))?;
        let [subject] = statement.subject.as_slice() else {
            return Err("an attestation is not about one package".to_owned());
        };
        if subject.name != expected {
            let about: String = subject.name.chars().take(200).collect();
            return Err(format!("an attestation is about {}", about.escape_debug()));
        }
        let sha512 =
            subject.digest.get("sha512").and_then(|hex| format!("sha512:{hex}").parse::<Digest>().ok());
        let is_of_it = sha512.is_some_and(|digest| checksums.contains(&digest));
        if !is_of_it {
            return Err("an attestation is about another tarball".to_owned());
        }
    }
    Ok(())
}

/// The path of a version's attestations, at a registry and at a mirror.
pub(super) fn path(name: &str, version: &str) -> String {
    format!("{PLACE}/{name}@{version}")
}

/// Whether a version without a sha512 could have any: they name it.
pub(super) fn can_be_checked(checksums: &[Digest]) -> bool {
    checksums.iter().any(|digest| digest.algorithm() == Algorithm::Sha512)
}

/// The file with the attestations of a version, kept. `None`, if the registry has none, though it said so.
///
/// # Errors
/// Untrusted, if they are about something else; if they cannot be had.
pub(super) async fn fetch(
    fetcher: Fetcher<'_>,
    source: &Source,
    (name, version): (&str, &str),
    checksums: &[Digest],
) -> Result<Option<PlannedFile>, Problem> {
    let access = fetcher.routes.beside(source, &path(&name.replace('/', "%2f"), version))?;
    let place = access.url.to_string();
    let request = MetadataRequest { access, accept: "application/json", limit: LARGEST, fresh: false };
    let bytes: Bytes = match fetcher.context.metadata(&request).await {
        Ok(Some(document)) => document.bytes,
        Ok(None) => return Ok(None),
        Err(problem) if signers::is_an_answer(&problem) => return Ok(None),
        Err(problem) => return Err(problem),
    };
    check(&bytes, (name, version), checksums).map_err(|why| {
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
    Ok(Some(PlannedFile {
        role: ROLE.to_owned(),
        path: path(name, version),
        media_type: "application/json".to_owned(),
        blob: Some(fetcher.context.keep(bytes).await?),
        size: Some(size),
        ..PlannedFile::default()
    }))
}

#[cfg(test)]
pub(super) mod testing {
    use serde_json::{Value, json};

    use super::*;

    /// A document of one attestation with this subject.
    pub(in super::super) fn document(name: &str, sha512: &str) -> Value {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1",
                                "subject": [{ "name": name, "digest": { "sha512": sha512 } }] });
        let payload = STANDARD.encode(statement.to_string());
        json!({ "attestations": [{ "predicateType": "https://slsa.dev/provenance/v1", "bundle": {
            "dsseEnvelope": { "payload": payload, "payloadType": STATEMENT, "signatures": [{ "sig": "AAAA" }] } } }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::testing::document;
    use super::*;

    #[test]
    fn attestations_are_about_the_very_tarball() {
        let hex = "ab".repeat(64);
        let digest: Digest = format!("sha512:{hex}").parse().unwrap();
        let check = |name: &str, document: &Value| {
            check(document.to_string().as_bytes(), (name, "1.0.0"), std::slice::from_ref(&digest))
        };
        assert_eq!(check("a", &document("pkg:npm/a@1.0.0", &hex)), Ok(()));
        assert_eq!(check("@s/a", &document("pkg:npm/%40s/a@1.0.0", &hex)), Ok(()));
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
            assert!(check("a", &bad).is_err(), "{what}");
        }
    }
}
