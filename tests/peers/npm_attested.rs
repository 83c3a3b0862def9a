//! A real package with its real attestations, held against the roots that npm itself comes with: outside, at import, and by npm
//! inside, which reads them from the mirror.
//!
//! Not every way to the public registry has attestations, so a registry of Node's own few lines tells them: they are among our
//! fixtures, the tarball is the public registry's, and the roots are in the npm of this machine.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::command::run;
use super::inside::Inside;
use super::npm_audit::Registry;
use super::outside;

/// A registry of sigstore@1.0.0, without what it depends on. It lists the key that the public one signed with then.
const REGISTRY: &str = r#"
const crypto = require('node:crypto'), fs = require('node:fs'), http = require('node:http');
const key = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==';
const scheme = 'ecdsa-sha2-nistp256';
const keys = { keys: [{ keyid: 'SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA', keytype: scheme, scheme, key,
  expires: '2025-01-29T00:00:00.000Z' }] };
const tarball = fs.readFileSync('sigstore-1.0.0.tgz');
const integrity = 'sha512-' + crypto.createHash('sha512').update(tarball).digest('base64');
const server = http.createServer((request, response) => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const attestations = '/-/npm/v1/attestations/sigstore@1.0.0';
  const dist = { tarball: `${base}/sigstore/-/sigstore-1.0.0.tgz`, integrity,
    attestations: { url: base + attestations, provenance: { predicateType: 'https://slsa.dev/provenance/v0.2' } } };
  const document = { name: 'sigstore', 'dist-tags': { latest: '1.0.0' }, time: { '1.0.0': '2023-02-09T17:56:03.000Z' },
    versions: { '1.0.0': { name: 'sigstore', version: '1.0.0', dist } } };
  const answers = { '/sigstore': JSON.stringify(document), '/-/npm/v1/keys': JSON.stringify(keys),
    [attestations]: fs.readFileSync('attestations.json'), '/sigstore/-/sigstore-1.0.0.tgz': tarball };
  const answer = answers[decodeURIComponent(request.url)];
  if (!answer) response.statusCode = 404;
  response.end(answer ?? '{}');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"#;

/// Takes the roots out of the npm that is installed.
const ROOTS: &str = "
const seeds = require(process.argv[1] + '/npm/node_modules/@sigstore/tuf/seeds.json');
const [seed] = Object.values(seeds);
process.stdout.write(Buffer.from(seed.targets['trusted_root.json'], 'base64'));
";

/// npm asks Sigstore's repository for the roots. This gives it those that it comes with.
const WITHOUT_SIGSTORE: &str = r"
const fs = require('node:fs'), Module = require('node:module'), load = Module._load;
const none = async () => { throw Object.assign(new Error('none'), { code: 'TUF_FIND_TARGET_ERROR' }); };
Module._load = function (request, ...rest) {
  if (request !== '@sigstore/tuf') return load.call(this, request, ...rest);
  const { TrustedRoot } = load.call(this, '@sigstore/protobuf-specs', ...rest);
  const getTrustedRoot = async () => TrustedRoot.fromJSON(JSON.parse(fs.readFileSync(process.env.TRUSTED_ROOT)));
  return { initTUF: async () => ({ getTarget: none }), getTrustedRoot };
};
";

const WORKFLOW: &str = "/sigstore/sigstore-js/.github/workflows/publish.yml@refs/tags/v1.0.0";
const COMMIT: &str = "06528997c3c8ab9f864fad9a3658446aca7fd86d";

#[test]
fn a_real_provenance_is_verified_outside_at_import_and_by_npm() {
    let directory = outside::directory().join("npm-attested");
    fs::create_dir_all(&directory).unwrap();
    run(outside::npm().current_dir(&directory).args(["pack", "--silent", "sigstore@1.0.0"])).succeeded();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/npm/provenance/sigstore@1.0.0.json");
    fs::copy(fixture, directory.join("attestations.json")).unwrap();
    let registry = Registry::of_script(&directory, REGISTRY);
    let modules = run(outside::npm().args(["root", "--global"])).succeeded().stdout;
    let mut node = super::command::bounded(&[], "node");
    let roots = run(node.args(["-e", ROOTS, modules.trim()])).succeeded().stdout;

    let project = directory.join("project");
    fs::create_dir_all(&project).unwrap();
    let manifest = json!({ "name": "attested", "version": "1.0.0", "dependencies": { "sigstore": "1.0.0" } });
    fs::write(project.join("package.json"), manifest.to_string()).unwrap();
    fs::write(project.join(".npmrc"), format!("registry={}\n", registry.address)).unwrap();
    fs::write(project.join("roots.json"), &roots).unwrap();
    let settings = "format = 1\nchannel = \"attested\"\nrequests = [\"npm:./package-lock.json\"]\n\
                    [[npm]]\ntrusted-root = \"roots.json\"\n";
    fs::write(project.join("aftk.toml"), settings).unwrap();
    let mut npm = outside::npm();
    npm.current_dir(&project).args(["install", "--package-lock-only", "--no-audit", "--no-fund"]);
    run(npm.arg("--omit-lockfile-registry-resolved")).succeeded();
    let stick = directory.join("stick");
    let mut collect = outside::aftk_behind(&[]);
    run(collect.current_dir(&project).args(["collect", "--out"]).arg(&stick)).succeeded();
    let lock = fs::read_to_string(project.join("aftk.lock")).unwrap();
    assert!(lock.contains(WORKFLOW) && lock.contains(COMMIT), "{lock}");

    let inside = Inside::new();
    let keyrings = inside.home().join("npm/keyrings");
    fs::create_dir_all(&keyrings).unwrap();
    fs::write(keyrings.join("sigstore.json"), &roots).unwrap();
    inside.import(&stick);
    let why = run(inside.aftk().args(["why", "npm:sigstore"])).succeeded().stdout;
    assert!(why.contains("when it was accepted here: 1.0.0, built by ") && why.contains(WORKFLOW), "{why}");
    let _server = inside.serve();
    let project = inside.project(&project);
    let (stub, root) = (inside.path("without-sigstore.cjs"), inside.path("roots.json"));
    fs::write(&stub, WITHOUT_SIGSTORE).unwrap();
    fs::write(&root, &roots).unwrap();
    let npm = |words: &[&str]| {
        let mut npm = inside.program("npm");
        npm.env("NODE_OPTIONS", format!("--require {}", stub.display())).env("TRUSTED_ROOT", &root);
        run(npm.current_dir(&project).args(words))
    };
    npm(&["ci", "--no-audit"]).succeeded();
    // The registry's signature of the version itself is not among our fixtures: npm says that it is missing.
    let told: Value = npm(&["audit", "signatures", "--json", "--include-attestations"]).ended(1).json();
    assert_eq!(told["verified"][0]["name"], "sigstore", "{told}");
    assert_eq!(told["invalid"], json!([]), "{told}");
}
