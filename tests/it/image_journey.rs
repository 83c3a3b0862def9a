//! The whole way of images, by the program itself: from a registry that asks who one is, or an archive of this machine,
//! to a registry inside.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::BlobKey;
use serde_json::{Value, json};

use crate::support::fake_upstream::{FakeUpstream, Reply, Seen};
use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a registry holds of `team/app`: `1.0` is for two platforms that share a layer.
struct Image {
    /// Blobs and manifests with their media types, by digest.
    parts: Vec<(String, String, Vec<u8>)>,
    index: String,
}

impl Image {
    fn new() -> Image {
        let mut image = Image { parts: Vec::new(), index: String::new() };
        let shared = image.add("application/vnd.oci.image.layer.v1.tar+gzip", &vec![7; 300_000]);
        let mut entries = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let config = json!({"os": "linux", "architecture": architecture}).to_string();
            let config = image.add("application/vnd.oci.image.config.v1+json", config.as_bytes());
            let own = image.add("application/vnd.oci.image.layer.v1.tar+zstd", architecture.as_bytes());
            let manifest = json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [shared, own],
            });
            let mut entry = image.add(MANIFEST, manifest.to_string().as_bytes());
            entry["platform"] = json!({"os": "linux", "architecture": architecture});
            entries.push(entry);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        image.index = image.add(INDEX, index.to_string().as_bytes())["digest"].as_str().unwrap().to_owned();
        image
    }

    fn add(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = BlobKey::of(bytes).to_string();
        self.parts.push((digest.clone(), media_type.to_owned(), bytes.to_vec()));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// A registry that has it for `me` alone.
    fn registry(&self) -> FakeUpstream {
        let upstream = FakeUpstream::start();
        let challenge = format!(r#"Bearer realm="{}/token",service="registry""#, upstream.url());
        let guard = move |reply: Reply| {
            let challenge = challenge.clone();
            move |seen: &Seen| match seen.header("authorization") {
                Some("Bearer let-me-in") => reply.clone(),
                _ => Reply::status(401).header("www-authenticate", challenge.clone()),
            }
        };
        let me = format!("Basic {}", STANDARD.encode("me:sesame"));
        let token = Reply::json(&json!({"token": "let-me-in"})).only_for(&me);
        upstream.route("/token?service=registry&scope=repository%3Ateam%2Fapp%3Apull", token);
        upstream.route("/v2/", Reply::answer(guard(Reply::ok("{}"))));
        for (digest, media_type, bytes) in &self.parts {
            let reply = Reply::ok(bytes.clone()).header("content-type", media_type.as_str()).ranges();
            for kind in ["manifests", "blobs"] {
                upstream.route(&format!("/v2/team/app/{kind}/{digest}"), Reply::answer(guard(reply.clone())));
            }
            if *digest == self.index {
                let reply = reply.header("docker-content-digest", digest.as_str());
                upstream.route("/v2/team/app/manifests/1.0", Reply::answer(guard(reply)));
            }
        }
        let tags = Reply::json(&json!({"name": "team/app", "tags": ["1.0"]}));
        upstream.route("/v2/team/app/tags/list?n=1000", Reply::answer(guard(tags)));
        upstream
    }

    /// The same as an OCI layout.
    fn layout(&self, directory: &Path) {
        let blobs = directory.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        for (digest, _, bytes) in &self.parts {
            std::fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), bytes).unwrap();
        }
        let (_, _, bytes) = self.parts.last().unwrap();
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": INDEX, "digest": self.index, "size": bytes.len(),
            "annotations": {"org.opencontainers.image.ref.name": "1.0"},
        }]});
        std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
        std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }

    /// Everything of it is answered by a mirror, byte for byte, under its registry's name.
    fn is_served(&self, serving: &Serving, registry: &str) {
        let ask = |path: &str| Client::connect(serving.address).ask("GET", path, &[]);
        let tagged = ask(&format!("/v2/{registry}/team/app/manifests/1.0"));
        assert_eq!(tagged.header("docker-content-digest"), Some(self.index.as_str()));
        for (digest, media_type, bytes) in &self.parts {
            let kind = if media_type == INDEX || media_type == MANIFEST { "manifests" } else { "blobs" };
            let answer = ask(&format!("/v2/{registry}/team/app/{kind}/{digest}"));
            assert_eq!((answer.status, &answer.body), (200, bytes), "{kind}/{digest}");
            if kind == "manifests" {
                assert_eq!(answer.header("content-type"), Some(media_type.as_str()));
            }
        }
    }
}

fn host(upstream: &FakeUpstream) -> String {
    upstream.url().strip_prefix("http://").unwrap().to_owned()
}

/// The program outside, for a user whose docker knows the registry.
fn collect(sides: &Sides, arguments: &[&str]) -> Ran {
    sides.run("out", &[&["collect", "--out", "../stick"], arguments].concat())
}

fn log_in(sides: &Sides, upstream: &FakeUpstream) {
    let auth = STANDARD.encode("me:sesame");
    let config = json!({"auths": {host(upstream): {"auth": auth}}});
    std::fs::create_dir_all(sides.path("user/.docker")).unwrap();
    std::fs::write(sides.path("user/.docker/config.json"), config.to_string()).unwrap();
}

fn import(sides: &Sides) {
    sides.trust();
    let stick = sides.path("stick");
    sides.run("in", &["import", stick.to_str().unwrap()]).done();
}

#[test]
fn an_image_crosses_the_gap() {
    let (sides, image) = (Sides::new(), Image::new());
    let upstream = image.registry();
    let request = format!("docker:{}/team/app:1.0", host(&upstream));
    let refused = collect(&sides, &[&request]);
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    assert!(
        refused.stderr.contains(" login ") && refused.stderr.contains("--user USER"),
        "{}",
        refused.stderr
    );

    log_in(&sides, &upstream);
    let report = collect(&sides, &["--json", &request]).json();
    assert_eq!(
        (report["artifacts"].as_array().unwrap().len(), &report["preflight"]["downloads"]),
        (3, &json!(5))
    );
    let downloads = || upstream.requests().iter().filter(|seen| seen.path.contains("/blobs/")).count();
    let before = downloads();
    let again = collect(&sides, &["--json", &request]).json();
    assert_eq!(again["bundle"]["snapshot"], report["bundle"]["snapshot"]);
    assert_eq!(downloads(), before, "nothing is downloaded twice");

    // Resolved anew: the tag is only asked about, which registries do not count, and digests need no asking.
    let asked = |method: &str| {
        let all = upstream.requests().into_iter().filter(|seen| seen.method == method);
        all.filter(|seen| seen.path.contains("/manifests/")).count()
    };
    let before = (asked("GET"), asked("HEAD"));
    sides.run("out", &["lock", "--upgrade", "--dry-run", &request]).done();
    // The first is answered by the question who asks.
    assert_eq!((asked("GET"), asked("HEAD") > before.1), (before.0, true));

    import(&sides);
    image.is_served(&Serving::start(&sides), &host(&upstream).replace(':', "_"));
}

#[test]
fn of_an_image_only_the_wanted_platform_is_carried() {
    let (sides, image) = (Sides::new(), Image::new());
    let upstream = image.registry();
    log_in(&sides, &upstream);
    let request = format!("docker:{}/team/app:1.0", host(&upstream));
    let report = collect(&sides, &["--json", "--platform", "linux/arm64", &request]).json();
    assert_eq!(report["artifacts"].as_array().unwrap().len(), 2);
    import(&sides);
    let serving = Serving::start(&sides);
    let registry = host(&upstream).replace(':', "_");
    let status = |digest: &str| {
        let path = format!("/v2/{registry}/team/app/manifests/{digest}");
        Client::connect(serving.address).ask("GET", &path, &[]).status
    };
    let manifests = image.parts.iter().filter(|(_, media_type, _)| media_type == MANIFEST);
    let statuses: Vec<u16> = manifests.map(|(digest, ..)| status(digest)).collect();
    assert_eq!((status("1.0"), statuses), (200, vec![404, 200]));
    let missing = collect(&sides, &["--platform", "linux/s390x", &request]);
    assert_eq!(missing.code, Some(4), "{}", missing.stderr);
}

#[test]
fn a_mirror_of_this_machine_is_asked_first_and_is_nothing_that_a_lock_says() {
    let (sides, image) = (Sides::new(), Image::new());
    let (origin, mirror) = (image.registry(), image.registry());
    // The mirror keeps what it has below a path of its own, to everybody; it lacks a layer, and has another one damaged.
    let (lacking, damaged) = (&image.parts[0].0, &image.parts[2].0);
    for (digest, media_type, bytes) in &image.parts {
        let kind = if media_type == INDEX || media_type == MANIFEST { "manifests" } else { "blobs" };
        let bytes = if digest == damaged { vec![0; bytes.len()] } else { bytes.clone() };
        let reply = Reply::ok(bytes).header("content-type", media_type.as_str());
        if digest != lacking {
            mirror.route(&format!("/v2/proxy/team/app/{kind}/{digest}"), reply.clone());
        }
        if *digest == image.index {
            mirror.route("/v2/proxy/team/app/manifests/1.0", reply);
        }
    }
    log_in(&sides, &origin);
    let directory = sides.path("user/.config/containers/registries.conf.d");
    std::fs::create_dir_all(&directory).unwrap();
    let conf = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}/proxy\"\n",
        host(&origin),
        host(&mirror)
    );
    std::fs::write(directory.join("mirror.conf"), conf).unwrap();
    let request = format!("docker:{}/team/app:1.0", host(&origin));
    collect(&sides, &[&request]).done();
    let asked = |upstream: &FakeUpstream, part: &str| -> BTreeSet<String> {
        let all = upstream.requests().into_iter().map(|seen| seen.path);
        all.filter_map(|path| Some(path.split_once(part)?.1.to_owned())).collect()
    };
    assert_eq!(asked(&mirror, "/manifests/").len(), 3, "the tag, and a manifest for each platform");
    assert_eq!(asked(&origin, "/manifests/").len(), 0);
    assert_eq!(asked(&origin, "/blobs/"), [lacking.clone(), damaged.clone()].into());
    for lock in std::fs::read_dir(sides.path("out/channels/default")).unwrap() {
        let text = std::fs::read_to_string(lock.unwrap().path()).unwrap();
        assert!(!text.contains(&host(&mirror)), "{text}");
    }
    import(&sides);
    image.is_served(&Serving::start(&sides), &host(&origin).replace(':', "_"));

    let blocked = format!("[[registry]]\nlocation = \"{}\"\nblocked = true\n", host(&origin));
    std::fs::write(directory.join("zz.conf"), blocked).unwrap();
    let refused = collect(&sides, &[&format!("{request}@{}", image.index)]);
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    assert!(refused.stderr.contains("zz.conf"), "{}", refused.stderr);
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_is_refused() {
    let (sides, image) = (Sides::new(), Image::new());
    let upstream = image.registry();
    log_in(&sides, &upstream);
    let (layer, _, bytes) = &image.parts[0];
    let path = format!("/v2/team/app/blobs/{layer}");
    for (lie, code) in [(vec![8; bytes.len()], 3), (bytes[..1000].to_vec(), 3)] {
        upstream.route(&path, Reply::ok(lie));
        let refused = collect(&sides, &[&format!("docker:{}/team/app:1.0", host(&upstream))]);
        assert_eq!(refused.code, Some(code), "{}", refused.stderr);
        assert!(sides.medium().is_empty());
    }
    // The right bytes from elsewhere; who asks for them says nothing of who it is there.
    let elsewhere = FakeUpstream::start();
    elsewhere.route("/layer", Reply::ok(bytes.clone()));
    upstream.route(&path, Reply::redirect(elsewhere.at("/layer")));
    collect(&sides, &[&format!("docker:{}/team/app:1.0", host(&upstream))]).done();
    assert!(elsewhere.requests_to("/layer").iter().all(|seen| seen.header("authorization").is_none()));
}

#[test]
fn an_index_of_many_images_is_read() {
    let (sides, image) = (Sides::new(), Image::new());
    let layout = sides.path("project/layout");
    image.layout(&layout);
    let mut index: Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let entries = (0..20_000).map(|number| {
        let mut entry = index["manifests"][0].clone();
        let name = format!("registry.example.test/team/app:{number}");
        entry["annotations"] =
            json!({"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name});
        entry
    });
    index["manifests"] = entries.collect();
    let text = index.to_string();
    assert!(text.len() > 4 << 20, "{}", text.len());
    std::fs::write(layout.join("index.json"), text).unwrap();
    let report = collect(&sides, &["--json", "oci:./layout:registry.example.test/team/app:19999"]).json();
    assert_eq!(report["artifacts"].as_array().unwrap().len(), 3);
}

#[test]
fn images_of_this_machine_cross_the_gap() {
    let (sides, image) = (Sides::new(), Image::new());
    let layout = sides.path("project/layout");
    image.layout(&layout);
    let nameless = collect(&sides, &["oci:./layout"]);
    assert_eq!(nameless.code, Some(2), "{}", nameless.stderr);
    assert!(nameless.stderr.contains("#name="), "{}", nameless.stderr);

    let archive = std::fs::File::create(sides.path("project/images.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(archive, flate2::Compression::fast()));
    archive.append_dir_all(".", &layout).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    let name = "registry.example.test/team/app";
    let by_archive = format!("oci-archive:./images.tar.gz#name={name}");
    let report = collect(&sides, &["--json", &by_archive]).json();
    assert_eq!(report["artifacts"].as_array().unwrap().len(), 3);
    // The same images from elsewhere are the same request.
    std::fs::remove_file(sides.path("project/images.tar.gz")).unwrap();
    let by_layout = collect(&sides, &["--json", &format!("oci:./layout:1.0#name={name}")]).json();
    assert_eq!(by_layout["bundle"]["snapshot"], report["bundle"]["snapshot"]);

    import(&sides);
    image.is_served(&Serving::start(&sides), "registry.example.test");

    let (layer, _, _) = &image.parts[0];
    let layer = layout.join("blobs/sha256").join(layer.strip_prefix("sha256:").unwrap());
    for (damage, code) in [(Some(vec![8; 300_000]), 3), (None, 4)] {
        match damage {
            Some(bytes) => std::fs::write(&layer, bytes).unwrap(),
            None => std::fs::remove_file(&layer).unwrap(),
        }
        let refused =
            sides.run("fresh", &["collect", "--out", "../other", &format!("oci:./layout#name={name}")]);
        assert_eq!(refused.code, Some(code), "{}", refused.stderr);
    }
}

#[test]
fn lists_that_people_have_are_requests() {
    let (sides, image) = (Sides::new(), Image::new());
    let upstream = image.registry();
    log_in(&sides, &upstream);
    let registry = host(&upstream);
    sides.write("compose.yaml", format!("services:\n  app:\n    image: {registry}/team/app:${{TAG:-1.0}}\n"));
    sides.write("images.txt", format!("# ours\n{registry}/team/app:1.0\n"));
    sides.write("Dockerfile", format!("FROM {registry}/team/app:1.0\n"));
    let snapshots: Vec<Value> = ["./compose.yaml", "docker:./images.txt", "./Dockerfile"]
        .into_iter()
        .map(|list| collect(&sides, &["--json", list]).json()["bundle"]["snapshot"].clone())
        .collect();
    assert!(snapshots[0].is_string() && snapshots.iter().all(|one| *one == snapshots[0]), "{snapshots:?}");
    sides.write("images.txt", "not an image!\n");
    let refused = collect(&sides, &["docker:./images.txt"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("images.txt:1"), "{}", refused.stderr);
}

/// What `docker save` wrote before it wrote layouts: layers that are not compressed, and links among them.
fn saved(layer: &[u8]) -> Vec<u8> {
    let config = json!({
        "os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [BlobKey::of(layer).to_string(), BlobKey::of(layer).to_string()]},
    });
    let manifest = json!([{
        "Config": "config.json", "RepoTags": ["redis:7", "team/app:1.0"], "Layers": ["a/layer.tar", "b/layer.tar"],
    }]);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("a/layer.tar", layer),
        ("config.json", config.to_string().as_bytes()),
        ("manifest.json", manifest.to_string().as_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "b/layer.tar", "../a/layer.tar").unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn what_docker_saves_crosses_the_gap() {
    let sides = Sides::new();
    let layer = b"a file system".repeat(1000);
    sides.write("saved.tar", saved(&layer));
    let report = collect(&sides, &["--json", "docker-archive:./saved.tar:redis:7"]).json();
    let [artifact] = &report["artifacts"].as_array().unwrap()[..] else { panic!("{report}") };
    assert!(artifact["purl"].as_str().unwrap().ends_with("docker.io/library/redis"), "{artifact}");

    // An engine sends the same by its socket.
    let socket = sides.path("docker.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let body = saved(&layer);
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).unwrap();
        assert!(head[..length].starts_with(b"GET /images/get?names=redis%3A7 HTTP/1.1\r\n"));
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(&body).unwrap();
    });
    let mut command = sides.command("out");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let from_engine: Ran = command
        .args(["collect", "--json", "--out", "../stick", "docker-daemon:redis:7"])
        .output()
        .unwrap()
        .into();
    assert_eq!(
        from_engine.json()["bundle"]["snapshot"],
        report["bundle"]["snapshot"],
        "{}",
        from_engine.stderr
    );

    import(&sides);
    let serving = Serving::start(&sides);
    let manifest = Client::connect(serving.address).ask("GET", "/v2/redis/manifests/7", &[]);
    let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
    let path = format!("/v2/library/redis/blobs/{}", manifest["layers"][1]["digest"].as_str().unwrap());
    assert_eq!(Client::connect(serving.address).ask("GET", &path, &[]).body, layer);

    // Layers that are not the image's.
    let mut damaged = saved(&layer);
    damaged[600] ^= 1;
    sides.write("damaged.tar", damaged);
    let refused = collect(&sides, &["docker-archive:./damaged.tar"]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
}

/// Signs in with a password on stdin.
fn sign_in(sides: &Sides, host: &str, password: &str) -> Ran {
    use std::io::Write;
    let mut command = sides.command("out");
    let helpers = sides.path("helpers");
    command.env("PATH", format!("{}:/usr/bin:/bin", helpers.display()));
    command.args(["login", host, "--user", "me"]).stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn an_account_is_kept_as_docker_keeps_it() {
    use std::os::unix::fs::PermissionsExt;
    let (sides, image) = (Sides::new(), Image::new());
    let upstream = image.registry();
    upstream.route(
        "/token?service=registry",
        Reply::answer(|seen: &Seen| match seen.header("authorization") {
            Some(own) if own == format!("Basic {}", STANDARD.encode("me:sesame")) => {
                Reply::json(&json!({"token": "let-me-in"}))
            }
            _ => Reply::status(401),
        }),
    );
    let host = host(&upstream);
    let file = sides.path("user/.docker/config.json");
    let wrong = sign_in(&sides, &host, "guess");
    assert_eq!((wrong.code, file.exists()), (Some(6), false), "{}", wrong.stderr);
    assert_eq!(sign_in(&sides, &host, "").code, Some(2));

    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, r#"{"auths": {"other.example.test": {"auth": "eDp5"}}, "currentContext": "x"}"#)
        .unwrap();
    let signed_in = sign_in(&sides, &host, "sesame");
    assert!(!format!("{signed_in:?}").contains("sesame"));
    signed_in.done();
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept["auths"][&host]["auth"], STANDARD.encode("me:sesame"));
    assert_eq!(
        (&kept["auths"]["other.example.test"]["auth"], &kept["currentContext"]),
        (&json!("eDp5"), &json!("x"))
    );
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    collect(&sides, &[&format!("docker:{host}/team/app:1.0")]).done();

    // A helper that the file names gets it, and the file doesn't.
    std::fs::write(&file, r#"{"credsStore": "box"}"#).unwrap();
    let helpers = sides.path("helpers");
    std::fs::create_dir_all(&helpers).unwrap();
    let helper = helpers.join("docker-credential-box");
    std::fs::write(&helper, format!("#!/bin/sh\ncat > {}/kept\n", helpers.display())).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    sign_in(&sides, &host, "sesame").done();
    let kept: Value = serde_json::from_slice(&std::fs::read(helpers.join("kept")).unwrap()).unwrap();
    assert_eq!(kept, json!({"ServerURL": host, "Username": "me", "Secret": "sesame"}));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"credsStore": "box"}"#);
}
