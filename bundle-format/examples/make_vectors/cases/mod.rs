//! The vectors: each is made from a good volume by one change.

mod archive;
mod blobs;
mod documents;
mod good;
mod json;
mod layout;
mod parts;
mod signatures;

use std::collections::BTreeMap;

use base64::Engine as _;
use bundle_format::{Signer, verify_volume};

use crate::support::{TestKey, TestVerifier};

/// One vector.
#[derive(Clone)]
pub(crate) struct Case {
    name: &'static str,
    expect: &'static str,
    why: &'static str,
    volume: Vec<u8>,
}

impl Case {
    fn new(name: &'static str, expect: &'static str, why: &'static str, volume: Vec<u8>) -> Case {
        Case { name, expect, why, volume }
    }
}

/// What a reader says to a volume: `ok` or the code of its error.
pub(crate) fn verdict(volume: &[u8]) -> String {
    match verify_volume(volume, &TestVerifier::new(), &mut |_| {}) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}

/// Every file under `vectors/` that is generated: its path there and its bytes.
pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut wrong = Vec::new();
    let bad = [
        archive::cases(),
        documents::cases(),
        json::cases(),
        signatures::cases(),
        blobs::cases(),
        layout::cases(),
    ]
    .concat();
    for (folder, cases) in [("good", good::cases()), ("bad", bad)] {
        for (index, case) in cases.into_iter().enumerate() {
            let verdict = verdict(&case.volume);
            if verdict != case.expect {
                wrong.push(format!("{folder}: {} is {verdict}, not {}", case.name, case.expect));
            }
            let path = format!("{folder}/{:03}-{}", index + 1, case.name);
            files.insert(
                format!("{path}.txt"),
                format!("expect: {}\n{}\n", case.expect, case.why).into_bytes(),
            );
            files.insert(format!("{path}.aftk.tar"), case.volume);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let key = TestKey::new(1);
    files.insert("key.pem".to_owned(), spki_pem(&key.public()));
    files.insert("key.id".to_owned(), format!("{}\n", key.key_id()).into_bytes());
    files
}

/// A public Ed25519 key as OpenSSL reads it (RFC 8410).
fn spki_pem(public: &[u8; 32]) -> Vec<u8> {
    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = [&head[..], public].concat();
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n").into_bytes()
}
