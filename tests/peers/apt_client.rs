//! apt and a small archive (`fixtures/apt/archive`) that changes while it is asked.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::apt::Apt;
use super::command::{AFTK, Outcome, bounded, run};
use super::inside::{Inside, SERVER};

fn archive() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apt/archive")
}

/// A site that takes in what is collected from the archive, and where it is served outside.
pub(crate) struct Site {
    pub(crate) inside: Inside,
    upstream: Upstream,
}

impl Site {
    pub(crate) fn new() -> Site {
        let inside = Inside::new();
        fs::create_dir(inside.path("project")).unwrap();
        let keyrings = inside.home().join("apt/keyrings");
        fs::create_dir_all(&keyrings).unwrap();
        fs::copy(archive().join("keyring.asc"), keyrings.join("debian.asc")).unwrap();
        let site = Site { inside, upstream: Upstream::start() };
        let key = site.inside.path("collector.pem");
        fs::write(&key, run(site.outside().args(["key", "show"])).succeeded().stdout).unwrap();
        run(site.inside.aftk().args(["key", "trust"]).arg(key)).succeeded();
        site
    }

    /// aftk outside, with a home of its own.
    fn outside(&self) -> Command {
        let mut command = bounded(&[], AFTK);
        command.env("HOME", self.inside.user()).arg("--home").arg(self.inside.path("outside"));
        command
    }

    /// Carries what these requests stand for, in place of what was there.
    pub(crate) fn carry(&self, requests: &str, settings: &str) {
        let (project, stick) = (self.inside.path("project"), self.inside.path("stick"));
        let text = format!(
            "format = 1\nmode = \"replace\"\nchannel = \"small\"\nrequests = {requests}\n\n[[apt]]\nname = \"debian\"\nuri = \
             \"{}\"\nsuites = [\"stable\"]\ncomponents = [\"main\"]\narchitectures = [\"amd64\"]\nsigned-by = \
             \"{}\"\n{settings}\n",
            self.upstream.url,
            archive().join("keyring.asc").display()
        );
        fs::write(project.join("aftk.toml"), text).unwrap();
        if stick.exists() {
            fs::remove_dir_all(&stick).unwrap();
        }
        run(self.outside().current_dir(&project).args(["collect", "--out"]).arg(&stick)).succeeded();
        self.inside.import(&stick);
    }

    /// What `setup apt` gives to clients.
    pub(crate) fn sources(&self) -> String {
        self.fetched("setup/apt")
    }

    pub(crate) fn fetched(&self, path: &str) -> String {
        let mut curl = self.inside.program("curl");
        run(curl.args(["-sSf", &format!("{SERVER}/{path}")])).succeeded().stdout
    }

    /// Waits for another edition than the one of this InRelease.
    pub(crate) fn renewed(&self, before: &str) {
        let begun = Instant::now();
        while self.fetched(IN_RELEASE) == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "no new edition");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

pub(crate) const IN_RELEASE: &str = "apt/debian/dists/stable/InRelease";

/// A server with the archive, outside.
struct Upstream {
    process: Child,
    url: String,
}

impl Upstream {
    fn start() -> Upstream {
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(archive());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once('(').unwrap();
        let url = rest.split(')').next().unwrap().trim_end_matches('/').to_owned();
        Upstream { process, url }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn apt_is_told_what_it_has_and_finds_what_it_was_told_of() {
    let site = Site::new();
    site.carry("[\"apt:hello\"]", "");
    let server = site.inside.serve();
    let (old, new) = (site.sources(), "hello-doc_2.10-3_all.deb".to_owned());
    let (before, after) = (Apt::new(&site.inside, &old), Apt::new(&site.inside, &old));
    for apt in [&before, &after] {
        let first = run(apt.get().arg("update")).succeeded();
        assert!(
            first.stdout.contains("Get:1 ") && first.stderr.is_empty(),
            "{}{}",
            first.stdout,
            first.stderr
        );
        let second = run(apt.get().arg("update")).succeeded();
        assert!(second.stdout.contains("Hit:1 ") && !second.stdout.contains("Get:"), "{}", second.stdout);
    }
    assert!(server.log().contains(" 304 "), "{}", server.log());

    // hello-doc goes. One client installs before there is a new edition, the other one afterwards, both by the old one.
    let release = site.fetched(IN_RELEASE);
    site.carry("[\"apt:hello\"]", "recommends = false");
    let install = |apt: &Apt| run(apt.get().args(["install", "-y", "-d", "hello"])).succeeded();
    install(&before);
    site.renewed(&release);
    install(&after);
    for apt in [before, after] {
        assert!(apt.downloaded().contains(&new), "{:?}", apt.downloaded());
        let third = run(apt.get().arg("update")).succeeded();
        assert!(third.stdout.contains("Get:1 "), "{}", third.stdout);
        let gone = run(apt.get().args(["install", "-s", "hello-doc"])).ended(100);
        assert!(gone.stderr.contains("hello-doc"), "{}", gone.stderr);
    }
}

#[test]
fn apt_believes_upstream_alone_where_the_site_serves_what_upstream_signed() {
    let site = Site::new();
    site.carry("[\"apt:@all\"]", "");
    let say =
        |text: &str| fs::write(site.inside.home().join("site.toml"), format!("format = 1\n{text}")).unwrap();
    say("[[apt]]\nverbatim = true\n");
    let server = site.inside.serve();
    assert!(!server.log().contains("warning"), "{}", server.log());
    let sources = site.sources();
    let apt = Apt::new(&site.inside, &sources);
    let first = run(apt.get().arg("update")).succeeded();
    assert!(first.stderr.is_empty(), "{}", first.stderr);
    run(apt.get().args(["install", "-y", "-d", "hello"])).succeeded();
    assert_eq!(apt.downloaded().len(), 4, "{:?}", apt.downloaded());
    let carried = fs::read_to_string(archive().join("dists/stable/InRelease")).unwrap();
    assert_eq!(site.fetched(IN_RELEASE), carried);

    // A package less, and a warning says so.
    site.carry("[\"apt:hello\"]", "");
    site.renewed(&carried);
    let log = server.log();
    assert!(log.contains("its main/binary-amd64/Packages lists broken 1, which is not here"), "{log}");
    let refused = run(apt.get().arg("update"));
    assert!(refused.stderr.contains("NO_PUBKEY"), "{}", refused.stderr);
    drop(server);

    // What the site signs may lapse, if the site wants that.
    say("[[apt]]\nvalid_until = \"5d\"\n");
    let _server = site.inside.serve();
    let apt = Apt::new(&site.inside, &site.sources());
    run(apt.get_at("+4 days").arg("update")).succeeded();
    let late = run(apt.get_at("+6 days").arg("update")).ended(100);
    assert!(late.stderr.contains("is expired"), "{}", late.stderr);
}

/// aptly in the namespace, with two keys of its own.
struct Aptly<'a> {
    site: &'a Site,
    process: Child,
}

const APTLY: &str = "http://127.0.0.1:8080";

impl<'a> Aptly<'a> {
    fn start(site: &'a Site) -> Aptly<'a> {
        let configuration = site.inside.path("aptly.conf");
        let root = site.inside.path("aptly");
        fs::write(&configuration, format!("{{\"rootDir\": \"{}\"}}", root.display())).unwrap();
        // gpg would take the first one.
        for name in ["other", "aptly"] {
            let mut gpg = site.inside.program("gpg");
            gpg.args(["--batch", "--quiet", "--passphrase", "", "--quick-generate-key", name]);
            run(gpg.args(["rsa3072", "sign", "never"])).succeeded();
        }
        let mut aptly = Command::new("ip");
        aptly.args(&site.inside.enter()[1..]).args(["aptly", "api", "serve", "-listen=127.0.0.1:8080"]);
        aptly.arg(format!("-config={}", configuration.display())).env("HOME", site.inside.user());
        let process = aptly.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let aptly = Aptly { site, process };
        let begun = Instant::now();
        while aptly.asked("version").code != Some(0) {
            assert!(begun.elapsed() < Duration::from_secs(60), "aptly is not ready");
            std::thread::sleep(Duration::from_millis(100));
        }
        aptly
    }

    fn asked(&self, path: &str) -> Outcome {
        run(self.site.inside.program("curl").args(["-sSf", &format!("{APTLY}/api/{path}")]))
    }

    fn push(&self, more: &[&str]) -> Outcome {
        let mut push = self.site.inside.aftk();
        push.args([
            "push",
            &format!("apt:{APTLY}"),
            "--product",
            "aptly",
            "--signing-key",
            "aptly",
            "--json",
        ]);
        run(push.args(more))
    }

    /// What apt needs to believe what aptly publishes.
    fn sources(&self) -> String {
        let key =
            run(self.site.inside.program("gpg").args(["--armor", "--export", "aptly"])).succeeded().stdout;
        let key: String =
            key.lines().map(|line| format!(" {}\n", if line.is_empty() { "." } else { line })).collect();
        let public = self.site.inside.path("aptly/public/debian");
        format!(
            "Types: deb\nURIs: file:{}\nSuites: stable\nComponents: main\nArchitectures: amd64\nSigned-By:\n{key}",
            public.display()
        )
    }
}

impl Drop for Aptly<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_is_pushed_into_aptly_is_published_there() {
    let site = Site::new();
    site.carry("[\"apt:hello\"]", "recommends = false");
    let aptly = Aptly::start(&site);
    let totals = |outcome: &Outcome, name: &str| outcome.json()["totals"]["artifacts"][name].clone();
    let looked = aptly.push(&["-n"]).succeeded();
    assert_eq!(totals(&looked, "uploaded"), 3, "{}", looked.stdout);
    assert_eq!(aptly.asked("repos").succeeded().stdout, "[]");

    let pushed = aptly.push(&[]).succeeded();
    assert_eq!(totals(&pushed, "uploaded"), 3, "{}", pushed.stdout);
    assert_eq!(aptly.asked("files").succeeded().stdout, "[]", "nothing is left lying about");
    let apt = Apt::new(&site.inside, &aptly.sources());
    let update = || {
        let updated = run(apt.get().arg("update")).succeeded();
        assert!(updated.stderr.is_empty(), "{}", updated.stderr);
    };
    update();
    run(apt.get().args(["install", "-y", "--print-uris", "hello"])).succeeded();

    // More of it: what is there stays, and what is new is published too.
    site.carry("[\"apt:hello\"]", "");
    let more = aptly.push(&[]).succeeded();
    assert_eq!(
        (totals(&more, "present"), totals(&more, "uploaded")),
        (3.into(), 1.into()),
        "{}",
        more.stdout
    );
    update();
    run(apt.get().args(["install", "-y", "-s", "hello-doc"])).succeeded();

    // Somebody else's package of the same version stays, and nothing is published.
    let refs = aptly.asked("repos/debian-stable-main/packages?q=hello-doc").succeeded().stdout;
    let order = format!("{{\"PackageRefs\": {refs}}}");
    let mut remove = site.inside.program("curl");
    remove.args(["-sSf", "-X", "DELETE", "-H", "Content-Type: application/json", "-d", &order]);
    run(remove.arg(format!("{APTLY}/api/repos/debian-stable-main/packages"))).succeeded();
    let other = site.inside.path("hello-doc_2.10-3_all.deb");
    let tree = site.inside.path("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = "Package: hello-doc\nVersion: 2.10-3\nArchitecture: all\nMaintainer: x <x@example.test>\nDescription: other\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    run(site.inside.program("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&other))
        .succeeded();
    let mut add = site.inside.program("curl");
    run(add.args(["-sSf", "-F", &format!("file=@{}", other.display()), &format!("{APTLY}/api/files/x")]))
        .succeeded();
    let mut add = site.inside.program("curl");
    run(add.args(["-sSf", "-X", "POST", &format!("{APTLY}/api/repos/debian-stable-main/file/x")]))
        .succeeded();
    let conflict = aptly.push(&[]).ended(6);
    assert_eq!(totals(&conflict, "conflict"), 1, "{}", conflict.stdout);
    assert!(conflict.json()["refs"].as_array().unwrap().is_empty(), "{}", conflict.stdout);
}
