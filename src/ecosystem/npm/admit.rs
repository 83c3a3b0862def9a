//! What npm wants of an artifact before a mirror shows it: names that are names, the one conventional path, and a
//! version object that is about this very tarball.

use bundle_format::{Algorithm, Artifact, BlobKey, Digest, File, Ref};
use bytes::Bytes;

use super::attestations::Attestations;
use super::proof::{self, Proving};
use super::version::Version;
use super::{
    ADVISORIES, KEYS, REMOTE, SCHEMA, advisory, attestations, integrity, names, packument, remote, signers,
    splice, tarball_name,
};
use crate::ecosystem::{Admit, AdmitContext, Together, origin};
use crate::problem::{Kind, Problem};

/// Re-validates npm's artifacts.
pub(super) struct NpmAdmit;

impl Admit for NpmAdmit {
    fn admit(
        &self,
        artifact: &Artifact,
        read: &mut dyn FnMut(&BlobKey) -> Result<Bytes, Problem>,
    ) -> Result<(), Problem> {
        let refuse = |why: &str| Err(untrusted(&artifact.name, &artifact.version, why));
        if artifact.ecosystem != "npm" {
            return refuse("its ecosystem is another");
        }
        check_repository(&artifact.repository).or_else(refuse)?;
        match artifact.schema.as_str() {
            SCHEMA => {}
            KEYS => return proof::admit_keys(artifact),
            ADVISORIES => return advisory::check(artifact).or_else(|why| refuse(&why)),
            REMOTE => {
                let checked = remote::admit(artifact).and_then(|()| check_attributes(artifact));
                let origins = artifact.files.iter().try_for_each(|file| origin::check(&file.origin));
                return checked.and(origins).or_else(refuse);
            }
            _ => return refuse("its schema is another"),
        }
        if let Err(why) = check_name_and_version(&artifact.repository, &artifact.name, &artifact.version) {
            return refuse(why);
        }
        if !artifact.qualifier.is_empty() {
            return refuse("npm's artifacts have no qualifier");
        }
        if let Err(why) = check_attributes(artifact) {
            return refuse(why);
        }
        let (mut manifest, mut tarball, mut attested) = (None, None, None);
        for file in &artifact.files {
            let place = match file.role.as_str() {
                "manifest" => &mut manifest,
                "tarball" => &mut tarball,
                attestations::ROLE => &mut attested,
                _ => return refuse("it has a file of an unknown role"),
            };
            if place.replace(file).is_some() {
                return refuse("it has two files of one role");
            }
            if let Err(why) = origin::check(&file.origin) {
                return refuse(why);
            }
        }
        let Some(manifest) = manifest else { return refuse("it has no version object") };
        if !manifest.path.is_empty() {
            return refuse("its version object has a path");
        }
        if manifest.size > packument::VERSION_OBJECT_LIMIT {
            return refuse("its version object is larger than 1 MiB");
        }
        let object = read(&manifest.blob)?;
        let published = match Published::read(&object) {
            Ok(published) => published,
            Err(why) => return refuse(&why),
        };
        if published.name != artifact.name || published.version != artifact.version {
            return refuse("its version object is another package's or version's");
        }
        if let Some(attested) = attested {
            let path = attestations::path(&artifact.name, &artifact.version);
            let Some(tarball) =
                tarball.filter(|_| attested.path == path && attested.size <= attestations::LARGEST)
            else {
                return refuse("its attestations are of no tarball, at another path, or larger than 1 MiB");
            };
            let document = read(&attested.blob)?;
            let about = (artifact.name.as_str(), artifact.version.as_str());
            if let Err(why) = Attestations::read(&document, about, &tarball.checksums) {
                return refuse(&why);
            }
        }
        match tarball.map(|tarball| check_tarball(artifact, tarball, &published)) {
            Some(Err(why)) => refuse(why),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn together<'a>(&self, context: &'a dyn AdmitContext) -> Result<Option<Box<dyn Together + 'a>>, Problem> {
        Ok(Some(Box::new(Proving::begin(context)?)))
    }

    fn admit_ref(&self, reference: &Ref) -> Result<(), Problem> {
        let refuse = |why: &str| Err(untrusted(&reference.name, &reference.label, why));
        if reference.ecosystem != "npm" {
            return refuse("its ecosystem is another");
        }
        if let Err(why) = check_name_and_version(&reference.repository, &reference.name, &reference.version) {
            return refuse(why);
        }
        let label = reference.label.as_str();
        if label.is_empty() || label.len() > 214 || label.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return refuse("its dist-tag is not one that npm could have set");
        }
        if Version::parse(label).is_some() {
            return refuse("its dist-tag would hide the version of that name");
        }
        Ok(())
    }
}

pub(super) fn untrusted(name: &str, version: &str, why: &str) -> Problem {
    // Neither is known to be harmless to a terminal yet.
    let shown = |text: &str| text.chars().take(256).collect::<String>().escape_debug().to_string();
    Problem::new(Kind::Untrusted, "npm.refused-artifact", "an npm package of the bundle is not acceptable")
        .at(format!("{}@{}", shown(name), shown(version)))
        .because(why)
        .hint("collect it again outside with a current aftk; if it stays so, what upstream published is damaged")
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    let sane = repository
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    // `all` is the virtual repository over all others.
    if repository.is_empty()
        || repository.len() > 255
        || repository == "all"
        || repository.starts_with('.')
        || !sane
    {
        return Err("its repository's name is neither npm nor a host");
    }
    Ok(())
}

fn check_name_and_version(repository: &str, name: &str, version: &str) -> Result<(), &'static str> {
    check_repository(repository)?;
    if !names::is_valid(name) {
        return Err("npm allows no such package name");
    }
    if !tarball_name::is_sane_version(version) || Version::parse(version).is_none() {
        return Err("npm allows no such version");
    }
    Ok(())
}

/// Unknown attributes may come from a newer aftk of this schema and mean nothing here. A time that is no point in time
/// is no reason to refuse a package, since some registry wrote it so: it is not shown.
fn check_attributes(artifact: &Artifact) -> Result<(), &'static str> {
    if artifact.attributes.get("time").is_some_and(|time| !time.is_string()) {
        return Err("its attribute `time` is no text");
    }
    if artifact.attributes.get("licence").is_some_and(|licence| !licence.is_string()) {
        return Err("its attribute `licence` is no text");
    }
    if artifact.attributes.get("selected").is_some_and(|selected| !selected.is_boolean()) {
        return Err("its attribute `selected` is neither true nor false");
    }
    if artifact.attributes.get(signers::ATTRIBUTE).is_some_and(|keys| !keys.is_array()) {
        return Err("its attribute `signed_by` is no list");
    }
    attestations::noted(&artifact.attributes)?;
    // Ranges of old packages have tabs and line ends in them, which npm reads as spaces.
    let readable =
        |text: &str| text.len() <= 4096 && !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    for edge in &artifact.requires {
        if !readable(&edge.name) || !readable(&edge.range) || !readable(&edge.kind) {
            return Err("it requires something whose name no one can read");
        }
    }
    Ok(())
}

fn check_tarball(artifact: &Artifact, tarball: &File, published: &Published) -> Result<(), &'static str> {
    if tarball.path != names::tarball_path(&artifact.name, &artifact.version) {
        return Err("its tarball is not at the conventional path");
    }
    // The caller has compared the listed checksums with the bytes, and the key is what the bytes hash to.
    let holds = |digest: &Digest| tarball.checksums.contains(digest) || *digest == Digest::from(tarball.blob);
    if !published.integrity.is_empty() && !published.integrity.iter().any(holds) {
        return Err("its version object vouches for another tarball (dist.integrity)");
    }
    let listed_sha1 = || tarball.checksums.iter().filter(|digest| digest.algorithm() == Algorithm::Sha1);
    if let Some(shasum) = &published.shasum
        && listed_sha1().any(|digest| digest != shasum)
    {
        return Err("its version object vouches for another tarball (dist.shasum)");
    }
    // An integrity that was there has held by now. Old packages have nothing better than a sha1, and then upstream
    // itself must have said so.
    let vouched = tarball.checksums.iter().any(Digest::is_strong)
        || !published.integrity.is_empty()
        || published.shasum.as_ref().is_some_and(holds);
    if vouched { Ok(()) } else { Err("no checksum of upstream's is strong enough for its tarball") }
}

/// What a version object says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    name: String,
    version: String,
    /// The digests of `dist.integrity` under its strongest algorithm: any of them will do, as for npm (SRI 1, 3.3).
    integrity: Vec<Digest>,
    /// `dist.shasum`, a sha1 in hex.
    shasum: Option<Digest>,
}

impl Published {
    fn read(object: &[u8]) -> Result<Published, String> {
        if object.len() as u64 > packument::VERSION_OBJECT_LIMIT {
            return Err("its version object is larger than 1 MiB".to_owned());
        }
        let wrong = |error: &dyn std::fmt::Display| format!("its version object is no JSON object: {error}");
        let object = std::str::from_utf8(object).map_err(|error| wrong(&error))?;
        let outer = splice::members(object).map_err(|error| wrong(&error))?;
        let text = |members: &[(String, &str)], key: &str| -> Option<String> {
            splice::last(members, key).and_then(|value| serde_json::from_str(value).ok())
        };
        let (Some(name), Some(version)) = (text(&outer, "name"), text(&outer, "version")) else {
            return Err("its version object does not say its name and version".to_owned());
        };
        let dist =
            splice::last(&outer, "dist").and_then(|dist| splice::members(dist).ok()).unwrap_or_default();
        let integrity = text(&dist, "integrity").map(|integrity| strongest(&integrity)).unwrap_or_default();
        let shasum = text(&dist, "shasum").and_then(|hex| integrity::read_shasum(&hex));
        Ok(Published { name, version, integrity, shasum })
    }
}

/// The digests of the strongest algorithm in Subresource Integrity metadata; what cannot be read counts as absent,
/// as it does for npm, and so does what anybody can forge.
fn strongest(integrity: &str) -> Vec<Digest> {
    let digests = integrity::read(integrity);
    let best = digests.iter().map(Digest::algorithm).max().filter(|algorithm| *algorithm != Algorithm::Md5);
    digests.into_iter().filter(|digest| Some(digest.algorithm()) == best).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::fake_store::{artifact, sha1, sha512};
    use super::*;

    fn admit(artifact: &Artifact, object: &Bytes) -> Result<(), String> {
        let result = NpmAdmit.admit(artifact, &mut |key| {
            assert_eq!(*key, artifact.files[0].blob);
            Ok(object.clone())
        });
        result.map_err(|problem| {
            assert_eq!(problem.kind, Kind::Untrusted);
            problem.causes.concat()
        })
    }

    fn replaced(object: &Bytes, old: &str, new: &str) -> Bytes {
        let text = std::str::from_utf8(object).unwrap();
        assert!(text.contains(old), "{old} not in {text}");
        Bytes::from(text.replacen(old, new, 1))
    }

    #[test]
    fn good_artifacts_pass() {
        for (name, version) in
            [("lodash", "4.17.21"), ("@x/a", "1.0.0-rc.1"), ("JSONStream", "1.3.5"), ("a", "1.0.0+b")]
        {
            let (mut good, object, _) = artifact(name, version);
            assert_eq!(admit(&good, &object), Ok(()), "{name}");
            good.files.truncate(1);
            good.attributes.insert("selected".to_owned(), false.into());
            good.attributes.insert("time".to_owned(), "2020-01-01T00:00:00.000Z".into());
            good.attributes.insert("unknown".to_owned(), "later".into());
            assert_eq!(admit(&good, &object), Ok(()), "{name} without tarball");
        }
    }

    #[test]
    fn bad_artifacts_are_refused() {
        type Change = fn(&mut Artifact);
        let table: &[(&str, Change)] = &[
            ("ecosystem", |a| a.ecosystem = "file".to_owned()),
            ("schema", |a| a.schema = "npm/2".to_owned()),
            ("repository", |a| a.repository = "../x".to_owned()),
            ("virtual repository", |a| a.repository = "all".to_owned()),
            ("empty repository", |a| a.repository.clear()),
            ("name", |a| a.name = "../lodash".to_owned()),
            ("another's name", |a| a.name = "b".to_owned()),
            ("scope", |a| a.name = "@x/../a".to_owned()),
            ("version", |a| a.version = "1.0.0/../2".to_owned()),
            ("no version", |a| a.version = "latest".to_owned()),
            ("another version", |a| a.version = "1.0.1".to_owned()),
            ("qualifier", |a| a.qualifier = "x".to_owned()),
            ("time's type", |a| drop(a.attributes.insert("time".to_owned(), 1.into()))),
            ("licence's type", |a| drop(a.attributes.insert("licence".to_owned(), 1.into()))),
            ("selected", |a| drop(a.attributes.insert("selected".to_owned(), "no".into()))),
            ("who made it", |a| drop(a.attributes.insert("attested".to_owned(), "me".into()))),
            ("who made it, in control characters", |a| {
                let by = serde_json::json!([{ "by": "\u{1b}[2J", "issuer": "", "logged": "", "kind": "" }]);
                a.attributes.insert("attested".to_owned(), by);
            }),
            ("role", |a| a.files[1].role = "readme".to_owned()),
            ("two tarballs", |a| a.files.push(a.files[1].clone())),
            ("two version objects", |a| a.files.push(a.files[0].clone())),
            ("no version object", |a| drop(a.files.remove(0))),
            ("no files", |a| a.files.clear()),
            ("version object's path", |a| a.files[0].path = "a".to_owned()),
            ("version object's size", |a| a.files[0].size = (1 << 20) + 1),
            ("tarball's path", |a| a.files[1].path = "a/-/b-1.0.0.tgz".to_owned()),
            ("tarball's path of another", |a| a.files[1].path = "b/-/b-1.0.0.tgz".to_owned()),
            ("no tarball path", |a| a.files[1].path.clear()),
            ("no checksums", |a| a.files[1].checksums.clear()),
            ("only a sha1", |a| a.files[1].checksums = vec![sha1(b"the tarball of a 1.0.0")]),
            ("another checksum", |a| a.files[1].checksums = vec![sha512(b"other")]),
            ("another sha1", |a| a.files[1].checksums.push(sha1(b"other"))),
            ("credentials", |a| a.files[1].origin = "https://me:secret@registry.example.test/a".to_owned()),
            ("control in the origin", |a| a.files[1].origin = "https://x/\u{1b}[2J".to_owned()),
            ("control in an edge", |a| {
                let (name, range, kind) = ("a\u{7}".to_owned(), "*".to_owned(), "runtime".to_owned());
                a.requires.push(bundle_format::Requirement { name, range, kind });
            }),
        ];
        for (what, change) in table {
            let (mut bad, object, _) = artifact("a", "1.0.0");
            change(&mut bad);
            assert!(admit(&bad, &object).is_err(), "{what}");
        }
    }

    #[test]
    fn version_objects_must_be_about_the_artifact() {
        let (good, object, _) = artifact("a", "1.0.0");
        let integrity = object.windows(4).position(|w| w == b"512-").unwrap() + 4;
        let mut flipped = object.to_vec();
        flipped[integrity] = if flipped[integrity] == b'A' { b'B' } else { b'A' };
        for (what, bad) in [
            ("another name", replaced(&object, "\"a\"", "\"b\"")),
            ("another version", replaced(&object, "1.0.0", "1.0.1")),
            ("no name", replaced(&object, "\"name\"", "\"nome\"")),
            ("a second name", replaced(&object, "\"dist\"", "\"name\":\"b\",\"dist\"")),
            ("a number", replaced(&object, "\"1.0.0\"", "1")),
            ("another integrity", Bytes::from(flipped)),
            ("cut short", object.slice(..object.len() - 1)),
            ("two objects", Bytes::from([&object[..], &object[..]].concat())),
            ("an array", Bytes::from_static(b"[]")),
            ("no text", Bytes::from_static(b"{\"name\":\"\xff\"}")),
            ("nothing", Bytes::new()),
            ("too much", Bytes::from(vec![b' '; (1 << 20) + 1])),
        ] {
            assert!(admit(&good, &bad).is_err(), "{what}");
        }
    }

    #[test]
    fn old_packages_have_a_sha1_alone() {
        let (mut old, object, tarball) = artifact("a", "1.0.0");
        let object = replaced(&object, "\"integrity\"", "\"intégrity\"");
        old.files[1].checksums = vec![sha1(&tarball)];
        assert_eq!(admit(&old, &object), Ok(()));
        let other = replaced(&object, &sha1(&tarball).hex(), &sha1(b"other").hex());
        assert!(admit(&old, &other).is_err());
        let silent = replaced(&object, "\"shasum\"", "\"shasam\"");
        assert!(admit(&old, &silent).is_err());
    }

    #[test]
    fn integrity_is_read_as_npm_reads_it() {
        let (mut a, object, tarball) = artifact("a", "1.0.0");
        let sha256 = |bytes: &[u8]| STANDARD.encode(BlobKey::of(bytes).as_bytes());
        let sri = format!("sha512-{}", STANDARD.encode(sha512(&tarball).as_bytes()));
        for (integrity, good) in [
            (format!("sha1-AAAA {sri}?opt"), true),
            (format!("sha512-{} {sri}", STANDARD.encode(sha512(b"other").as_bytes())), true),
            (format!("sha256-{}", sha256(&tarball)), true),
            (format!("sha256-{} {sri}", sha256(b"other")), true),
            (format!("sha256-{}", sha256(b"other")), false),
            ("nonsense".to_owned(), true),
        ] {
            assert_eq!(admit(&a, &replaced(&object, &sri, &integrity)).is_ok(), good, "{integrity}");
        }
        // Where the lock knew only a sha1, the version object's sha256 is compared with the blob's key.
        a.files[1].checksums = vec![sha1(&tarball)];
        let by_key = replaced(&object, &sri, &format!("sha256-{}", sha256(&tarball)));
        assert_eq!(admit(&a, &by_key), Ok(()));
        let by_sha1 =
            replaced(&object, &sri, &format!("sha1-{}", STANDARD.encode(sha1(&tarball).as_bytes())));
        assert_eq!(admit(&a, &by_sha1), Ok(()));
        a.files[1].checksums.clear();
        assert!(admit(&a, &replaced(&object, &sri, "md5-AAAAAAAAAAAAAAAAAAAAAA==")).is_err());
    }

    #[test]
    fn refs_are_checked() {
        let reference = |name: &str, label: &str, version: &str| Ref {
            ecosystem: "npm".to_owned(),
            repository: "npm".to_owned(),
            name: name.to_owned(),
            label: label.to_owned(),
            version: version.to_owned(),
        };
        for label in ["latest", "next-11", "v1-lts", "1.x"] {
            assert!(NpmAdmit.admit_ref(&reference("@x/a", label, "1.0.0")).is_ok(), "{label}");
        }
        let long = "a".repeat(215);
        for (name, label, version) in [
            ("a", "", "1.0.0"),
            ("a", "1.0.0", "1.0.0"),
            ("a", "v2.0.0-rc.1", "1.0.0"),
            ("a", "new tag", "1.0.0"),
            ("a", "\u{1b}[2J", "1.0.0"),
            ("a", &long, "1.0.0"),
            ("../a", "latest", "1.0.0"),
            ("a", "latest", "newest"),
            ("a", "latest", ""),
        ] {
            let problem = NpmAdmit.admit_ref(&reference(name, label, version)).unwrap_err();
            assert_eq!(problem.kind, Kind::Untrusted);
            assert!(!problem.to_string().chars().any(char::is_control), "{problem}");
        }
    }
}
