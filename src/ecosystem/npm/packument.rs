//! Packuments as this mirror answers them: exactly the versions that are held, each as upstream wrote it.
//!
//! A whole upstream packument would offer versions that are not here, and clients would choose them. Everybody gets
//! the full form; all clients read it, whatever they accept, and it has what the abbreviated one loses
//! (`libc`, `time`).

use std::collections::BTreeMap;

use bundle_format::{Artifact, File};

use super::SCHEMA;
use super::version::Version;
use super::{attestations, hosted, names, splice};
use crate::ecosystem::ServeContext;
use crate::ecosystem::template::Template;
use crate::problem::{Kind, Problem};
use crate::store::{Linked, LinkedRef, Source};

/// The most bytes that a version object may have.
pub(super) const VERSION_OBJECT_LIMIT: u64 = 1 << 20;
/// The tag that clients take when none is named.
pub(super) const LATEST: &str = "latest";

/// A version that is held.
pub(super) struct Held {
    /// Its place among the versions.
    pub(super) order: Version,
    /// Its artifact.
    pub(super) artifact: Artifact,
    /// Who brought it.
    origin: Origin,
}

/// The channel that brought something, and the repository that it is in.
type Origin = (Source, String);

/// What is held of a package.
pub(super) struct Package {
    /// The versions, ascending.
    pub(super) versions: Vec<Held>,
    /// Who brought the package first; nobody if nothing of it is held.
    first: Option<Origin>,
}

/// What is held of a package. A version whose tarball is not held but whose version object is stands
/// in it too: clients need it to skip an optional package of another platform.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn held(
    context: &dyn ServeContext,
    repository: Option<&str>,
    name: &str,
) -> Result<Package, Problem> {
    let mut versions: BTreeMap<String, Vec<Linked>> = BTreeMap::new();
    let mut first = None;
    for linked in context.artifacts(repository, name)? {
        let artifact = &linked.artifact;
        if artifact.schema == SCHEMA && artifact.name == name && file(artifact, "manifest").is_some() {
            first.get_or_insert_with(|| origin(&linked));
            versions.entry(artifact.version.clone()).or_default().push(linked);
        }
    }
    let mut held: Vec<Held> = Vec::with_capacity(versions.len());
    for (version, candidates) in versions {
        let path = names::tarball_path(name, &version);
        if let (Some(order), Some(chosen)) =
            (Version::parse(&version), choose(context, repository, &path, candidates)?)
        {
            let origin = origin(&chosen);
            held.push(Held { order, artifact: chosen.artifact, origin });
        }
    }
    // The sort is stable: versions that differ by build metadata alone stay in the order of their text.
    held.sort_by(|a, b| a.order.cmp(&b.order));
    Ok(Package { versions: held, first })
}

fn origin(linked: &Linked) -> Origin {
    (linked.source.clone(), linked.artifact.repository.clone())
}

/// Of several links of one version (from several channels, or in the virtual repository from several registries) the
/// one to show: its version object must go with the tarball that the store answers for the path.
fn choose(
    context: &dyn ServeContext,
    repository: Option<&str>,
    path: &str,
    mut candidates: Vec<Linked>,
) -> Result<Option<Linked>, Problem> {
    let tarball = |linked: &Linked| file(&linked.artifact, "tarball").map(|file| file.blob);
    if candidates.iter().any(|linked| tarball(linked).is_some()) {
        candidates.retain(|linked| tarball(linked).is_some());
    }
    if candidates.windows(2).any(|pair| matches!(pair, [a, b] if tarball(a) != tarball(b)))
        && let Some(found) = context.file_at(repository, path)?
    {
        candidates.retain(|linked| tarball(linked) == Some(found.file.blob));
    }
    // Any of them goes with the tarball; the one with precedence is first.
    Ok(candidates.into_iter().next())
}

/// The artifact's file of that role.
pub(super) fn file<'a>(artifact: &'a Artifact, role: &str) -> Option<&'a File> {
    artifact.files.iter().find(|file| file.role == role)
}

/// The dist-tags that point at held versions, and always a `latest` if anything is held.
///
/// Registries and channels may disagree on a tag. It is the first one's who brought the package, and others only add tags
/// that it lacks: no later channel moves what clients install without saying a version. So `latest` is never another's:
/// where the first one did not set it, it is the highest version that this one brought.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn dist_tags<'a>(
    context: &dyn ServeContext,
    repository: Option<&str>,
    name: &str,
    package: &'a Package,
) -> Result<BTreeMap<String, &'a str>, Problem> {
    let mut tags: BTreeMap<String, &str> = BTreeMap::new();
    for LinkedRef { reference, source } in context.refs(repository, name, None)? {
        let by_first = package.first == Some((source, reference.repository));
        let target = package.versions.iter().find(|held| held.artifact.version == reference.version);
        if let (Some(held), true) = (target, by_first || reference.label != LATEST) {
            tags.entry(reference.label).or_insert(&held.artifact.version);
        }
    }
    // What can be installed comes before what is only there to be known.
    let by_first = |held: &&Held| Some(&held.origin) == package.first.as_ref();
    let is_whole = |held: &&Held| file(&held.artifact, "tarball").is_some();
    let all = || package.versions.iter();
    let latest = highest_stable(all().filter(by_first).filter(is_whole))
        .or_else(|| highest_stable(all().filter(by_first)))
        .or_else(|| highest_stable(all()));
    if let Some(latest) = latest {
        tags.entry(LATEST.to_owned()).or_insert(&latest.artifact.version);
    }
    Ok(tags)
}

/// The highest version that is no prerelease; the highest one if all are.
fn highest_stable<'a>(mut ascending: impl DoubleEndedIterator<Item = &'a Held> + Clone) -> Option<&'a Held> {
    let stable = ascending.clone().rfind(|held| !held.order.is_prerelease());
    stable.or_else(|| ascending.next_back())
}

/// The version object with the addresses of the tarball and of its attestations, behind a gap for the mirror's.
///
/// # Errors
/// If the store cannot be read, or what it holds is no version object.
pub(super) fn version_object(context: &dyn ServeContext, artifact: &Artifact) -> Result<Template, Problem> {
    let damaged = |why: &dyn std::error::Error| {
        Problem::new(
            Kind::Untrusted,
            "npm.damaged-version-object",
            "a version object in the store is damaged",
        )
        .at(format!("{}@{}", artifact.name, artifact.version))
        .caused_by(why)
        .hint("`aftk check` finds damaged blobs; the next import heals them")
    };
    let Some(manifest) = file(artifact, "manifest") else {
        return Err(Problem::new(Kind::Incomplete, "npm.no-version-object", "a version object is not held")
            .at(format!("{}@{}", artifact.name, artifact.version)));
    };
    let bytes = context.read(&manifest.blob, VERSION_OBJECT_LIMIT)?;
    let object = std::str::from_utf8(&bytes).map_err(|error| damaged(&error))?;
    let path = names::tarball_path(&artifact.name, &artifact.version);
    let attestations = file(artifact, attestations::ROLE).map(|attested| attested.path.as_str());
    splice::with_addresses(object, &path, attestations).map_err(|error| damaged(&error))
}

/// By what it is seen that what is shown of a package is something else than before.
pub(super) fn revision(package: &Package, tags: &BTreeMap<String, &str>) -> String {
    let versions = package.versions.iter().map(|held| &held.artifact);
    hosted::revision(versions, tags.iter().map(|(tag, version)| (tag.as_str(), *version)))
}

/// The packument, or nothing if no version is held. Its gaps are for where clients reach the repository, ending in a slash,
/// [within quotes](crate::ecosystem::template::within_quotes).
///
/// # Errors
/// If the store cannot be read, or what it holds is no version object.
pub(super) fn document(
    context: &dyn ServeContext,
    repository: Option<&str>,
    name: &str,
) -> Result<Option<Template>, Problem> {
    let held = held(context, repository, name)?;
    if held.versions.is_empty() {
        return Ok(None);
    }
    let tags = dist_tags(context, repository, name, &held)?;
    let mut json = Template::default();
    json.push_str(&format!("{{\"_id\":{name},\"name\":{name},", name = quoted(name)));
    if repository.is_some_and(|repository| context.hosted(repository).is_some()) {
        json.push_str(&format!("\"_rev\":{},", quoted(&revision(&held, &tags))));
    }
    json.push_str("\"dist-tags\":");
    push_strings(&mut json, tags.iter().map(|(tag, version)| (tag.as_str(), *version)));
    json.push_str(",\"versions\":{");
    for (index, Held { artifact, .. }) in held.versions.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        json.push_str(&format!("{comma}{}:", quoted(&artifact.version)));
        json.append(&version_object(context, artifact)?);
    }
    json.push_str("},\"time\":");
    push_strings(&mut json, times(&held.versions).into_iter());
    json.push_str("}");
    Ok(Some(json))
}

/// When the held versions were published, in npm's form: with `created` and `modified`, which pnpm wants, before them.
fn times(held: &[Held]) -> Vec<(&str, &str)> {
    let known: Vec<_> = held
        .iter()
        .filter_map(|Held { artifact, .. }| {
            Some((published(artifact)?, time(artifact)?, artifact.version.as_str()))
        })
        .collect();
    let created = known.iter().min().map(|(_, time, _)| ("created", *time));
    let modified = known.iter().max().map(|(_, time, _)| ("modified", *time));
    created
        .into_iter()
        .chain(modified)
        .chain(known.iter().map(|(_, time, version)| (*version, *time)))
        .collect()
}

/// When upstream says that the version was published, as it wrote it.
pub(super) fn time(artifact: &Artifact) -> Option<&str> {
    artifact.attributes.get("time")?.as_str()
}

/// The same as a point in time; nothing if it is none.
pub(super) fn published(artifact: &Artifact) -> Option<jiff::Timestamp> {
    time(artifact)?.parse().ok()
}

/// Appends an object of strings.
fn push_strings<'a>(json: &mut Template, members: impl Iterator<Item = (&'a str, &'a str)>) {
    json.push_str("{");
    for (index, (key, value)) in members.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        json.push_str(&format!("{comma}{}:{}", quoted(key), quoted(value)));
    }
    json.push_str("}");
}

/// The text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use bundle_format::BlobKey;
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::super::fake_store::{BASE, FakeStore, artifact};
    use super::*;

    fn filled(store: &FakeStore, name: &str) -> Bytes {
        document(store, None, name).unwrap().unwrap().fill(&crate::ecosystem::template::within_quotes(BASE))
    }

    fn packument(store: &FakeStore, name: &str) -> Value {
        serde_json::from_slice(&filled(store, name)).unwrap()
    }

    #[test]
    fn held_versions_stand_in_order_with_upstreams_bytes() {
        let mut store = FakeStore::default();
        for version in ["10.0.0", "2.0.0", "2.0.0-rc.10", "2.0.0-rc.9"] {
            store.hold("@x/a", version, |_| {});
        }
        let bytes = filled(&store, "@x/a");
        let text = std::str::from_utf8(&bytes).unwrap();
        let mut from = 0;
        for version in ["2.0.0-rc.9", "2.0.0-rc.10", "2.0.0", "10.0.0"] {
            let (_, object, _) = artifact("@x/a", version);
            let object = std::str::from_utf8(&object).unwrap();
            let url = format!("{BASE}@x/a/-/a-{version}.tgz");
            let expected =
                format!("\"{version}\":{}", object.replace("https://registry.example.test/x", &url));
            from += text[from..].find(&expected).unwrap_or_else(|| panic!("{expected} not in {text}"));
        }
        let packument: Value = serde_json::from_str(text).unwrap();
        assert_eq!((&packument["_id"], &packument["name"]), (&json!("@x/a"), &json!("@x/a")));
    }

    #[test]
    fn tags_point_at_what_is_held() {
        let mut store = FakeStore::default();
        for version in ["1.0.0", "1.5.0", "2.0.0-rc.1"] {
            store.hold("a", version, |_| {});
        }
        store.tag("a", "next", "2.0.0-rc.1");
        store.tag("a", "latest", "3.0.0");
        store.tag("a", "old", "0.1.0");
        assert_eq!(packument(&store, "a")["dist-tags"], json!({ "latest": "1.5.0", "next": "2.0.0-rc.1" }));
        store.tag("a", "latest", "1.0.0");
        assert_eq!(packument(&store, "a")["dist-tags"]["latest"], "1.0.0");
        store.hold("bridge", "7.0.0-bridge.0", |_| {});
        assert_eq!(packument(&store, "bridge")["dist-tags"], json!({ "latest": "7.0.0-bridge.0" }));
    }

    #[test]
    fn a_later_channel_moves_no_tag() {
        let mut store = FakeStore::default();
        store.hold("a", "1.0.0", |_| {});
        store.hold("a", "1.1.0", |_| {});
        store.tag("a", "latest", "1.0.0");
        for version in ["1.0.1", "99.0.0"] {
            store.hold_from("dev", "a", version, |_| {});
        }
        for (label, version) in [("latest", "99.0.0"), ("next", "99.0.0"), ("old", "1.0.0")] {
            store.tag_from("dev", "a", label, version);
        }
        let expected = json!({ "latest": "1.0.0", "next": "99.0.0", "old": "1.0.0" });
        assert_eq!(packument(&store, "a")["dist-tags"], expected);
        // Nor what `latest` is for want of a tag.
        store.refs.remove(0);
        assert_eq!(packument(&store, "a")["dist-tags"]["latest"], "1.1.0");
        store.refs.clear();
        assert_eq!(packument(&store, "a")["dist-tags"], json!({ "latest": "1.1.0" }));
    }

    #[test]
    fn times_are_those_of_held_versions() {
        let mut store = FakeStore::default();
        let times =
            [("1.0.0", "2020-01-01T00:00:00.000Z"), ("1.0.1", "2019-06-01T00:00:00.000Z"), ("1.0.2", "soon")];
        for (version, time) in times {
            store.hold("a", version, |artifact| {
                artifact.attributes.insert("time".to_owned(), time.into());
            });
        }
        let expected = json!({
            "created": times[1].1, "modified": times[0].1, "1.0.0": times[0].1, "1.0.1": times[1].1,
        });
        assert_eq!(packument(&store, "a")["time"], expected);
        store.hold("b", "1.0.0", |_| {});
        assert_eq!(packument(&store, "b")["time"], json!({}));
    }

    #[test]
    fn versions_without_tarball_are_listed_and_other_schemas_are_not() {
        let mut store = FakeStore::default();
        store.hold("mac", "1.0.0", |artifact| {
            artifact.files.truncate(1);
            artifact.attributes.insert("selected".to_owned(), false.into());
        });
        store.hold("mac", "2.0.0", |artifact| artifact.schema = "npm/2".to_owned());
        let packument = packument(&store, "mac");
        let versions: Vec<_> = packument["versions"].as_object().unwrap().keys().collect();
        assert_eq!(versions, ["1.0.0"]);
    }

    #[test]
    fn a_version_of_two_registries_goes_with_the_tarball_that_is_answered() {
        let mut store = FakeStore::default();
        let corporate = |artifact: &mut Artifact, object: BlobKey| {
            artifact.repository = "registry.example.test".to_owned();
            artifact.files[0].blob = object;
            artifact.files[1].blob = BlobKey::of(b"another tarball");
        };
        let other = Bytes::from_static(b"{\"from\":\"corporate\"}");
        let key = BlobKey::of(&other);
        store.blobs.insert(key, other);
        store.hold("a", "1.0.0", |_| {});
        store.hold("a", "1.0.0", |artifact| corporate(artifact, key));
        let answered = store.file_at(None, "a/-/a-1.0.0.tgz").unwrap().unwrap();
        assert_eq!(answered.repository, "npm");
        assert_eq!(packument(&store, "a")["versions"]["1.0.0"]["from"], Value::Null);
        store.linked.reverse();
        assert_eq!(packument(&store, "a")["versions"]["1.0.0"]["from"], "corporate");
    }

    #[test]
    fn nothing_held_is_no_packument() {
        assert!(document(&FakeStore::default(), None, "a").unwrap().is_none());
    }
}
