//! Debian packages from a small archive (`fixtures/apt/archive`) into a bundle.

use std::path::{Path, PathBuf};

use aftk::protocol::openpgp::Keyring;

use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::images::sha512;
use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides};

pub(crate) fn archive() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apt/archive")
}

/// Every file below a folder, by its path there.
fn files(folder: &Path, below: &str, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
        match entry.path().is_dir() {
            true => files(&entry.path(), &name, into),
            false => into.push((name, std::fs::read(entry.path()).unwrap())),
        }
    }
}

/// A project that collects from the archive.
pub(crate) struct Project {
    pub(crate) sides: Sides,
    upstream: FakeUpstream,
}

impl Project {
    pub(crate) fn new() -> Project {
        let (sides, upstream) = (Sides::new(), FakeUpstream::start());
        let mut all = Vec::new();
        files(&archive(), "/debian", &mut all);
        for (path, bytes) in all {
            upstream.route(&path.replace('+', "%2B"), Reply::ok(bytes));
        }
        sides.write("keyring.asc", std::fs::read(archive().join("keyring.asc")).unwrap());
        let project = Project { sides, upstream };
        project.write("[\"apt:hello\"]", "");
        project
    }

    pub(crate) fn write(&self, requests: &str, more: &str) {
        let text = format!(
            "format = 1\nrequests = {requests}\n\n[[apt]]\nuri = \"{}/debian\"\nsuites = [\"stable\"]\ncomponents = \
             [\"main\"]\narchitectures = [\"amd64\"]\nsigned-by = \"keyring.asc\"\n{more}\n",
            self.upstream.url()
        );
        self.sides.write("aftk.toml", text);
    }

    /// Collects from the flat repository of the same keys too.
    fn also_flat(&self) {
        let path = self.sides.path("project/aftk.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text += &format!(
            "\n[[apt]]\nname = \"flat\"\nuri = \"{}/debian\"\nsuites = [\"flat/\"]\nsigned-by = \"keyring.asc\"\n",
            self.upstream.url()
        );
        std::fs::write(path, text).unwrap();
    }

    /// Pins a keyring inside, under a name; without bytes, none.
    pub(crate) fn pin(&self, name: &str, bytes: &[u8]) {
        let directory = self.sides.path("in/apt/keyrings");
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(name);
        if bytes.is_empty() {
            std::fs::remove_file(path).unwrap()
        } else {
            std::fs::write(path, bytes).unwrap()
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.sides.run("out", arguments)
    }

    fn paths(&self, part: &str) -> Vec<String> {
        let all = self.upstream.requests().into_iter().map(|seen| seen.path);
        all.filter(|path| path.contains(part)).collect()
    }
}

/// The names of what a report lists.
fn names(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let all = report["artifacts"].as_array().unwrap().iter();
    all.map(|one| one["purl"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn packages_and_what_proves_them_travel_in_one_bundle() {
    let project = Project::new();
    let ran = project.run(&["collect", "--out", "../stick", "--json"]);
    assert_eq!(
        names(&ran),
        [
            "pkg:deb/example/dists%2Fstable@2026-01-01T00:00:00Z",
            "pkg:deb/example/hello@2.10-3?arch=amd64&distro=stable",
            "pkg:deb/example/hello-data@2.10-3?arch=all&distro=stable",
            "pkg:deb/example/hello-doc@2.10-3?arch=all&distro=stable",
            "pkg:deb/example/libhello1@1:1.2%2Bb1?arch=amd64&distro=stable",
        ],
        "{}",
        ran.stderr
    );
    assert_eq!(project.paths("pool").len(), 4);
    let held = |path: &str| {
        let digest = bundle_format::BlobKey::of(&std::fs::read(archive().join(path)).unwrap()).hex();
        project.sides.path("out/store/blobs/sha256").join(&digest[..2]).join(digest).exists()
    };
    for path in [
        "dists/stable/InRelease",
        "dists/stable/main/binary-amd64/Packages.xz",
        "pool/main/h/libhello1_1.2+b1_amd64.deb",
    ] {
        assert!(held(path), "{path}");
    }
    assert!(!held("pool/main/h/broken_1_amd64.deb"));
    project.sides.trust();
    let medium: Vec<String> = project.sides.medium().iter().map(|path| path.display().to_string()).collect();
    let imported = project.sides.run("in", &["import", &medium[0]]).done();
    assert!(imported.contains("5 artifacts"), "{imported}");
}

#[test]
fn what_did_not_change_is_the_same_bundle_and_asked_for_no_more() {
    let project = Project::new();
    project.run(&["collect", "--out", "../stick"]).done();
    let first = project.sides.medium();
    let asked = project.upstream.requests().len();
    project.run(&["collect", "--out", "../stick"]).done();
    assert_eq!(project.sides.medium(), first);
    assert_eq!(project.upstream.requests().len(), asked, "the lock answers");
    let said = project.run(&["lock", "--upgrade"]).done();
    assert!(said.contains("unchanged"), "{said}");
    // Other settings are another question.
    project.write("[\"apt:hello\"]", "recommends = false");
    let ran = project.run(&["lock", "--json"]);
    assert!(!names(&ran).iter().any(|name| name.contains("hello-doc")), "{}", ran.stderr);
    project.write("[\"apt:hello\"]", "");
    let ran = project.run(&["lock", "-n", "--no-recommends", "--with-sources", "--json"]);
    // The little archive has no source of its library.
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("src:libhello"), "{}", ran.stderr);
}

#[test]
fn an_archive_that_cannot_be_believed_is_collected_nothing_from() {
    let project = Project::new();
    let path = "/debian/dists/stable/InRelease";
    let good = std::fs::read_to_string(archive().join("dists/stable/InRelease")).unwrap();
    for (what, document) in [
        ("changed", good.replace("Suite: stable", "Suite: unstable")),
        ("cut off", good[..good.len() - 60].to_owned()),
        ("with something before", format!("Origin: Evil\n{good}")),
        ("unsigned", "Origin: Evil\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n".to_owned()),
    ] {
        project.upstream.route(path, Reply::ok(document));
        let ran = project.run(&["lock"]);
        assert_eq!(ran.code, Some(3), "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains("stable of debian is not believed"), "{what}: {}", ran.stderr);
    }
    project.upstream.route(path, Reply::ok(good));
    for index in ["Packages.xz", "Packages.zst", "Packages.gz"] {
        let path = format!("/debian/dists/stable/main/binary-amd64/{index}");
        let length = std::fs::read(archive().join(&path["/debian/".len()..])).unwrap().len();
        project.upstream.route(&path, Reply::ok("x".repeat(length)));
    }
    let ran = project.run(&["lock"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("not what its Release lists"), "{}", ran.stderr);
}

#[test]
fn a_package_of_other_bytes_is_not_taken() {
    let project = Project::new();
    let path = "/debian/pool/main/h/hello_2.10-3_amd64.deb";
    let mut other = std::fs::read(archive().join("pool/main/h/hello_2.10-3_amd64.deb")).unwrap();
    *other.last_mut().unwrap() ^= 1;
    project.upstream.route(path, Reply::ok(other));
    let ran = project.run(&["collect", "--out", "../stick"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(project.sides.medium().is_empty());
}

#[test]
fn what_cannot_be_installed_is_said_in_apts_words() {
    let project = Project::new();
    project.write("[\"apt:broken\"]", "");
    let ran = project.run(&["lock"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("apt:broken cannot be installed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Depends: absent (>= 1) but it is not installable"), "{}", ran.stderr);
}

#[test]
fn who_signed_what_upstream_is_told_before_and_after_the_gap() {
    let project = Project::new();
    project.write("[\"apt:tool\", \"apt:hello-data\"]", "recommends = false");
    project.also_flat();
    project.run(&["collect", "--out", "../stick"]).done();
    let bundle = project.sides.medium().remove(0).display().to_string();
    let keys = Keyring::read(&std::fs::read(archive().join("keyring.asc")).unwrap()).unwrap();
    let is_signed = |text: &str| {
        assert!(text.contains("debian dists/stable of 2026-01-01T00:00:00Z, looked at 2"), "{text}");
        assert!(text.contains(&format!("Z, signed by {}", keys.fingerprints()[0])), "{text}");
    };
    let inspected = project.run(&["inspect", &bundle]).done();
    is_signed(&inspected);
    assert!(inspected.contains("upstream  flat flat of 2026-01-01T00:00:00Z"), "{inspected}");
    let told = project.run(&["why", "apt:libhello1"]).done();
    is_signed(&told);
    assert!(told.contains("requested apt:tool\n"), "{told}");
    assert!(told.contains("needed by pkg:deb/example/hello@2.10-3"), "{told}");
    project.sides.trust();
    project.pin("debian.asc", &std::fs::read(archive().join("keyring.asc")).unwrap());
    project.sides.run("in", &["import", &bundle]).done();
    let told = project.sides.run("in", &["why", "apt:hello"]).done();
    is_signed(&told);
    assert!(told.contains("when it was accepted here: signed by "), "{told}");
    let json = project.sides.run("in", &["why", "apt:tool", "--json"]).json();
    let verdict = json["artifacts"][0]["upstream"][0]["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("signed by "), "{verdict}");
}

/// A repository without folders, whose every path begins with `./`, as apt asks for it then.
#[test]
fn flat_repositories_are_served_where_apt_looks() {
    let project = Project::new();
    let package = std::fs::read(archive().join("flat/tool_1_amd64.deb")).unwrap();
    let sha256 = |bytes: &[u8]| bundle_format::BlobKey::of(bytes).hex();
    let index = format!(
        "Package: tool\nVersion: 1\nArchitecture: amd64\nFilename: ./tool.deb\nSize: {}\nSHA256: {}\nDescription: tool\n\n",
        package.len(),
        sha256(&package)
    );
    let release = format!(
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {} {} Packages\n",
        sha256(index.as_bytes()),
        index.len()
    );
    project.upstream.route("/flat/Release", Reply::ok(release));
    project.upstream.route("/flat/Packages", Reply::ok(index));
    project.upstream.route("/flat/tool.deb", Reply::ok(package.clone()));
    let table = format!(
        "format = 1\nrequests = [\"apt:tool\"]\n\n[[apt]]\nuri = \"{}/flat\"\nsuites = [\"./\"]\narchitectures = \
         [\"amd64\"]\ntrusted = true\n",
        project.upstream.url()
    );
    project.sides.write("aftk.toml", table);
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    let bundle = project.sides.medium().remove(0).display().to_string();
    project.sides.run("in", &["import", &bundle]).done();
    let serving = Serving::start(&project.sides);
    let get = |path: &str| {
        let response = Client::connect(serving.address).ask("GET", &format!("/apt/flat/{path}"), &[]);
        assert_eq!(response.status, 200, "{path}");
        response.body
    };
    for path in ["./InRelease", "InRelease"] {
        assert!(String::from_utf8(get(path)).unwrap().contains("SHA256:"), "{path}");
    }
    assert_eq!(get("./tool.deb"), package);
}

/// Archives that list nothing but SHA512, as some third parties do; and one that trusts in what is broken.
#[test]
fn archives_may_list_sha512_alone_and_nothing_weaker() {
    let project = Project::new();
    let package = std::fs::read(archive().join("pool/main/h/hello-data_2.10-3_all.deb")).unwrap();
    let sha512 = |bytes: &[u8]| sha512(bytes).hex();
    let index = format!(
        "Package: hello-data\nVersion: 2.10-3\nArchitecture: all\nFilename: pool/hello-data.deb\nSize: {}\nSHA512: \
         {}\nDescription: hello-data\n\n",
        package.len(),
        sha512(&package)
    );
    let lists = |field: &str, digest: &str| {
        let date = "Thu, 01 Jan 2026 00:00:00 UTC";
        let size = index.len();
        let release =
            format!("Suite: other\nDate: {date}\n{field}:\n {digest} {size} main/binary-amd64/Packages\n");
        project.upstream.route("/other/dists/other/Release", Reply::ok(release));
    };
    project.upstream.route("/other/dists/other/main/binary-amd64/Packages", Reply::ok(index.clone()));
    project.upstream.route("/other/pool/hello-data.deb", Reply::ok(package.clone()));
    let table = format!(
        "format = 1\nrequests = [\"apt:hello-data\"]\n\n[[apt]]\nuri = \"{}/other\"\nsuites = [\"other\"]\ncomponents = \
         [\"main\"]\narchitectures = [\"amd64\"]\ntrusted = true\n",
        project.upstream.url()
    );
    project.sides.write("aftk.toml", table);
    lists("MD5Sum", "d41d8cd98f00b204e9800998ecf8427e");
    let ran = project.run(&["lock"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("by MD5 and SHA-1 alone"), "{}", ran.stderr);
    lists("SHA512", &sha512(b"other"));
    assert!(project.run(&["lock"]).stderr.contains("not what its Release lists"));
    lists("SHA512", &sha512(index.as_bytes()));
    project.run(&["collect", "--out", "../stick"]).done();
    let asked = project.upstream.requests().len();
    assert!(project.run(&["lock", "--upgrade"]).done().contains("unchanged"));
    assert_eq!(
        project.upstream.requests().len() - asked,
        2,
        "its index is held: InRelease and Release are asked for"
    );
    project.sides.trust();
    let bundle = project.sides.medium().remove(0).display().to_string();
    let imported = project.sides.run("in", &["import", &bundle]).done();
    assert!(imported.contains("2 artifacts"), "{imported}");
}

#[test]
fn what_is_moved_alone_has_to_be_enough() {
    let project = Project::new();
    let other = |packages: &str, date: &str| {
        let index = "dists/other/main/binary-amd64/Packages";
        let key = bundle_format::BlobKey::of(packages.as_bytes()).hex();
        let release = format!(
            "Suite: other\nOrigin: Example\nDate: {date}\nSHA256:\n {key} {} main/binary-amd64/Packages\n",
            packages.len()
        );
        project.upstream.route("/other/dists/other/Release", Reply::ok(release));
        project.upstream.route(&format!("/other/{index}"), Reply::ok(packages.to_owned()));
    };
    let stanza = |name: &str, version: &str, depends: &str| {
        let key = bundle_format::BlobKey::of(name.as_bytes()).hex();
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{depends}Filename: pool/{name}_{version}_amd64.deb\n\
             Size: {}\nSHA256: {key}\n\n",
            name.len()
        )
    };
    let table = format!(
        "\n[[apt]]\nuri = \"{}/other\"\nsuites = [\"other\"]\ncomponents = [\"main\"]\ntrusted = true\n",
        project.upstream.url()
    );
    project.write("[\"apt:web\", \"apt:cron\"]", &table);
    let release = "Thu, 01 Jan 2026 00:00:00 UTC";
    other(
        &[stanza("web", "1", "Depends: lib (= 1)\n"), stanza("lib", "1", ""), stanza("cron", "1", "")]
            .concat(),
        release,
    );
    project.run(&["lock"]).done();
    let release = "Fri, 02 Jan 2026 00:00:00 UTC";
    other(
        &[stanza("web", "2", "Depends: lib (= 2)\n"), stanza("lib", "2", ""), stanza("cron", "2", "")]
            .concat(),
        release,
    );
    // Its library stays behind.
    let ran = project.run(&["lock", "-P", "web"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("of what would be carried, apt:web cannot be installed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Depends: lib (= 2)"), "{}", ran.stderr);
    let ran = project.run(&["lock", "-P", "web", "-P", "lib", "--json"]);
    assert_eq!(
        names(&ran),
        [
            "pkg:deb/example/cron@1?arch=amd64&distro=other",
            // Both states of the suite prove what was taken from each.
            "pkg:deb/example/dists%2Fother@2026-01-01T00:00:00Z",
            "pkg:deb/example/dists%2Fother@2026-01-02T00:00:00Z",
            "pkg:deb/example/lib@2?arch=amd64&distro=other",
            "pkg:deb/example/web@2?arch=amd64&distro=other",
        ],
        "{}",
        ran.stderr
    );
}

#[test]
fn mistakes_in_a_project_are_named_with_their_place() {
    let project = Project::new();
    for (more, why) in [
        ("sutes = [\"x\"]", "unknown field `sutes`"),
        ("trusted = true", "exclude each other"),
        ("baseline = \"absent\"", "dpkg status"),
    ] {
        project.write("[\"apt:hello\"]", more);
        let ran = project.run(&["lock"]);
        assert_eq!(ran.code, Some(2), "{more}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{more}: {}", ran.stderr);
    }
    assert!(project.run(&["lock", "apt:Hello"]).stderr.contains("names no package"));
}
