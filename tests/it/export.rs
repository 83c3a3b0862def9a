//! Images leave the store as archives and directories, and come back the same.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::fsx::faults::{Fault, Kind, Watch};
use aftk::ops::export::{self, ExportRequest};
use aftk::problem::Problem;
use aftk::store::Store;
use bundle_format::BlobKey;
use serde_json::{Value, json};

use crate::support::images::sha512;
use crate::support::sides::Sides;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

const APP: &str = "registry.example.test/team/app:1.0";
const REDIS: &str = "docker.io/library/redis:7";

/// A layout that is being made, as other tools write one.
struct Layout {
    directory: PathBuf,
    entries: Vec<Value>,
    /// Whether its blobs are named by sha512.
    is_long: bool,
}

impl Layout {
    fn new(directory: PathBuf) -> Layout {
        for algorithm in ["sha256", "sha512"] {
            std::fs::create_dir_all(directory.join("blobs").join(algorithm)).unwrap();
        }
        std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { directory, entries: Vec::new(), is_long: false }
    }

    fn blob(&self, media_type: &str, bytes: &str) -> Value {
        let digest = match self.is_long {
            true => sha512(bytes.as_bytes()),
            false => BlobKey::of(bytes.as_bytes()).into(),
        };
        let path = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        std::fs::write(self.directory.join(path), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    fn image(&self, architecture: &str, [manifest, config]: [&str; 2]) -> Value {
        let configuration = json!({"os": "linux", "architecture": architecture, "rootfs": {"diff_ids": []}});
        let config = self.blob(config, &configuration.to_string());
        let layers = [self.blob(LAYER, "the base"), self.blob(LAYER, &format!("for {architecture}"))];
        let image = json!({"schemaVersion": 2, "mediaType": manifest, "config": config, "layers": layers});
        let mut image = self.blob(manifest, &image.to_string());
        image["platform"] = json!({"os": "linux", "architecture": architecture});
        image
    }

    fn name(&mut self, mut descriptor: Value, name: &str) {
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.entries.push(descriptor);
    }

    fn finish(self) {
        let index = json!({"schemaVersion": 2, "manifests": self.entries});
        std::fs::write(self.directory.join("index.json"), index.to_string()).unwrap();
    }
}

/// A home that has two images: one of two platforms with a signature under a tag, one of docker's own type.
fn with_images() -> Sides {
    let sides = Sides::new();
    let mut layout = Layout::new(sides.path("project/layout"));
    let images = ["amd64", "arm64"].map(|one| layout.image(one, [OCI_MANIFEST, OCI_CONFIG]));
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": images});
    let index = layout.blob(OCI_INDEX, &index.to_string());
    let about = index["digest"].as_str().unwrap().replace(':', "-");
    layout.name(index, APP);
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": layout.blob(OCI_CONFIG, "{}"),
        "layers": [layout.blob("application/vnd.dev.cosign.simplesigning.v1+json", "a signature")],
    });
    let signature = layout.blob(OCI_MANIFEST, &signature.to_string());
    layout.name(signature, &format!("registry.example.test/team/app:{about}.sig"));
    let redis = layout.image("amd64", [DOCKER_MANIFEST, DOCKER_CONFIG]);
    layout.name(redis, REDIS);
    layout.finish();
    sides.run("out", &["collect", "oci:layout", "--out", "stick"]).done();
    sides
}

fn member(archive: &Path, name: &str) -> Value {
    let mut archive = tar::Archive::new(std::fs::File::open(archive).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap() == Path::new(name) {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            return serde_json::from_str(&text).unwrap();
        }
    }
    panic!("{name} is not in it");
}

/// Every member: its name, its bytes.
fn members(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(std::fs::File::open(archive).unwrap());
    let members = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    members.collect()
}

fn digests(report: &Value) -> Vec<(&str, &str)> {
    let items = report["items"].as_array().unwrap();
    items.iter().map(|item| (item["name"].as_str().unwrap(), item["digest"].as_str().unwrap())).collect()
}

#[test]
fn layouts_come_back_the_same() {
    let sides = with_images();
    let listed = sides.run("out", &["ls"]).done();
    let archive = sides.run("out", &["export", "oci-archive", "images.tar", "--json"]);
    let layout = sides.run("out", &["export", "oci", "images", "--json"]);
    let (archive, layout) = (archive.json(), layout.json());
    assert_eq!(digests(&archive), digests(&layout));
    let names: Vec<&str> = digests(&archive).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [REDIS, APP]);
    assert_eq!(archive["outcome"], "written");

    let path = sides.path("project/images.tar");
    let members = members(&path);
    assert!(members.is_sorted() && members.iter().any(|(name, _)| name == "oci-layout"));
    for (name, bytes) in &members {
        let key = BlobKey::of(bytes).hex();
        assert!(name.strip_prefix("blobs/sha256/").is_none_or(|hex| hex == key), "{name}");
        assert_eq!(*bytes, std::fs::read(sides.path("project/images").join(name)).unwrap());
    }
    let index = member(&path, "index.json");
    let entries = index["manifests"].as_array().unwrap();
    let named = |entry: &&Value| entry["annotations"]["io.containerd.image.name"].is_string();
    assert_eq!(entries.iter().filter(named).count(), 2, "containerd would unpack a signature: {index}");
    assert_eq!(entries.len(), 3);

    sides.trust();
    sides.run("in", &["import", sides.path("project/stick").to_str().unwrap()]).done();
    sides.run("in", &["export", "oci-archive", "inside.tar"]).done();
    let inside = sides.path("project/inside.tar");
    assert_eq!(std::fs::read(inside).unwrap(), std::fs::read(&path).unwrap());

    for (home, what) in [("again", "oci-archive:images.tar"), ("once-more", "oci:images")] {
        sides.run(home, &["collect", what, "--out", home]).done();
        assert_eq!(sides.run(home, &["ls"]).done(), listed);
        let second = format!("{home}.tar");
        sides.run(home, &["export", "oci-archive", &second]).done();
        assert_eq!(std::fs::read(sides.path("project").join(second)).unwrap(), std::fs::read(&path).unwrap());
    }
}

#[test]
fn layouts_may_be_named_by_sha512() {
    let sides = Sides::new();
    let directory = sides.path("project/layout");
    let mut layout = Layout { is_long: true, ..Layout::new(directory.clone()) };
    let images = ["amd64", "arm64"].map(|one| layout.image(one, [OCI_MANIFEST, OCI_CONFIG]));
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": images});
    let index = layout.blob(OCI_INDEX, &index.to_string());
    let about = index["digest"].clone();
    layout.name(index, APP);
    // Of one platform, and with parts of both kinds.
    let short = Layout::new(directory.clone()).blob(LAYER, "under a short name");
    let redis = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [short],
        "config": layout.blob(OCI_CONFIG, r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#),
    });
    let redis = layout.blob(OCI_MANIFEST, &redis.to_string());
    layout.name(redis, REDIS);
    layout.finish();
    let collect = ["collect", "oci:layout", "--platform", "linux/amd64", "--out", "stick"];
    sides.run("out", &collect).done();
    // What was taken in is known again, also by another process and from the lock.
    let again = sides.run("out", &[&collect[..], &["--json"]].concat()).json();
    assert_eq!(again["bundle"]["held"], true, "{again}");
    sides.trust();
    sides.run("in", &["import", sides.path("project/stick").to_str().unwrap()]).done();
    for home in ["out", "in"] {
        let report = sides.run(home, &["export", "oci", home, "--json"]).json();
        assert_eq!(report["notes"][0]["code"], "oci.no-sha256");
        assert_eq!(digests(&report), [(REDIS, digests(&report)[0].1), (APP, about.as_str().unwrap())]);
        let mut count = 0;
        for algorithm in ["sha256", "sha512"] {
            for blob in
                std::fs::read_dir(sides.path("project").join(home).join("blobs").join(algorithm)).unwrap()
            {
                let path = blob.unwrap().path();
                let original = directory.join("blobs").join(algorithm).join(path.file_name().unwrap());
                assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(original).unwrap());
                count += 1;
            }
        }
        assert_eq!(count, 1 + 4 + 3, "the index, its image of one platform, and the other one");
        let archive = format!("{home}.tar");
        sides.run(home, &["export", "docker-archive", &archive, "-p", "linux/amd64"]).done();
        let images = member(&sides.path("project").join(archive), "manifest.json");
        assert_eq!(images.as_array().unwrap().len(), 2);
    }

    let layer = directory.join("blobs/sha512").join(sha512(b"for amd64").hex());
    std::fs::write(layer, "for  amd6").unwrap();
    let damaged = sides.run("anew", &["collect", "oci:layout", "--out", "anew", "--json"]);
    assert_eq!((damaged.code, &damaged.json()["error"]["code"]), (Some(3), &json!("input.mismatch")));
}

#[test]
fn docker_loads_one_platform_of_each_image() {
    let sides = with_images();
    let ran = sides.run("out", &["export", "docker-archive", "images.tar", "-p", "linux/amd64", "--json"]);
    let report = ran.json();
    let codes: Vec<&str> =
        report["notes"].as_array().unwrap().iter().map(|note| note["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["oci.left-out", "oci.one-platform"]);
    let path = sides.path("project/images.tar");
    let images = member(&path, "manifest.json");
    let members = members(&path);
    let mut tags = Vec::new();
    for image in images.as_array().unwrap() {
        tags.extend(image["RepoTags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()));
        for file in image["Layers"].as_array().unwrap().iter().chain([&image["Config"]]) {
            assert!(members.iter().any(|(name, _)| name == file.as_str().unwrap()), "{file}");
        }
    }
    tags.sort_unstable();
    assert_eq!(tags, ["redis:7", APP]);
    assert!(!members.iter().any(|(_, bytes)| bytes == b"for arm64" || bytes == b"a signature"));
    assert_eq!(member(&path, "repositories")["redis"]["7"], BlobKey::of(b"for amd64").hex());

    let arm = sides.run("out", &["export", "docker-archive", "arm.tar", "-p", "linux/arm64", "docker:*/app"]);
    assert!(arm.done().contains(APP));
    let none =
        sides.run("out", &["export", "docker-archive", "none.tar", "-p", "linux/s390x", "docker:*/app"]);
    assert_eq!(none.code, Some(4), "{none:?}");
    assert!(none.stderr.contains("linux/amd64, linux/arm64") && !sides.path("project/none.tar").exists());
}

#[test]
fn selectors_say_what_is_exported() {
    let sides = with_images();
    let export = |selectors: &[&str]| {
        sides.run("out", &[&["export", "oci-archive", "images.tar", "-n", "--json"], selectors].concat())
    };
    let names = |ran: &crate::support::sides::Ran| -> Vec<String> {
        digests(&ran.json()).into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    for (selectors, expected) in [
        (&["docker:redis"][..], &[REDIS][..]),
        (&["docker:redis:7"], &[REDIS]),
        (&["docker:registry.example.test/*"], &[APP]),
        (&["docker:*:1.?"], &[APP]),
        (&["docker:redis", "docker:*/app:1.0"], &[REDIS, APP]),
        (&["channel:default"], &[REDIS, APP]),
    ] {
        let ran = export(selectors);
        assert_eq!(names(&ran), expected, "{selectors:?} {ran:?}");
        assert!(ran.json().get("outcome").is_none());
    }
    let by_tag =
        sides.run("out", &["export", "oci-archive", "images.tar", "docker:*/app:1.0", "-n", "--json"]);
    let by_name = export(&["docker:*/app"]);
    assert_eq!(by_tag.json()["files"], by_name.json()["files"], "the signature comes along");
    for (selectors, code) in [
        (&["docker:redis:8"][..], 4),
        (&["docker:redis", "docker:*/nothing"], 4),
        (&["npm:left-pad"], 4),
        (&["channel:other"], 4),
        (&["docker:Redis"], 2),
        (&["redis"], 2),
    ] {
        let ran = export(selectors);
        assert_eq!(ran.code, Some(code), "{selectors:?} {ran:?}");
        assert!(ran.stderr.contains("hint:"), "{ran:?}");
    }
    assert!(!sides.path("project/images.tar").exists());
    let listed = sides.run("out", &["ls", "docker:redis:7"]).done();
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[test]
fn what_is_there_is_never_overwritten() {
    let sides = with_images();
    for (kind, out) in [("oci-archive", "images.tar"), ("oci", "images")] {
        let export =
            |selectors: &[&str]| sides.run("out", &[&["export", kind, out, "--json"], selectors].concat());
        assert_eq!(export(&["docker:redis"]).json()["outcome"], "written");
        assert_eq!(export(&["docker:redis"]).json()["outcome"], "unchanged");
        assert_eq!(export(&[]).code, Some(6));
        assert_eq!(export(&["docker:redis"]).json()["outcome"], "unchanged");
    }
    // One byte of it, then one file more.
    let archive = sides.path("project/images.tar");
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    sides.write("images/notes.txt", "mine");
    for (kind, out) in [("oci-archive", "images.tar"), ("oci", "images"), ("oci", "images.tar")] {
        assert_eq!(sides.run("out", &["export", kind, out, "docker:redis"]).code, Some(6));
    }
    assert_eq!(sides.run("out", &["export", "oci-archive", "gone/images.tar"]).code, Some(1));
}

#[test]
fn a_damaged_or_missing_blob_leaves_nothing() {
    let sides = with_images();
    let key = BlobKey::of(b"for amd64").hex();
    let blob = sides.path("out/store/blobs/sha256").join(&key[..2]).join(&key);
    std::fs::remove_file(&blob).unwrap();
    let missing = sides.run("out", &["export", "oci-archive", "images.tar"]);
    assert_eq!(missing.code, Some(4), "{missing:?}");
    assert!(missing.stderr.contains(&key));
    std::fs::write(&blob, "for amd46").unwrap();
    for (kind, out) in [("oci-archive", "images.tar"), ("oci", "images")] {
        let damaged = sides.run("out", &["export", kind, out]);
        assert_eq!(damaged.code, Some(3), "{damaged:?}");
    }
    let mut left: Vec<_> =
        sides.path("project").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["layout", "stick"]);
}

#[test]
fn every_failing_write_leaves_nothing_or_all() {
    let sides = with_images();
    let store = Store::open(&sides.path("out")).unwrap();
    for (kind, platform) in [("docker-archive", Some("linux/amd64")), ("oci", None)] {
        let directory = sides.path(&format!("exported-{kind}"));
        std::fs::create_dir(&directory).unwrap();
        let request = ExportRequest {
            kind: kind.to_owned(),
            out: directory.join("images"),
            platforms: platform.into_iter().map(str::to_owned).collect(),
            dry_run: false,
        };
        let export =
            || -> Result<_, Problem> { export::export(&request, &[], &store, &Silent, &Cancel::default()) };
        let clear = || match request.out.is_dir() {
            true => std::fs::remove_dir_all(&request.out).unwrap(),
            false => std::fs::remove_file(&request.out).unwrap(),
        };
        let watch = Watch::new(&directory);
        export().unwrap();
        clear();
        for at in 1..=watch.count() {
            for fault in [Kind::Enospc, Kind::Eio, Kind::ShortWrite] {
                watch.plan(Fault { at, kind: fault });
                assert!(export().is_err(), "{kind}: fault {at}");
                watch.forget();
                let left = directory.read_dir().unwrap().count();
                assert!(left == usize::from(request.out.exists()), "{kind}: fault {at} leaves something");
                // What has the name is whole: exporting again finds it so, or makes it.
                export().unwrap();
                clear();
            }
        }
    }
}
