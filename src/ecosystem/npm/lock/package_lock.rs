//! Reading `package-lock.json` and `npm-shrinkwrap.json`, versions 2 and 3: the `packages` map.
//!
//! The text is never held: it may have 64 MiB. Only to say where something is wrong it is looked at as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;

use bundle_format::{BlobHasher, BlobKey};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{EdgeKind, Flags, Lock, MOST, MOST_EDGES, Written, WrittenEdge, installed_name};
use crate::blocking::blocking;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest lockfile that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// What came of reading a lockfile.
pub(super) enum Loaded {
    /// There is none.
    Missing,
    /// One of version 2 or 3, and the digest of its bytes.
    Read(Lock, BlobKey),
    /// One of version 1.
    Older,
}

/// Reads and checks the lockfile at `path`. `shown` is its path in messages.
///
/// # Errors
/// If it cannot be read, is damaged, or not of a form that is read.
pub(super) async fn load(path: &Path, shown: &Path, context: &dyn CollectContext) -> Result<Loaded, Problem> {
    let Some(file) = context.open(path).await? else { return Ok(Loaded::Missing) };
    let fault = match blocking(move || Ok(read(file))).await? {
        Ok((lock, digest)) => return Ok(Loaded::Read(lock, digest)),
        Err(fault) if fault.is_older() => return Ok(Loaded::Older),
        Err(fault) => fault,
    };
    // Where the file cannot be read, is too large or no file at all, this says so.
    let text = context.read(path, LARGEST).await?.unwrap_or_default();
    Err(fault.explain(shown, &text))
}

/// Reads and checks a lockfile, and finds the digest of its bytes.
pub(super) fn read(file: impl Read) -> Result<(Lock, BlobKey), Fault> {
    let mut file = Hashed { file, hasher: BlobHasher::default(), left: LARGEST };
    // npm writes no byte order mark, but editors do, and npm reads it.
    let mut start = Vec::new();
    file.by_ref().take(3).read_to_end(&mut start).map_err(Fault::Unreadable)?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(start.chain(&mut file)));
    let mut document = Document::default();
    if let Err(error) = document.take(&mut json) {
        return Err(match document.too_much {
            Some(what) => Fault::TooMuch(what),
            None if error.is_io() => Fault::Unreadable(error.into()),
            None => Fault::Json(error),
        });
    }
    match (document.version.flatten(), document.has_packages) {
        (Some(2 | 3), Some(true)) => {}
        (Some(2 | 3), _) => return Err(Fault::NoPackages),
        (version, _) => return Err(Fault::Version(version)),
    }
    let mut lock = document.lock;
    lock.put_in_order();
    lock.check().map_err(|(path, message)| Fault::Entry { path, message })?;
    drop(json);
    Ok((lock, file.hasher.finish()))
}

/// What is wrong with a lockfile.
#[derive(Debug)]
pub(super) enum Fault {
    Unreadable(io::Error),
    Json(serde_json::Error),
    TooMuch(String),
    NoPackages,
    Version(Option<u64>),
    Entry { path: String, message: String },
}

impl Fault {
    /// Whether it is a lockfile of version 1, which is read elsewhere.
    pub(super) fn is_older(&self) -> bool {
        matches!(self, Fault::Version(Some(1)))
    }

    /// Says what is wrong, and in which line. `shown` is the lockfile's path, and `text` what it holds.
    pub(super) fn explain(self, shown: &Path, text: &[u8]) -> Problem {
        let damaged = |message: String, line: usize| {
            Problem::new(Kind::Untrusted, "npm.damaged-lockfile", message)
                .at(format_args!("{}:{line}", shown.display()))
                .hint("npm writes it anew with: npm install --package-lock-only")
        };
        let other = |code: &'static str, message: String| {
            Problem::new(Kind::Usage, code, message)
                .at(shown.display())
                .hint("write a newer one with: npm install --package-lock-only --lockfile-version 3")
        };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if let Some(line) = text.split(|byte| *byte == b'\n').position(|line| line.starts_with(b"<<<<<<< ")) {
            return damaged("the lockfile holds an unresolved merge conflict".to_owned(), line + 1);
        }
        match self {
            Fault::Unreadable(error) => {
                let message = format!("cannot read {}", shown.display());
                Problem::new(Kind::Usage, "npm.unreadable-lockfile", message).caused_by(&error)
            }
            Fault::Json(error) => {
                // What reads a file is a byte ahead, perhaps on the next line; what reads a text isn't.
                let of_text = Document::default().take(&mut serde_json::Deserializer::from_slice(text));
                let error = of_text.err().unwrap_or(error);
                damaged("the lockfile is damaged".to_owned(), error.line()).caused_by(&error)
            }
            Fault::TooMuch(what) => damaged(format!("the lockfile has more than {what}"), 1),
            Fault::NoPackages => damaged("the lockfile has no `packages`".to_owned(), 1),
            Fault::Version(None) => {
                let message = "this is no package-lock: it has no `lockfileVersion`";
                other("npm.no-lockfile", message.to_owned())
            }
            Fault::Version(Some(version)) => {
                let message = format!("this is a package-lock of version {version}; 1, 2 and 3 are read");
                other("npm.unknown-lockfile", message)
            }
            Fault::Entry { path, message } => damaged(message, line_of(text, &path)),
        }
    }
}

/// Passes on what it reads, hashed, and no more than it may.
struct Hashed<R> {
    file: R,
    hasher: BlobHasher,
    left: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..length).unwrap_or_default());
        let left = self.left.checked_sub(length as u64);
        self.left = left.ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {LARGEST} bytes"))
        })?;
        Ok(length)
    }
}

/// What was read so far.
#[derive(Default)]
struct Document {
    version: Option<Option<u64>>,
    has_packages: Option<bool>,
    lock: Lock,
    /// How many edges were written, whether they count or not.
    edges: usize,
    /// Of what there is more than can be right.
    too_much: Option<String>,
}

impl Document {
    fn take<'de>(
        &mut self,
        json: &mut serde_json::Deserializer<impl serde_json::de::Read<'de>>,
    ) -> Result<(), serde_json::Error> {
        self.deserialize(&mut *json)?;
        json.end()
    }
}

impl<'de> DeserializeSeed<'de> for &mut Document {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Document {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lockfile")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "lockfileVersion" if self.version.is_none() => self.version = Some(map.next_value()?),
                "packages" if self.has_packages.is_none() => {
                    self.has_packages = Some(map.next_value_seed(Packages(self))?);
                }
                "lockfileVersion" | "packages" => {
                    return Err(A::Error::custom(format!("duplicate field `{key}`")));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The map of entries; false if it is null.
struct Packages<'a>(&'a mut Document);

impl<'de> DeserializeSeed<'de> for Packages<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Packages<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of entries")
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Packages(document) = self;
        while let Some((path, entry)) = map.next_entry::<String, Entry>()? {
            document.edges += entry.edge_count();
            if document.lock.len() == MOST {
                document.too_much = Some(format!("{MOST} entries"));
            } else if document.edges > MOST_EDGES {
                document.too_much = Some(format!("{MOST_EDGES} dependencies"));
            }
            if document.too_much.is_some() {
                return Err(A::Error::custom("out of all proportion"));
            }
            document.lock.push(&entry.at(&path));
        }
        Ok(true)
    }
}

/// An entry as npm writes it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    #[serde(deserialize_with = "text")]
    version: Option<String>,
    #[serde(deserialize_with = "text")]
    resolved: Option<String>,
    #[serde(deserialize_with = "text")]
    integrity: Option<String>,
    link: bool,
    in_bundle: bool,
    optional: bool,
    has_install_script: bool,
    dependencies: Members<String>,
    dev_dependencies: Members<String>,
    optional_dependencies: Members<String>,
    peer_dependencies: Members<String>,
    peer_dependencies_meta: Members<PeerMeta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PeerMeta {
    optional: bool,
}

impl Entry {
    fn edge_count(&self) -> usize {
        let dependencies = self.dependencies.0.len() + self.dev_dependencies.0.len();
        dependencies + self.optional_dependencies.0.len() + self.peer_dependencies.0.len()
    }

    fn at<'a>(&'a self, path: &'a str) -> Written<'a> {
        Written {
            path,
            name: self.name.as_deref(),
            version: self.version.as_deref(),
            resolved: self.resolved.as_deref(),
            integrity: self.integrity.as_deref(),
            flags: Flags {
                link: self.link,
                in_bundle: self.in_bundle,
                optional: self.optional,
                has_install_script: self.has_install_script,
                by_address: false,
            },
            // Development dependencies count in the project and its workspaces alone.
            edges: self.edges(installed_name(path).is_none()),
        }
    }

    /// What leads from it to others, development included only where `development` says so. npm lists an optional
    /// dependency a second time among the needed ones; it counts as optional.
    fn edges(&self, development: bool) -> Vec<WrittenEdge<'_>> {
        let mut edges = BTreeMap::new();
        let optional = |name: &str| self.peer_dependencies_meta.0.get(name).is_some_and(|meta| meta.optional);
        for (name, range) in &self.peer_dependencies.0 {
            let kind = if optional(name) { EdgeKind::OptionalPeer } else { EdgeKind::Peer };
            edges.insert(name.as_str(), (range.as_str(), kind));
        }
        for (dependencies, kind) in [
            (development.then_some(&self.dev_dependencies.0), EdgeKind::Runtime),
            (Some(&self.dependencies.0), EdgeKind::Runtime),
            (Some(&self.optional_dependencies.0), EdgeKind::Optional),
        ] {
            for (name, range) in dependencies.into_iter().flatten() {
                edges.insert(name, (range, kind));
            }
        }
        let edges = edges.into_iter();
        edges.map(|(name, (range, kind))| WrittenEdge { name, range, kind, to: None }).collect()
    }
}

/// The members of one entry's object, no more than a whole lockfile may have.
struct Members<T>(BTreeMap<String, T>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Members(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded<T>(BTreeMap<String, T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Members<T>, A::Error> {
                while let Some((name, value)) = map.next_entry()? {
                    if self.0.len() == MOST_EDGES {
                        return Err(A::Error::custom(format!("an entry has more than {MOST_EDGES} members")));
                    }
                    self.0.insert(name, value);
                }
                Ok(Members(self.0))
            }
        }
        deserializer.deserialize_map(Bounded(BTreeMap::new()))
    }
}

/// A text, or nothing for whatever else stands there: npm wrote `false` in its time.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// The line that an entry begins on; 1 if it cannot be found (its path is written with escapes).
fn line_of(text: &[u8], path: &str) -> usize {
    let quoted = format!("{path:?}:");
    let found = text.windows(quoted.len()).position(|window| window == quoted.as_bytes());
    let before = found.and_then(|at| text.get(..at)).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ecosystem::npm::lock::Node;

    fn lock(text: &str) -> Result<Lock, Problem> {
        let shown = Path::new("project/package-lock.json");
        read(text.as_bytes()).map(|(lock, _)| lock).map_err(|fault| fault.explain(shown, text.as_bytes()))
    }

    fn packages(entries: &str) -> String {
        format!("{{\"lockfileVersion\":3,\n\"packages\":{{\n{entries}\n}}}}")
    }

    #[test]
    fn names_come_from_the_entry_or_its_path() {
        let lock = lock(&packages(
            r#""":{"name":"project","devDependencies":{"a":"^1"},"peerDependencies":{"p":"1","q":"2"},
                "peerDependenciesMeta":{"q":{"optional":true}},"dependencies":{"o":"1","d":"1"},
                "optionalDependencies":{"o":"1"}},
            "node_modules/a":{"version":"1.0.0","resolved":false},
            "node_modules/b/node_modules/@s/c":{"version":"1.0.0","dependencies":{"d":"1"},"devDependencies":{"a":"1"}},
            "node_modules/alias":{"name":"@s/real","version":"2.0.0"},
            "packages/w":{"version":"0.0.0"}"#,
        ))
        .unwrap();
        let name = |path: &str| lock.at(path).unwrap().name();
        assert_eq!(name("node_modules/a"), Some("a"));
        assert_eq!(name("node_modules/b/node_modules/@s/c"), Some("@s/c"));
        assert_eq!(name("node_modules/alias"), Some("@s/real"));
        assert_eq!(name("packages/w"), None);
        assert_eq!(lock.at("node_modules/a").unwrap().resolved(), None);
        let kinds = |path: &str| -> Vec<_> {
            let edges = lock.at(path).unwrap().edges();
            edges.map(|edge| format!("{} {} {}", edge.name, edge.range, edge.kind.name())).collect()
        };
        let expected = ["a ^1 runtime", "d 1 runtime", "o 1 optional", "p 1 peer", "q 2 optional-peer"];
        assert_eq!(kinds(""), expected);
        assert_eq!(kinds("node_modules/b/node_modules/@s/c"), ["d 1 runtime"]);
    }

    #[test]
    fn what_is_held_short_comes_back_as_it_was_written() {
        for resolved in [
            "https://registry.example.test/r/a/-/a-1.0.0.tgz",
            "https://registry.example.test/r/a/-/a-1.0.0.tgz?x=1",
            "https://registry.example.test/r/b/-/b-1.0.0.tgz",
            "https://registry.example.test/r/@s/a/-/a-1.0.0.tgz",
            "a/-/a-1.0.0.tgz",
            "",
        ] {
            let entry = format!("\"node_modules/a\":{{\"version\":\"1.0.0\",\"resolved\":{resolved:?}}}");
            let lock = lock(&packages(&entry)).unwrap();
            assert_eq!(lock.at("node_modules/a").unwrap().resolved().as_deref(), Some(resolved));
        }
    }

    #[test]
    fn of_two_entries_with_one_path_the_last_one_counts() {
        let entry = |version: &str| format!("\"node_modules/a\":{{\"version\":\"{version}\"}}");
        let text = [entry("3.0.0"), "\"\":{}".to_owned(), entry("one"), entry("2.0.0")].join(",");
        let lock = lock(&packages(&text)).unwrap();
        assert_eq!(lock.nodes().map(Node::path).collect::<Vec<_>>(), ["", "node_modules/a"]);
        assert_eq!(lock.at("node_modules/a").unwrap().version(), Some("2.0.0"));
    }

    #[test]
    fn what_is_out_of_all_proportion_is_refused() {
        let entries: Vec<String> = (0..=MOST).map(|number| format!("\"{number}\":{{}}")).collect();
        let problem = lock(&packages(&entries.join(","))).unwrap_err();
        assert_eq!(problem.message, "the lockfile has more than 200000 entries");
        let edges: Vec<String> = (0..=MOST_EDGES / 2).map(|number| format!("\"{number}\":\"\"")).collect();
        let entry = format!("{{\"dependencies\":{{{}}}}}", edges.join(","));
        let problem = lock(&packages(&format!("\"a\":{entry},\"b\":{entry}"))).unwrap_err();
        assert_eq!(problem.message, "the lockfile has more than 1000000 dependencies");
        let long = format!("{{{}", " ".repeat(usize::try_from(LARGEST).unwrap()));
        let fault = read(long.as_bytes()).unwrap_err();
        assert!(matches!(fault, Fault::Unreadable(error) if error.kind() == io::ErrorKind::FileTooLarge));
    }

    #[test]
    fn bad_lockfiles_are_refused_with_their_place() {
        let long = packages(&format!("\"node_modules/{}\":{{\"version\":\"1.0.0\"}}", "a/".repeat(3000)));
        let deep = format!("{{\"lockfileVersion\":3,\"packages\":{{\"\":{{\"x\":{}", "[".repeat(100_000));
        for (text, code, line) in [
            ("", "npm.damaged-lockfile", ":1"),
            ("[]", "npm.damaged-lockfile", ":1"),
            ("{\n\"lockfileVersion\":\n", "npm.damaged-lockfile", ":3"),
            ("{}", "npm.no-lockfile", ""),
            ("{\"lockfileVersion\":9}", "npm.unknown-lockfile", ""),
            ("{\"lockfileVersion\":3}", "npm.damaged-lockfile", ":1"),
            ("{\n<<<<<<< HEAD\n", "npm.damaged-lockfile", ":2"),
            (&packages("\"node_modules/a\":7"), "npm.damaged-lockfile", ":3"),
            (&packages("\"node_modules/a\":{\"dependencies\":[1]}"), "npm.damaged-lockfile", ":3"),
            (&packages("\"\":{},\n\"node_modules/a\":{}"), "npm.damaged-lockfile", ":4"),
            (&packages("\"node_modules/a\":{\"version\":\"one\"}"), "npm.damaged-lockfile", ":3"),
            (&packages("\"node_modules/../../etc\":{\"version\":\"1.0.0\"}"), "npm.damaged-lockfile", ":3"),
            (
                &packages("\"node_modules/a\":{\"name\":\"../a\",\"version\":\"1.0.0\"}"),
                "npm.damaged-lockfile",
                ":3",
            ),
            (&long, "npm.damaged-lockfile", ":3"),
            (&deep, "npm.damaged-lockfile", ":1"),
        ] {
            let problem = lock(text).unwrap_err();
            assert_eq!(problem.code, code, "{text:.80}");
            let place = format!("project/package-lock.json{line}");
            assert_eq!(problem.place.as_deref(), Some(place.as_str()), "{text:.80}");
            assert!(!problem.hints.is_empty());
        }
        assert!(lock("\u{feff}{\"lockfileVersion\":3,\"packages\":{}}").is_ok());
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0usize..400, byte: u8) {
            let mut bytes = packages(r#""":{"dependencies":{"a":"^1"}},"node_modules/a":{"version":"1.0.0",
                "resolved":"https://registry.example.test/a/-/a-1.0.0.tgz","integrity":"sha512-AA=="}"#).into_bytes();
            let length = bytes.len();
            if let Some(place) = bytes.get_mut(at % length) {
                *place = byte;
            }
            if let Err(fault) = read(bytes.as_slice()) {
                let _ = fault.explain(Path::new("package-lock.json"), &bytes);
            }
        }
    }
}
