//! What npm and pnpm inside can find out about packages: who signed them, and what is known of their weaknesses.
//!
//! The registry is one of Node's own few lines, because those that machines reach by way of a proxy neither sign nor tell.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::command::run;
use super::inside::Inside;
use super::outside;

/// A registry of the packages in its directory, which signs them and tells of one's weakness.
const REGISTRY: &str = r#"
const crypto = require('node:crypto'), fs = require('node:fs'), http = require('node:http');
const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = publicKey.export({ type: 'spki', format: 'der' });
const keyid = 'SHA256:' + crypto.createHash('sha256').update(spki).digest('base64').replace(/=+$/, '');
const scheme = 'ecdsa-sha2-nistp256';
const keys = { keys: [{ keyid, keytype: scheme, scheme, key: spki.toString('base64'), expires: null }] };
const server = http.createServer((request, response) => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const send = (value) => response.end(JSON.stringify(value));
  const path = decodeURIComponent(request.url);
  if (path === '/-/npm/v1/keys') return send(keys);
  // It is no mirror, and so says nothing of how old its advisories are.
  if (path === '/-/npm/v1/security/advisories') { response.statusCode = 404; return send({}); }
  if (path === '/-/npm/v1/security/advisories/bulk') {
    const advisory = { id: 1096, url: 'https://advisories.example.test/GHSA-1096', title: 'Prototype pollution', severity: 'high',
      vulnerable_versions: '<1.2.3', cwe: ['CWE-1321'], cvss: { score: 7.2, vectorString: null } };
    return send({ 'aftk-weak': [advisory] });
  }
  if (path.includes('/-/')) return response.end(fs.readFileSync(path.split('/').pop()));
  const name = path.slice(1);
  if (!fs.existsSync(`${name}-1.0.0.tgz`)) { response.statusCode = 404; return send({}); }
  const tarball = fs.readFileSync(`${name}-1.0.0.tgz`);
  const integrity = 'sha512-' + crypto.createHash('sha512').update(tarball).digest('base64');
  const sig = crypto.createSign('SHA256').update(`${name}@1.0.0:${integrity}`).sign(privateKey).toString('base64');
  const dist = { tarball: `${base}/${name}/-/${name}-1.0.0.tgz`, integrity, signatures: [{ keyid, sig }] };
  send({ name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { name, version: '1.0.0', dist } },
    time: { '1.0.0': '2024-01-01T00:00:00.000Z' } });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"#;

/// npm asks Sigstore's server for keys before it asks a registry. This answers as that one does for any registry but the
/// public one: that it has none.
const WITHOUT_SIGSTORE: &str = r"
const Module = require('node:module'), load = Module._load;
const none = async () => { throw Object.assign(new Error('none'), { code: 'TUF_FIND_TARGET_ERROR' }); };
Module._load = function (request, ...rest) {
  return request === '@sigstore/tuf' ? { initTUF: async () => ({ getTarget: none }) } : load.call(this, request, ...rest);
};
";

/// A registry of Node's own few lines.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
}

impl Registry {
    fn start(directory: &Path) -> Registry {
        fs::create_dir_all(directory).unwrap();
        for name in ["aftk-weak", "aftk-well"] {
            let package = directory.join(format!("of-{name}"));
            fs::create_dir_all(&package).unwrap();
            fs::write(package.join("package.json"), json!({ "name": name, "version": "1.0.0" }).to_string())
                .unwrap();
            run(outside::npm().current_dir(directory).args(["pack", "--silent"]).arg(&package)).succeeded();
        }
        Registry::of_script(directory, REGISTRY)
    }

    /// One that a script is, which says at which port it listens.
    pub(crate) fn of_script(directory: &Path, text: &str) -> Registry {
        let script = directory.join("registry.cjs");
        fs::write(&script, text).unwrap();
        let mut node = Command::new("node");
        let mut process = node.arg(script).current_dir(directory).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Registry { process, address: format!("http://127.0.0.1:{}/", port.trim()) }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A project that needs both packages, collected into a stick.
fn collected(name: &str) -> (PathBuf, PathBuf) {
    let directory = outside::directory().join(format!("audit-{name}"));
    let registry = Registry::start(&directory);
    let project = directory.join("project");
    fs::create_dir_all(&project).unwrap();
    let manifest = json!({ "name": "audited", "version": "1.0.0",
                           "dependencies": { "aftk-weak": "^1.0.0", "aftk-well": "^1.0.0" } });
    fs::write(project.join("package.json"), manifest.to_string()).unwrap();
    fs::write(project.join(".npmrc"), format!("registry={}\n", registry.address)).unwrap();
    let mut npm = outside::npm();
    npm.current_dir(&project).args(["install", "--package-lock-only", "--no-audit", "--no-fund"]);
    run(npm.arg("--omit-lockfile-registry-resolved")).succeeded();
    let collected = outside::collect(&project, &format!("audit-{name}"), &[]);
    (project, collected.stick)
}

#[test]
fn npm_audits_what_it_installed() {
    let (project, stick) = collected("npm");
    let inside = Inside::new();
    inside.import(&stick);
    let server = inside.serve();
    let project = inside.project(&project);
    let stub = inside.path("without-sigstore.cjs");
    fs::write(&stub, WITHOUT_SIGSTORE).unwrap();
    let npm = |words: &[&str]| {
        let mut npm = inside.program("npm");
        npm.env("NODE_OPTIONS", format!("--require {}", stub.display())).current_dir(&project);
        run(npm.args(words))
    };
    npm(&["ci", "--no-audit"]).succeeded();
    let report = npm(&["audit", "--json"]).ended(1).json();
    assert_eq!(report["metadata"]["vulnerabilities"]["high"], 1, "{report}");
    assert_eq!(report["vulnerabilities"]["aftk-weak"]["via"][0]["title"], "Prototype pollution");
    assert!(npm(&["audit"]).ended(1).stdout.contains("Prototype pollution"));
    let signatures = npm(&["audit", "signatures"]).succeeded().stdout;
    assert!(signatures.contains("2 packages have verified registry signatures"), "{signatures}");
    assert!(!server.log().contains("advisories were brought"), "{}", server.log());
}

#[test]
fn pnpm_audits_what_it_installed() {
    let (project, stick) = collected("pnpm");
    let inside = Inside::new();
    inside.import(&stick);
    let _server = inside.serve();
    let project = inside.project(&project);
    let programs = outside::programs("pnpm", "10");
    let pnpm = |words: &[&str]| {
        let mut pnpm = inside.program("pnpm");
        pnpm.env("PATH", outside::search_path(Some(&programs))).current_dir(&project).args(words);
        run(&mut pnpm)
    };
    pnpm(&["import"]).succeeded();
    pnpm(&["install", "--frozen-lockfile"]).succeeded();
    let report: Value = pnpm(&["audit", "--json"]).ended(1).json();
    assert_eq!(report["metadata"]["vulnerabilities"]["high"], 1, "{report}");
}

#[test]
fn an_audit_without_advisories_is_warned_of() {
    let collected = outside::collected(outside::Lockfile::Bare);
    let inside = Inside::new();
    inside.import(&collected.stick);
    let server = inside.serve();
    let project = inside.project(&collected.project);
    let npm = |words: &[&str]| run(inside.program("npm").current_dir(&project).args(words));
    npm(&["audit", "--package-lock-only"]).succeeded();
    npm(&["audit", "--package-lock-only"]).succeeded();
    let said = server.log();
    assert_eq!(said.matches("no advisories were brought here").count(), 1, "{said}");
}
