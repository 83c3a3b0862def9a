//! The keys that a registry signs versions with, as it lists them at `-/npm/v1/keys`, and as they are carried: an artifact
//! without files, so that whoever reviews a lock reads there whom it believes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::{Artifact, BlobKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::KEYS;
use crate::ecosystem::Planned;
use crate::protocol::ecdsa::PublicKey;

/// Where registries list their keys; the artifact that carries them is called so too.
pub(super) const PLACE: &str = "-/npm/v1/keys";
/// The largest document of keys that is read, in bytes.
pub(super) const LARGEST: u64 = 64 << 10;
/// The most keys that a registry may have: the public one has had three in ten years.
const MOST: usize = 64;
/// The longest name of a key, in bytes.
const LONGEST: usize = 256;
/// The one kind of key that registries sign with.
const SCHEME: &str = "ecdsa-sha2-nistp256";

/// A key, as a registry writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RegistryKey {
    /// What signatures call it: `SHA256:jl3b…`.
    keyid: String,
    /// Its SubjectPublicKeyInfo in base64.
    key: String,
    /// What was published later is not believed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// A document of keys, as far as it is read. Keys of other kinds are passed over: no client verifies with them.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    scheme: String,
    #[serde(flatten)]
    key: RegistryKey,
}

/// The keys of a registry, by what signatures call them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keys(BTreeMap<String, RegistryKey>);

impl Keys {
    /// Reads what a registry answers. `Ok(None)`, if it is no list of keys at all, or one of none.
    ///
    /// # Errors
    /// Why a key in it is none.
    pub(super) fn read(document: &[u8]) -> Result<Option<Keys>, String> {
        let Ok(Document { keys }) = serde_json::from_slice(document) else { return Ok(None) };
        let known = keys.into_iter().filter(|one| one.scheme == SCHEME).map(|one| one.key);
        Keys::of_list(known.collect()).map(|keys| Some(keys).filter(|keys| !keys.0.is_empty()))
    }

    /// Reads keys that were written out one by one.
    ///
    /// # Errors
    /// Why one of them is none.
    pub(super) fn of_list(list: Vec<RegistryKey>) -> Result<Keys, String> {
        if list.len() > MOST {
            return Err(format!("there are more than {MOST} keys"));
        }
        let mut keys = BTreeMap::new();
        for key in list {
            let shown: String = key.keyid.chars().take(80).collect::<String>().escape_debug().to_string();
            let is_name = |text: &str| {
                !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic())
            };
            if !is_name(&key.keyid) {
                return Err(format!("{shown:?} is no name of a key"));
            }
            if key.public().is_none() {
                return Err(format!("{shown} is no key on P-256 (a SubjectPublicKeyInfo in base64)"));
            }
            if key.expires.is_some() && key.expiry().is_none() {
                return Err(format!("the time when {shown} expires is none"));
            }
            if keys.insert(key.keyid.clone(), key).is_some() {
                return Err(format!("there are two keys called {shown}"));
            }
        }
        Ok(Keys(keys))
    }

    /// Reads what a record carries.
    ///
    /// # Errors
    /// Why it carries no keys.
    pub(super) fn of(attributes: &BTreeMap<String, Value>) -> Result<Keys, String> {
        let list = attributes.get("keys").cloned().unwrap_or_default();
        let list =
            serde_json::from_value(list).map_err(|error| format!("it has no list of keys: {error}"))?;
        let keys = Keys::of_list(list)?;
        if keys.0.is_empty() { Err("it has no keys".to_owned()) } else { Ok(keys) }
    }

    /// The record that carries the keys of a repository.
    pub(super) fn planned(&self, repository: &str) -> Planned {
        let list: Vec<&RegistryKey> = self.0.values().collect();
        let list = json!(list);
        Planned {
            ecosystem: "npm".to_owned(),
            repository: repository.to_owned(),
            name: PLACE.to_owned(),
            version: self.version(),
            qualifier: String::new(),
            schema: KEYS.to_owned(),
            attributes: BTreeMap::from([("keys".to_owned(), list)]),
            files: Vec::new(),
            requires: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// The version of the record: other keys are another one, so that channels with different ones do not contradict each
    /// other.
    pub(super) fn version(&self) -> String {
        let list: Vec<&RegistryKey> = self.0.values().collect();
        BlobKey::of(json!(list).to_string().as_bytes()).hex().chars().take(16).collect()
    }

    /// The key of that name.
    pub(super) fn find(&self, keyid: &str) -> Option<&RegistryKey> {
        self.0.get(keyid)
    }

    /// Takes in others; of two keys of one name the one that was there stays.
    pub(super) fn extend(&mut self, others: Keys) {
        for (keyid, key) in others.0 {
            self.0.entry(keyid).or_insert(key);
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the keys here that `known` does not have, or has with another key.
    pub(super) fn not_in<'a>(&'a self, known: &Keys) -> Vec<&'a str> {
        let is_known = |key: &RegistryKey| known.find(&key.keyid).is_some_and(|other| other.key == key.key);
        self.0.values().filter(|key| !is_known(key)).map(|key| key.keyid.as_str()).collect()
    }

    /// All of them as a registry answers them.
    pub(super) fn document(&self) -> Value {
        let one = |key: &RegistryKey| json!({ "expires": key.expires, "keyid": key.keyid, "keytype": SCHEME, "scheme": SCHEME, "key": key.key });
        json!({ "keys": self.0.values().map(one).collect::<Vec<_>>() })
    }

    /// What whoever has them does, for people.
    pub(super) fn described(&self) -> String {
        let shown = self.0.values().map(|key| match &key.expires {
            Some(expires) => format!("{} (until {expires})", key.keyid),
            None => key.keyid.clone(),
        });
        format!("signs with {}", shown.collect::<Vec<_>>().join(", "))
    }
}

impl RegistryKey {
    /// The key itself.
    pub(super) fn public(&self) -> Option<PublicKey> {
        PublicKey::from_spki(&self.spki())
    }

    /// Its SubjectPublicKeyInfo in DER.
    pub(super) fn spki(&self) -> Vec<u8> {
        STANDARD.decode(&self.key).unwrap_or_default()
    }

    /// From when on it is not used any more; never, where it does not say.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        self.expires.as_ref()?.parse().ok()
    }
}

/// What the record of keys says of itself, for people.
pub(super) fn shown(artifact: &Artifact) -> String {
    match Keys::of(&artifact.attributes) {
        Ok(keys) => keys.described(),
        Err(why) => format!("cannot be read: {why}"),
    }
}

/// What is made up for tests: keys that sign, and what they sign.
#[cfg(test)]
pub(super) mod testing {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    /// A registry that signs.
    pub(in super::super) struct Signing {
        pair: EcdsaKeyPair,
        name: &'static str,
    }

    impl Signing {
        /// One with a key of that name.
        pub(in super::super) fn new(name: &'static str) -> Signing {
            Signing { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(), name }
        }

        /// The key as it lists it.
        pub(in super::super) fn key(&self, expires: Option<&str>) -> Value {
            json!({ "keyid": self.name, "scheme": SCHEME, "keytype": SCHEME, "key": STANDARD.encode(self.spki()),
                    "expires": expires })
        }

        /// The key in DER.
        pub(in super::super) fn spki(&self) -> Vec<u8> {
            self.pair.public_key().as_der().unwrap().as_ref().to_vec()
        }

        /// Its signature in DER.
        pub(in super::super) fn raw(&self, message: &[u8]) -> Vec<u8> {
            self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
        }

        /// Its signature as a version object has it.
        pub(in super::super) fn sign(&self, message: &str) -> Value {
            json!({ "keyid": self.name, "sig": STANDARD.encode(self.raw(message.as_bytes())) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Signing;
    use super::*;

    fn read(keys: &[Value]) -> Result<Option<Keys>, String> {
        Keys::read(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn keys_are_carried_and_answered_as_they_were_read() {
        let (one, two) = (Signing::new("SHA256:one"), Signing::new("SHA256:two"));
        let listed = [one.key(Some("2025-01-29T00:00:00.000Z")), two.key(None)];
        let keys = read(&listed).unwrap().unwrap();
        assert_eq!(Keys::read(keys.document().to_string().as_bytes()).unwrap().unwrap(), keys);
        let planned = keys.planned("npm");
        assert_eq!(Keys::of(&planned.attributes).unwrap(), keys);
        assert_eq!(planned.version, keys.version());
        assert_eq!(keys.described(), "signs with SHA256:one (until 2025-01-29T00:00:00.000Z), SHA256:two");
        let fewer = read(&listed[..1]).unwrap().unwrap();
        assert_eq!(keys.not_in(&fewer), ["SHA256:two"]);
        assert!(fewer.not_in(&keys).is_empty() && fewer.version() != keys.version());
        let forged = read(&[Signing::new("SHA256:one").key(None)]).unwrap().unwrap();
        assert_eq!(forged.not_in(&keys), ["SHA256:one"]);
    }

    #[test]
    fn what_is_no_list_of_keys_is_none_and_what_is_no_key_is_an_error() {
        let good = Signing::new("SHA256:one").key(None);
        for none in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[7]}"#, r#"{"keys":[]}"#] {
            assert_eq!(Keys::read(none.as_bytes()), Ok(None), "{none}");
        }
        let changed = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            key
        };
        assert_eq!(read(&[changed("scheme", "ssh-rsa".into())]), Ok(None), "of another kind");
        let short = good["key"].as_str().unwrap().get(..40).unwrap();
        for (what, keys) in [
            ("no base64", vec![changed("key", "!!!!".into())]),
            ("cut short", vec![changed("key", short.into())]),
            ("no name", vec![changed("keyid", "".into())]),
            ("a name that moves the cursor", vec![changed("keyid", "\u{1b}[2J".into())]),
            ("a name without end", vec![changed("keyid", "x".repeat(LONGEST + 1).into())]),
            ("no time", vec![changed("expires", "soon".into())]),
            ("twice", vec![good.clone(), good.clone()]),
            ("too many", (0..=MOST).map(|number| changed("keyid", number.to_string().into())).collect()),
        ] {
            let why = read(&keys).unwrap_err();
            assert!(!why.chars().any(char::is_control), "{what}: {why}");
        }
    }
}
