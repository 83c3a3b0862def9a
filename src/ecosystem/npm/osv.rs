//! Documents of the Open Source Vulnerability format (ossf.github.io/osv-schema), as advisories on packages of npm.

use serde::Deserialize;
use serde_json::Value;

use super::advisory::{self, Advisory};
use super::range::Range;

/// The longest range that is made, in bytes: what is listed version by version may be endless.
const LONGEST_RANGE: usize = 1000;

/// A document, as far as it is read. Whatever is of another type than it should be is as good as absent.
#[derive(Deserialize)]
struct Document {
    id: String,
    #[serde(default)]
    summary: Value,
    #[serde(default)]
    withdrawn: Value,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    references: Value,
    #[serde(default)]
    severity: Value,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(default)]
    package: Value,
    #[serde(default)]
    ranges: Vec<Events>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Events {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Value>,
}

/// Reads a document; what it says of each package of npm. Nothing, if it is withdrawn, or only of other ecosystems.
///
/// # Errors
/// If it is no such document.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(String, Advisory)>, serde_json::Error> {
    let document: Document = serde_json::from_slice(bytes)?;
    if document.withdrawn.is_string() {
        return Ok(Vec::new());
    }
    let named = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let of_npm =
        document.affected.iter().filter(|one| named(&one.package, "ecosystem").as_deref() == Some("npm"));
    let advisories = of_npm.filter_map(|affected| {
        let advisory = Advisory {
            id: advisory::number_of(&document.id),
            url: advisory::plain(&address(&document)),
            title: advisory::plain(document.summary.as_str().unwrap_or(&document.id)),
            severity: severity(&document),
            range: range(affected),
            cwe: words(document.database_specific.get("cwe_ids")),
            score: String::new(),
            vector: vector(&document),
        };
        Some((named(&affected.package, "name")?, advisory.checked()?))
    });
    Ok(advisories.collect())
}

fn words(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(advisory::plain).collect()
}

/// Where it is told of: what the document refers to as an advisory, else where its database shows it.
fn address(document: &Document) -> String {
    let references = document.references.as_array().into_iter().flatten();
    let mut advisories = references.filter(|one| one.get("type").and_then(Value::as_str) == Some("ADVISORY"));
    let url = advisories.find_map(|one| one.get("url")?.as_str());
    url.map_or_else(|| format!("https://osv.dev/vulnerability/{}", document.id), str::to_owned)
}

/// How bad it is. What is malicious by intent says nothing of that.
fn severity(document: &Document) -> String {
    if document.id.starts_with("MAL-") {
        return "critical".to_owned();
    }
    let said = document.database_specific.get("severity").and_then(Value::as_str).unwrap_or_default();
    match said.to_ascii_lowercase().as_str() {
        "medium" => "moderate".to_owned(),
        other => other.to_owned(),
    }
}

fn vector(document: &Document) -> String {
    let mut scores = document.severity.as_array().into_iter().flatten();
    let found = scores.find_map(|one| {
        let kind = one.get("type")?.as_str()?;
        kind.starts_with("CVSS_V3").then(|| one.get("score")?.as_str()).flatten()
    });
    advisory::plain(found.unwrap_or_default())
}

/// The versions that are affected, as a range of npm's: what its events say, and what is listed one by one beside. Where
/// that is more than can be carried, or says nothing, all of them are.
fn range(affected: &Affected) -> String {
    let mut parts: Vec<String> = Vec::new();
    for Events { events, .. } in affected.ranges.iter().filter(|range| range.kind != "GIT") {
        let mut from: Option<&str> = None;
        for event in events {
            let at = |key: &str| event.get(key).and_then(Value::as_str);
            if let Some(introduced) = at("introduced") {
                from = Some(introduced);
            }
            let end = at("fixed").map(|end| ("<", end)).or(at("last_affected").map(|end| ("<=", end)));
            if let Some((operator, end)) = end {
                parts.push(match from.take().filter(|from| *from != "0") {
                    Some(from) => format!(">={from} {operator}{end}"),
                    None => format!("{operator}{end}"),
                });
            }
        }
        if let Some(from) = from {
            parts.push(if from == "0" { "*".to_owned() } else { format!(">={from}") });
        }
    }
    if parts.is_empty() {
        parts.extend(affected.versions.iter().map(|version| format!("={version}")));
    }
    let range = parts.join(" || ");
    let is_readable = !range.is_empty() && range.len() <= LONGEST_RANGE && Range::parse(&range).is_some();
    if is_readable { range } else { "*".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(affected: Value) -> Value {
        json!({ "id": "GHSA-1", "summary": "Prototype pollution", "modified": "2021-01-01T00:00:00Z",
                "affected": [{ "package": { "ecosystem": "npm", "name": "a" } }, affected],
                "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N" }],
                "references": [{ "type": "WEB", "url": "https://web.example.test" },
                               { "type": "ADVISORY", "url": "https://advisories.example.test/1" }],
                "database_specific": { "severity": "MODERATE", "cwe_ids": ["CWE-1321"] } })
    }

    fn ranges(affected: Value) -> Vec<String> {
        let read = read(document(affected).to_string().as_bytes()).unwrap();
        read.into_iter().map(|(name, advisory)| format!("{name} {}", advisory.range)).collect()
    }

    #[test]
    fn events_become_ranges() {
        let b = |rest: Value| {
            let mut affected = rest;
            affected["package"] = json!({ "ecosystem": "npm", "name": "@s/b" });
            ranges(affected).pop().unwrap()
        };
        let of = |events: Value| b(json!({ "ranges": [{ "type": "SEMVER", "events": events }] }));
        for (events, range) in [
            (json!([{ "introduced": "0" }, { "fixed": "1.2.3" }]), "<1.2.3"),
            (json!([{ "introduced": "1.0.0" }, { "last_affected": "1.9.0" }]), ">=1.0.0 <=1.9.0"),
            (
                json!([{ "introduced": "0" }, { "fixed": "1.0.0" }, { "introduced": "2.0.0" }, { "fixed": "2.0.1" }]),
                "<1.0.0 || >=2.0.0 <2.0.1",
            ),
            (json!([{ "introduced": "2.0.0" }]), ">=2.0.0"),
            (json!([{ "introduced": "0" }]), "*"),
            (json!([{ "introduced": "not a version" }]), "*"),
            (json!([]), "*"),
            (json!([7, { "introduced": 7 }]), "*"),
        ] {
            assert_eq!(of(events), format!("@s/b {range}"));
        }
        assert_eq!(b(json!({ "versions": ["1.0.0", "1.0.1"] })), "@s/b =1.0.0 || =1.0.1");
        assert_eq!(b(json!({ "versions": vec!["1.0.0"; 500] })), "@s/b *");
        let git = json!({ "ranges": [{ "type": "GIT", "events": [{ "introduced": "0" }] }], "versions": ["1.0.0"] });
        assert_eq!(b(git), "@s/b =1.0.0");
    }

    #[test]
    fn only_packages_of_npm_are_told_of() {
        let affected = json!({ "package": { "ecosystem": "PyPI", "name": "b" } });
        assert_eq!(ranges(affected.clone()), ["a *"]);
        let mut withdrawn = document(affected.clone());
        withdrawn["withdrawn"] = "2022-01-01T00:00:00Z".into();
        assert!(read(withdrawn.to_string().as_bytes()).unwrap().is_empty());
        let (name, told) = read(document(affected).to_string().as_bytes()).unwrap().remove(0);
        assert_eq!((name.as_str(), told.severity.as_str()), ("a", "moderate"));
        assert_eq!((told.url.as_str(), told.cwe.len()), ("https://advisories.example.test/1", 1));
        let malicious =
            json!({ "id": "MAL-2024-1", "affected": [{ "package": { "ecosystem": "npm", "name": "a" } }] });
        assert_eq!(read(malicious.to_string().as_bytes()).unwrap()[0].1.severity, "critical");
        for bad in ["", "[]", "{}", r#"{"id":"x","affected":7}"#, "<html>"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
