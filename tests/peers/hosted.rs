//! Images that clients push inside: docker, containerd, podman and skopeo, into a repository that the site hosts, and from
//! there into another registry.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::command::{AFTK, Outcome, bounded, run};
use super::engine::{Daemon, Engine, in_network_of};
use super::images::{Collected, collected};
use super::inside::Inside;

const HOST: &str = "127.0.0.1:2385";

/// A site that mirrors what was collected and hosts `team`, where `ada` may write and `eve` may not.
struct Site {
    inside: Inside,
    collected: &'static Collected,
}

impl Site {
    fn new() -> Site {
        let site = Site { inside: Inside::new(), collected: collected() };
        site.inside.import(&site.collected.stick);
        for account in ["ada", "eve"] {
            run(site.inside.aftk().args(["account", "add", account]).stdin(site.password())).succeeded();
        }
        let hosted = "format = 1\n[[hosted]]\necosystem = \"oci\"\nname = \"team\"\nwrite = [\"ada\"]\n";
        fs::write(site.inside.home().join("site.toml"), hosted).unwrap();
        site
    }

    fn password(&self) -> fs::File {
        let path = self.inside.path("password");
        fs::write(&path, "horse\n").unwrap();
        fs::File::open(path).unwrap()
    }

    /// How an image is called that the site mirrors.
    fn mirrored(&self, name: &str) -> String {
        format!("{HOST}/{}/{name}", self.collected.registry.replace(':', "_"))
    }

    fn skopeo(&self, words: &[&str]) -> Outcome {
        run(self.inside.program("skopeo").args(words))
    }

    /// The manifest of an image that was pushed, as the site has it.
    fn raw(&self, name: &str) -> String {
        let image = format!("docker://{HOST}/{name}");
        self.skopeo(&["inspect", "--raw", "--tls-verify=false", &image]).succeeded().stdout
    }

    /// The store is sound, and shows so many artifacts that were pushed.
    fn hosts(&self, count: usize) {
        run(self.inside.aftk().arg("check")).succeeded();
        let listed = run(self.inside.aftk().args(["ls", "--json"])).succeeded().json();
        let hosted = listed["artifacts"].as_array().unwrap().iter().filter(|one| one["source"] == "hosted");
        assert_eq!(hosted.count(), count, "{listed}");
    }
}

#[test]
fn docker_pushes_with_an_account_that_may() {
    let site = Site::new();
    let _server = site.inside.serve();
    let engine = Engine::start(&site.inside);
    let (mirrored, pushed) = (site.mirrored("team/app:1.0"), format!("{HOST}/team/app:1.0"));
    let login = |account: &str| {
        let words = ["login", HOST, "--username", account, "--password-stdin"];
        run(engine.client(&words).stdin(site.password())).succeeded();
    };
    engine.docker(&["pull", "-q", &mirrored]).succeeded();
    engine.docker(&["tag", &mirrored, &pushed]).succeeded();
    engine.docker(&["push", "-q", &pushed]).ended(1).complained("unauthorized");
    login("eve");
    engine.docker(&["push", "-q", &pushed]).ended(1).complained("denied");
    site.hosts(0);
    login("ada");
    engine.docker(&["push", "-q", &mirrored]).ended(1).complained("denied");
    engine.docker(&["push", "-q", &pushed]).succeeded();
    // Once more, and under another name, there is nothing to bring.
    let again = format!("{HOST}/team/other/app:1.1");
    engine.docker(&["tag", &pushed, &again]).succeeded();
    let again = engine.docker(&["push", &again]).succeeded();
    assert!(again.stdout.contains("Mounted from"), "{}", again.stdout);
    site.hosts(2);
    engine.docker(&["logout", HOST]).succeeded();
    engine.docker(&["rmi", "-f", &pushed, &mirrored]).succeeded();
    let ran = engine.docker(&["run", "--rm", "--network", "none", &pushed]).succeeded();
    assert_eq!(ran.stdout, "amd64\n");
}

#[test]
fn skopeo_pushes_whole_indexes_that_go_on_from_here() {
    let site = Site::new();
    let server = site.inside.serve();
    for (name, manifest) in &site.collected.manifests {
        let from = format!("docker://{}", site.mirrored(name));
        let to = format!("docker://{HOST}/{name}");
        let copy = ["copy", "-q", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"];
        site.skopeo(&[&copy[..], &["--dest-creds", "eve:horse", &from, &to]].concat())
            .ended(1)
            .complained("denied");
        site.skopeo(&[&copy[..], &["--dest-creds", "ada:horse", &from, &to]].concat()).succeeded();
        assert_eq!(site.raw(name), *manifest, "{name}");
    }
    site.hosts(5);
    let archive = site.inside.path("team.tar");
    run(site.inside.aftk().args(["export", "oci-archive"]).arg(&archive).arg("docker:team/app:1.0"))
        .succeeded();
    let exported = site.skopeo(&["inspect", "--raw", &format!("oci-archive:{}", archive.display())]);
    let (name, manifest) = &site.collected.manifests[0];
    assert_eq!(exported.succeeded().stdout, *manifest);
    // Into a registry that only the outside of this namespace reaches.
    let target = format!("docker://{}/onward", site.collected.registry);
    let mut push = bounded(&[], AFTK);
    push.env("HOME", site.inside.user()).arg("--home").arg(site.inside.home());
    run(push.args(["push", &target, "docker:team/app:1.0"])).succeeded();
    let image = format!("{target}/{name}");
    let raw = run(bounded(&[], "skopeo").args(["inspect", "--raw", "--tls-verify=false", &image]));
    assert_eq!(raw.succeeded().stdout, *manifest);
    // Taken out here, it is gone with its tag.
    let delete = ["delete", "--tls-verify=false", "--creds", "ada:horse"];
    site.skopeo(&[&delete[..], &[&format!("docker://{HOST}/team/app:1.0")]].concat()).succeeded();
    drop(server);
    run(site.inside.aftk().arg("gc")).succeeded();
    site.hosts(4);
}

#[test]
fn containerd_pushes() {
    let site = Site::new();
    let _server = site.inside.serve();
    let socket = site.inside.path("containerd.sock");
    let mut daemon = in_network_of(&site.inside, "containerd");
    daemon.arg("--root").arg(site.inside.path("containerd"));
    daemon.arg("--state").arg(site.inside.path("containerd-state"));
    let _daemon = Daemon::start(daemon.arg("--address").arg(&socket), &socket);
    let ctr = |words: &[&str]| {
        let mut ctr = site.inside.program("ctr");
        run(ctr.arg("--address").arg(&socket).arg("images").args(words))
    };
    let (mirrored, pushed) = (site.mirrored("team/app:1.0"), format!("{HOST}/team/app:2.0"));
    ctr(&["pull", "--plain-http", "--snapshotter", "native", "--all-platforms", &mirrored]).succeeded();
    ctr(&["push", "--plain-http", &pushed, &mirrored]).ended(1);
    ctr(&["push", "--plain-http", "--user", "ada:horse", &pushed, &mirrored]).succeeded();
    assert_eq!(site.raw("team/app:2.0"), site.collected.manifests[0].1);
    site.hosts(3);
}

#[test]
fn podman_pushes_and_runs_over_tls() {
    let site = Site::new();
    let _server = site.inside.serve_with(&["--tls-self"]);
    let certificates = site.inside.path("certificates");
    fs::create_dir(&certificates).unwrap();
    let authority = run(site.inside.aftk().args(["setup", "ca"])).succeeded().stdout;
    fs::write(certificates.join("ca.crt"), authority).unwrap();
    let podman = Podman { site: &site, certificates, run: tempfile::tempdir().unwrap() };
    let (mirrored, pushed) = (site.mirrored("team/app:1.0"), format!("{HOST}/team/app:3.0"));
    podman.over_tls(&["pull", "-q"], &[&mirrored]).succeeded();
    podman.over_tls(&["push", "-q"], &[&mirrored, &pushed]).ended(125).complained("unauthorized");
    podman
        .over_tls(&["push", "-q", "--creds", "eve:horse"], &[&mirrored, &pushed])
        .ended(125)
        .complained("denied");
    podman.over_tls(&["push", "-q", "--creds", "ada:horse"], &[&mirrored, &pushed]).succeeded();
    site.hosts(1);
    run(&mut podman.command(&["rmi", "--all", "--force"])).succeeded();
    podman.over_tls(&["pull", "-q"], &[&pushed]).succeeded();
    // It would raise limits that not every machine lets it raise.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", pushed.as_str()];
    let words = [&["run", "--rm", "--network", "none"], &limits[..]].concat();
    let ran = run(&mut podman.command(&words));
    assert_eq!(ran.succeeded().stdout, "amd64\n");
}

/// podman in a site, with a storage of its own.
struct Podman<'a> {
    site: &'a Site,
    certificates: PathBuf,
    /// Short, as podman wants it.
    run: tempfile::TempDir,
}

impl Podman<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let inside = &self.site.inside;
        let mut command = in_network_of(inside, "podman");
        command.arg("--root").arg(inside.path("podman")).arg("--runroot").arg(self.run.path());
        command.args(["--storage-driver", "vfs", "--events-backend", "none"]);
        // docker's runtime, which takes a machine's cgroups as they are.
        command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"]).args(words);
        command
    }

    /// A command that reaches the site, whose authority it trusts.
    fn over_tls(&self, words: &[&str], images: &[&str]) -> Outcome {
        run(self.command(words).arg("--cert-dir").arg(&self.certificates).args(images))
    }
}
