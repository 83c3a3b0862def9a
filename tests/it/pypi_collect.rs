//! Python packages from an index into a bundle, and from there to what installers are shown inside.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use aftk::protocol::sigstore::made::{COMMIT, IDENTITY, Made, THEN, VOUCHER, pep740, statement};
use bundle_format::BlobKey;
use serde_json::{Value, json};

use crate::support::fake_index::{FakeIndex, metadata, purls, sdist};
use crate::support::fake_upstream::Reply;
use crate::support::raw_http::Client;
use crate::support::releases::wheel;
use crate::support::serving::Serving;
use crate::support::sides::Ran;

const JSON: &str = "Accept: application/vnd.pypi.simple.v1+json";

/// What installers are shown of a project inside: name, sha256 and address of each file.
fn shown(serving: &Serving, project: &str) -> Vec<(String, String, String)> {
    let path = format!("/pypi/pypi/simple/{project}/");
    let response = Client::connect(serving.address).ask("GET", &path, &[JSON]);
    assert_eq!(response.status, 200, "{}", response.text());
    let page: Value = serde_json::from_slice(&response.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let files = page["files"].as_array().unwrap().iter();
    files.map(|file| (text(&file["filename"]), text(&file["hashes"]["sha256"]), text(&file["url"]))).collect()
}

fn names(files: &[(String, String, String)]) -> Vec<&str> {
    files.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn what_is_asked_for_is_shown_inside_with_all_that_it_needs() {
    let mut index = FakeIndex::new();
    index.has("app", "1.0", &["lib>=2", "only-there ; sys_platform == 'win32'"]);
    index.wheel(
        "lib-2.0-py3-none-any.whl",
        "lib",
        "2.0",
        &[],
        json!({ "requires-python": ">=3.9", "upload-time": "2026-03-19T14:22:25.026315Z" }),
    );
    index.has("lib", "1.0", &[]);
    index.write("[\"pypi:app\"]", "");
    assert_eq!(index.carry(), ["pkg:pypi/app@1.0", "pkg:pypi/lib@2.0"]);
    let asked = index.upstream.requests_to("/files/app-1.0-py3-none-any.whl").len();
    assert_eq!(asked, 1, "its metadata was had by itself");
    let serving = Serving::start(&index.sides);
    let files = shown(&serving, "lib");
    assert_eq!(names(&files), ["lib-2.0-py3-none-any.whl"]);
    let (_, sha256, url) = &files[0];
    let path = url.strip_prefix("http://aftk.test:2385").unwrap();
    let get = |path: &str| Client::connect(serving.address).ask("GET", path, &[]);
    assert_eq!(BlobKey::of(&get(path).body).hex(), *sha256);
    assert_eq!(get(&format!("{path}.metadata")).text(), metadata("lib", "2.0", &[]));
    let page = Client::connect(serving.address).ask("GET", "/pypi/pypi/simple/lib/", &[JSON]).text();
    assert!(page.contains("\"requires-python\":\">=3.9\""), "{page}");
    assert!(page.contains("\"upload-time\":\"2026-03-19T14:22:25.026315Z\""), "{page}");
    let told = index.sides.run("in", &["why", "pypi:lib"]).done();
    assert!(told.contains("requested pypi:app") && told.contains("needed by pkg:pypi/app@1.0"), "{told}");
    // The same again is the same bundle, and nobody is asked.
    let (bundles, asked) = (index.sides.medium(), index.upstream.requests().len());
    index.run(&["collect", "--out", "../stick"]).done();
    assert_eq!((index.sides.medium(), index.upstream.requests().len()), (bundles, asked));
}

/// pyodbc has wheels for three platforms in one: each is carried once, for whichever target wants it.
#[test]
fn a_wheel_for_several_platforms_is_carried_once() {
    let mut index = FakeIndex::new();
    let three = "pyodbc-5.1-cp312-cp312-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
    let arm = "pyodbc-5.1-cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64.whl";
    for file in [three, arm, "pyodbc-5.1-cp312-cp312-win_amd64.whl", "pyodbc-5.1-cp311-cp311-win_amd64.whl"] {
        index.wheel(file, "pyodbc", "5.1", &[], json!({}));
    }
    let targets = "targets = [\"cp312-manylinux_2_28_x86_64\", \"cp312-manylinux_2_17_x86_64\", \"cp312-linux-aarch64\"]";
    index.write("[\"pypi:pyodbc\"]", "");
    let text = std::fs::read_to_string(index.sides.path("project/aftk.toml")).unwrap();
    let text = text.replace("targets = [\"cp312-manylinux_2_28_x86_64\"]", targets);
    index.sides.write("aftk.toml", text);
    assert_eq!(index.carry(), ["pkg:pypi/pyodbc@5.1"]);
    let serving = Serving::start(&index.sides);
    assert_eq!(names(&shown(&serving, "pyodbc")), [arm, three]);
}

/// An index of HTML alone, which says neither size nor metadata: that is read out of the wheel, in parts.
#[test]
fn an_index_that_says_little_is_enough() {
    let mut index = FakeIndex::new();
    index.has("lib", "2.0", &[]);
    let bytes = wheel("app", "1.0", &metadata("app", "1.0", &["lib"]));
    let file = "app-1.0-py3-none-any.whl";
    index.upstream.route(&format!("/files/{file}"), Reply::ok(bytes.clone()).ranges().etag("\"1\""));
    let page = format!(
        "<!DOCTYPE html><html><body><h1>Links</h1><a href=\"../../files/{file}#sha256={}\" \
         data-requires-python=\"&gt;=3.8\">{file}</a><br></body></html>",
        BlobKey::of(&bytes).hex()
    );
    index.upstream.route("/simple/app/", Reply::ok(page).header("Content-Type", "text/html"));
    index.write("[\"pypi:app\"]", "");
    assert_eq!(index.carry(), ["pkg:pypi/app@1.0", "pkg:pypi/lib@2.0"]);
    let parts = index.upstream.requests_to(&format!("/files/{file}"));
    assert!(parts.iter().any(|seen| seen.header("range").is_some()), "{parts:?}");
    let serving = Serving::start(&index.sides);
    let (_, _, url) = &shown(&serving, "app")[0];
    let path = format!("{}.metadata", url.strip_prefix("http://aftk.test:2385").unwrap());
    let beside = Client::connect(serving.address).ask("GET", &path, &[]);
    assert_eq!(beside.text(), metadata("app", "1.0", &["lib"]), "whoever asks inside needs no parts");
}

/// docopt, psycopg2, uwsgi, and hatchling, which builds itself: a source distribution comes with what builds it, and so on
/// down; a backend that builds itself needs what it needs anyway.
#[test]
fn a_source_distribution_comes_with_what_builds_it() {
    let mut index = FakeIndex::new();
    let info = |name: &str, requires: &[&str]| metadata(name, "1.0", requires);
    let app = sdist(
        "app",
        "1.0",
        &[
            ("PKG-INFO", &info("app", &[])),
            (
                "pyproject.toml",
                "[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n",
            ),
        ],
    );
    let hatchling = sdist(
        "hatchling",
        "1.0",
        &[
            ("PKG-INFO", &info("hatchling", &["pathspec"])),
            (
                "pyproject.toml",
                "[build-system]\nrequires = []\nbuild-backend = \"hatchling.ouroboros\"\nbackend-path = [\"src\"]\n",
            ),
        ],
    );
    index.lists("app", "app-1.0.tar.gz", app, json!({}));
    index.lists("hatchling", "hatchling-1.0.tar.gz", hatchling, json!({}));
    let old =
        sdist("docopt", "0.6.2", &[("PKG-INFO", "Metadata-Version: 1.1\nName: docopt\nVersion: 0.6.2\n")]);
    index.lists("docopt", "docopt-0.6.2.tar.gz", old, json!({}));
    for name in ["pathspec", "setuptools", "wheel"] {
        index.has(name, "80", &[]);
    }
    index.write("[\"pypi:app\", \"pypi:docopt==0.6.2\"]", "");
    let ran = index.run(&["lock"]);
    assert!(ran.stderr.contains("is built inside from docopt-0.6.2.tar.gz"), "{}", ran.stderr);
    assert_eq!(
        index.carry(),
        [
            "pkg:pypi/app@1.0",
            "pkg:pypi/docopt@0.6.2",
            "pkg:pypi/hatchling@1.0",
            "pkg:pypi/pathspec@80",
            "pkg:pypi/setuptools@80",
            "pkg:pypi/wheel@80",
        ]
    );
}

/// attrs 21.1.0 was taken back, and is carried where it is pinned; installers inside are told so.
#[test]
fn what_was_taken_back_stays_marked_inside() {
    let mut index = FakeIndex::new();
    let yanked = json!({ "yanked": "broken build" });
    index.wheel("attrs-21.1.0-py2.py3-none-any.whl", "attrs", "21.1.0", &[], yanked);
    index.has("attrs", "20.3.0", &[]);
    index.write("[\"pypi:attrs\"]", "");
    assert_eq!(purls(&index.run(&["lock", "--json"])), ["pkg:pypi/attrs@20.3.0"]);
    index.write("[\"pypi:attrs==21.1.0\"]", "");
    assert_eq!(index.carry(), ["pkg:pypi/attrs@21.1.0"]);
    let serving = Serving::start(&index.sides);
    let page = Client::connect(serving.address).ask("GET", "/pypi/pypi/simple/attrs/", &[JSON]).text();
    assert!(page.contains("\"yanked\":\"broken build\""), "{page}");
}

#[test]
fn a_file_of_other_bytes_is_not_taken() {
    let mut index = FakeIndex::new();
    index.has("app", "1.0", &[]);
    let file = "/files/app-1.0-py3-none-any.whl";
    index.upstream.route(file, Reply::ok(wheel("app", "1.0", "Name: app\nVersion: 1.0\nX: y\n")));
    index.write("[\"pypi:app\"]", "");
    let ran = index.run(&["collect", "--out", "../stick"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(index.sides.medium().is_empty());
}

/// Requirements that nobody can meet are told with who wants them, and a checksum of a lockfile is believed before the index.
#[test]
fn what_cannot_be_had_is_told() {
    let mut index = FakeIndex::new();
    index.has("app", "1.0", &["lib>=2"]);
    index.has("lib", "1.0", &[]);
    index.write("[\"pypi:app\"]", "");
    let ran = index.run(&["lock"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("needs lib>=2"), "{}", ran.stderr);
    index.sides.write("requirements.txt", format!("lib==1.0 --hash=sha256:{}\n", "0".repeat(64)));
    index.write("[\"./requirements.txt\"]", "");
    let ran = index.run(&["lock"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("checksum"), "{}", ran.stderr);
}

/// Whoever is let in at files by netrc is let in there alone, and not where others can listen unless that is said.
#[test]
fn files_behind_an_account_are_collected() {
    let mut index = FakeIndex::new();
    index.has("app", "1.0", &[]);
    let account = "Basic YWRhOnNlc2FtZQ==";
    let bytes = wheel("app", "1.0", &metadata("app", "1.0", &[]));
    let file = "/files/app-1.0-py3-none-any.whl";
    index.upstream.route(file, Reply::ok(bytes).only_for(account));
    index.write("[\"pypi:app\"]", "");
    let netrc = |machine: &str| {
        let text = format!("machine {machine} login ada password sesame\n");
        std::fs::write(index.sides.path("user/.netrc"), text).unwrap();
    };
    netrc("127.0.0.1");
    let ran = index.run(&["collect", "--out", "../stick"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(index.upstream.requests().iter().all(|seen| seen.header("authorization").is_none()));
    netrc("http://127.0.0.1");
    assert_eq!(index.carry(), ["pkg:pypi/app@1.0"]);
    let lock = std::fs::read_to_string(index.sides.path("project/aftk.lock")).unwrap();
    assert!(!lock.contains("sesame"), "{lock}");
}

#[test]
fn one_package_moves_alone() {
    let mut index = FakeIndex::new();
    for name in ["app", "lib"] {
        index.has(name, "1.0", &[]);
    }
    index.write("[\"pypi:app\", \"pypi:lib\"]", "");
    index.run(&["lock"]).done();
    for name in ["app", "lib"] {
        index.has(name, "2.0", &[]);
    }
    let ran = index.run(&["lock", "-P", "app", "--json"]);
    assert_eq!(purls(&ran), ["pkg:pypi/app@2.0", "pkg:pypi/lib@1.0"], "{}", ran.stderr);
    // One that needs a newer one of another cannot move without it.
    index.has("app", "3.0", &["lib>=2"]);
    let ran = index.run(&["lock", "-P", "app"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("lib"), "{}", ran.stderr);
    let ran = index.run(&["lock", "-P", "app", "-P", "lib", "--json"]);
    assert_eq!(purls(&ran), ["pkg:pypi/app@3.0", "pkg:pypi/lib@2.0"], "{}", ran.stderr);
}

/// A directory of wheels and source distributions, which stands beside the file that names it.
#[test]
fn a_directory_of_files_is_collected_from() {
    let mut index = FakeIndex::new();
    index.has("lib", "1.0", &[]);
    let folder = index.sides.path("project/deps/wheels");
    std::fs::create_dir_all(&folder).unwrap();
    let bytes = wheel("own", "1.0", &metadata("own", "1.0", &["lib"]));
    std::fs::write(folder.join("own-1.0-py3-none-any.whl"), &bytes).unwrap();
    let info = metadata("tool", "2.0", &[]);
    let project = "[build-system]\nrequires = [\"lib\"]\nbuild-backend = \"lib\"\n";
    let tool = sdist("tool", "2.0", &[("PKG-INFO", &info), ("pyproject.toml", project)]);
    std::fs::write(folder.join("tool-2.0.tar.gz"), tool).unwrap();
    std::fs::write(folder.join("README"), "no package").unwrap();
    index.sides.write("deps/requirements.txt", "--find-links wheels\nown\ntool\n");
    index.write("[\"./deps/requirements.txt\"]", "");
    assert_eq!(index.carry(), ["pkg:pypi/lib@1.0", "pkg:pypi/own@1.0", "pkg:pypi/tool@2.0"]);
    let serving = Serving::start(&index.sides);
    let (_, sha256, _) = &shown(&serving, "own")[0];
    assert_eq!(*sha256, BlobKey::of(&bytes).hex());
    // No path of this machine leaves it.
    let lock = std::fs::read_to_string(index.sides.path("project/aftk.lock")).unwrap();
    assert!(!lock.contains("project/deps"), "{lock}");
    // The file is in the store; where it is lost, it is taken in again.
    let digest = BlobKey::of(&bytes).hex();
    std::fs::remove_file(index.sides.path("out/store/blobs/sha256").join(&digest[..2]).join(&digest))
        .unwrap();
    let ran = index.run(&["collect", "--out", "../stick"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// A wheel whose publisher is attested; the index lists what proves it.
fn attested(index: &mut FakeIndex, made: &Made, about: &str, bytes: &[u8]) {
    let file = "app-1.0-py3-none-any.whl";
    let address = format!("{}/integrity/app", index.upstream.url());
    let attestation = made.attest(&statement(about, &BlobKey::of(bytes)), THEN, |_| {}).unwrap();
    let provenance = json!({
        "version": 1,
        "attestation_bundles": [{ "publisher": { "kind": "Forge" }, "attestations": [pep740(&attestation)] }],
    });
    index.upstream.route("/integrity/app", Reply::json(&provenance));
    index.wheel(file, "app", "1.0", &[], json!({ "provenance": address }));
}

#[test]
fn who_published_a_file_is_proved_on_both_sides() {
    let (mut index, made, strangers) = (FakeIndex::new(), Made::new().unwrap(), Made::new().unwrap());
    let bytes = wheel("app", "1.0", &metadata("app", "1.0", &[]));
    attested(&mut index, &made, "app-1.0-py3-none-any.whl", &bytes);
    index.sides.write("roots.json", made.trusted_root().to_string());
    index.write("[\"pypi:app\"]", "trusted-root = \"roots.json\"");
    let ran = index.run(&["collect", "--out", "../stick"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let bundle = index.sides.medium().pop().unwrap().display().to_string();
    let inspected = index.run(&["inspect", &bundle]).done();
    let says =
        format!("upstream  pypi app 1.0, published by {IDENTITY} at {COMMIT}, for whom {VOUCHER} vouched");
    assert!(inspected.contains(&says), "{inspected}");
    // Inside, others are believed: then it is refused; those who are believed outside: then it is noted.
    index.sides.trust();
    let keyrings = index.sides.path("in/pypi/keyrings");
    std::fs::create_dir_all(&keyrings).unwrap();
    let pin = |root: &Value| std::fs::write(keyrings.join("roots.json"), root.to_string()).unwrap();
    pin(&strangers.trusted_root());
    let ran = index.sides.run("in", &["import", &bundle]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("an attestation of app-1.0-py3-none-any.whl does not hold"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("is not pinned"), "{}", ran.stderr);
    pin(&made.trusted_root());
    index.sides.run("in", &["import", &bundle]).done();
    let told = index.sides.run("in", &["why", "pypi:app"]).done();
    assert!(told.contains(&format!("when it was accepted here: 1.0, published by {IDENTITY}")), "{told}");
    // Clients decide for themselves as well.
    let serving = Serving::start(&index.sides);
    let page = Client::connect(serving.address).ask("GET", "/pypi/pypi/simple/app/", &[JSON]).text();
    let page: Value = serde_json::from_str(&page).unwrap();
    let path =
        page["files"][0]["provenance"].as_str().unwrap().strip_prefix("http://aftk.test:2385").unwrap();
    let served = Client::connect(serving.address).ask("GET", path, &[]).text();
    assert!(served.contains("attestation_bundles"), "{served}");
}

#[test]
fn an_attestation_that_does_not_hold_is_worse_than_none() {
    let (made, strangers) = (Made::new().unwrap(), Made::new().unwrap());
    let good = wheel("app", "1.0", &metadata("app", "1.0", &[]));
    let file = "app-1.0-py3-none-any.whl";
    for (by, about, bytes, why) in [
        (&made, "app-1.1-py3-none-any.whl", &good[..], "it is about app-1.1"),
        (&made, file, b"other bytes", "other bytes"),
        (&strangers, file, &good[..], "is not pinned"),
    ] {
        let mut index = FakeIndex::new();
        attested(&mut index, by, about, bytes);
        index.sides.write("roots.json", made.trusted_root().to_string());
        index.write("[\"pypi:app\"]", "trusted-root = \"roots.json\"");
        let ran = index.run(&["lock"]);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains("does not hold") && ran.stderr.contains(why), "{}", ran.stderr);
        // Whoever believes nobody carries it as it is, for those inside who do.
        index.write("[\"pypi:app\"]", "");
        index.run(&["collect", "--out", "../stick"]).done();
        let bundle = index.sides.medium().pop().unwrap().display().to_string();
        let inspected = index.run(&["inspect", &bundle]).done();
        assert!(inspected.contains("which nobody verified outside"), "{inspected}");
    }
    let mut index = FakeIndex::new();
    attested(&mut index, &made, file, &good);
    index.upstream.route("/integrity/app", Reply::ok("{\"version\": 2, \"attestation_bundles\": []}"));
    index.write("[\"pypi:app\"]", "");
    assert!(index.run(&["lock"]).stderr.contains("of a version that is not known"));
    index.upstream.route("/integrity/app", Reply::ok("[".repeat(100_000)));
    assert_eq!(index.run(&["lock"]).code, Some(3));
    index.write("[\"pypi:app\"]", "trusted-root = \"gone.json\"");
    let ran = index.run(&["lock"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

/// A machine whose Python says that it is one, and which has nothing else.
fn with_a_python(index: &FakeIndex) -> Command {
    let folder = index.sides.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let says = "#!/bin/sh\nprintf '%s\\n' /nowhere/python3.12 cpython 3.12 False linux x86_64 x86_64-pc-linux-gnu 3.12.4\n";
    let python = folder.join("python3.12");
    std::fs::write(&python, says).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = index.sides.command("out");
    command.env("PATH", folder);
    command
}

#[test]
fn whether_a_machine_can_install_is_known_before_anything_is_downloaded() {
    let mut index = FakeIndex::new();
    index.has("app", "1.0", &[]);
    index.write("[\"pypi:app\"]", "");
    let told = |ran: Ran, why: &str| {
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("cannot be proved by installing") && ran.stderr.contains(why),
            "{}",
            ran.stderr
        );
        assert!(index.sides.medium().is_empty());
        assert!(index.upstream.requests_to("/files/app-1.0-py3-none-any.whl").is_empty());
    };
    told(index.run(&["collect", "--prove", "install", "--out", "../stick"]), "has no python3.12");
    // There is neither unshare nor ip.
    let mut collect = with_a_python(&index);
    collect.args(["collect", "--prove", "install", "--out", "../stick"]);
    told(collect.output().unwrap().into(), "namespaces are not permitted here");
    let ran = index.run(&["collect", "--prove", "install", "-n"]);
    assert_eq!(ran.code, Some(2), "a dry run proves nothing so: {}", ran.stderr);
}

/// Wheels are built where builders can be cut off, and nowhere else.
#[test]
fn nothing_is_built_where_builders_cannot_be_cut_off() {
    let mut index = FakeIndex::new();
    for name in ["pip", "setuptools", "wheel"] {
        index.has(name, "80", &[]);
    }
    let app = sdist("app", "1.0", &[("PKG-INFO", &metadata("app", "1.0", &[]))]);
    index.lists("app", "app-1.0.tar.gz", app, json!({}));
    index.write("[\"pypi:app\"]", "\n[[pypi]]\nwith-installers = true");
    let ran = index.run(&["lock", "--build-wheels"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("this machine has no python3.12 on its PATH"), "{}", ran.stderr);
    let mut lock = with_a_python(&index);
    let ran: Ran = lock.args(["lock", "--build-wheels"]).output().unwrap().into();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let told = "app 1.0 for cp312-manylinux_2_28_x86_64 cannot be built: namespaces are not permitted here";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(index.run(&["lock"]).code, Some(0), "it may be built inside");
}
