//! `pnpm-lock.yaml`, of pnpm 3 to 11: versions 5, 6 and 9.
//!
//! What a package is called changed: `/name/1.0.0_peers` in version 5, `/name@1.0.0(peers)` in 6, `name@1.0.0(peers)` in 9,
//! where what is the same with all peers stands apart (`packages`) from what isn't (`snapshots`). An edge says which one it
//! gets, not what it asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::EdgeKind;
use super::flat::{Flat, Package, Place};
use super::read::Damage;
use super::yaml::Yaml;
use crate::ecosystem::npm::spec::{Spec, split_range};

/// How packages are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    Slash,
    SlashAt,
    At,
}

/// What the lockfile says of a package, whatever its peers.
#[derive(Debug, Default, Clone)]
struct Resolution {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    tarball: Option<String>,
    /// The address of a repository, and the commit.
    repository: Option<(String, String)>,
    is_directory: bool,
    has_install_script: bool,
}

/// A package with its peers.
struct Snapshot {
    key: String,
    edges: Vec<(String, String, EdgeKind)>,
    line: usize,
}

/// A directory of the project: its path, and the name, what is asked for, what it gets and the kind of each dependency.
struct Importer {
    path: String,
    edges: Vec<(String, String, String, EdgeKind)>,
    line: usize,
}

#[derive(Default)]
struct Read {
    version: Option<String>,
    overridden: Vec<String>,
    importers: Vec<Importer>,
    /// In a lockfile without `importers`.
    own: Asked,
    resolutions: BTreeMap<String, Resolution>,
    snapshots: Vec<Snapshot>,
}

/// What a directory of the project asks for: its dependencies, and in older lockfiles apart from them what each asks for.
#[derive(Default)]
struct Asked {
    specifiers: BTreeMap<String, String>,
    edges: Vec<(String, String, String, EdgeKind)>,
}

/// Reads a lockfile; with the names whose versions the project overrides.
pub(super) fn read(text: &str) -> Result<(Flat, Vec<String>), Damage> {
    let mut yaml = Yaml::new(text);
    let mut read = Read::default();
    // pnpm 11 puts a document of its own before that of the project.
    while yaml.document()? {
        yaml.mapping(|yaml, key| top(yaml, key, &mut read))?;
    }
    let grammar = match read.version.as_deref().and_then(|version| version.split('.').next()) {
        Some("5") => Grammar::Slash,
        Some("6") => Grammar::SlashAt,
        Some("9") => Grammar::At,
        Some(_) => {
            let version = read.version.unwrap_or_default();
            let message = format!("this is a pnpm-lock of version {version}; 5, 6 and 9 are read");
            return Err(Damage::unsupported(message));
        }
        None => return Err(Damage::new(1, "the lockfile is damaged: it has no `lockfileVersion`")),
    };
    let overridden = std::mem::take(&mut read.overridden);
    Ok((build(read, grammar)?, overridden))
}

fn top(yaml: &mut Yaml<'_>, key: &str, read: &mut Read) -> Result<(), Damage> {
    match key {
        "lockfileVersion" => read.version = yaml.text()?.or(read.version.take()),
        "overrides" => {
            // `a>b@1` is the b of a.
            let names = yaml.texts()?.into_iter().map(|(key, _)| {
                let last = key.rsplit('>').next().unwrap_or_default();
                split_range(last).0.to_owned()
            });
            read.overridden.extend(names);
        }
        "specifiers" => read.own.specifiers.extend(yaml.texts()?),
        "importers" => yaml.mapping(|yaml, path| {
            let (line, path) = (yaml.line(), if path == "." { String::new() } else { path.to_owned() });
            let mut own = Asked::default();
            yaml.mapping(|yaml, key| match key {
                "specifiers" => {
                    own.specifiers.extend(yaml.texts()?);
                    Ok(())
                }
                key => dependencies(yaml, key, &mut own),
            })?;
            read.importers.push(Importer { path, edges: own.edges(), line });
            Ok(())
        })?,
        "packages" => yaml.mapping(|yaml, key| {
            let line = yaml.line();
            let (mut resolution, mut edges) = (Resolution::default(), Vec::new());
            yaml.mapping(|yaml, member| package(yaml, member, &mut resolution, &mut edges))?;
            read.resolutions.insert(key.to_owned(), resolution);
            read.snapshots.push(Snapshot { key: key.to_owned(), edges, line });
            Ok(())
        })?,
        "snapshots" => yaml.mapping(|yaml, key| {
            let (line, mut edges) = (yaml.line(), Vec::new());
            yaml.mapping(|yaml, member| package(yaml, member, &mut Resolution::default(), &mut edges))?;
            read.snapshots.push(Snapshot { key: key.to_owned(), edges, line });
            Ok(())
        })?,
        key => dependencies(yaml, key, &mut read.own)?,
    }
    Ok(())
}

impl Asked {
    /// Its edges, with what is asked for where it stands apart.
    fn edges(self) -> Vec<(String, String, String, EdgeKind)> {
        let specifiers = self.specifiers;
        let edges = self.edges.into_iter().map(|(name, asked, gets, kind)| {
            let asked =
                if asked.is_empty() { specifiers.get(&name).cloned().unwrap_or(asked) } else { asked };
            (name, asked, gets, kind)
        });
        edges.collect()
    }
}

/// What kind of dependencies stand under a key.
fn kind(key: &str) -> Option<EdgeKind> {
    match key {
        "dependencies" | "devDependencies" => Some(EdgeKind::Runtime),
        "optionalDependencies" => Some(EdgeKind::Optional),
        _ => None,
    }
}

/// Dependencies of the project: what each gets, in newer lockfiles with what is asked for.
fn dependencies(yaml: &mut Yaml<'_>, key: &str, own: &mut Asked) -> Result<(), Damage> {
    let Some(kind) = kind(key) else { return yaml.skip() };
    yaml.mapping(|yaml, name| {
        let (mut asked, mut gets) = (String::new(), None);
        if yaml.is_mapping() {
            for (key, value) in yaml.texts()? {
                match key.as_str() {
                    "specifier" => asked = value,
                    "version" => gets = Some(value),
                    _ => {}
                }
            }
        } else {
            gets = yaml.text()?;
        }
        if let Some(gets) = gets {
            own.edges.push((name.to_owned(), asked, gets, kind));
        }
        Ok(())
    })
}

/// A member of a package.
fn package(
    yaml: &mut Yaml<'_>,
    member: &str,
    resolution: &mut Resolution,
    edges: &mut Vec<(String, String, EdgeKind)>,
) -> Result<(), Damage> {
    match member {
        "name" => resolution.name = yaml.text()?,
        "version" => resolution.version = yaml.text()?,
        "requiresBuild" => resolution.has_install_script = yaml.text()?.as_deref() == Some("true"),
        "resolution" => {
            let mut repository = (None, None);
            for (key, value) in yaml.texts()? {
                match (key.as_str(), value.as_str()) {
                    ("integrity", _) => resolution.integrity = Some(value),
                    ("tarball", _) => resolution.tarball = Some(value),
                    ("repo", _) => repository.0 = Some(value),
                    ("commit", _) => repository.1 = Some(value),
                    ("type", "directory") | ("directory", _) => resolution.is_directory = true,
                    _ => {}
                }
            }
            resolution.repository = repository.0.zip(repository.1);
        }
        member => match kind(member) {
            Some(kind) => edges.extend(yaml.texts()?.into_iter().map(|(name, gets)| (name, gets, kind))),
            None => yaml.skip()?,
        },
    }
    Ok(())
}

fn build(read: Read, grammar: Grammar) -> Result<Flat, Damage> {
    let mut flat = Flat::default();
    let mut importers = read.importers;
    if importers.is_empty() {
        importers.push(Importer { path: String::new(), edges: read.own.edges(), line: 1 });
    }
    let mut projects = Vec::new();
    for importer in &importers {
        let place = flat.project(&importer.path, importer.line)?;
        flat.call(format!("link:{}", importer.path), place);
        projects.push(place);
    }
    let mut places: Vec<(Place, &Snapshot)> = Vec::new();
    // Where packages and snapshots stand apart, a package that has a snapshot is only that.
    let with_peers: BTreeSet<&str> = match grammar {
        Grammar::At => {
            let apart = read.snapshots.iter().filter(|one| !read.resolutions.contains_key(&one.key));
            apart.map(|one| without_peers(&one.key, grammar)).collect()
        }
        Grammar::Slash | Grammar::SlashAt => BTreeSet::new(),
    };
    for snapshot in &read.snapshots {
        let key = snapshot.key.as_str();
        let is_said_later = read.resolutions.contains_key(key) && with_peers.contains(key);
        if is_said_later || flat.find(key).is_some() && snapshot.edges.is_empty() {
            continue;
        }
        if let Some(place) = flat.find(key) {
            places.push((place, snapshot));
            continue;
        }
        let bare = without_peers(key, grammar);
        let resolution = read.resolutions.get(key).or_else(|| read.resolutions.get(bare));
        let resolution = resolution.cloned().unwrap_or_default();
        let place = flat.package(described(bare, resolution, grammar, snapshot.line)?, snapshot.line)?;
        flat.call(key.to_owned(), place);
        places.push((place, snapshot));
    }
    for (from, snapshot) in places {
        for (name, gets, kind) in &snapshot.edges {
            let to = find(&flat, name, gets, grammar);
            flat.edge(from, (name, &asked_for(gets, grammar), *kind), to, snapshot.line)?;
        }
    }
    for (importer, from) in importers.iter().zip(projects) {
        for (name, asked, gets, kind) in &importer.edges {
            let to = match gets.strip_prefix("link:") {
                Some(path) => flat.find(&format!("link:{}", beside(&importer.path, path))),
                None => find(&flat, name, gets, grammar),
            };
            // A directory outside of the project is nobody's to carry.
            if to.is_some() || !gets.starts_with("link:") {
                flat.edge(from, (name, asked, *kind), to, importer.line)?;
            }
        }
    }
    Ok(flat)
}

/// What a dependency gets.
fn find(flat: &Flat, name: &str, gets: &str, grammar: Grammar) -> Option<Place> {
    let own = match grammar {
        Grammar::Slash => format!("/{name}/{gets}"),
        Grammar::SlashAt => format!("/{name}@{gets}"),
        Grammar::At => format!("{name}@{gets}"),
    };
    flat.find(&own).or_else(|| flat.find(gets))
}

/// What a dependency gets, as it would be asked for exactly.
fn asked_for(gets: &str, grammar: Grammar) -> String {
    let bare = without_peers(gets, grammar);
    let is_other = match grammar {
        Grammar::Slash | Grammar::SlashAt => bare.starts_with('/'),
        Grammar::At => !bare.contains(':') && !split_range(bare).1.is_empty(),
    };
    match is_other.then(|| name_and_version(bare, grammar)) {
        Some((name, version)) => format!("npm:{name}@{version}"),
        None => bare.to_owned(),
    }
}

/// What a package is called, without its peers and patches.
fn without_peers(key: &str, grammar: Grammar) -> &str {
    let end = match grammar {
        // A name may have the sign too.
        Grammar::Slash => {
            let version = key.rfind('/').map_or(0, |at| at + 1);
            key.get(version..).and_then(|rest| rest.find('_')).map(|at| version + at)
        }
        Grammar::SlashAt | Grammar::At => key.find('('),
    };
    end.and_then(|end| key.get(..end)).unwrap_or(key)
}

/// The name and version of what is called so.
fn name_and_version(bare: &str, grammar: Grammar) -> (&str, &str) {
    match grammar {
        Grammar::Slash => {
            // Before the slash stands the host of a registry, if it is another one than the project's.
            let path = bare.split_once('/').map_or(bare, |(_, path)| path);
            path.rsplit_once('/').unwrap_or((path, ""))
        }
        Grammar::SlashAt => split_range(bare.strip_prefix('/').unwrap_or(bare)),
        Grammar::At => split_range(bare),
    }
}

/// What is known of a package.
fn described(bare: &str, said: Resolution, grammar: Grammar, line: usize) -> Result<Package, Damage> {
    let (name, version) = name_and_version(bare, grammar);
    let resolved = match (said.repository, said.tarball) {
        (Some((address, commit)), _) => {
            let scheme = if address.starts_with("git") { "" } else { "git+" };
            Some(format!("{scheme}{address}#{commit}"))
        }
        (None, Some(tarball)) => Some(tarball),
        (None, None) if said.is_directory => Some(format!("file:{}", version.trim_start_matches("file:"))),
        (None, None) => (!Spec::read(version).is_registry()).then(|| version.to_owned()),
    };
    let name = said.name.unwrap_or_else(|| name.to_owned());
    if name.is_empty() {
        return Err(Damage::new(line, format!("the lockfile is damaged: {bare:?} names no package")));
    }
    let by_address = bare.contains("://");
    let version = said.version.or_else(|| Spec::read(version).is_registry().then(|| version.to_owned()));
    let Resolution { integrity, has_install_script, .. } = said;
    Ok(Package { name, version, resolved, integrity, has_install_script, by_address })
}

/// The path of a directory that is named from another one.
fn beside(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return format!("../{path}"),
            ".." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
