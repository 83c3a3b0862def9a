//! What is taken from one registry document, owned, so that the document itself can go.

use std::collections::BTreeMap;

use bundle_format::Digest;
use bytes::Bytes;

use super::engines::Engines;
use super::integrity;
use super::spec::Spec;
use super::version_object::{Upstream, VersionObject};
use super::wanted::{Package, Wanted};
use crate::problem::{Kind, Problem};

/// What was cut out of a document.
pub(crate) struct Cuttings {
    /// The wanted versions.
    pub(crate) versions: Vec<Cutting>,
    /// The versions and ranges that it doesn't have, and whether a lockfile lists them.
    pub(crate) missing: Vec<(String, Wanted, bool)>,
    /// Its dist-tags.
    pub(crate) tags: BTreeMap<String, String>,
}

/// One version.
pub(crate) struct Cutting {
    /// As the document writes it.
    pub(crate) version: String,
    /// Why it is wanted.
    pub(crate) wanted: Wanted,
    /// Whether a lockfile lists it; otherwise it was chosen by range.
    pub(crate) listed: bool,
    /// Its object's bytes.
    pub(crate) manifest: Bytes,
    /// Its object, understood.
    pub(crate) object: VersionObject,
    /// What has to hold for its tarball.
    pub(crate) checksums: Vec<Digest>,
    /// When it was published.
    pub(crate) time: Option<String>,
    /// Whether the document has it more than once.
    pub(crate) repeated: bool,
}

impl Cuttings {
    /// Cuts what is wanted of `name` out of its document. `place` is its address, for messages. Computes long: call it
    /// where that is allowed.
    ///
    /// # Errors
    /// If the document is damaged, or contradicts itself or a lockfile.
    pub(crate) fn cut(
        document: &[u8],
        name: &str,
        package: &Package,
        place: &str,
    ) -> Result<Cuttings, Problem> {
        let upstream = Upstream::read(document, &place)?;
        let mut missing = Vec::new();
        let listed = package.versions.iter();
        let mut chosen: BTreeMap<&str, (Wanted, bool)> =
            listed.map(|(version, wanted)| (version.as_str(), (wanted.clone(), true))).collect();
        for (range, wanted) in &package.ranges {
            if let Some(version) = upstream.pick(&Spec::read(range), &Engines::default(), None) {
                let (chosen, _) = chosen.entry(version).or_insert_with(|| (wanted.clone(), false));
                chosen.optional &= wanted.optional;
                chosen.only_known &= wanted.only_known;
            } else {
                missing.push((range.clone(), wanted.clone(), false));
            }
        }
        let mut versions = Vec::new();
        for (version, (wanted, listed)) in chosen {
            let Some(raw) = upstream.cut(version) else {
                missing.push((version.to_owned(), wanted, listed));
                continue;
            };
            let object = VersionObject::read(raw, name, version, &place)?;
            versions.push(Cutting {
                checksums: checksums(name, version, &wanted, &object, place)?,
                version: version.to_owned(),
                wanted,
                listed,
                manifest: Bytes::copy_from_slice(raw.as_bytes()),
                object,
                time: upstream.time(version),
                repeated: upstream.repeated.contains(version),
            });
        }
        Ok(Cuttings { versions, missing, tags: upstream.tags })
    }
}

/// What the lockfile and the registry say of the tarball, which have to agree.
fn checksums(
    name: &str,
    version: &str,
    wanted: &Wanted,
    object: &VersionObject,
    place: &str,
) -> Result<Vec<Digest>, Problem> {
    let mut published = object.integrity.as_deref().map(integrity::read).unwrap_or_default();
    published.extend(object.shasum.as_deref().and_then(integrity::read_shasum));
    published.sort();
    published.dedup();
    integrity::join(&wanted.checksums, &published).map_err(|algorithm| {
        let of = |digests: &[Digest]| {
            let digests = digests.iter().filter(|digest| digest.algorithm() == algorithm);
            digests.map(Digest::to_string).collect::<Vec<_>>().join(", ")
        };
        let message = format!("the lockfile and the registry disagree about the bytes of {name}@{version}");
        Problem::new(Kind::Untrusted, "npm.checksum-conflict", message)
            .at(place)
            .because(format!("the lockfile says {}", of(&wanted.checksums)))
            .because(format!("the registry says {}", of(&published)))
            .hint("find out which of them was changed before you go on; the lockfile is usually right")
    })
}
