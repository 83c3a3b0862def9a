//! Volumes that a reader accepts.

use std::collections::BTreeMap;

use bundle_format::*;

use super::Case;
use super::parts::{Parts, encoding, line, payloads, segment, snapshot};

pub(super) fn cases() -> Vec<Case> {
    let ok = |name, why, parts: Parts| Case::new(name, "ok", why, parts.volume());
    let all = segment();
    let of = |snapshot: &Snapshot| Parts::of(snapshot, &[segment()], &payloads());
    let with = |change: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = snapshot(&[segment()]);
        change(&mut snapshot);
        of(&snapshot)
    };

    let mut two_keys = Parts::good();
    two_keys.snapshot_sig = signature::write_signatures(vec![
        line(1, &encoding(PayloadType::Snapshot, &two_keys)),
        line(9, &encoding(PayloadType::Snapshot, &two_keys)),
    ])
    .unwrap();

    // Cut after the first line.
    let cut = all.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let halves = [all[..cut].to_vec(), all[cut..].to_vec()];

    let [first, second] = Parts::pair();
    vec![
        ok("plain", "Two artifacts, a ref and a repository in one segment, and two files.", Parts::good()),
        ok(
            "empty",
            "A snapshot that lists nothing and replaces; the contents table has no bytes.",
            Parts::of(&Snapshot { mode: Mode::Replace, ..snapshot(&[]) }, &[], &[]),
        ),
        ok(
            "every-field",
            "Every field that may be left out is there.",
            with(&|snapshot| {
                snapshot.previous = Some(BlobKey::of(b"the snapshot before"));
                snapshot.expires = Some("2027-11-21T08:38:55Z".to_owned());
                snapshot.ext =
                    BTreeMap::from([("vendor".to_owned(), serde_json::json!({"note": ["any", 1]}))]);
            }),
        ),
        ok(
            "characters",
            "A label with characters that are escaped, and with ones that are not.",
            with(&|snapshot| {
                snapshot.labels = BTreeMap::from([("é \u{1f680} \"\\/".to_owned(), "\u{7ff}".to_owned())]);
            }),
        ),
        ok(
            "largest-numbers",
            "Epoch and sequence are 2^53-1.",
            with(&|snapshot| (snapshot.epoch, snapshot.sequence) = ((1 << 53) - 1, (1 << 53) - 1)),
        ),
        ok("two-segments", "The records stand in two segments.", Parts::with_segments(&halves)),
        ok(
            "second-segment-alone",
            "A delta: of two segments only the second travels, and of two files one.",
            Parts::of(&snapshot(&halves), &halves[1..], &payloads()[1..]),
        ),
        ok(
            "nothing-travels",
            "A delta of nothing: the site is expected to hold it all.",
            Parts::of(&snapshot(&halves), &[], &[]),
        ),
        ok(
            "unknown-second-key",
            "A line by a known key and one by a key that the site does not know.",
            two_keys,
        ),
        ok(
            "empty-file",
            "A file of no bytes, and one of exactly one block.",
            Parts::of(&snapshot(&[segment()]), &[segment()], &[Vec::new(), vec![0; 512]]),
        ),
        ok("first-of-two", "The first of two volumes, with a piece of a file and the recipe.", first),
        ok("second-of-two", "The second of the same, with the other piece and the other file.", second),
        ok(
            "oci-archive",
            "An OCI archive as well; what its index.json is to be, records of this schema do not say.",
            Parts::good().with_layout(),
        ),
    ]
}
