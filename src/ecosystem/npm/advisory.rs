//! What is known of weaknesses of packages, as registries tell it and as it is carried: one record for each package that has
//! any, and one that says of which day they are.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ADVISORIES;
use super::range::Range;
use super::version::Version;
use crate::ecosystem::Planned;

/// Where registries tell of them. The record of the day is called so, those of packages as if they stood below it.
pub(super) const PLACE: &str = "-/npm/v1/security/advisories";
/// The attribute of the record of the day that says when that was, RFC 3339.
pub(super) const MADE: &str = "made";
/// The most advisories of one package: with the lengths below, a record stays far below its largest size.
const MOST: usize = 200;
/// The longest text, in bytes.
const LONGEST: usize = 1000;
/// The most classes of weaknesses of one advisory.
const MOST_CLASSES: usize = 16;
/// The largest number that is the same for every reader of JSON.
const LARGEST_NUMBER: u64 = (1 << 53) - 1;

/// How bad it is, from the least to the worst, in the words that clients know.
const SEVERITIES: [&str; 5] = ["info", "low", "moderate", "high", "critical"];

/// A weakness of some versions of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advisory {
    /// The number that clients tell it from others by.
    pub(super) id: u64,
    /// Where it is told of.
    pub(super) url: String,
    /// What it is, in a line.
    pub(super) title: String,
    /// One of [`SEVERITIES`].
    pub(super) severity: String,
    /// The versions that have it, as a range of npm's.
    pub(super) range: String,
    /// The classes of weaknesses that it is of: `CWE-79`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cwe: Vec<String>,
    /// Its score from 0 to 10 (CVSS), as text: records have no fractions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) score: String,
    /// What the score is made of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) vector: String,
}

/// Advisories by package.
pub(super) type ByName = BTreeMap<String, Vec<Advisory>>;

impl Advisory {
    /// Reads one as registries tell it (`vulnerable_versions`, `cvss`); nothing, if it does not say which versions.
    pub(super) fn read(told: &Value) -> Option<Advisory> {
        let text = |key: &str| told.get(key).and_then(Value::as_str).map(plain).unwrap_or_default();
        let range = told.get("vulnerable_versions").and_then(Value::as_str)?;
        let url = text("url");
        let number = told.get("id").and_then(Value::as_u64).filter(|id| *id <= LARGEST_NUMBER);
        let cvss = |key: &str| told.get("cvss").and_then(|cvss| cvss.get(key));
        Advisory {
            id: number.unwrap_or_else(|| number_of(&url)),
            url,
            title: text("title"),
            severity: text("severity"),
            range: range.to_owned(),
            cwe: told.get("cwe").and_then(Value::as_array).into_iter().flatten().filter_map(word).collect(),
            score: cvss("score").and_then(Value::as_f64).map(|score| score.to_string()).unwrap_or_default(),
            vector: cvss("vectorString").and_then(Value::as_str).map(plain).unwrap_or_default(),
        }
        .checked()
    }

    /// The same in the bounds that a record has; nothing, if nobody could say which versions it means.
    pub(super) fn checked(mut self) -> Option<Advisory> {
        // What is worse than nobody knows how bad is taken to be bad.
        if !SEVERITIES.contains(&self.severity.as_str()) {
            self.severity = "high".to_owned();
        }
        self.cwe.truncate(MOST_CLASSES);
        let score = self.score.parse::<f64>().ok().filter(|score| (0.0..=10.0).contains(score));
        if score.is_none() {
            self.score.clear();
        }
        let is_good = self.is_good();
        is_good.then_some(self)
    }

    /// Whether it is in the bounds that a record has.
    fn is_good(&self) -> bool {
        let is_short = |text: &String| text.len() <= LONGEST && !text.chars().any(char::is_control);
        let texts = [&self.url, &self.title, &self.severity, &self.range, &self.score, &self.vector];
        self.id <= LARGEST_NUMBER
            && self.cwe.len() <= MOST_CLASSES
            && texts.into_iter().chain(&self.cwe).all(is_short)
            && Range::parse(&self.range).is_some()
    }

    /// As registries tell it.
    pub(super) fn told(&self) -> Value {
        let score: f64 = self.score.parse().unwrap_or(0.0);
        let vector = Some(&self.vector).filter(|vector| !vector.is_empty());
        json!({
            "id": self.id, "url": self.url, "title": self.title, "severity": self.severity,
            "vulnerable_versions": self.range, "cwe": self.cwe, "cvss": { "score": score, "vectorString": vector },
        })
    }

    /// Whether a version has it. Of what is no version to npm nobody knows.
    pub(super) fn is_of(&self, version: &str) -> bool {
        let range = Range::parse(&self.range);
        Version::parse(version).is_none_or(|version| range.is_none_or(|range| range.covers(&version)))
    }
}

/// A text without what moves a terminal's cursor, and not longer than what is carried.
pub(super) fn plain(text: &str) -> String {
    let mut plain: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    while plain.len() > LONGEST {
        plain.pop();
    }
    plain
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(plain)
}

/// A number for what has none.
pub(super) fn number_of(name: &str) -> u64 {
    let key = BlobKey::of(name.as_bytes());
    let first: [u8; 4] = std::array::from_fn(|at| key.as_bytes().get(at).copied().unwrap_or(0));
    u64::from(u32::from_be_bytes(first))
}

/// The records of a repository: that of the day, and one for each package that has advisories. `from` says who told of them.
pub(super) fn planned(repository: &str, made: &str, from: &[String], advisories: ByName) -> Vec<Planned> {
    let record = |name: String, attributes: BTreeMap<String, Value>| Planned {
        ecosystem: "npm".to_owned(),
        repository: repository.to_owned(),
        name,
        // What is known later takes the place of what was known before.
        version: String::new(),
        qualifier: String::new(),
        schema: ADVISORIES.to_owned(),
        attributes,
        files: Vec::new(),
        requires: Vec::new(),
        requests: Vec::new(),
    };
    let day = [(MADE.to_owned(), Value::from(made)), ("from".to_owned(), json!(from))];
    let mut records = vec![record(PLACE.to_owned(), day.into())];
    for (name, mut list) in advisories {
        list.sort();
        list.dedup_by(|next, one| next.id == one.id && next.range == one.range);
        list.truncate(MOST);
        let attributes = BTreeMap::from([("advisories".to_owned(), json!(list))]);
        records.push(record(format!("{PLACE}/{name}"), attributes));
    }
    records
}

/// The advisories that the record of a package has.
///
/// # Errors
/// Why it has none that could be read.
pub(super) fn carried(artifact: &Artifact) -> Result<Vec<Advisory>, String> {
    let list = artifact.attributes.get("advisories").cloned().unwrap_or_default();
    let list: Vec<Advisory> =
        serde_json::from_value(list).map_err(|error| format!("it has no list of advisories: {error}"))?;
    if list.len() > MOST || !list.iter().all(Advisory::is_good) {
        return Err("it has an advisory that collecting would not have carried".to_owned());
    }
    Ok(list)
}

/// When what is carried was asked for, as the record of the day says.
pub(super) fn made(artifact: &Artifact) -> Option<&str> {
    let is_day = artifact.schema == ADVISORIES && artifact.name == PLACE;
    artifact.attributes.get(MADE)?.as_str().filter(|made| is_day && made.parse::<jiff::Timestamp>().is_ok())
}

/// Whether a record is one that collecting makes.
///
/// # Errors
/// Why it is none.
pub(super) fn check(artifact: &Artifact) -> Result<(), String> {
    let name = artifact.name.strip_prefix(PLACE);
    let is_plain = artifact.version.is_empty()
        && artifact.qualifier.is_empty()
        && artifact.files.is_empty()
        && artifact.requires.is_empty();
    match name {
        Some("") if is_plain && made(artifact).is_some() => Ok(()),
        Some(rest) if is_plain && rest.strip_prefix('/').is_some_and(super::names::is_valid) => {
            carried(artifact).map(drop)
        }
        _ => Err("it is not how advisories are carried".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Value {
        json!({ "id": 1096, "url": "https://advisories.example.test/1", "title": "Prototype pollution",
                "severity": "high", "vulnerable_versions": "<1.2.3", "cwe": ["CWE-1321"],
                "cvss": { "score": 7.2, "vectorString": "CVSS:3.1/AV:N" } })
    }

    #[test]
    fn an_advisory_is_told_as_it_was() {
        let advisory = Advisory::read(&told()).unwrap();
        assert_eq!(advisory.told(), told());
        let records = planned(
            "npm",
            "2026-11-22T00:00:00Z",
            &[],
            BTreeMap::from([("a".to_owned(), vec![advisory.clone(), advisory.clone()])]),
        );
        assert_eq!(records[1].name, format!("{PLACE}/a"));
        assert_eq!(records[1].attributes["advisories"].as_array().unwrap().len(), 1);
        for (version, has_it) in
            [("1.2.2", true), ("1.2.3", false), ("1.2.3-rc.1", true), ("1.0.0-x", true), ("odd", true)]
        {
            assert_eq!(advisory.is_of(version), has_it, "{version}");
        }
    }

    #[test]
    fn what_upstreams_tell_is_bounded() {
        let with = |key: &str, value: Value| {
            let mut told = told();
            told[key] = value;
            Advisory::read(&told)
        };
        assert_eq!(with("severity", "dreadful".into()).unwrap().severity, "high");
        assert_eq!(with("title", "a\u{1b}[2Jb".into()).unwrap().title, "a[2Jb");
        assert_eq!(with("title", "é".repeat(LONGEST).into()).unwrap().title.len(), LONGEST);
        assert_eq!(with("id", "GHSA-x".into()).unwrap().id, number_of("https://advisories.example.test/1"));
        assert_eq!(with("id", u64::MAX.into()).unwrap().id, number_of("https://advisories.example.test/1"));
        assert_eq!(with("cvss", json!({ "score": 1e300 })).unwrap().score, "");
        assert_eq!(with("cwe", json!(vec!["CWE-1"; 99])).unwrap().cwe.len(), MOST_CLASSES);
        for range in [json!(7), json!(null), json!("not a range at all"), json!("<1 || ".repeat(999))] {
            assert_eq!(with("vulnerable_versions", range.clone()), None, "{range}");
        }
        let many = (0..MOST as u64 + 9).map(|id| Advisory { id, ..Advisory::read(&told()).unwrap() });
        let records = planned("npm", "", &[], BTreeMap::from([("a".to_owned(), many.collect())]));
        assert_eq!(records[1].attributes["advisories"].as_array().unwrap().len(), MOST);
    }
}
