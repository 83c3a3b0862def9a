//! `yarn.lock` as yarn 1 writes it: a form of its own, that looks like YAML.
//!
//! Each entry is called by all that is asked for and gets it, `name@range`. What the project itself asks for isn't said, nor
//! which platform a package is for: yarn 1 fetches those of all.

use base64::Engine as _;

use super::EdgeKind;
use super::flat::{Flat, Package, Place};
use super::read::Damage;
use crate::ecosystem::npm::spec::{Spec, split_range};

/// An entry that is being read.
struct Entry {
    line: usize,
    keys: Vec<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    edges: Vec<(String, String, EdgeKind)>,
}

/// An edge that is to be found once all entries are there.
type Open = (Place, String, String, EdgeKind, usize);

/// Reads a lockfile.
pub(super) fn read(text: &str) -> Result<Flat, Damage> {
    let mut flat = Flat::default();
    flat.is_without_projects = true;
    let mut open: Vec<Open> = Vec::new();
    let mut entry: Option<Entry> = None;
    let mut section = None;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let content = line.trim_start_matches(' ').trim_end();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let damage = |what: &str| Damage::new(number, format!("the lockfile is damaged: {what}"));
        match (line.len() - line.trim_start_matches(' ').len(), &mut entry) {
            (0, _) => {
                if let Some(entry) = entry.take() {
                    finish(entry, &mut flat, &mut open)?;
                }
                let header = content.strip_suffix(':').ok_or_else(|| damage("an entry has no colon"))?;
                let keys = words(header).ok_or_else(|| damage("an entry's name cannot be read"))?;
                let (version, resolved, integrity, edges) = Default::default();
                entry = Some(Entry { line: number, keys, version, resolved, integrity, edges });
                section = None;
            }
            (2, Some(entry)) => {
                section = match content {
                    "dependencies:" => Some(EdgeKind::Runtime),
                    "optionalDependencies:" => Some(EdgeKind::Optional),
                    _ => None,
                };
                let mut pair = words(content).ok_or_else(|| damage("a line cannot be read"))?.into_iter();
                let (key, value) = (pair.next().unwrap_or_default(), pair.next());
                match key.as_str() {
                    "version" => entry.version = value,
                    "resolved" => entry.resolved = value,
                    "integrity" => entry.integrity = value,
                    _ => {}
                }
            }
            (4, Some(entry)) => {
                let Some(kind) = section else { continue };
                let mut pair =
                    words(content).ok_or_else(|| damage("a dependency cannot be read"))?.into_iter();
                let (Some(name), Some(range)) = (pair.next(), pair.next()) else {
                    return Err(damage("a dependency has no range"));
                };
                entry.edges.push((name, range, kind));
            }
            _ => return Err(damage("a line stands where none can")),
        }
    }
    if let Some(entry) = entry {
        finish(entry, &mut flat, &mut open)?;
    }
    for (from, name, range, kind, line) in open {
        let to = flat.find(&format!("{name}@{range}"));
        flat.edge(from, (&name, &range, kind), to, line)?;
    }
    Ok(flat)
}

/// The words of a line, which spaces and commas part. Those with other signs in them are quoted as JSON does it.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return Some(words);
        }
        if rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            words.push(texts.next()?.ok()?);
            rest = rest.get(texts.byte_offset()..)?;
        } else {
            let end = rest.find([' ', ',']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            words.push(word.to_owned());
            rest = after;
        }
    }
}

fn finish(entry: Entry, flat: &mut Flat, open: &mut Vec<Open>) -> Result<(), Damage> {
    let line = entry.line;
    let Some(key) = entry.keys.first() else {
        return Err(Damage::new(line, "the lockfile is damaged: an entry has no name"));
    };
    let (alias, range) = split_range(key);
    let spec = Spec::read(range);
    let (name, _) = spec.target(alias);
    let (resolved, sum) = match entry.resolved {
        Some(resolved) => {
            let (address, sum) = resolved.split_once('#').unwrap_or((&resolved, ""));
            // Of a repository it is the commit.
            match sum.len() {
                40 if Spec::read(address) != Spec::Git => (Some(address.to_owned()), sha1(sum)),
                _ => (Some(resolved), None),
            }
        }
        // Directories and files of the project have no other address than the one that is asked for.
        None => ((!spec.is_registry()).then(|| range.to_owned()), None),
    };
    let package = Package {
        name: name.to_owned(),
        version: entry.version,
        resolved,
        integrity: entry.integrity.or(sum),
        has_install_script: false,
        by_address: spec == Spec::Url,
    };
    let place = flat.package(package, line)?;
    for key in entry.keys {
        flat.call(key, place);
    }
    open.extend(entry.edges.into_iter().map(|(name, range, kind)| (place, name, range, kind, line)));
    Ok(())
}

/// A SHA-1 in hex as SRI.
fn sha1(hex: &str) -> Option<String> {
    let mut bytes = [0; 20];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(format!("sha1-{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}
