//! Volumes whose signatures are not in their form, not by a trusted key, or over something else.

use bundle_format::signature::write_signatures;
use bundle_format::{PayloadType, SignatureLine};

use super::Case;
use super::parts::{Parts, edit, encoding, line};

/// The good volume, with other bytes as the snapshot's signature file.
fn file(change: impl FnOnce(&Parts) -> Vec<u8>) -> Vec<u8> {
    let mut parts = Parts::good();
    parts.snapshot_sig = change(&parts);
    parts.volume()
}

/// The good volume, with these lines as the snapshot's signatures.
fn lines(change: impl FnOnce(&Parts) -> Vec<SignatureLine>) -> Vec<u8> {
    file(|parts| write_signatures(change(parts)).unwrap())
}

/// The signature file of the good volume as text, changed.
fn text(change: impl FnOnce(String) -> String) -> Vec<u8> {
    file(|parts| change(String::from_utf8(parts.snapshot_sig.clone()).unwrap()).into_bytes())
}

pub(super) fn cases() -> Vec<Case> {
    [forms(), forgeries()].concat()
}

fn forms() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.signature-line", why, volume);
    let base64 = |text: &str| text[text.find(' ').unwrap() + 1..].trim_end().to_owned();
    // The last digit before the padding carries four bits of nothing; here one of them is set.
    let stray_bits = text(|text| {
        let at = text.find("==").unwrap() - 1;
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = digits.iter().position(|digit| *digit == text.as_bytes()[at]).unwrap();
        format!("{}{}{}", &text[..at], char::from(digits[digit + 1]), &text[at + 1..])
    });
    vec![
        bad("signatures-empty", "A signature file of no bytes.", text(|_| String::new())),
        bad("signatures-blank", "A signature file of an empty line.", text(|_| "\n".to_owned())),
        bad("signatures-no-end", "The line does not end.", text(|text| text.trim_end().to_owned())),
        bad("signatures-crlf", "A line that ends as on Windows.", text(|text| text.replace('\n', "\r\n"))),
        bad("signatures-two-spaces", "Two spaces.", text(|text| text.replace(' ', "  "))),
        bad("signatures-tab", "A tab.", text(|text| text.replace(' ', "\t"))),
        bad("signatures-trailing-space", "A space at the end.", text(|text| text.replace('\n', " \n"))),
        bad("signatures-comment", "A comment.", text(|text| format!("# signed\n{text}"))),
        bad("signatures-blank-line", "An empty line after the signature.", text(|text| format!("{text}\n"))),
        bad("signatures-no-key", "A line without a key id.", text(|text| format!(" {}\n", base64(&text)))),
        bad("signatures-no-signature", "A key id alone.", text(|text| text.replace(&base64(&text), ""))),
        bad(
            "signatures-key-form",
            "A key id with a character that it cannot have.",
            text(|text| format!("*{text}")),
        ),
        bad(
            "signatures-long-key",
            "A key id of 129 characters.",
            text(|text| format!("{}{text}", "k".repeat(58))),
        ),
        bad("signatures-unpadded", "Base64 without its padding.", text(|text| text.replace("==", ""))),
        bad(
            "signatures-url-alphabet",
            "Base64 of the alphabet for URLs.",
            text(|text| text.replace(' ', " -_-_")),
        ),
        bad("signatures-stray-bits", "Base64 with bits set that carry nothing.", stray_bits),
        bad("signatures-twice", "A line twice.", text(|text| text.repeat(2))),
        bad("signatures-unsorted", "Lines that are not sorted.", text(|text| format!("z AQIDBA==\n{text}"))),
        bad("signatures-many", "65 lines.", text(|text| unknown_lines(64) + &text)),
        bad(
            "signatures-dsse-envelope",
            "An envelope of DSSE, which this format does not use.",
            text(|text| format!("{{\"payload\":\"\",\"signatures\":[{{\"sig\":\"{}\"}}]}}\n", base64(&text))),
        ),
    ]
}

fn unknown_lines(count: usize) -> String {
    (0..count).map(|number| format!("key-{number:03} AQIDBA==\n")).collect()
}

fn forgeries() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "trust.bad-signature", why, volume);
    let unknown = |name, why, volume| Case::new(name, "trust.unknown-key", why, volume);
    let as_type = |kind| lines(|parts| vec![line(1, &encoding(kind, parts))]);
    let mut swapped = Parts::good();
    std::mem::swap(&mut swapped.snapshot_sig, &mut swapped.packing_sig);
    let mut other_snapshot = Parts::good();
    edit(&mut other_snapshot.snapshot, r#""sequence":42"#, r#""sequence":43"#);
    let mut other_packing = Parts::good();
    edit(&mut other_packing.packing, r#""number":1"#, r#""number":2"#);
    let mut packing_as_snapshot = Parts::good();
    let encoded = bundle_format::signature::pae(PayloadType::Snapshot, &packing_as_snapshot.packing);
    packing_as_snapshot.packing_sig = write_signatures(vec![line(1, &encoded)]).unwrap();
    let mut packing_unknown = Parts::good();
    let encoded = bundle_format::signature::pae(PayloadType::PackingList, &packing_unknown.packing);
    packing_unknown.packing_sig = write_signatures(vec![line(9, &encoded)]).unwrap();
    let changed = |change: &dyn Fn(&mut SignatureLine)| {
        lines(|parts| {
            let mut line = line(1, &encoding(PayloadType::Snapshot, parts));
            change(&mut line);
            vec![line]
        })
    };
    let scope = Parts::snapshot_with(r#""prod""#, r#""test""#);
    vec![
        unknown("key-unknown", "Signed by a key that the site does not know.", as_key(9)),
        unknown("key-unknown-packing", "The packing list signed by such a key.", packing_unknown.volume()),
        bad(
            "key-borrowed-id",
            "Signed by another key under the trusted one's id.",
            changed(&|signature| {
                signature.signature = line(9, b"").signature;
            }),
        ),
        bad(
            "signature-flipped",
            "A bit of the signature is flipped.",
            changed(&|line| line.signature[3] ^= 1),
        ),
        bad("signature-short", "A signature of 63 bytes.", changed(&|line| line.signature.truncate(63))),
        bad("signature-zero", "A signature of zeros.", changed(&|line| line.signature = vec![0; 64])),
        bad("signature-malleable", "S plus the order of the group: the same equation.", changed(&add_order)),
        bad(
            "signature-one-of-two",
            "One known key's line is right and another known key's is wrong.",
            lines(|parts| {
                let encoded = encoding(PayloadType::Snapshot, parts);
                vec![line(1, &encoded), line(2, b"something else")]
            }),
        ),
        bad(
            "payload-bare",
            "The snapshot itself is signed, not the encoding.",
            lines(|parts| vec![line(1, &parts.snapshot)]),
        ),
        bad("payload-packing-list", "Signed as a packing list.", as_type(PayloadType::PackingList)),
        bad("payload-approval", "Signed as an approval.", as_type(PayloadType::Approval)),
        bad("payload-receipt", "Signed as a receipt.", as_type(PayloadType::Receipt)),
        bad("payload-root", "Signed as a root document.", as_type(PayloadType::Root)),
        bad("payload-checkpoint", "Signed as an audit checkpoint.", as_type(PayloadType::AuditCheckpoint)),
        bad("payload-snapshot", "The packing list signed as a snapshot.", packing_as_snapshot.volume()),
        bad("signatures-swapped", "The signatures of the two documents are swapped.", swapped.volume()),
        bad("snapshot-changed", "The sequence is changed after signing.", other_snapshot.volume()),
        bad("packing-changed", "The packing list is changed after signing.", other_packing.volume()),
        Case::new("channel-not-granted", "trust.scope", "The key may not speak for the channel.", scope),
    ]
}

fn as_key(seed: u8) -> Vec<u8> {
    lines(|parts| vec![line(seed, &encoding(PayloadType::Snapshot, parts))])
}

/// Adds the order of Ed25519's group to the scalar in the second half of the signature.
fn add_order(line: &mut SignatureLine) {
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in line.signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
}
