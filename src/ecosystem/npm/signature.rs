//! A registry's signature of a version: over its name, version and integrity, in the version object itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::keys::Keys;
use super::version_object::VersionObject;

/// The most signatures of one version.
const MOST: usize = 16;
/// The longest signature, in bytes of its base64: one on P-256 has 96.
const LONGEST: usize = 256;

/// A signature, as a version object has it. What is no text in it is empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The key that is said to have made it.
    pub(crate) keyid: String,
    /// It, in base64.
    pub(crate) sig: String,
}

/// Why a version is not known to be its registry's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// No known key made it.
    #[error("it is signed with the key {0}, which is none of the registry's that are believed")]
    UnknownKey(String),
    /// A known key did not make it.
    #[error("the key {0} never signed its name, version and integrity as they are")]
    Wrong(String),
    /// A known key was not to be used any more.
    #[error("it was published after the key {0}, which signed it, expired")]
    Expired(String),
    /// There is nothing that could be verified.
    #[error("it has more than {MOST} signatures")]
    TooMany,
}

/// Verifies all signatures of a version, as npm does: one that is wrong is enough. Gives the names of the keys.
///
/// `published` is when the registry says that it was published; keys sign what is published before they expire.
///
/// # Errors
/// What is wrong with the first that is.
pub(super) fn verify(
    object: &VersionObject,
    (name, version): (&str, &str),
    published: Option<Timestamp>,
    keys: &Keys,
) -> Result<Vec<String>, Fault> {
    if object.signatures.len() > MOST {
        return Err(Fault::TooMany);
    }
    let message = format!("{name}@{version}:{}", signed_integrity(object));
    let mut signers = Vec::new();
    for Signature { keyid, sig } in &object.signatures {
        let shown = || keyid.chars().take(80).collect::<String>().escape_debug().to_string();
        let key = keys.find(keyid).ok_or_else(|| Fault::UnknownKey(shown()))?;
        let signature = (sig.len() <= LONGEST).then(|| STANDARD.decode(sig).ok()).flatten();
        let is_good = signature
            .zip(key.public())
            .is_some_and(|(signature, public)| public.verifies(message.as_bytes(), &signature));
        if !is_good {
            return Err(Fault::Wrong(shown()));
        }
        // What does not say when it was published is older than all keys that expired: npm takes it so as well.
        if key.expiry().zip(published).is_some_and(|(expiry, published)| published >= expiry) {
            return Err(Fault::Expired(shown()));
        }
        signers.push(keyid.clone());
    }
    signers.sort();
    signers.dedup();
    Ok(signers)
}

/// The integrity that is signed: what the object says, or its sha1 where it is of a time without.
fn signed_integrity(object: &VersionObject) -> String {
    let sha1 = || {
        let digest = super::integrity::read_shasum(object.shasum.as_deref()?)?;
        Some(format!("sha1-{}", STANDARD.encode(digest.as_bytes())))
    };
    let said = object.integrity.as_deref().map(str::trim).filter(|said| !said.is_empty());
    said.map(str::to_owned).or_else(sha1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::keys::testing::Signing;
    use super::*;

    const INTEGRITY: &str = "sha512-AAAA";

    fn object(dist: &Value) -> VersionObject {
        let object = json!({ "name": "a", "version": "1.0.0", "dist": dist }).to_string();
        VersionObject::read(&object, "a", "1.0.0", &"here").unwrap()
    }

    fn keys(keys: &[Value]) -> Keys {
        Keys::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn only_what_a_known_key_signed_passes() {
        let (one, other) = (Signing::new("SHA256:one"), Signing::new("SHA256:other"));
        let known = keys(&[one.key(None)]);
        let good = one.sign("a@1.0.0:sha512-AAAA");
        let verify = |signatures: Value| {
            let object = object(&json!({ "integrity": INTEGRITY, "signatures": signatures }));
            verify(&object, ("a", "1.0.0"), None, &known)
        };
        assert_eq!(verify(json!([good])), Ok(vec!["SHA256:one".to_owned()]));
        assert_eq!(verify(json!([good, good])), Ok(vec!["SHA256:one".to_owned()]));
        assert_eq!(verify(json!([])), Ok(vec![]));
        let wrong = Err(Fault::Wrong("SHA256:one".to_owned()));
        let with_sig = |sig: &str| json!([{ "keyid": "SHA256:one", "sig": sig }]);
        for signatures in [
            json!([one.sign("a@1.0.1:sha512-AAAA")]),
            json!([one.sign("b@1.0.0:sha512-AAAA")]),
            json!([one.sign("a@1.0.0:sha512-AAAB")]),
            json!([good, one.sign("a@1.0.0:")]),
            with_sig(""),
            with_sig("!!!!"),
            with_sig(&"A".repeat(1 << 19)),
            with_sig(other.sign("a@1.0.0:sha512-AAAA")["sig"].as_str().unwrap()),
            json!([{ "keyid": "SHA256:one", "sig": 7 }]),
        ] {
            assert_eq!(verify(signatures.clone()), wrong, "{:.100}", signatures.to_string());
        }
        for signatures in [json!([other.sign("a@1.0.0:sha512-AAAA")]), json!([good, 7]), json!([{}])] {
            assert!(matches!(verify(signatures), Err(Fault::UnknownKey(_))));
        }
        assert_eq!(verify(json!(vec![good; MOST + 1])), Err(Fault::TooMany));
    }

    #[test]
    fn a_key_that_expired_vouches_for_what_was_published_before() {
        let one = Signing::new("SHA256:one");
        let known = keys(&[one.key(Some("2025-01-29T00:00:00.000Z"))]);
        let signed = json!({ "integrity": INTEGRITY, "signatures": [one.sign("a@1.0.0:sha512-AAAA")] });
        let verify = |time: Option<&str>| {
            let published = time.map(|time| time.parse().unwrap());
            verify(&object(&signed), ("a", "1.0.0"), published, &known).is_ok()
        };
        assert!(verify(Some("2025-01-28T23:59:59.999Z")) && verify(None));
        assert!(!verify(Some("2025-01-29T00:00:00.000Z")));
    }

    #[test]
    fn old_packages_are_signed_by_their_sha1() {
        let one = Signing::new("SHA256:one");
        let signature = one.sign("a@1.0.0:sha1-AQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        let object = object(&json!({ "shasum": "01".repeat(20), "signatures": [signature] }));
        assert!(verify(&object, ("a", "1.0.0"), None, &keys(&[one.key(None)])).is_ok());
    }
}
