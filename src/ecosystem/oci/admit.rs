//! What registries' clients rely on before a mirror shows an image: names that are names, the one manifest whose digest
//! the version is, and every part of it that is not said to be absent.

use std::collections::{HashMap, HashSet};

use bundle_format::{Artifact, BlobKey, Digest, File, Ref};
use bytes::Bytes;

use super::SCHEMA;
use super::manifest::{self, Descriptor, Manifest};
use super::record;
use super::reference::{DOCKER, Name, check_tag, is_host, read_digest};
use crate::ecosystem::{Admit, origin};
use crate::problem::{Kind, Problem};

/// Re-validates images.
pub(super) struct OciAdmit;

impl Admit for OciAdmit {
    fn admit(
        &self,
        artifact: &Artifact,
        read: &mut dyn FnMut(&BlobKey) -> Result<Bytes, Problem>,
    ) -> Result<(), Problem> {
        let refuse = |why: String| untrusted(&artifact.repository, &artifact.name, &artifact.version, why);
        let file = check_manifest(artifact).map_err(refuse)?;
        let bytes = read(&file.blob)?;
        let manifest = Manifest::read(&bytes, &file.media_type).map_err(refuse)?;
        check_parts(artifact, file, &manifest).map_err(refuse)
    }

    fn admit_ref(&self, reference: &Ref) -> Result<(), Problem> {
        check_ref(reference)
            .map_err(|why| untrusted(&reference.repository, &reference.name, &reference.label, why))
    }
}

fn untrusted(repository: &str, name: &str, version: &str, why: String) -> Problem {
    // None of these is known to be harmless to a terminal yet.
    let shown = |text: &str| text.chars().take(256).collect::<String>().escape_debug().to_string();
    Problem::new(Kind::Untrusted, "oci.refused-artifact", "an image of the bundle is not acceptable")
        .at(format!("{}/{} {}", shown(repository), shown(name), shown(version)))
        .because(shown(&why))
        .hint(
            "collect it again outside with a current aftk; if it stays so, what its registry has is damaged",
        )
}

fn check_ref(reference: &Ref) -> Result<(), String> {
    if reference.ecosystem != "oci" {
        return Err("its ecosystem is another".to_owned());
    }
    check_name(&reference.repository, &reference.name)?;
    check_tag(&reference.label)?;
    read_digest(&reference.version).map(drop)
}

/// Whether clients can ask for this repository by exactly this name.
fn check_name(registry: &str, path: &str) -> Result<(), String> {
    if registry != DOCKER && !is_host(registry) {
        return Err(format!("{registry:?} is not the name of a registry"));
    }
    if Name::at(registry, path)?.path != path {
        return Err(format!("{DOCKER} has no repository {path:?}"));
    }
    Ok(())
}

/// Checks what can be checked before the manifest is read, and finds it.
fn check_manifest(artifact: &Artifact) -> Result<&File, String> {
    if artifact.ecosystem != "oci" || artifact.schema != SCHEMA {
        return Err("its ecosystem or schema is another".to_owned());
    }
    check_name(&artifact.repository, &artifact.name)?;
    if !artifact.qualifier.is_empty() {
        return Err("images have no qualifier".to_owned());
    }
    let digest = read_digest(&artifact.version)?;
    for file in &artifact.files {
        origin::check(&file.origin)?;
    }
    let mut manifests = artifact.files.iter().filter(|file| file.role == record::MANIFEST);
    let (Some(file), None) = (manifests.next(), manifests.next()) else {
        return Err("it has not exactly one manifest".to_owned());
    };
    if file.path != record::manifest_path(&artifact.name, &digest) {
        return Err("its manifest is at another path".to_owned());
    }
    if file.size > manifest::LARGEST {
        return Err("its manifest is larger than 4 MiB".to_owned());
    }
    if !record::is_of(file, &digest) {
        return Err("its version is the digest of something else".to_owned());
    }
    Ok(file)
}

/// Checks that an artifact is its manifest with all that it names, and nothing else.
fn check_parts(artifact: &Artifact, own: &File, manifest: &Manifest) -> Result<(), String> {
    if own.media_type != manifest.media_type {
        return Err("its manifest has another media type than it is recorded under".to_owned());
    }
    let absent = record::absent(artifact)?;
    let absent: Vec<&Digest> = absent.iter().collect();
    let parts = record::parts(manifest);
    let mut without: HashSet<&Digest> = absent.iter().copied().collect();
    let others = artifact.files.iter().filter(|file| file.role != record::MANIFEST);
    let mut files: HashMap<&str, &File> = others.clone().map(|file| (file.path.as_str(), file)).collect();
    if files.len() != others.count() {
        return Err("two of its files are at one path".to_owned());
    }
    for (role, part) in parts {
        let file = files.remove(record::blob_path(&artifact.name, &part.digest).as_str());
        match (file, without.remove(&part.digest)) {
            (Some(file), false) => check_blob(file, role, part)?,
            (None, true) => {}
            (Some(_), true) => return Err(format!("{} is there and said to be absent", part.digest)),
            (None, false) => return Err(format!("the blob {} is missing", part.digest)),
        }
    }
    for entry in &manifest.manifests {
        without.remove(&entry.digest);
    }
    if let Some(stranger) = without.into_iter().next() {
        return Err(format!("{stranger} is said to be absent, and is no part of it"));
    }
    if let Some(path) = files.into_keys().next() {
        return Err(format!("its manifest names no file {path:?}"));
    }
    if artifact.attributes != record::attributes(manifest, &absent) {
        return Err("its attributes are not what its manifest says".to_owned());
    }
    if artifact.requires != record::requires(&artifact.name, manifest, &absent) {
        return Err("what it requires is not what its manifest says".to_owned());
    }
    Ok(())
}

fn check_blob(file: &File, role: &str, part: &Descriptor) -> Result<(), String> {
    if file.role != role {
        return Err(format!("the blob {} is no {}", part.digest, file.role));
    }
    if file.size != part.size {
        return Err(format!("the blob {} has {} bytes instead of {}", part.digest, file.size, part.size));
    }
    if !record::is_of(file, &part.digest) {
        return Err(format!("at the path of the blob {} is another one", part.digest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bundle_format::Algorithm;
    use serde_json::{Value, json};
    use sha2::Digest as _;

    use super::super::manifest::{OCI_INDEX, OCI_MANIFEST};
    use super::*;

    const PATH: &str = "team/app";

    fn sha256(bytes: &[u8]) -> Digest {
        BlobKey::of(bytes).into()
    }

    fn sha512(bytes: &[u8]) -> Digest {
        Digest::new(Algorithm::Sha512, &sha2::Sha512::digest(bytes)).unwrap()
    }

    /// A part with these bytes as a manifest describes it.
    fn part(bytes: &[u8], digest: fn(&[u8]) -> Digest) -> Value {
        let media_type = "application/octet-stream";
        json!({"mediaType": media_type, "digest": digest(bytes).to_string(), "size": bytes.len()})
    }

    fn file(role: &str, path: String, media_type: &str, bytes: &[u8]) -> File {
        File {
            role: role.to_owned(),
            path,
            blob: BlobKey::of(bytes),
            size: bytes.len() as u64,
            media_type: media_type.to_owned(),
            checksums: vec![sha512(bytes)],
            origin: String::new(),
        }
    }

    /// An artifact as it is collected, with the bytes of its manifest. Its blobs have these bytes.
    fn collected(
        manifest: &Value,
        blobs: &[&[u8]],
        absent: &[&Digest],
        digest: fn(&[u8]) -> Digest,
    ) -> (Artifact, Bytes) {
        let bytes = Bytes::from(manifest.to_string());
        let media_type = manifest["mediaType"].as_str().unwrap();
        let read = Manifest::read(&bytes, media_type).unwrap();
        let version = digest(&bytes);
        let mut files =
            vec![file(record::MANIFEST, record::manifest_path(PATH, &version), media_type, &bytes)];
        for (role, part) in record::parts(&read) {
            if let Some(bytes) = blobs.iter().find(|bytes| digest(bytes) == part.digest) {
                files.push(file(role, record::blob_path(PATH, &part.digest), &part.media_type, bytes));
            }
        }
        let artifact = Artifact {
            ecosystem: "oci".to_owned(),
            repository: "registry.example.test:5000".to_owned(),
            name: PATH.to_owned(),
            version: version.to_string(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes: record::attributes(&read, absent),
            files,
            requires: record::requires(PATH, &read, absent),
        };
        (artifact, bytes)
    }

    const CONFIG: &[u8] = b"{}";
    const LAYER: &[u8] = b"a layer";

    fn image(digest: fn(&[u8]) -> Digest) -> (Artifact, Bytes) {
        let image = json!({
            "mediaType": OCI_MANIFEST, "config": part(CONFIG, digest),
            // One layer may be there twice.
            "layers": [part(LAYER, digest), part(LAYER, digest)], "subject": part(b"another", digest),
        });
        collected(&image, &[CONFIG, LAYER], &[], digest)
    }

    /// An index of two images, one of which is absent.
    fn index() -> (Artifact, Bytes) {
        let entries = [part(b"one image", sha256), part(b"another image", sha256)];
        let index = json!({"mediaType": OCI_INDEX, "manifests": entries});
        collected(&index, &[], &[&sha256(b"another image")], sha256)
    }

    fn admit(artifact: &Artifact, manifest: &Bytes) -> Result<(), Problem> {
        OciAdmit.admit(artifact, &mut |key| {
            assert_eq!(*key, BlobKey::of(manifest), "only the manifest is read");
            Ok(manifest.clone())
        })
    }

    #[test]
    fn what_is_collected_is_admitted() {
        for (artifact, manifest) in [image(sha256), image(sha512), index()] {
            assert_eq!(admit(&artifact, &manifest), Ok(()));
        }
        let foreign = json!({
            "mediaType": OCI_MANIFEST, "config": part(CONFIG, sha256), "layers": [part(LAYER, sha256)],
        });
        let (artifact, manifest) = collected(&foreign, &[CONFIG], &[&sha256(LAYER)], sha256);
        assert_eq!(admit(&artifact, &manifest), Ok(()));
    }

    #[track_caller]
    fn assert_refused(what: &str, artifact: &Artifact, manifest: &Bytes) {
        let problem = admit(artifact, manifest).expect_err(what);
        assert_eq!(
            (problem.kind, problem.code.as_ref()),
            (Kind::Untrusted, "oci.refused-artifact"),
            "{what}"
        );
        let said = format!("{problem} {:?} {:?}", problem.place, problem.causes);
        assert!(!said.chars().any(char::is_control), "{what}: {said}");
    }

    #[test]
    fn bad_images_are_refused() {
        type Change = fn(&mut Artifact);
        let table: &[(&str, Change)] = &[
            ("ecosystem", |a| a.ecosystem = "npm".to_owned()),
            ("schema", |a| a.schema = "oci/2".to_owned()),
            ("registry", |a| a.repository = "a/b".to_owned()),
            ("control in the registry", |a| a.repository = "a.test\u{1b}[2J".to_owned()),
            ("virtual registry", |a| a.repository = "all".to_owned()),
            ("no registry", |a| a.repository.clear()),
            ("path", |a| a.name = "../b".to_owned()),
            ("case of the path", |a| a.name = "Team/app".to_owned()),
            ("another path", |a| a.name = "team/other".to_owned()),
            ("docker's official image without its path", |a| {
                a.repository = DOCKER.to_owned();
                a.name = "app".to_owned();
                a.files.iter_mut().for_each(|file| file.path = file.path.replace("team/app", "app"));
            }),
            ("version", |a| a.version = "latest".to_owned()),
            ("algorithm of the version", |a| a.version = format!("sha1:{}", "0".repeat(40))),
            ("version of something else", |a| {
                let other = sha256(b"other");
                a.files[0].path = record::manifest_path(PATH, &other);
                a.version = other.to_string();
            }),
            ("qualifier", |a| a.qualifier = "x".to_owned()),
            ("no files", |a| a.files.clear()),
            ("no manifest", |a| drop(a.files.remove(0))),
            ("two manifests", |a| a.files.push(a.files[0].clone())),
            ("path of the manifest", |a| a.files[0].path = "team/app/manifests/latest".to_owned()),
            ("media type of the manifest", |a| a.files[0].media_type = OCI_INDEX.to_owned()),
            ("no media type", |a| a.files[0].media_type.clear()),
            ("parameters of the media type", |a| a.files[0].media_type.push_str("; charset=utf-8")),
            ("size of the manifest", |a| a.files[0].size = manifest::LARGEST + 1),
            ("missing layer", |a| a.files.truncate(2)),
            ("missing configuration", |a| drop(a.files.remove(1))),
            ("layer twice", |a| a.files.push(a.files[2].clone())),
            ("a blob of no manifest", |a| {
                let other = sha256(b"other");
                a.files.push(file(record::LAYER, record::blob_path(PATH, &other), "", b"other"));
            }),
            ("role of a blob", |a| a.files[2].role = record::CONFIG.to_owned()),
            ("unknown role", |a| a.files[2].role = "rootfs".to_owned()),
            ("path of a blob", |a| a.files[2].path.push('0')),
            ("a blob of another repository", |a| a.files[2].path = a.files[2].path.replace("team", "others")),
            ("size of a blob", |a| a.files[2].size += 1),
            ("bytes of a blob", |a| a.files[2].blob = BlobKey::of(b"other")),
            ("credentials", |a| a.files[2].origin = "https://me:secret@registry.example.test/a".to_owned()),
            ("control in an origin", |a| a.files[0].origin = "https://x/\u{1b}[2J".to_owned()),
            ("unknown attribute", |a| drop(a.attributes.insert("x".to_owned(), json!(1)))),
            ("no subject", |a| a.attributes.clear()),
            ("another subject", |a| {
                a.attributes.insert("subject".to_owned(), json!(sha256(b"other").to_string()));
            }),
            ("absent is no list", |a| drop(a.attributes.insert("absent".to_owned(), json!("x")))),
            ("absent is no digest", |a| drop(a.attributes.insert("absent".to_owned(), json!([1])))),
            ("absent is none", |a| drop(a.attributes.insert("absent".to_owned(), json!([])))),
            ("absent is there", |a| {
                a.attributes.insert("absent".to_owned(), json!([sha256(LAYER).to_string()]));
            }),
            ("absent is no part", |a| {
                a.attributes.insert("absent".to_owned(), json!([sha256(b"other").to_string()]));
            }),
            ("requires", |a| {
                let (name, range, kind) = (PATH.to_owned(), a.version.clone(), "entry".to_owned());
                a.requires.push(bundle_format::Requirement { name, range, kind });
            }),
        ];
        for (what, change) in table {
            let (mut bad, manifest) = image(sha256);
            change(&mut bad);
            assert_refused(what, &bad, &manifest);
        }
    }

    #[test]
    fn bad_indexes_are_refused() {
        type Change = fn(&mut Artifact);
        let table: &[(&str, Change)] = &[
            ("an edge less", |a| a.requires.clear()),
            ("an edge to what is absent", |a| a.requires[0].range = sha256(b"another image").to_string()),
            ("all is there", |a| a.attributes.clear()),
            ("an entry as a file", |a| {
                let entry = sha256(b"one image");
                a.files.push(file(record::LAYER, record::blob_path(PATH, &entry), "", b"one image"));
            }),
            ("absent twice", |a| {
                let one = sha256(b"another image").to_string();
                a.attributes.insert("absent".to_owned(), json!([one, one]));
            }),
        ];
        for (what, change) in table {
            let (mut bad, manifest) = index();
            change(&mut bad);
            assert_refused(what, &bad, &manifest);
        }
    }

    #[test]
    fn a_listed_sha512_counts_and_nothing_else_does() {
        for number in 0..3 {
            let (mut bad, manifest) = image(sha512);
            bad.files[number].checksums.clear();
            assert_refused("no checksum", &bad, &manifest);
        }
    }

    #[test]
    fn bytes_that_are_no_manifest_are_refused() {
        let not_json = Bytes::from_static(b"{");
        let two_things =
            json!({"mediaType": OCI_MANIFEST, "manifests": [], "config": part(CONFIG, sha256), "layers": []});
        for bytes in [not_json, Bytes::from(two_things.to_string())] {
            let version = sha256(&bytes);
            let path = record::manifest_path(PATH, &version);
            let bad = Artifact {
                version: version.to_string(),
                files: vec![file(record::MANIFEST, path, OCI_MANIFEST, &bytes)],
                attributes: BTreeMap::new(),
                ..image(sha256).0
            };
            assert_refused("no manifest", &bad, &bytes);
        }
    }

    #[test]
    fn refs_are_tags_of_manifests() {
        let good = Ref {
            ecosystem: "oci".to_owned(),
            repository: DOCKER.to_owned(),
            name: "library/redis".to_owned(),
            label: "7.2-alpine".to_owned(),
            version: sha256(b"x").to_string(),
        };
        assert_eq!(OciAdmit.admit_ref(&good), Ok(()));
        type Change = fn(&mut Ref);
        let table: &[(&str, Change)] = &[
            ("ecosystem", |r| r.ecosystem = "npm".to_owned()),
            ("registry", |r| r.repository = "all".to_owned()),
            ("name", |r| r.name = "redis".to_owned()),
            ("no name", |r| r.name.clear()),
            ("no label", |r| r.label.clear()),
            ("label", |r| r.label = "-x".to_owned()),
            ("control in the label", |r| r.label = "a\u{1b}[2J".to_owned()),
            ("a digest as a label", |r| r.label = r.version.clone()),
            ("version", |r| r.version = "7.2".to_owned()),
            ("algorithm", |r| r.version = format!("md5:{}", "0".repeat(32))),
        ];
        for (what, change) in table {
            let mut bad = good.clone();
            change(&mut bad);
            let problem = OciAdmit.admit_ref(&bad).expect_err(what);
            assert_eq!(problem.kind, Kind::Untrusted, "{what}");
            assert!(
                !format!("{problem} {:?} {:?}", problem.place, problem.causes).chars().any(char::is_control)
            );
        }
    }
}
