//! Packages that no registry has: each client with its own lock, which names a tarball's address or a commit on a host that it knows.
//! Both hosts are played, outside by a server of Node's and inside by the mirror, which answers for them by their own names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::command::run;
use super::inside::{Inside, SERVER};
use super::npm_clients::{BERRY, BUN, NPM, NpmClient, PNPM, PNPM_10, YARN_1};
use super::outside;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const HOSTS: [&str; 2] = ["files.example.test", "codeload.github.com"];

/// What answers for the hosts outside.
const PLAYER: &str = "
const https = require('https'), fs = require('fs')
const [, , directory] = process.argv
const options = { key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }
https.createServer(options, (request, response) => {
  const path = directory + '/' + request.headers.host + request.url
  if (!fs.existsSync(path)) { response.writeHead(404); return response.end() }
  response.end(fs.readFileSync(path))
}).listen(443, '127.0.0.1', () => console.log('ready'))
";

/// The hosts, as they are played outside, until it is dropped.
struct Played {
    place: Inside,
    process: Child,
}

impl Played {
    fn start() -> Played {
        let place = Inside::new();
        place.leads_here(&HOSTS);
        let served = place.path("served");
        pack(&place, "forked", "package", &served.join("files.example.test/x/forked.tgz"));
        pack(
            &place,
            "g",
            &format!("g-{COMMIT}"),
            &served.join(format!("codeload.github.com/u/g/tar.gz/{COMMIT}")),
        );
        let names = HOSTS.map(|host| format!("DNS:{host}")).join(",");
        let openssl = |words: &[&str]| {
            let mut openssl = place.program("openssl");
            openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]).args(words);
            run(&mut openssl).succeeded();
        };
        openssl(&["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"]);
        let names = format!("subjectAltName={names}");
        openssl(&[
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=played",
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        fs::write(place.path("player.js"), PLAYER).unwrap();
        let mut node = place.program("node");
        node.arg("player.js").arg(&served).stdout(Stdio::piped());
        let mut process = node.spawn().unwrap();
        let mut said = [0; 5];
        std::io::Read::read_exact(process.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(&said, b"ready");
        Played { place, process }
    }

    fn authority(&self) -> PathBuf {
        self.place.path("ca.pem")
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Packs a package of that name into a tarball with that folder.
fn pack(place: &Inside, name: &str, folder: &str, to: &Path) {
    let package = place.path("packing").join(folder);
    fs::create_dir_all(&package).unwrap();
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let manifest = json!({"name": name, "version": "1.2.3", "main": "index.js"});
    fs::write(package.join("package.json"), manifest.to_string()).unwrap();
    fs::write(package.join("index.js"), format!("module.exports = '{name}'\n")).unwrap();
    let mut tar = place.program("tar");
    run(tar.arg("-C").arg(place.path("packing")).arg("-czf").arg(to).arg(folder)).succeeded();
}

/// A client, what it writes a lock with, and what its project asks for.
struct Kind {
    client: NpmClient,
    lock: &'static str,
    locks: &'static [&'static str],
    dependencies: Value,
}

fn kinds() -> Vec<Kind> {
    let tarball = "https://files.example.test/x/forked.tgz";
    let archive = format!("https://codeload.github.com/u/g/tar.gz/{COMMIT}");
    let one = json!({"forked": tarball});
    // yarn and pnpm write archives of commits as addresses, whatever the project calls them.
    let both = json!({"forked": tarball, "g": archive});
    let of_npm = json!({"forked": tarball, "g": format!("github:u/g#{COMMIT}")});
    let kind = |client, lock, locks, dependencies| Kind { client, lock, locks, dependencies };
    vec![
        kind(NPM, "package-lock.json", &["install", "--package-lock-only", "--no-audit"], of_npm),
        kind(PNPM_10, "pnpm-lock.yaml", &["install", "--lockfile-only"], both.clone()),
        kind(PNPM, "pnpm-lock.yaml", &["install", "--lockfile-only"], both.clone()),
        kind(YARN_1, "yarn.lock", &["install", "--non-interactive", "--ignore-scripts"], both),
        kind(BERRY, "yarn.lock", &["install", "--mode=skip-build"], one.clone()),
        kind(BUN, "bun.lock", &["install", "--lockfile-only"], one),
    ]
}

impl Kind {
    fn name(&self) -> String {
        self.client.program_directory()
    }

    /// The client, which believes an authority.
    fn command(&self, inside: &Inside, directory: &Path, authority: Option<&Path>) -> Command {
        let mut client = self.client.command(inside, directory);
        for variable in ["NODE_EXTRA_CA_CERTS", "npm_config_cafile", "YARN_HTTPS_CA_FILE_PATH"] {
            client.envs(authority.map(|authority| (variable, authority)));
        }
        client
    }

    /// Writes the project, and has its client write the lock.
    fn lock(&self, played: &Played) -> PathBuf {
        let project = outside::directory().join("remote").join(self.name());
        fs::create_dir_all(&project).unwrap();
        let manifest = json!({"name": "project", "version": "1.0.0", "dependencies": self.dependencies});
        fs::write(project.join("package.json"), manifest.to_string()).unwrap();
        run(self.command(&played.place, &project, Some(&played.authority())).args(self.locks)).succeeded();
        let _ = fs::remove_dir_all(project.join("node_modules"));
        project.join(self.lock)
    }

    /// A fresh copy of the project, as somebody has it inside.
    fn copy(&self, inside: &Inside) -> PathBuf {
        let from = outside::directory().join("remote").join(self.name());
        let to = inside.path("projects").join(self.name());
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        for file in ["package.json", self.lock] {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
        to
    }

    /// Installs what the lock says, and runs it.
    fn installs(&self, inside: &Inside, project: &Path, authority: Option<&Path>) {
        let before = fs::read(project.join(self.lock)).unwrap();
        run(self.command(inside, project, authority).args(self.client.install)).succeeded();
        assert!(fs::read(project.join(self.lock)).unwrap() == before, "{} changed its lock", self.name());
        for name in self.dependencies.as_object().unwrap().keys() {
            let mut node = inside.program("node");
            node.current_dir(project).args(["-p", &format!("require('{name}')")]);
            assert_eq!(run(&mut node).succeeded().stdout.trim(), name, "{}", self.name());
        }
        fs::remove_dir_all(project).unwrap();
    }
}

#[test]
fn each_client_has_from_the_mirror_what_stands_at_addresses() {
    let played = Played::start();
    let project = outside::directory().join("remote");
    let locks: Vec<PathBuf> = kinds().iter().map(|kind| kind.lock(&played)).collect();
    let requests: Vec<String> = locks.iter().map(|lock| format!("npm:{}", lock.display())).collect();
    let allowed =
        "allow-remote = [\"files.example.test\", \"codeload.github.com\"]\nallow-git = [\"github.com\"]\n";
    let collect = |settings: &str| {
        let text = format!("format = 1\nchannel = \"remote\"\nrequests = {requests:?}\n{settings}");
        fs::write(project.join("aftk.toml"), text).unwrap();
        let mut collect = outside::aftk_behind(&played.place.enter());
        collect.env("npm_config_cafile", played.authority()).current_dir(&project);
        run(collect.args(["collect", "--json", "--out"]).arg(project.join("stick")))
    };
    // Nobody allowed it, and the setting that does is named.
    collect("").ended(4).complained("allow-remote = [\"files.example.test\"]").complained("allow-git");
    let report = collect(&format!("[[npm]]\n{allowed}")).succeeded().json();
    let purls: Vec<&str> =
        report["artifacts"].as_array().unwrap().iter().map(|one| one["purl"].as_str().unwrap()).collect();
    assert_eq!(purls.len(), 2, "{purls:?}");
    assert!(purls.iter().any(|purl| purl.starts_with("pkg:npm/forked@1.2.3?download_url=")), "{purls:?}");

    let inside = Inside::new();
    inside.leads_here(&HOSTS);
    inside.import(&project.join("stick"));
    // Unchanged locks, where the names of the hosts lead to the mirror.
    {
        let _server = inside.serve_with(&["--listen", "127.0.0.1:443", "--tls-self", "--impersonate"]);
        let authority = inside.path("authority.pem");
        fs::write(&authority, run(inside.aftk().args(["setup", "ca"])).succeeded().stdout).unwrap();
        for kind in kinds() {
            inside.new_user(|_| {});
            let copy = kind.copy(&inside);
            kind.installs(&inside, &copy, Some(&authority));
        }
    }
    // Rewritten ones, where they lead nowhere.
    inside.leads_here(&[]);
    let _server = inside.serve();
    for kind in kinds() {
        inside.new_user(|home| {
            for (client, file) in [("npm", ".npmrc"), ("yarn", ".yarnrc.yml"), ("bun", ".bunfig.toml")] {
                let setup = run(inside.aftk().args(["setup", client, "--server", SERVER])).succeeded();
                fs::write(home.join(file), setup.stdout).unwrap();
            }
        });
        let copy = kind.copy(&inside);
        let mut rewrite = inside.aftk();
        rewrite.args(["setup", "npm", "--server", SERVER, "--json", "--rewrite-lock"]);
        let report = run(rewrite.arg(copy.join(kind.lock))).succeeded().json();
        let mut manifest = fs::read_to_string(copy.join("package.json")).unwrap();
        for pair in report["project"].as_array().into_iter().flatten() {
            let [now, instead] = [0, 1].map(|at| pair[at].as_str().unwrap());
            manifest = manifest.replace(&format!("\"{now}\""), &format!("\"{instead}\""));
        }
        fs::write(copy.join("package.json"), manifest).unwrap();
        kind.installs(&inside, &copy, None);
    }
}
