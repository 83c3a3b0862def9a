//! Volumes whose documents are signed canonical JSON, and break a rule of the format.

use bundle_format::BlobKey;

use super::Case;
use super::parts::{Member, Parts, archive, edit};

pub(super) fn cases() -> Vec<Case> {
    [snapshots(), packing_lists(), versions(), reserved(), too_large()].concat()
}

fn snapshots() -> Vec<Case> {
    let bad = |name, why, from: &str, to: &str| {
        Case::new(name, "bundle.document", why, Parts::snapshot_with(from, to))
    };
    let segment = {
        let text = String::from_utf8(Parts::good().snapshot).unwrap();
        let start = text.find(r#"{"digest""#).unwrap();
        let end = start + text[start..].find('}').unwrap() + 1;
        text[start..end].to_owned()
    };
    let twice = format!("{segment},{segment}");
    let size = Parts::good().blobs[0].1.len();
    let size = format!(r#""size":{size}"#);
    let key = BlobKey::of(&Parts::good().blobs[0].1).to_string();
    let array = {
        let mut parts = Parts::good();
        parts.snapshot = b"[]".to_vec();
        parts.seal();
        parts.volume()
    };
    let label = |value: &str| format!(r#""ticket":"{value}""#);
    let ticket = r#""ticket":"example""#;
    vec![
        Case::new("snapshot-array", "bundle.document", "An array.", array),
        bad(
            "snapshot-unknown-field",
            "A field that the format does not have.",
            r#""epoch":1"#,
            r#""epoch":1,"extra":1"#,
        ),
        bad("snapshot-missing-field", "The sequence is missing.", r#""sequence":42,"#, ""),
        bad(
            "snapshot-null",
            "A field that may be left out is null.",
            r#""format""#,
            r#""expires":null,"format""#,
        ),
        bad("snapshot-empty-ext", "An ext with nothing in it.", r#""format""#, r#""ext":{},"format""#),
        bad("snapshot-ext-list", "An ext that is no object.", r#""format""#, r#""ext":[],"format""#),
        bad("snapshot-number-as-text", "The sequence as a string.", r#""sequence":42"#, r#""sequence":"42""#),
        bad("snapshot-negative", "A negative sequence.", r#""sequence":42"#, r#""sequence":-42"#),
        bad("snapshot-sequence-0", "Sequence 0.", r#""sequence":42"#, r#""sequence":0"#),
        bad("snapshot-epoch-0", "Epoch 0.", r#""epoch":1"#, r#""epoch":0"#),
        bad("channel-empty", "A channel without a name.", r#""prod""#, r#""""#),
        bad("channel-upper-case", "A channel in upper case.", r#""prod""#, r#""Prod""#),
        bad("channel-colon", "A channel with a colon.", r#""prod""#, r#""prod:x""#),
        bad("channel-slash", "A channel with a slash.", r#""prod""#, r#""a/prod""#),
        bad("channel-parent", "A channel called ..", r#""prod""#, r#""..""#),
        bad("channel-dash", "A channel that begins like an option.", r#""prod""#, r#""-prod""#),
        bad("channel-long", "A channel of 65 characters.", r#""prod""#, &format!(r#""{}""#, "p".repeat(65))),
        bad("channel-look-alike", "A channel with a Cyrillic letter.", r#""prod""#, "\"pr\u{43e}d\""),
        bad("created-offset", "A time with an offset.", "08:38:55Z", "08:38:55+00:00"),
        bad("created-fraction", "A time with a fraction of a second.", "08:38:55Z", "08:38:55.0Z"),
        bad("created-no-day", "The 31st of November.", "2026-11-21", "2026-11-31"),
        bad("created-leap-second", "A leap second.", "08:38:55Z", "23:59:60Z"),
        bad("created-lower-case", "A time in lower case.", "T08:38:55Z", "t08:38:55z"),
        bad("created-before-1970", "A time before 1970.", "2026-", "1969-"),
        bad(
            "expires-at-creation",
            "It expires when it is created.",
            r#""format""#,
            r#""expires":"2026-11-21T08:38:55Z","format""#,
        ),
        bad("mode-unknown", "A mode that the format does not have.", r#""add""#, r#""merge""#),
        bad("mode-case", "A mode in upper case.", r#""add""#, r#""Add""#),
        bad("sites-unsorted", "Sites that are not sorted.", r#"["north","south"]"#, r#"["south","north"]"#),
        bad("sites-twice", "A site twice.", r#"["north","south"]"#, r#"["north","north"]"#),
        bad("sites-name", "A site's name in upper case.", r#""north""#, r#""North""#),
        bad("label-control", "A label with an escape sequence of terminals.", ticket, &label(r"\u001b[2J")),
        bad("label-empty-key", "A label without a key.", ticket, r#""":"example""#),
        bad("label-long", "A label of 1,025 bytes.", ticket, &label(&"x".repeat(1025))),
        bad("label-number", "A label that is a number.", ticket, r#""ticket":1"#),
        bad("segment-twice", "A segment twice.", &segment, &twice),
        bad("segment-empty", "A segment of no bytes.", &size, r#""size":0"#),
        bad("segment-large", "A segment of more than 4 MiB.", &size, r#""size":4194305"#),
        bad("segment-no-records", "A segment of no records.", r#""records":4"#, r#""records":0"#),
        bad("segment-many-records", "More records than bytes.", r#""records":4"#, r#""records":4000000"#),
        bad("segment-extra-field", "A segment with a field more.", &size, &format!(r#"{size},"type":"x""#)),
        bad("digest-upper-case", "A digest in upper case.", &key, &key.to_uppercase().replace("SHA", "sha")),
        bad("digest-sha512", "A segment by its sha512.", &key, &format!("sha512:{}", "ab".repeat(64))),
        bad("digest-no-algorithm", "A digest without its algorithm.", &key, &key[7..]),
        bad("digest-short", "A digest of 63 digits.", &key, &key[..70]),
        bad("mode-object", "A mode as an object.", r#""add""#, r#"{"add":null}"#),
        bad("segment-array", "A segment as the array of its values.", &segment, &array_of(&segment)),
        bad(
            "format-array",
            "A format as the array of its values.",
            r#"{"major":0,"minor":1,"must_understand":[]}"#,
            "[0,1,[]]",
        ),
    ]
}

/// The values of an object as an array, in the order of their keys.
fn array_of(object: &str) -> String {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object).unwrap();
    serde_json::to_string(&fields.into_iter().map(|(_, value)| value).collect::<Vec<_>>()).unwrap()
}

fn packing_lists() -> Vec<Case> {
    let bad = |name, why, from: &str, to: &str| {
        Case::new(name, "bundle.document", why, Parts::packing_with(from, to))
    };
    let size = {
        let text = String::from_utf8(Parts::good().packing).unwrap();
        text[text.find(r#""size""#).unwrap()..text.len() - 3].to_owned()
    };
    let volumes = {
        let text = String::from_utf8(Parts::good().packing).unwrap();
        text[text.find("[{").unwrap()..text.len() - 1].to_owned()
    };
    vec![
        bad("packing-no-volume", "A packing list without a volume.", &volumes, "[]"),
        bad("packing-number", "The first volume has number 2.", r#""number":1"#, r#""number":2"#),
        Case::new("packing-twins", "bundle.document", "Two volumes of the same contents.", {
            let mut twins = Parts::good();
            let text = String::from_utf8(twins.packing.clone()).unwrap();
            let volume = text[text.find("[{").unwrap() + 1..text.len() - 2].to_owned();
            let twin = volume.replace(r#""number":1"#, r#""number":2"#);
            edit(&mut twins.packing, &volume, &format!("{volume},{twin}"));
            twins.sign();
            twins.volume()
        }),
        bad("packing-no-recipes", "A list of no recipes.", r#""snapshot""#, r#""recipes":[],"snapshot""#),
        bad("packing-many-blobs", "More blobs than a volume may have.", r#""blobs":3"#, r#""blobs":4194305"#),
        bad("packing-small-size", "A size too small for the blobs.", &size, r#""size":1536"#),
        bad("packing-odd-size", "A size that no tar has.", &size, r#""size":1000001"#),
        bad(
            "packing-unknown-field",
            "A field that the format does not have.",
            r#""number":1"#,
            r#""name":"x","number":1"#,
        ),
        bad("packing-missing-field", "A volume without its number.", r#""number":1,"#, ""),
    ]
}

fn versions() -> Vec<Case> {
    let snapshot =
        |name, code, why, from: &str, to: &str| Case::new(name, code, why, Parts::snapshot_with(from, to));
    let packing =
        |name, code, why, from: &str, to: &str| Case::new(name, code, why, Parts::packing_with(from, to));
    let (version, features) = ("bundle.version", "bundle.must-understand");
    vec![
        snapshot("version-major", version, "A snapshot of format 1.1.", r#""major":0"#, r#""major":1"#),
        snapshot("version-minor", version, "A snapshot of format 0.2.", r#""minor":1"#, r#""minor":2"#),
        snapshot("version-older", version, "A snapshot of format 0.0.", r#""minor":1"#, r#""minor":0"#),
        snapshot(
            "version-before-fields",
            version,
            "A newer snapshot with a new field is called newer, not broken.",
            r#""format":{"major":0,"minor":1"#,
            r#""flavour":1,"format":{"major":0,"minor":2"#,
        ),
        packing("version-packing", version, "A packing list of format 0.2.", r#""minor":1"#, r#""minor":2"#),
        snapshot("must-understand", features, "A feature that is not known.", "[]", r#"["concat"]"#),
        packing("must-understand-packing", features, "The same in a packing list.", "[]", r#"["recovery"]"#),
        snapshot(
            "format-missing",
            "bundle.document",
            "No format.",
            r#""format":{"major":0,"minor":1,"must_understand":[]},"#,
            "",
        ),
        snapshot(
            "format-field",
            "bundle.document",
            "A format with a field more.",
            r#""minor":1"#,
            r#""minor":1,"mono":1"#,
        ),
    ]
}

fn reserved() -> Vec<Case> {
    let packing = |name, why, from: &str, to: &str| {
        Case::new(name, "bundle.reserved", why, Parts::packing_with(from, to))
    };
    let approvals = Parts::snapshot_with(r#"{"channel""#, r#"{"approvals":[],"channel""#);
    let receipt = Parts::snapshot_with(r#""segments""#, r#""receipt":{},"segments""#);
    vec![
        Case::new(
            "recovery-of-nothing",
            "bundle.document",
            "Recovery that says nothing.",
            Parts::packing_with(r#""snapshot""#, r#""recovery":{},"snapshot""#),
        ),
        packing(
            "reserved-trust-field",
            "Root documents that travel.",
            r#""volumes""#,
            r#""trust":"x","volumes""#,
        ),
        Case::new("reserved-approvals-field", "bundle.reserved", "Approvals within a snapshot.", approvals),
        Case::new("reserved-receipt-field", "bundle.reserved", "A receipt within a snapshot.", receipt),
    ]
}

/// Headers that announce more than a document may have; nothing of it need be there.
fn too_large() -> Vec<Case> {
    let announce = |name, why, index: usize| {
        let mut members: Vec<Member> = Parts::good().members();
        members.truncate(index + 1);
        members[index] = members[index].clone().with(124, b"00004000001\0");
        Case::new(name, "bundle.too-large", why, archive(&members, &[0; 1024]))
    };
    vec![
        announce("large-snapshot", "A snapshot of 1 MiB and a byte.", 0),
        announce("large-snapshot-signatures", "Signatures of 1 MiB and a byte.", 1),
        announce("large-packing", "A packing list of 1 MiB and a byte.", 2),
        announce("large-packing-signatures", "Signatures of the packing list of 1 MiB and a byte.", 3),
    ]
}
