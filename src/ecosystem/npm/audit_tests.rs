//! What clients are told of weaknesses.

use std::io::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use super::advisory::{self, Advisory};
use super::fake_store::FakeStore;
use crate::clock;
use crate::ecosystem::Content;

const BULK: &str = "-/npm/v1/security/advisories/bulk";
const REPORTS: [&str; 2] = ["-/npm/v1/security/audits", "-/npm/v1/security/audits/quick"];

fn advisory(id: u64, range: &str) -> Advisory {
    Advisory::read(
        &json!({ "id": id, "url": format!("https://advisories.example.test/GHSA-{id}"), "title": "bad",
                            "severity": "high", "vulnerable_versions": range }),
    )
    .unwrap()
}

/// A store that has advisories on two packages, as of that time.
fn store(made: &str) -> FakeStore {
    let mut store = FakeStore::default();
    let list = [
        ("lodash".to_owned(), vec![advisory(1, "<4.17.21"), advisory(2, ">=4.0.0 <4.17.19")]),
        ("@s/b".to_owned(), vec![advisory(3, "*")]),
    ];
    for planned in advisory::planned("npm", made, &[], list.into()) {
        store.hold("a", "1.0.0", |artifact| {
            artifact.name = planned.name;
            artifact.version = planned.version;
            artifact.schema = planned.schema;
            artifact.attributes = planned.attributes;
            artifact.files.clear();
        });
    }
    store.hold("lodash", "4.17.20", |_| {});
    store
}

fn ask(store: &FakeStore, path: &str, body: &Bytes, coding: &'static str) -> Value {
    let Content::Document { body, .. } = store.put("POST", path, body.clone(), coding).content else {
        panic!("a document")
    };
    serde_json::from_slice(&body).unwrap()
}

fn packed(text: &str) -> Bytes {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap().into()
}

#[test]
fn a_mirror_tells_as_of_when_it_knows() {
    let day = |store: &FakeStore| {
        let Content::Document { body, .. } = store.ask("GET", "-/npm/v1/security/advisories").content else {
            panic!("a document")
        };
        String::from_utf8(body.to_vec()).unwrap()
    };
    assert_eq!(day(&store("2026-01-01T00:00:00Z")), r#"{"made":"2026-01-01T00:00:00Z"}"#);
    assert_eq!(day(&FakeStore::default()), r#"{"made":null}"#);
}

#[test]
fn clients_are_told_of_the_versions_that_they_have() {
    let store = store(&clock::now_text());
    let question =
        json!({ "lodash": ["4.17.20", "4.17.21"], "@s/b": ["1.0.0-rc.1"], "clean": ["1.0.0"] }).to_string();
    let told = ask(&store, BULK, &packed(&question), "gzip");
    assert_eq!(told, ask(&store, BULK, &Bytes::from(question), "identity"));
    let ids = |name: &str| -> Vec<u64> {
        told[name].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
    };
    assert_eq!((ids("lodash"), ids("@s/b"), told.as_object().unwrap().len()), (vec![1], vec![3], 2));
    assert_eq!(told["lodash"][0]["vulnerable_versions"], "<4.17.21");
    assert!(store.warned.lock().unwrap().is_empty());
}

#[test]
fn older_clients_send_a_tree() {
    let store = store(&clock::now_text());
    let tree = json!({ "dependencies": {
        "lodash": { "version": "4.17.20" },
        "top": { "version": "1.0.0", "dependencies": { "lodash": { "version": "4.17.18" }, "@s/b": { "version": "1.0.0" } } },
    } });
    for path in REPORTS {
        let report = ask(&store, path, &packed(&tree.to_string()), "gzip");
        assert_eq!(report["advisories"].as_object().unwrap().len(), 3, "{report}");
        let findings = json!([{ "version": "4.17.18", "paths": ["top>lodash"] }, { "version": "4.17.20", "paths": ["lodash"] }]);
        assert_eq!(report["advisories"]["1"]["findings"], findings);
        assert_eq!(report["advisories"]["2"]["findings"], json!([findings[0]]));
        assert_eq!(report["advisories"]["3"]["module_name"], "@s/b");
        assert_eq!(report["metadata"]["vulnerabilities"]["high"], 3);
        assert_eq!(report["metadata"]["totalDependencies"], 4);
    }
}

#[test]
fn where_nothing_was_brought_the_answer_is_empty_and_said_loudly() {
    let empty = FakeStore::default();
    let question = Bytes::from_static(br#"{"lodash":["4.17.20"]}"#);
    assert_eq!(ask(&empty, BULK, &question, "identity"), json!({}));
    assert_eq!(*empty.warned.lock().unwrap(), ["serve.no-advisories"]);
    assert_eq!(ask(&empty, REPORTS[1], &question, "identity")["metadata"]["vulnerabilities"]["critical"], 0);
    let old = store("2020-01-01T00:00:00Z");
    assert_eq!(ask(&old, BULK, &question, "identity")["lodash"].as_array().unwrap().len(), 1);
    assert_eq!(*old.warned.lock().unwrap(), ["serve.old-advisories"]);
}

#[test]
fn hostile_questions_are_answered_like_empty_ones() {
    let store = store(&clock::now_text());
    let deep = format!("{}{}", r#"{"dependencies":{"a":"#.repeat(50), "{}".to_owned() + &"}}".repeat(50));
    let bomb = packed(&format!("{{\"lodash\":[\"{}\"]}}", "4".repeat(17 << 20)));
    for (body, coding) in [
        (Bytes::new(), "identity"),
        (Bytes::from_static(b"[]"), "identity"),
        (Bytes::from_static(br#"{"lodash":7}"#), "gzip"),
        (Bytes::from_static(b"\x1f\x8b\x08"), "gzip"),
        (Bytes::from(deep), "identity"),
        (Bytes::from("[".repeat(100_000)), "identity"),
        (bomb, "gzip"),
    ] {
        for path in [REPORTS[0], BULK] {
            let answer = ask(&store, path, &body, coding);
            assert!(
                answer["lodash"].is_null()
                    && answer["advisories"].as_object().is_none_or(|all| all.is_empty())
            );
        }
    }
}
