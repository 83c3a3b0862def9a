//! A registry's metadata of a package, and the version objects that are cut out of it byte for byte.
//!
//! Upstream documents are large (tens of megabytes) and change with every publish, so only the objects of carried
//! versions travel, exactly as the registry wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::engines::{BEST, Engines};
use super::lock::EdgeKind;
use super::signature::Signature;
use super::spec::Spec;
use super::version::Version;
use crate::problem::{Kind, Problem};

/// The largest document of a package that is read, in bytes.
pub(crate) const LARGEST_DOCUMENT: u64 = 64 << 20;
/// The largest version object, in bytes: as much as is read again at import.
const LARGEST_OBJECT: usize = 1 << 20;
/// The most members of an object that is taken apart.
const MOST_MEMBERS: usize = 200_000;

/// A package's document, taken apart but not yet understood.
pub(crate) struct Upstream<'a> {
    versions: BTreeMap<String, &'a str>,
    times: BTreeMap<String, &'a str>,
    /// The dist-tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// The versions that stand in it more than once; the last one counts.
    pub(crate) repeated: BTreeSet<String>,
}

/// What a version says of itself, as far as carrying it is concerned.
#[derive(Debug, Default, Clone)]
pub(crate) struct VersionObject {
    /// The address of its tarball.
    pub(crate) tarball: Option<String>,
    /// Its checksums as SRI.
    pub(crate) integrity: Option<String>,
    /// Its SHA-1.
    pub(crate) shasum: Option<String>,
    /// What its registry signed it with.
    pub(crate) signatures: Vec<Signature>,
    /// Whether its registry keeps attestations of it.
    pub(crate) is_attested: bool,
    /// The size of its files once they are unpacked, in bytes: its tarball is hardly ever larger.
    pub(crate) unpacked_size: Option<u64>,
    /// What it says of its licence.
    pub(crate) licence: Option<String>,
    /// Whether its tarball has an `npm-shrinkwrap.json`, which says what is installed inside of it.
    pub(crate) has_shrinkwrap: bool,
    /// The operating systems it is for; empty for all.
    pub(crate) os: Vec<String>,
    /// The processors it is for; empty for all.
    pub(crate) cpu: Vec<String>,
    /// The C libraries it is for; empty for all.
    pub(crate) libc: Vec<String>,
    /// What it runs when it is installed: the script's name and text.
    pub(crate) install_scripts: Vec<(String, String)>,
    /// Whether it runs scripts then, even where the document leaves out which.
    pub(crate) runs_scripts: bool,
    /// The names of the packages that its tarball holds.
    pub(crate) bundled: BTreeSet<String>,
    /// What it needs from a registry: name, range and kind.
    pub(crate) edges: Vec<(String, String, EdgeKind)>,
}

impl<'a> Upstream<'a> {
    /// Takes a document apart. `place` is its address, for messages.
    ///
    /// # Errors
    /// If it is no JSON object, or out of all proportion.
    pub(crate) fn read(bytes: &'a [u8], place: &dyn fmt::Display) -> Result<Upstream<'a>, Problem> {
        let damaged = |error: serde_json::Error| {
            let message = "the registry's answer is no package document";
            Problem::new(Kind::Untrusted, "npm.damaged-document", message)
                .at(format_args!("{place}, line {}", error.line()))
                .caused_by(&error)
                .hint("something between here and the registry may have answered in its place")
        };
        let document: Members<'a> = serde_json::from_slice(bytes).map_err(damaged)?;
        let mut upstream = Upstream {
            versions: BTreeMap::new(),
            times: BTreeMap::new(),
            tags: BTreeMap::new(),
            repeated: BTreeSet::new(),
        };
        // As with JSON.parse, the last of several members of one name counts.
        for (key, value) in document.0 {
            match key.as_str() {
                "versions" => {
                    upstream.versions.clear();
                    upstream.repeated.clear();
                    for (version, object) in members(value).map_err(damaged)? {
                        if upstream.versions.insert(version.clone(), object.get()).is_some() {
                            upstream.repeated.insert(version);
                        }
                    }
                }
                "time" => {
                    let times = members(value).map_err(damaged)?;
                    upstream.times = times.into_iter().map(|(version, time)| (version, time.get())).collect();
                }
                "dist-tags" => {
                    let tags = members(value).map_err(damaged)?;
                    let read = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
                    upstream.tags =
                        tags.into_iter().filter_map(|(tag, value)| Some((tag, read(value)?))).collect();
                }
                _ => {}
            }
        }
        Ok(upstream)
    }

    /// The objects of all versions.
    pub(crate) fn versions(&self) -> &BTreeMap<String, &'a str> {
        &self.versions
    }

    /// The bytes of a version's object.
    pub(crate) fn cut(&self, version: &str) -> Option<&'a str> {
        self.versions.get(version).copied()
    }

    /// When a version was published, in the registry's own words.
    pub(crate) fn time(&self, version: &str) -> Option<String> {
        serde_json::from_str(self.times.get(version)?).ok()
    }

    /// The version that npm would choose: `latest` if it will do, isn't deprecated and runs; else the highest of which that
    /// is so; else the highest that runs; else the highest that isn't deprecated; else the highest. With `before`, only what was
    /// published by then counts, as far as the registry says when that was.
    pub(crate) fn pick(&self, spec: &Spec, engines: &Engines, before: Option<Timestamp>) -> Option<&str> {
        let counts = |version: &str| {
            let published = || self.time(version)?.parse::<Timestamp>().ok();
            before.is_none_or(|before| published().is_none_or(|published| published <= before))
        };
        if let Spec::Tag(tag) = spec {
            let version = self.tags.get(tag)?;
            if !counts(version) {
                return self.pick(&Spec::read(&format!("<={version}")), engines, before);
            }
            return self.versions.get_key_value(version).map(|(version, _)| version.as_str());
        }
        let rank = |text: &str| self.versions.get(text).map_or(0, |object| engines.rank(object));
        let latest = self.tags.get("latest").and_then(|version| self.versions.get_key_value(version));
        if let Some((latest, _)) = latest
            && (*spec == Spec::Any || Version::parse(latest).is_some_and(|version| spec.admits(&version)))
            && rank(latest) == BEST
            && counts(latest)
        {
            return Some(latest);
        }
        let fits = |version: &Version| match spec {
            Spec::Any => !version.is_prerelease(),
            spec => spec.admits(version),
        };
        let read = self
            .versions
            .keys()
            .filter(|text| counts(text))
            .filter_map(|text| Some((Version::parse(text)?, text.as_str())));
        let mut fitting: Vec<_> = read.filter(|(version, _)| fits(version)).collect();
        fitting.sort_by(|left, right| right.cmp(left));
        let mut best: Option<(u8, &str)> = None;
        for (_, text) in fitting {
            let rank = rank(text);
            if best.is_none_or(|(held, _)| rank > held) {
                best = Some((rank, text));
            }
            if rank == BEST {
                break;
            }
        }
        best.map(|(_, text)| text)
    }
}

impl VersionObject {
    /// Understands a version's object, leniently where npm is lenient: a part of the wrong type counts as absent.
    ///
    /// # Errors
    /// If the object is larger than 1 MiB, or is of another package or version than the document says.
    pub(crate) fn read(
        raw: &str,
        name: &str,
        version: &str,
        place: &dyn fmt::Display,
    ) -> Result<VersionObject, Problem> {
        let wrong =
            |message: String| Problem::new(Kind::Untrusted, "npm.bad-version-object", message).at(place);
        if raw.len() > LARGEST_OBJECT {
            return Err(wrong(format!("the metadata of {name}@{version} is larger than 1 MiB")));
        }
        let object: Map<String, Value> = serde_json::from_str(raw).map_err(|error| {
            wrong(format!("the metadata of {name}@{version} is no JSON object")).caused_by(&error)
        })?;
        let said = (text(object.get("name")), text(object.get("version")));
        if said != (Some(name.to_owned()), Some(version.to_owned())) {
            let said = format!("{}@{}", said.0.unwrap_or_default(), said.1.unwrap_or_default());
            return Err(wrong(format!("where {name}@{version} should stand, the registry has {said}")));
        }
        let dist = |key: &str| text(object.get("dist").and_then(|dist| dist.get(key)));
        let bundled = bundled(&object);
        let install_scripts = install_scripts(&object);
        Ok(VersionObject {
            tarball: dist("tarball"),
            integrity: dist("integrity"),
            shasum: dist("shasum"),
            signatures: signatures(&object),
            is_attested: object.get("dist").is_some_and(|dist| is_true(dist.get("attestations"))),
            unpacked_size: object
                .get("dist")
                .and_then(|dist| dist.get("unpackedSize"))
                .and_then(Value::as_u64),
            licence: licence(&object),
            has_shrinkwrap: is_true(object.get("_hasShrinkwrap")),
            os: texts(object.get("os")),
            cpu: texts(object.get("cpu")),
            libc: texts(object.get("libc")),
            runs_scripts: !install_scripts.is_empty() || is_true(object.get("hasInstallScript")),
            install_scripts,
            edges: edges(&object, &bundled),
            bundled,
        })
    }
}

/// The members of an object, as they stand in it.
struct Members<'a>(Vec<(String, &'a RawValue)>);

fn members(value: &RawValue) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    if value.get() == "null" {
        return Ok(Vec::new());
    }
    serde_json::from_str::<Members<'_>>(value.get()).map(|members| members.0)
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut found = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    if found.len() == MOST_MEMBERS {
                        return Err(A::Error::custom(format!(
                            "an object has more than {MOST_MEMBERS} members"
                        )));
                    }
                    found.push(member);
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// A list of texts, or a single one.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => values.iter().filter_map(|value| text(Some(value))).collect(),
        _ => Vec::new(),
    }
}

/// Whether JavaScript takes a value for true.
pub(crate) fn is_true(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(_) => true,
    }
}

fn dependencies<'a>(object: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let members = object.get(key).and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, range)| Some((name.as_str(), range.as_str()?)))
}

/// What is no signature in the list stays in it, as an empty one: nobody verifies that.
fn signatures(object: &Map<String, Value>) -> Vec<Signature> {
    let list = object.get("dist").and_then(|dist| dist.get("signatures")).and_then(Value::as_array);
    let one = |signature: &Value| Signature {
        keyid: text(signature.get("keyid")).unwrap_or_default(),
        sig: text(signature.get("sig")).unwrap_or_default(),
    };
    list.into_iter().flatten().map(one).collect()
}

fn bundled(object: &Map<String, Value>) -> BTreeSet<String> {
    match object.get("bundleDependencies").or_else(|| object.get("bundledDependencies")) {
        Some(Value::Bool(true)) => {
            dependencies(object, "dependencies").map(|(name, _)| name.to_owned()).collect()
        }
        Some(Value::Object(names)) => names.keys().cloned().collect(),
        names => texts(names).into_iter().collect(),
    }
}

fn edges(object: &Map<String, Value>, bundled: &BTreeSet<String>) -> Vec<(String, String, EdgeKind)> {
    let mut edges = BTreeMap::new();
    for (name, range) in dependencies(object, "peerDependencies") {
        let meta = object.get("peerDependenciesMeta").and_then(|meta| meta.get(name));
        let optional = is_true(meta.and_then(|meta| meta.get("optional")));
        edges.insert(name, (range, if optional { EdgeKind::OptionalPeer } else { EdgeKind::Peer }));
    }
    // Optional dependencies stand among the others a second time; they are optional.
    for (key, kind) in [("dependencies", EdgeKind::Runtime), ("optionalDependencies", EdgeKind::Optional)] {
        for (name, range) in dependencies(object, key) {
            edges.insert(name, (range, kind));
        }
    }
    let needed = edges.into_iter().filter(|(name, _)| !bundled.contains(*name));
    needed.map(|(name, (range, kind))| (name.to_owned(), range.to_owned(), kind)).collect()
}

/// What npm runs when it installs the package from a registry.
fn install_scripts(object: &Map<String, Value>) -> Vec<(String, String)> {
    let script = |name: &str| text(object.get("scripts").and_then(|scripts| scripts.get(name)));
    let named = ["preinstall", "install", "postinstall"];
    let mut scripts: Vec<_> =
        named.into_iter().filter_map(|name| Some((name.to_owned(), script(name)?))).collect();
    let builds = scripts.iter().any(|(name, _)| name != "postinstall");
    if !builds && object.get("gypfile") == Some(&Value::Bool(true)) {
        scripts.push(("install".to_owned(), "node-gyp rebuild".to_owned()));
    }
    scripts
}

/// What a version says of its licence, in the forms that npm had over the years: a text, an object with a type, or a list
/// of these, of which one may choose. What is too long to be a name or an expression is left out.
fn licence(object: &Map<String, Value>) -> Option<String> {
    const LONGEST: usize = 256;
    let one = |value: &Value| -> Option<String> {
        value.as_str().or_else(|| value.get("type")?.as_str()).map(str::to_owned)
    };
    let text = match (object.get("license"), object.get("licenses")) {
        (Some(value @ (Value::String(_) | Value::Object(_))), _) => one(value)?,
        (Some(Value::Array(list)), _) | (_, Some(Value::Array(list))) => {
            let all: Vec<String> = list.iter().take(LONGEST).map(one).collect::<Option<_>>()?;
            if all.len() > 1 { format!("({})", all.join(" OR ")) } else { all.concat() }
        }
        _ => return None,
    };
    let is_fit = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
    is_fit.then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: &str = "https://registry.example.test/a";

    fn pick(document: &str, range: &str) -> Option<String> {
        let upstream = Upstream::read(document.as_bytes(), &PLACE).unwrap();
        upstream.pick(&Spec::read(range), &Engines::default(), None).map(str::to_owned)
    }

    #[test]
    fn versions_are_cut_byte_for_byte_and_the_last_of_two_counts() {
        let object = "{ \"name\" : \"a\",\n\t\"version\":\"1.0.0\", \"x\": [1e400, \"\\u00e9\", 1.0] }";
        let document = format!(
            "{{\"versions\":{{\"9.9.9\":{{}}}},\"readme\":\"{{\\\"versions\\\":1}}\",\n\
             \"versions\" : {{\"0.9.0\":{{}},\"1.0.0\":{{}}, \"1.0.0\" :  {object} ,\"2.0.0\":7}},\
             \"dist-tags\":{{\"latest\":\"1.0.0\",\"odd\":7}},\"time\":{{\"1.0.0\":\"2020-01-01T00:00:00.000Z\"}}}}"
        );
        let upstream = Upstream::read(document.as_bytes(), &PLACE).unwrap();
        assert_eq!(upstream.cut("1.0.0"), Some(object));
        assert_eq!(upstream.cut("9.9.9"), None);
        assert_eq!(upstream.repeated.iter().collect::<Vec<_>>(), ["1.0.0"]);
        assert_eq!(upstream.tags.len(), 1);
        assert_eq!(upstream.time("1.0.0").as_deref(), Some("2020-01-01T00:00:00.000Z"));
        assert_eq!(upstream.time("0.9.0"), None);
    }

    #[test]
    fn a_version_is_chosen_as_npm_chooses() {
        let document = r#"{"dist-tags":{"latest":"1.1.0","next":"2.0.0-rc.1","gone":"7.0.0"},"versions":{
            "1.0.0":{},"1.1.0":{},"1.2.0":{},"1.3.0":{"deprecated":"bad"},"0.9.0":{"deprecated":"old"},
            "0.8.0":{"deprecated":"older"},"2.0.0-rc.1":{},"3.0.0":{"deprecated":""},"odd":{}}}"#;
        for (range, chosen) in [
            ("*", Some("1.1.0")),
            ("^1", Some("1.1.0")),
            (">=1.2", Some("3.0.0")),
            ("~1.2 || ~1.3", Some("1.2.0")),
            ("^1.3", Some("1.3.0")),
            ("<1", Some("0.9.0")),
            ("1.0.0", Some("1.0.0")),
            ("^2.0.0-rc", Some("2.0.0-rc.1")),
            ("^2", None),
            ("next", Some("2.0.0-rc.1")),
            ("latest", Some("1.1.0")),
            ("gone", None),
            ("unknown", None),
        ] {
            assert_eq!(pick(document, range).as_deref(), chosen, "{range}");
        }
    }

    #[test]
    fn what_a_version_says_is_understood_leniently() {
        let raw = r#"{"name":"a","version":"1.0.0","dist":{"tarball":"t","integrity":"i","shasum":7},"os":"linux",
            "cpu":["x64",7],"libc":null,"gypfile":true,"scripts":{"postinstall":"p","test":"t"},
            "dependencies":{"d":"^1","o":"^1","b":"^1","bad":7},"optionalDependencies":{"o":"^2"},
            "peerDependencies":{"p":"1","q":"2"},"peerDependenciesMeta":{"q":{"optional":true}},
            "bundledDependencies":["b"]}"#;
        let object = VersionObject::read(raw, "a", "1.0.0", &PLACE).unwrap();
        assert_eq!((object.tarball.as_deref(), object.shasum.as_deref()), (Some("t"), None));
        assert_eq!((object.os.len(), object.cpu.len(), object.libc.len()), (1, 1, 0));
        let scripts: Vec<_> = object.install_scripts.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(scripts, ["p", "node-gyp rebuild"]);
        let edges: Vec<_> = object
            .edges
            .iter()
            .map(|(name, range, kind)| (name.as_str(), range.as_str(), kind.name()))
            .collect();
        let expected = [
            ("d", "^1", "runtime"),
            ("o", "^2", "optional"),
            ("p", "1", "peer"),
            ("q", "2", "optional-peer"),
        ];
        assert_eq!(edges, expected);
    }

    #[test]
    fn bad_documents_are_refused_with_their_place() {
        let many = format!("{{\"versions\":{{{}\"z\":1}}}}", "\"a\":1,".repeat(MOST_MEMBERS));
        let html = "<html>\nlogin</html>";
        for text in
            ["", html, "[]", "\"a\"", "{\"versions\":[]}", "{\"versions\":{\"1.0.0\":{}", many.as_str()]
        {
            let problem = Upstream::read(text.as_bytes(), &PLACE).err().unwrap();
            assert_eq!(problem.code, "npm.damaged-document", "{text:.40}");
            assert!(problem.place.unwrap().starts_with(PLACE));
        }
        assert!(Upstream::read(b"{\"versions\":null}", &PLACE).is_ok());
        let large =
            format!("{{\"name\":\"a\",\"version\":\"1.0.0\",\"x\":\"{}\"}}", "x".repeat(LARGEST_OBJECT));
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        for raw in [
            "7",
            "{}",
            "{\"name\":\"b\",\"version\":\"1.0.0\"}",
            "{\"name\":\"a\",\"version\":\"1.0.1\"}",
            &large,
            &deep,
        ] {
            let problem = VersionObject::read(raw, "a", "1.0.0", &PLACE).unwrap_err();
            assert_eq!(problem.code, "npm.bad-version-object", "{raw:.40}");
        }
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0usize..200, byte: u8) {
            let mut bytes = br#"{"versions":{"1.0.0":{"name":"a","version":"1.0.0","scripts":{"install":"x"},"dependencies":
                {"b":"^1"}}},"time":{"1.0.0":"2020"},"dist-tags":{"latest":"1.0.0"}}"#.to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            if let Ok(upstream) = Upstream::read(&bytes, &PLACE) {
                let _ = upstream.pick(&Spec::read("^1"), &Engines::default(), None);
                let raw = upstream.cut("1.0.0").unwrap_or_default();
                let _ = VersionObject::read(raw, "a", "1.0.0", &PLACE);
            }
        }
    }

    #[test]
    fn licences_are_read_in_every_form() {
        let read = |text: &str| licence(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        for (text, expected) in [
            (r#"{"license":"MIT"}"#, Some("MIT")),
            (r#"{"license":{"type":"ISC","url":"x"}}"#, Some("ISC")),
            (r#"{"licenses":[{"type":"MIT"},{"type":"Apache-2.0"}]}"#, Some("(MIT OR Apache-2.0)")),
            (r#"{"license":["BSD"]}"#, Some("BSD")),
            (r#"{"license":7,"licenses":[7]}"#, None),
            (r#"{"license":"a\u001bb"}"#, None),
            (r#"{"license":""}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
        assert_eq!(read(&format!("{{\"license\":\"{}\"}}", "x".repeat(300))), None);
    }
}
