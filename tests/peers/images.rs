//! Images: made by buildah, held by a real registry outside, and pulled inside by docker, containerd and skopeo, by the
//! names that they have outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::command::{Outcome, bounded, run};
use super::engine::{Daemon, Engine, in_network_of, registry};
use super::inside::Inside;
use super::outside;

/// What was collected of a registry.
pub(crate) struct Collected {
    /// The registry's name: the address that nobody answers at inside.
    pub(crate) registry: String,
    /// The bundle is here.
    pub(crate) stick: PathBuf,
    /// The manifests as the registry has them, by the images' names.
    pub(crate) manifests: Vec<(&'static str, String)>,
}

/// The images: for two platforms, with a layer in zstd, and of docker's own form.
const NAMES: [&str; 3] = ["team/app:1.0", "team/zstd:1.0", "team/single:2.1"];

#[test]
fn docker_pulls_and_runs_an_image() {
    let collected = collected();
    let inside = Inside::new();
    inside.import(&collected.stick);
    let _server = inside.serve();
    let engine = Engine::start(&inside);
    // Docker asks mirrors for its own registry's images alone; others are pulled under the mirror's name.
    let image = format!("127.0.0.1:2385/{}/team/app:1.0", collected.registry.replace(':', "_"));
    let digest = format!("Digest: {}", collected.digest("team/app:1.0"));
    let pulled = engine.docker(&["pull", &image]).succeeded();
    assert!(pulled.stdout.contains(&digest), "{}", pulled.stdout);
    let ran = engine.docker(&["run", "--rm", "--network", "none", &image]).succeeded();
    assert_eq!(ran.stdout, "amd64\n");
}

#[test]
fn docker_signs_in_and_pulls_with_an_account_and_without() {
    let collected = collected();
    let inside = Inside::new();
    inside.import(&collected.stick);
    let password = |name: &str, text: &str| {
        let path = inside.path(name);
        fs::write(&path, text).unwrap();
        fs::File::open(path).unwrap()
    };
    run(inside.aftk().args(["account", "add", "ada"]).stdin(password("right", "horse\n"))).succeeded();
    let hosted = "format = 1\n[[hosted]]\necosystem = \"oci\"\nname = \"team\"\nwrite = [\"ada\"]\n";
    fs::write(inside.home().join("site.toml"), hosted).unwrap();
    let server = inside.serve();
    let engine = Engine::start(&inside);
    let image = format!("127.0.0.1:2385/{}/team/app:1.0", collected.registry.replace(':', "_"));
    // Docker asks how to sign in whether it has an account or not, and only once: nobody pulls with a token, too.
    engine.docker(&["pull", "-q", &image]).succeeded();
    engine.docker(&["rmi", "-f", &image]).succeeded();
    let login = ["login", "127.0.0.1:2385", "--username", "ada", "--password-stdin"];
    run(engine.client(&login).stdin(password("wrong", "house")))
        .ended(1)
        .complained("name, password or token are wrong");
    run(engine.client(&login).stdin(password("right", "horse"))).succeeded();
    engine.docker(&["pull", "-q", &image]).succeeded();
    engine.docker(&["rmi", "-f", &image]).succeeded();
    drop(server);

    let accounts = hosted.replace("[[hosted]]", "[serve]\nread = \"accounts\"\n[[hosted]]");
    fs::write(inside.home().join("site.toml"), accounts).unwrap();
    let _server = inside.serve();
    engine.docker(&["pull", "-q", &image]).succeeded();
    engine.docker(&["logout", "127.0.0.1:2385"]).succeeded();
    engine.docker(&["rmi", "-f", &image]).succeeded();
    engine.docker(&["pull", "-q", &image]).ended(1).complained("unauthorized");
}

#[test]
fn containerd_pulls_by_the_name_outside() {
    let collected = collected();
    let inside = Inside::new();
    inside.import(&collected.stick);
    let _server = inside.serve();
    let hosts = inside.path("hosts/_default");
    fs::create_dir_all(&hosts).unwrap();
    let setup = ["setup", "containerd", "--server", "http://127.0.0.1:2385"];
    fs::write(hosts.join("hosts.toml"), run(inside.aftk().args(setup)).succeeded().stdout).unwrap();
    let socket = inside.path("containerd.sock");
    let mut daemon = in_network_of(&inside, "containerd");
    daemon.arg("--root").arg(inside.path("containerd")).arg("--state").arg(inside.path("containerd-state"));
    let _daemon = Daemon::start(daemon.arg("--address").arg(&socket), &socket);
    for (name, _) in &collected.manifests {
        let mut ctr = inside.program("ctr");
        ctr.arg("--address").arg(&socket).args(["images", "pull", "--snapshotter", "native", "--hosts-dir"]);
        run(ctr.arg(inside.path("hosts")).arg(format!("{}/{name}", collected.registry))).succeeded();
    }
    let listed =
        run(inside.program("ctr").arg("--address").arg(&socket).args(["images", "list"])).succeeded();
    for (name, _) in &collected.manifests {
        assert!(listed.stdout.contains(&collected.digest(name)), "{name}: {}", listed.stdout);
    }
}

#[test]
fn skopeo_copies_all_platforms_by_the_name_outside() {
    let collected = collected();
    let inside = Inside::new();
    inside.import(&collected.stick);
    let _server = inside.serve();
    let directory = inside.user().join(".config/containers/registries.conf.d");
    fs::create_dir_all(&directory).unwrap();
    let setup = run(inside.program("curl").args(["-sf", "http://127.0.0.1:2385/setup/podman"])).succeeded();
    fs::write(directory.join("aftk.conf"), setup.stdout).unwrap();
    for (number, (name, manifest)) in collected.manifests.iter().enumerate() {
        let image = format!("docker://{}/{name}", collected.registry);
        let raw = run(inside.program("skopeo").args(["inspect", "--raw", &image])).succeeded();
        assert_eq!(raw.stdout, *manifest, "{name}");
        let copy = inside.path(&format!("copy-{number}"));
        let mut skopeo = inside.program("skopeo");
        run(skopeo.args(["copy", "-q", "--all", &image]).arg(format!("dir:{}", copy.display()))).succeeded();
        assert_eq!(fs::read_to_string(copy.join("manifest.json")).unwrap(), *manifest, "{name}");
    }
    let gone = format!("docker://{}/team/gone:1.0", collected.registry);
    run(inside.program("skopeo").args(["inspect", "--raw", &gone]))
        .ended(1)
        .complained("is not in this mirror");
}

#[test]
fn skopeo_reads_the_bundle_itself() {
    let collected = collected();
    let volume = fs::read_dir(&collected.stick).unwrap().map(|entry| entry.unwrap().path());
    let volume = volume.into_iter().find(|path| path.extension().is_some_and(|end| end == "tar")).unwrap();
    // The third is of docker's own type, which skopeo does not look for by name in any layout.
    for (number, (name, manifest)) in collected.manifests.iter().take(2).enumerate() {
        let image = format!("oci-archive:{}:{}/{name}", volume.display(), collected.registry);
        let copy = outside::directory().join(format!("of-bundle-{number}"));
        let mut skopeo = bounded(&[], "skopeo");
        run(skopeo.args(["copy", "-q", "--all", &image]).arg(format!("dir:{}", copy.display()))).succeeded();
        assert_eq!(fs::read_to_string(copy.join("manifest.json")).unwrap(), *manifest, "{name}");
    }
}

#[test]
fn an_archive_of_skopeo_is_what_the_registry_has() {
    let collected = collected();
    let archive = outside::directory().join("app.tar");
    let image = format!("docker://{}/team/app:1.0", collected.registry);
    let target = format!("oci-archive:{}:1.0", archive.display());
    run(bounded(&[], "skopeo").args(["copy", "-q", "--all", "--src-tls-verify=false", &image, &target]))
        .succeeded();
    let request = format!("oci-archive:{}#name={}/team/app", archive.display(), collected.registry);
    let mut collect = outside::aftk_behind(&[]);
    collect.args(["collect", "-n", "--json", "--channel", "archive", &request, "--out"]);
    let report = run(collect.arg(outside::directory().join("stick-archive"))).succeeded().json();
    let digest = collected.digest("team/app:1.0").replace(':', "%3A");
    let purls: Vec<&str> =
        report["artifacts"].as_array().unwrap().iter().map(|one| one["purl"].as_str().unwrap()).collect();
    assert_eq!(purls.len(), 3);
    assert!(purls.iter().any(|purl| purl.contains(&digest)), "{digest}: {purls:?}");
}

#[test]
fn what_was_collected_is_pushed_on_and_exported() {
    let collected = collected();
    let target = format!("docker://{}/copies", collected.registry);
    let mut push = outside::aftk_behind(&[]);
    let all = format!("docker:{}/team/*", collected.registry);
    run(push.args(["push", &target, "--keep-host", &all, "bundle:images/1"])).succeeded();
    for (name, manifest) in &collected.manifests {
        let host = collected.registry.replace(':', "_");
        let image = format!("docker://{}/copies/{host}/{name}", collected.registry);
        let raw = run(bounded(&[], "skopeo").args(["inspect", "--raw", "--tls-verify=false", &image]));
        assert_eq!(raw.succeeded().stdout, *manifest, "{name}");
    }
    let archive = outside::directory().join("exported.tar");
    let selector = format!("docker:{}/team/app:1.0", collected.registry);
    let mut export = outside::aftk_behind(&[]);
    run(export.args(["export", "oci-archive"]).arg(&archive).arg(&selector)).succeeded();
    let image = format!("oci-archive:{}", archive.display());
    let raw = run(bounded(&[], "skopeo").args(["inspect", "--raw", &image])).succeeded();
    let (_, manifest) = &collected.manifests[0];
    assert_eq!(raw.stdout, *manifest);
    // And from there into a registry again, without a store.
    let (target, from) =
        (format!("docker://{}/archived", collected.registry), format!("oci-archive:{}", archive.display()));
    let mut push = outside::aftk_behind(&[]);
    run(push.args(["push", &target, "--from", &from])).succeeded();
    let image = format!("docker://{}/archived/team/app:1.0", collected.registry);
    let raw = run(bounded(&[], "skopeo").args(["inspect", "--raw", "--tls-verify=false", &image]));
    assert_eq!(raw.succeeded().stdout, *manifest);
}

impl Collected {
    /// The digest of an image's manifest.
    pub(crate) fn digest(&self, name: &str) -> String {
        let (_, manifest) = self.manifests.iter().find(|(known, _)| *known == name).unwrap();
        bundle_format::BlobKey::of(manifest.as_bytes()).to_string()
    }
}

/// The images, made, pushed and collected once for all journeys. The registry goes on until the tests end.
pub(crate) fn collected() -> &'static Collected {
    static COLLECTED: OnceLock<Collected> = OnceLock::new();
    COLLECTED.get_or_init(|| {
        let directory = outside::directory().join("images");
        fs::create_dir_all(&directory).unwrap();
        let registry = registry(&directory);
        make_images(&directory, &registry);
        let names = NAMES.map(|name| format!("docker:{registry}/{name}"));
        let stick = outside::directory().join("stick-images");
        let mut collect = outside::aftk_behind(&[]);
        run(collect.args(["collect", "--channel", "images", "--out"]).arg(&stick).args(&names)).succeeded();
        let manifests = NAMES.map(|name| {
            let image = format!("docker://{registry}/{name}");
            let raw = run(bounded(&[], "skopeo").args(["inspect", "--raw", "--tls-verify=false", &image]));
            (name, raw.succeeded().stdout)
        });
        Collected { registry, stick, manifests: manifests.into() }
    })
}

/// An image of two layers for each of two platforms, and others with the same layers.
fn make_images(directory: &Path, registry: &str) {
    let storage = directory.join("storage");
    let buildah = |words: &[&str]| -> Outcome {
        let mut command = bounded(&[], "buildah");
        command.arg("--root").arg(&storage).arg("--runroot").arg(directory.join("run"));
        run(command.args(["--storage-driver", "vfs"]).args(words)).succeeded()
    };
    buildah(&["manifest", "create", "both"]);
    for architecture in ["amd64", "arm64"] {
        let files = directory.join(architecture);
        fs::create_dir_all(files.join("bin")).unwrap();
        fs::copy("/bin/busybox", files.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", files.join("bin/sh")).unwrap();
        fs::write(files.join("architecture"), format!("{architecture}\n")).unwrap();
        let (base, whole) = (format!("base-{architecture}"), format!("whole-{architecture}"));
        let container = buildah(&["from", "--arch", architecture, "scratch"]).stdout;
        buildah(&["copy", "-q", container.trim(), files.to_str().unwrap(), "/"]);
        let words = r#"["/bin/sh", "-c", "/bin/busybox cat /architecture"]"#;
        buildah(&["config", "--arch", architecture, "--cmd", words, container.trim()]);
        buildah(&["commit", "-q", container.trim(), &base]);
        let container = buildah(&["from", "--pull-never", "--arch", architecture, &base]).stdout;
        let more = directory.join("more");
        fs::write(&more, architecture.repeat(100_000)).unwrap();
        buildah(&["copy", "-q", container.trim(), more.to_str().unwrap(), "/more"]);
        buildah(&["commit", "-q", container.trim(), &whole]);
        buildah(&["manifest", "add", "both", &whole]);
    }
    let to = |name: &str| format!("docker://{registry}/{name}");
    buildah(&["manifest", "push", "--all", "--tls-verify=false", "both", &to("team/app:1.0")]);
    let zstd =
        ["push", "--tls-verify=false", "--compression-format", "zstd", "--format", "oci", "whole-amd64"];
    buildah(&[&zstd[..], &[&to("team/zstd:1.0")]].concat());
    buildah(&["push", "--tls-verify=false", "--format", "v2s2", "whole-amd64", &to("team/single:2.1")]);
}
