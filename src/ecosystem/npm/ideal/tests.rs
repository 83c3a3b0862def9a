//! The trees of `fixtures/npm/solving`: small registries, each with a project and what npm itself made of it. The form is
//! told in the README there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::*;
use crate::ecosystem::npm::engines::Engines;
use crate::ecosystem::npm::lock::{EdgeKind, read_shrinkwrap};
use crate::ecosystem::npm::spec::{Spec, split_range, without_alias};
use crate::ecosystem::npm::version_object::{Upstream, VersionObject};

/// A registry, by the names of its packages.
#[derive(Default)]
struct Registry(BTreeMap<String, Value>);

impl Known for Registry {
    fn look(&self, name: &str, text: &str) -> Look {
        let spec = Spec::read(text);
        let (real, _) = spec.target(name);
        let Some(package) = self.0.get(real) else { return Look::Absent };
        let document = package.to_string();
        let upstream = Upstream::read(document.as_bytes(), &"registry").unwrap();
        let engines = Engines::of("20.20.2", "11.0.0");
        let Some(version) = upstream.pick(&Spec::read(without_alias(text)), &engines, None) else {
            return Look::Absent;
        };
        let raw = upstream.cut(version).unwrap();
        let object = VersionObject::read(raw, real, version, &"registry").unwrap();
        let manifest = Manifest::of(&object, real, version);
        let raw: Value = serde_json::from_str(raw).unwrap();
        if raw["shrinkwrap"].is_null() {
            return Look::Found(Arc::new(manifest));
        }
        let lock = read_shrinkwrap(raw["shrinkwrap"].to_string().as_bytes(), real).unwrap();
        Look::Found(Arc::new(manifest.with_shrinkwrap(&lock)))
    }
}

/// Reads what stands behind a name and a version into its object.
fn read_words(object: &mut Value, words: &str) {
    for word in words.split_whitespace() {
        if let Some(packages) = word.strip_prefix("shrinkwrap=") {
            let packages: Value = serde_json::from_str(packages).unwrap();
            object["shrinkwrap"] = json!({"lockfileVersion": 3, "packages": packages});
            continue;
        }
        let (kind, what) = word.split_once(':').unwrap_or(("", word));
        let (field, what) = match kind {
            "peer" | "optpeer" => ("peerDependencies", what),
            "opt" => ("optionalDependencies", what),
            "os" => {
                object["os"] = json!([what]);
                continue;
            }
            "engine" => ("engines", what),
            "tag" => {
                object["tag"] = json!(what);
                continue;
            }
            _ if word == "deprecated" => {
                object["deprecated"] = json!("old");
                continue;
            }
            _ => ("dependencies", word),
        };
        let (name, range) = split_range(what);
        object[field][name] = json!(range);
        if kind == "optpeer" {
            object["peerDependenciesMeta"][name] = json!({"optional": true});
        }
    }
}

/// A registry, and the project that is solved with it.
fn read(text: &str) -> (Registry, Project) {
    let mut registry = Registry::default();
    let (mut asked, mut overrides) = (Vec::new(), Map::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(words) = line.strip_prefix("project ") {
            for word in words.split_whitespace() {
                if let Some(written) = word.strip_prefix("overrides=") {
                    overrides = serde_json::from_str(written).unwrap();
                } else {
                    let (name, range) = split_range(word);
                    asked.push(Dependency::new(name, range, EdgeKind::Runtime));
                }
            }
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        let mut object = json!({"name": name, "version": version});
        read_words(&mut object, words.next().unwrap_or_default());
        let package = registry.0.entry(name.to_owned()).or_insert_with(|| json!({"name": name}));
        if let Some(tag) = object["tag"].as_str().map(str::to_owned) {
            package["dist-tags"][tag] = json!(version);
        }
        let last = &mut package["last"];
        *last = json!(version);
        package["versions"][version] = object;
    }
    for package in registry.0.values_mut() {
        if package["dist-tags"]["latest"].is_null() {
            package["dist-tags"]["latest"] = package["last"].clone();
        }
    }
    let manifest = Manifest::new("project", "1.0.0", asked, Origin::Directory(Arc::from("")));
    let (manifest, directories) = (Arc::new(manifest), Vec::new());
    (registry, Project { manifest, overrides, overrides_itself: false, directories })
}

/// What is made of it, line by line.
fn solved(text: &str) -> Vec<String> {
    let (registry, project) = read(text);
    let ideal = match build(&project, &registry, Settings::default()).unwrap() {
        Outcome::Built(ideal) => ideal,
        Outcome::Conflict(_) => return vec!["conflict".to_owned()],
        Outcome::Needs(needs) => panic!("{needs:?}"),
        Outcome::Endless => panic!("endless"),
    };
    let nodes = ideal.lock.nodes().filter(|node| !node.path().is_empty());
    let mut lines: Vec<String> = nodes
        .map(|node| match node.flags().link {
            true => format!("{} -> {}", node.path(), node.resolved().unwrap()),
            false => {
                let optional = if node.flags().optional { " optional" } else { "" };
                format!("{} {}{optional}", node.path(), node.version().unwrap())
            }
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn trees_are_those_of_npm() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/npm/solving");
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (given, expected) = text.split_once("\n---\n").unwrap();
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(solved(given), expected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn a_conflict_is_told_as_npm_tells_it() {
    let (registry, project) =
        read("react 18.3.1\nreact 19.0.0\ndom 18.3.1 peer:react@^18.3.1\nproject dom@18.3.1 react@19.0.0");
    let Outcome::Conflict(lines) = build(&project, &registry, Settings::default()).unwrap() else { panic!() };
    let expected = [
        "found: react@19.0.0, for react@\"19.0.0\" from the root project",
        "could not resolve: peer react@\"^18.3.1\" from dom@18.3.1, which is for dom@\"18.3.1\" from the root project",
    ];
    assert_eq!(lines, expected);
    let lenient = Settings { ignores_peers: true, ..Settings::default() };
    assert!(matches!(build(&project, &registry, lenient).unwrap(), Outcome::Built(_)));
}

#[test]
fn what_has_no_end_is_given_up() {
    // Each wants all others of the same number beside it, of which there are more ways than time.
    let mut text = String::new();
    let all: Vec<String> = (0..12).map(|number| format!("p{number}")).collect();
    for name in &all {
        let peers = all.iter().filter(|other| *other != name).map(|other| format!(" peer:{other}@*"));
        text.push_str(&format!("{name} 1.0.0{}\n", peers.collect::<String>()));
    }
    let (registry, project) = read(&format!("{text}project p0@1 p1@1"));
    let soon = Settings { effort: 10_000, ..Settings::default() };
    assert!(matches!(build(&project, &registry, soon).unwrap(), Outcome::Endless));
    // A chain of peers is no deeper than the stack is.
    let mut text = String::new();
    for number in 0..1000 {
        text.push_str(&format!("c{number} 1.0.0 peer:c{}@1\n", number + 1));
    }
    let (registry, project) = read(&format!("{text}project c0@1"));
    assert!(matches!(build(&project, &registry, Settings::default()).unwrap(), Outcome::Endless));
}

#[test]
fn overrides_that_cannot_be_followed_are_named() {
    for (overrides, why) in [
        (json!({"a": "2.0.0"}), "the project itself asks for ^1"),
        (json!({"b": "$absent"}), "refers to nothing"),
        (json!({"b": 7}), "neither a text nor an object"),
        (json!({"b": {".": {}}}), "is no text"),
    ] {
        let (registry, mut project) = read("a 1.0.0\nproject a@^1");
        project.overrides = overrides.as_object().unwrap().clone();
        let problem = build(&project, &registry, Settings::default()).err().unwrap();
        assert!(problem.causes.iter().any(|cause| cause.contains(why)), "{problem:?}");
    }
}
