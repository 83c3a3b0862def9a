//! Properties that hold for any bytes: tried on the fuzz targets' corpus, on the vectors, and on random changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bundle_format::canonical;
use proptest::prelude::*;
use serde_json::Value;

#[path = "../../fuzz/properties.rs"]
mod targets;

/// A fuzz target and the corpora that it starts from.
type Target = (fn(&[u8]), &'static [&'static str]);

const TARGETS: [Target; 5] = [
    (targets::canonical, &["fuzz/corpus/canonical"]),
    (targets::ledger, &["fuzz/corpus/ledger"]),
    (targets::records, &["fuzz/corpus/records"]),
    (targets::signatures, &["fuzz/corpus/signatures"]),
    (targets::volume, &["vectors/good", "vectors/bad"]),
];

fn corpus(folders: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_corpus_keeps_the_properties() {
    for (target, folders) in TARGETS {
        let corpus = corpus(folders);
        assert!(!corpus.is_empty(), "{folders:?}");
        corpus.iter().for_each(|bytes| target(bytes));
    }
}

/// A change somewhere in a text: bytes taken away and others put there.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,\\u0019-. \n\taz=".to_vec())];
    (any::<prop::sample::Index>(), 0..4usize, prop::collection::vec(byte, 0..4))
}

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The canonical form in so many words, by way of a tree and slowly.
fn spelled_out(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::String(text) => {
            let escape = |character: char| match character {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\t' => "\\t".to_owned(),
                '\n' => "\\n".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                '\r' => "\\r".to_owned(),
                '\0'..' ' => format!("\\u{:04x}", u32::from(character)),
                other => other.to_string(),
            };
            format!("\"{}\"", text.chars().map(escape).collect::<String>())
        }
        Value::Array(items) => format!("[{}]", list(items.iter().map(spelled_out).collect())),
        Value::Object(fields) => {
            let fields: BTreeMap<&[u8], _> =
                fields.iter().map(|(key, value)| (key.as_bytes(), (key, value))).collect();
            let field = |(key, value): &(&String, &Value)| {
                format!("{}:{}", spelled_out(&Value::from(key.as_str())), spelled_out(value))
            };
            format!("{{{}}}", list(fields.values().map(field).collect()))
        }
        scalar => scalar.to_string(),
    }
}

/// Keys that are hard to put in order: escapes, their beginnings, and what stands around the backslash.
fn key() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        '\n', '\u{1}', '\u{b}', '"', '\\', '[', ']', 'n', 'u', ' ', '\u{ff5e}', '😀',
    ]);
    prop_oneof![any::<String>(), prop::collection::vec(odd, 0..4).prop_map(|odd| odd.into_iter().collect())]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_read_back(value in json()) {
        let bytes = canonical::to_bytes(&value).unwrap();
        prop_assert_eq!(canonical::from_bytes::<Value>(&bytes).unwrap(), value);
    }

    #[test]
    fn a_value_is_written_as_the_specification_spells_it(value in json()) {
        let bytes = canonical::to_bytes(&value).unwrap();
        prop_assert_eq!(String::from_utf8(bytes).unwrap(), spelled_out(&value));
    }

    /// Structs come with their fields in the order of their declaration, a map in any.
    #[test]
    fn fields_are_put_in_order(fields in prop::collection::vec((key(), json()), 0..8)) {
        struct Shuffled<'a>(&'a [(String, Value)]);
        impl serde::Serialize for Shuffled<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(key, value)| (key, [value])))
            }
        }
        let map: serde_json::Map<String, Value> =
            fields.iter().map(|(key, value)| (key.clone(), Value::from(vec![value.clone()]))).collect();
        match canonical::to_bytes(&Shuffled(&fields)) {
            Ok(bytes) => prop_assert_eq!(String::from_utf8(bytes).unwrap(), spelled_out(&Value::Object(map))),
            Err(_) => prop_assert!(map.len() < fields.len(), "only a key that stands twice is refused"),
        }
    }

    #[test]
    fn changed_values_are_refused_or_canonical(value in json(), (at, removed, added) in change()) {
        let mut bytes = canonical::to_bytes(&value).unwrap();
        let start = at.index(bytes.len());
        let end = bytes.len().min(start + removed);
        bytes.splice(start..end, added);
        targets::canonical(&bytes);
    }

    #[test]
    fn changes_of_the_corpus_keep_the_properties(
        target in prop::sample::select(TARGETS.to_vec()),
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let (target, folders) = target;
        let corpus = corpus(folders);
        let mut bytes = corpus[file.index(corpus.len())].clone();
        for (at, removed, added) in changes {
            let start = at.index(bytes.len() + 1);
            let end = bytes.len().min(start + removed);
            bytes.splice(start..end, added);
        }
        target(&bytes);
    }

    #[test]
    fn any_bytes_keep_the_properties(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        TARGETS.iter().for_each(|(target, _)| target(&bytes));
    }
}
