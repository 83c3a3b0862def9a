//! Version objects are carried as upstream wrote them, byte for byte; a mirror may change one thing in them: where
//! the tarball is, and what proves it. This replaces exactly those bytes.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ecosystem::template::Template;

/// The members of a JSON object, in order, with duplicates: decoded keys, values as they stand in the text.
///
/// # Errors
/// If the text is not exactly one JSON object.
pub(super) fn members(object: &str) -> Result<Vec<(String, &str)>, serde_json::Error> {
    let Members(members) = serde_json::from_str(object)?;
    Ok(members.into_iter().map(|(key, value)| (key, value.get())).collect())
}

/// The last member of that name: the one that JavaScript's JSON.parse, and so every client, takes.
pub(super) fn last<'a>(members: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
}

/// The JSON object of these members, whose values are JSON.
pub(super) fn object(members: &[(String, &str)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key.as_str())))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The version object with `dist.tarball` saying the path `tarball` behind a gap for the mirror's address, and every other byte as
/// it was. An object without one gets one. Where `dist.attestations.url` is said, and the mirror has them at a path, it says that:
/// npm takes the address' path, and asks the mirror for it. If a key stands there twice, each is replaced: it must not matter
/// which one a client takes.
///
/// # Errors
/// If the text is not exactly one JSON object.
pub(super) fn with_addresses(
    object: &str,
    tarball: &str,
    attestations: Option<&str>,
) -> Result<Template, serde_json::Error> {
    let mut result = Template::default();
    let mut copied = 0;
    for Edit { range, before, path, after } in edits(object, tarball, attestations)? {
        let path = serde_json::to_string(path)?;
        result.push_str(object.get(copied..range.start).unwrap_or_default());
        result.push_str(before);
        result.push_str("\"");
        result.push_gap();
        // Behind the quotation mark that the address begins with.
        result.push_str(path.get(1..).unwrap_or_default());
        result.push_str(after);
        copied = range.end;
    }
    result.push_str(object.get(copied..).unwrap_or_default());
    Ok(result)
}

/// Bytes to replace by an address, and what is to stand before and after it there.
struct Edit<'a> {
    range: Range<usize>,
    before: &'static str,
    path: &'a str,
    after: &'static str,
}

/// What to replace, in order.
fn edits<'a>(
    object: &str,
    tarball: &'a str,
    attestations: Option<&'a str>,
) -> Result<Vec<Edit<'a>>, serde_json::Error> {
    let outer = members(object)?;
    let edit = |range, before, path, after| Edit { range, before, path, after };
    let mut edits = Vec::new();
    for (_, dist) in outer.iter().filter(|(key, _)| key == "dist") {
        if !dist.starts_with('{') {
            edits.push(edit(span(object, dist), "{\"tarball\":", tarball, "}"));
            continue;
        }
        let inner = members(dist)?;
        let mut has_tarball = false;
        for (key, value) in &inner {
            match (key.as_str(), attestations) {
                ("tarball", _) => {
                    has_tarball = true;
                    edits.push(edit(span(object, value), "", tarball, ""));
                }
                ("attestations", Some(path)) if value.starts_with('{') => {
                    let said = members(value)?;
                    let urls = said.iter().filter(|(key, _)| key == "url");
                    edits.extend(urls.map(|(_, url)| edit(span(object, url), "", path, "")));
                }
                _ => {}
            }
        }
        if !has_tarball {
            let first = span(object, dist).start + 1;
            let after = if inner.is_empty() { "" } else { "," };
            edits.push(edit(first..first, "\"tarball\":", tarball, after));
        }
    }
    if edits.is_empty() {
        // It parsed as an object, so nothing but white space stands before its brace.
        let first = object.find('{').map_or(0, |brace| brace + 1);
        let after = if outer.is_empty() { "}" } else { "}," };
        edits.push(edit(first..first, "\"dist\":{\"tarball\":", tarball, after));
    }
    edits.sort_by_key(|edit| edit.range.start);
    Ok(edits)
}

/// Where `part`, which is borrowed from `text`, stands in it.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::ecosystem::template::within_quotes;

    const URL: &str = "http://mirror.example.test/npm/all/a/-/a-1.0.0.tgz";

    /// The object that says [`URL`].
    fn spliced(object: &str) -> Result<String, serde_json::Error> {
        let (base, path) = URL.split_at(URL.find("a/-/").unwrap());
        let bytes = with_addresses(object, path, None)?.fill(&within_quotes(base));
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn only_the_tarball_changes() {
        let url = format!("\"{URL}\"");
        for (before, after) in [
            (r#"{"dist":{"tarball":"x"}}"#, r#"{"dist":{"tarball":URL}}"#),
            (
                r#" { "a" : 1 , "dist" : { "z":[{}], "tarball" : "x\"y\\" } } "#,
                r#" { "a" : 1 , "dist" : { "z":[{}], "tarball" : URL } } "#,
            ),
            (
                r#"{"x":{"dist":{"tarball":"n"}},"dist":{"tarball":"x","y":{"tarball":"k"}}}"#,
                r#"{"x":{"dist":{"tarball":"n"}},"dist":{"tarball":URL,"y":{"tarball":"k"}}}"#,
            ),
            (r#"{"\u0064ist":{"t\u0061rball":"x"}}"#, r#"{"\u0064ist":{"t\u0061rball":URL}}"#),
            (
                r#"{"s":"\"dist\":{\"tarball\":\"x\"}","dist":{"tarball":"x"}}"#,
                r#"{"s":"\"dist\":{\"tarball\":\"x\"}","dist":{"tarball":URL}}"#,
            ),
            (
                r#"{"dist":{"tarball":"1","tarball":"2"},"dist":{"tarball":3}}"#,
                r#"{"dist":{"tarball":URL,"tarball":URL},"dist":{"tarball":URL}}"#,
            ),
            (r#"{"dist":{"shasum":"s"}}"#, r#"{"dist":{"tarball":URL,"shasum":"s"}}"#),
            (r#"{"dist":{}}"#, r#"{"dist":{"tarball":URL}}"#),
            (r#"{"dist":null,"a":1}"#, r#"{"dist":{"tarball":URL},"a":1}"#),
            (r#" {"a":1.0e5}"#, r#" {"dist":{"tarball":URL},"a":1.0e5}"#),
            ("{}", r#"{"dist":{"tarball":URL}}"#),
        ] {
            assert_eq!(spliced(before).unwrap(), after.replace("URL", &url), "{before}");
        }
    }

    #[test]
    fn what_proves_it_is_where_the_mirror_has_it() {
        let base = "http://m/";
        let with = |object: &str| {
            let spliced = with_addresses(object, "t.tgz", Some("-/a@1")).unwrap();
            String::from_utf8(spliced.fill(&within_quotes(base)).to_vec()).unwrap()
        };
        for (before, after) in [
            (
                r#"{"dist":{"attestations":{"url":"x","provenance":{"url":"y"}},"tarball":"x"}}"#,
                r#"{"dist":{"attestations":{"url":"http://m/-/a@1","provenance":{"url":"y"}},"tarball":"http://m/t.tgz"}}"#,
            ),
            (
                r#"{"attestations":{"url":"x"},"dist":{"attestations":{"url":"x"}}}"#,
                r#"{"attestations":{"url":"x"},"dist":{"tarball":"http://m/t.tgz","attestations":{"url":"http://m/-/a@1"}}}"#,
            ),
            (
                r#"{"dist":{"tarball":"x","attestations":{}}}"#,
                r#"{"dist":{"tarball":"http://m/t.tgz","attestations":{}}}"#,
            ),
            (
                r#"{"dist":{"tarball":"x","attestations":["url"]}}"#,
                r#"{"dist":{"tarball":"http://m/t.tgz","attestations":["url"]}}"#,
            ),
        ] {
            assert_eq!(with(before), after);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for bad in
            ["", "[]", "null", "{", "{}{}", r#"{"a"}"#, r#"{"a":1,}"#, r#"{"dist":{"tarball":}}"#, &deep]
        {
            assert!(spliced(bad).is_err());
        }
    }

    /// Any JSON value as text, with white space where it may be.
    fn json() -> impl Strategy<Value = String> {
        let text = || proptest::string::string_regex(r#"([a-z"\\/\u{e9}\n]|dist|tarball){0,4}"#).unwrap();
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("-1.50e+3".to_owned()),
            text().prop_map(|text| serde_json::to_string(&text).unwrap()),
        ];
        leaf.prop_recursive(3, 16, 4, move |inner| {
            let key = text().prop_map(|key| serde_json::to_string(&key).unwrap());
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[ {}]", items.join(" ,"))),
                prop::collection::vec((key, inner), 0..4).prop_map(|members| {
                    let members: Vec<_> =
                        members.iter().map(|(key, value)| format!("{key} :\t{value}")).collect();
                    format!("{{{}\n}}", members.join(", "))
                }),
            ]
        })
    }

    /// Members that come before or after, none of them the one that is looked for.
    fn others(not: &'static str) -> impl Strategy<Value = Vec<String>> {
        let key = proptest::string::string_regex(r#"(dist|tarball|[a-z"\\]){0,3}"#).unwrap();
        let key = key.prop_filter("another key", move |key| key != not);
        prop::collection::vec((key, json()), 0..3).prop_map(|members| {
            members
                .iter()
                .map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap()))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_other_byte_stays(
            before in others("dist"), after in others("dist"),
            inner_before in others("tarball"), inner_after in others("tarball"),
            old in json(),
        ) {
            let object = |tarball: &str| {
                let inner = [inner_before.clone(), vec![format!("\"tarball\" : {tarball}")], inner_after.clone()];
                let dist = format!("\"dist\": {{ {} }}", inner.concat().join(" , "));
                format!("\n{{{}}} ", [before.clone(), vec![dist], after.clone()].concat().join(","))
            };
            let result = spliced(&object(&old)).unwrap();
            prop_assert_eq!(&result, &object(&format!("\"{URL}\"")));
        }

        #[test]
        fn any_object_ends_up_with_the_url(object in json()) {
            match (spliced(&object), serde_json::from_str::<Value>(&object).unwrap()) {
                (Ok(spliced), Value::Object(mut expected)) => {
                    let mut dist = expected.get("dist").and_then(Value::as_object).cloned().unwrap_or_default();
                    dist.insert("tarball".to_owned(), URL.into());
                    expected.insert("dist".to_owned(), Value::Object(dist));
                    let spliced: Value = serde_json::from_str(&spliced).unwrap();
                    prop_assert_eq!(spliced, Value::Object(expected));
                }
                (result, value) => prop_assert!(result.is_err() && !value.is_object()),
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = spliced(&text);
        }
    }
}
