//! Volumes whose documents are signed, and are not canonical JSON.

use super::Case;
use super::parts::{Parts, edit};

pub(super) fn cases() -> Vec<Case> {
    let bad = |name, why, volume| Case::new(name, "bundle.json", why, volume);
    let snapshot = |name, why, from: &str, to: &str| bad(name, why, Parts::snapshot_with(from, to));
    let whole = |name, why, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let mut parts = Parts::good();
        parts.snapshot = change(parts.snapshot);
        parts.seal();
        bad(name, why, parts.volume())
    };
    // Where readers ignore what they do not know, so that nothing else can be wrong with it.
    let note = |name, why, value: &[u8]| {
        whole(name, why, &|text| {
            let at = text.windows(8).position(|bytes| bytes == b"\"format\"").unwrap();
            [&text[..at], b"\"ext\":{\"note\":\"", value, b"\"},", &text[at..]].concat()
        })
    };
    let ext = |value: &str| format!(r#""ext":{value},"format""#);
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let mut packing = Parts::good();
    edit(&mut packing.packing, r#""number":1"#, r#""number":1,"number":1"#);
    packing.sign();
    vec![
        snapshot(
            "json-key-twice",
            "A key twice, with the same value.",
            r#""epoch":1"#,
            r#""epoch":1,"epoch":1"#,
        ),
        snapshot(
            "json-key-twice-other",
            "A key twice, with two values.",
            r#""epoch":1"#,
            r#""epoch":1,"epoch":2"#,
        ),
        snapshot(
            "json-sorted-by-escapes",
            "Keys that are sorted as they are written, and not as they read.",
            r#""format""#,
            &ext(r#"{"a\n":1,"a\u0001":2}"#),
        ),
        snapshot(
            "json-unsorted",
            "Keys that are not sorted.",
            r#""channel":"prod","created":"2026-11-21T08:38:55Z""#,
            r#""created":"2026-11-21T08:38:55Z","channel":"prod""#,
        ),
        snapshot("json-space", "A space after a colon.", r#""epoch":1"#, r#""epoch": 1"#),
        snapshot("json-float", "A number with a fraction.", r#""epoch":1"#, r#""epoch":1.0"#),
        snapshot("json-exponent", "A number with an exponent.", r#""epoch":1"#, r#""epoch":1e0"#),
        snapshot("json-leading-zero", "A number with a leading zero.", r#""epoch":1"#, r#""epoch":01"#),
        snapshot("json-minus-zero", "Minus zero.", r#""format""#, &ext(r#"{"x":-0}"#)),
        snapshot("json-plus", "A number with a plus sign.", r#""epoch":1"#, r#""epoch":+1"#),
        snapshot("json-too-large", "2^53.", r#""format""#, &ext(r#"{"x":9007199254740992}"#)),
        snapshot("json-nan", "Not a number.", r#""epoch":1"#, r#""epoch":NaN"#),
        snapshot("json-trailing-comma", "A comma after the last item.", r#""south"]"#, r#""south",]"#),
        snapshot("json-single-quotes", "Single quotes.", r#""south""#, "'south'"),
        snapshot("json-comment", "A comment.", r#""epoch":1"#, r#""epoch":1/**/"#),
        snapshot("json-escaped-letter", "A letter escaped.", "example", r"\u0065xample"),
        snapshot("json-escaped-slash", "A slash escaped.", "example", r"ex\/ample"),
        note("json-escape-case", "An escape in upper case.", br"\u001F"),
        note("json-escape-long", "An escape that has a shorter form.", br"\u000a"),
        snapshot("json-lone-surrogate", "Half of a surrogate pair.", "example", r"\ud800"),
        snapshot("json-surrogates", "A character as a pair of surrogates.", "example", r"\ud83d\ude80"),
        snapshot("json-deep", "Nested 72 deep.", r#""format""#, &ext(&deep)),
        snapshot("json-ext-float", "A float where readers ignore.", r#""format""#, &ext(r#"{"x":0.5}"#)),
        snapshot(
            "json-ext-twice",
            "A key twice where readers ignore.",
            r#""format""#,
            &ext(r#"{"x":1,"x":1}"#),
        ),
        note("json-not-utf8", "A byte that is not UTF-8.", b"\xff"),
        note("json-overlong", "An overlong encoding of a slash.", b"\xc0\xaf"),
        note("json-utf8-surrogate", "A surrogate in UTF-8.", b"\xed\xa0\x80"),
        note("json-raw-control", "A line feed that is not escaped.", b"\n"),
        note("json-raw-zero", "A zero byte in a string.", b"\0"),
        whole("json-line-feed", "A line feed after the document.", &|text| [&text[..], b"\n"].concat()),
        whole("json-byte-order-mark", "A byte order mark.", &|text| [b"\xef\xbb\xbf", &text[..]].concat()),
        whole("json-two-values", "A second value follows.", &|text| [&text[..], b"{}"].concat()),
        whole("json-unfinished", "The last brace is missing.", &|text| text[..text.len() - 1].to_vec()),
        whole("json-nothing", "A document of no bytes.", &|_| Vec::new()),
        whole("json-utf16", "UTF-16.", &|text| text.iter().flat_map(|byte| [*byte, 0]).collect()),
        bad("json-packing-key-twice", "A key twice, in the packing list.", packing.volume()),
    ]
}
