//! `yarn.lock` as yarn 2 and newer write it: YAML, with a `__metadata`.
//!
//! Its checksums are of archives that yarn packs itself, so they say nothing of what a registry has. A patched package is
//! one that yarn changes after it was had; the one that it is made of stands there as well.

use percent_encoding::percent_decode_str;

use super::EdgeKind;
use super::flat::{Flat, Package, Place};
use super::read::Damage;
use super::yaml::Yaml;
use crate::ecosystem::npm::spec::{Spec, split_range};

/// An entry as it stands there.
#[derive(Default)]
struct Entry {
    version: Option<String>,
    resolution: String,
    edges: Vec<(String, String, EdgeKind)>,
    /// Which of them one can do without.
    optional: Vec<String>,
}

/// Reads a lockfile.
pub(super) fn read(text: &str) -> Result<Flat, Damage> {
    let mut yaml = Yaml::new(text);
    let mut flat = Flat::default();
    let mut open = Vec::new();
    // What patched packages are called, and what they are made of.
    let mut patched = Vec::new();
    while yaml.document()? {
        yaml.mapping(|yaml, key| {
            if key == "__metadata" {
                return yaml.skip();
            }
            let line = yaml.line();
            let entry = entry(yaml)?;
            let Some(place) = place(&entry, &mut flat, line)? else {
                let (_, locator) = split_range(&entry.resolution);
                if let Some(inner) = locator.strip_prefix("patch:") {
                    let inner = inner.split(['#', '\u{0}']).next().unwrap_or_default();
                    let inner = percent_decode_str(inner).decode_utf8_lossy().into_owned();
                    patched.extend(key.split(", ").map(|key| (key.to_owned(), inner.clone())));
                }
                return Ok(());
            };
            flat.call(entry.resolution.clone(), place);
            for key in key.split(", ") {
                flat.call(key.to_owned(), place);
            }
            for (name, range, kind) in entry.edges {
                let kind = if entry.optional.contains(&name) { EdgeKind::Optional } else { kind };
                open.push((place, name, range, kind, line));
            }
            Ok(())
        })?;
    }
    for (key, inner) in patched {
        if let Some(place) = flat.find(&inner) {
            flat.call(key, place);
        }
    }
    let newest = flat.newest();
    for (from, name, range, kind, line) in open {
        let asked = format!("{name}@{range}");
        // Older versions leave the protocol out where it is npm's.
        let to = flat.find(&asked).or_else(|| flat.find(&format!("{name}@npm:{range}")));
        let range = plain(&range);
        // What the project's `resolutions` replace isn't called by what asks for it.
        let to = to.or_else(|| newest.get(Spec::read(range).target(&name).0).copied());
        flat.edge(from, (&name, range, kind), to, line)?;
    }
    Ok(flat)
}

fn entry(yaml: &mut Yaml<'_>) -> Result<Entry, Damage> {
    let line = yaml.line();
    let mut entry = Entry::default();
    yaml.mapping(|yaml, key| {
        match key {
            "version" => entry.version = yaml.text()?,
            "resolution" => entry.resolution = yaml.text()?.unwrap_or_default(),
            "dependencies" => {
                let edges = yaml.texts()?.into_iter();
                entry.edges.extend(edges.map(|(name, range)| (name, range, EdgeKind::Runtime)));
            }
            "dependenciesMeta" => yaml.mapping(|yaml, name| {
                for (key, value) in yaml.texts()? {
                    if key == "optional" && value == "true" {
                        entry.optional.push(name.to_owned());
                    }
                }
                Ok(())
            })?,
            _ => yaml.skip()?,
        }
        Ok(())
    })?;
    if entry.resolution.is_empty() {
        return Err(Damage::new(line, "the lockfile is damaged: an entry has no resolution"));
    }
    Ok(entry)
}

/// Takes an entry in, by how it was resolved: `name@protocol:…`. Nothing is given for patched ones.
fn place(entry: &Entry, flat: &mut Flat, line: usize) -> Result<Option<Place>, Damage> {
    let (name, locator) = split_range(&entry.resolution);
    if locator.starts_with("patch:") {
        return Ok(None);
    }
    if let Some(path) = locator.strip_prefix("workspace:") {
        return flat.project(if path == "." { "" } else { path }, line).map(Some);
    }
    let (version, resolved) = match locator.strip_prefix("npm:") {
        Some(version) => {
            let (version, bindings) = version.split_once("::").unwrap_or((version, ""));
            let address = bindings.split('&').find_map(|one| one.strip_prefix("__archiveUrl="));
            let address = address.map(|address| percent_decode_str(address).decode_utf8_lossy().into_owned());
            (Some(version.to_owned()), address)
        }
        None if locator.contains("#commit=") || Spec::read(locator) == Spec::Git => {
            let address =
                if locator.starts_with("git") { locator.to_owned() } else { format!("git+{locator}") };
            (entry.version.clone(), Some(address))
        }
        None => {
            let address = locator.split("::").next().unwrap_or(locator);
            (entry.version.clone(), Some(address.to_owned()))
        }
    };
    let by_address = Spec::read(locator) == Spec::Url;
    let package = Package { name: name.to_owned(), version, resolved, by_address, ..Package::default() };
    flat.package(package, line).map(Some)
}

/// A range without the protocol, where it is npm's; aliases keep it.
fn plain(range: &str) -> &str {
    match range.strip_prefix("npm:") {
        Some(rest) if split_range(rest).1.is_empty() => rest,
        _ => range,
    }
}
