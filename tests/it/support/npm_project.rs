//! A small npm project, and the registry that its packages come from.

use base64::Engine as _;
use serde_json::{Value, json};

use super::fake_upstream::{FakeUpstream, Reply};
use super::sides::Sides;

/// The registry's address. Nothing answers there: it is reached by way of a proxy, which the fake upstream plays.
pub(crate) const REGISTRY: &str = "http://registry.example.test/";

/// A package in one version, and what it needs.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) dependencies: Value,
    pub(crate) tarball: Vec<u8>,
    pub(crate) licence: Option<&'static str>,
}

/// A package whose tarball has so many bytes.
pub(crate) fn package(
    name: &'static str,
    version: &'static str,
    dependencies: Value,
    size: usize,
) -> Package {
    // Not compressible, and different for every package.
    let mut state =
        name.bytes().chain(version.bytes()).fold(1_u32, |hash, byte| hash.wrapping_mul(31) + u32::from(byte));
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    Package { name, version, dependencies, tarball: bytes.take(size).collect(), licence: None }
}

/// Three packages: a plain one, a scoped one, and one that needs both.
pub(crate) fn packages() -> Vec<Package> {
    vec![
        package("@scope/leaf", "2.0.1", json!({}), 3000),
        package("plain", "1.4.0", json!({}), 9000),
        package("top", "0.3.0", json!({"@scope/leaf": "^2.0.0", "plain": "1.x"}), 500),
    ]
}

impl Package {
    pub(crate) fn integrity(&self) -> String {
        use sha2::Digest as _;
        let digest = sha2::Sha512::digest(&self.tarball);
        format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(digest))
    }

    /// The path of its document at the registry.
    pub(crate) fn document_path(&self) -> String {
        format!("/{}", self.name.replace('/', "%2f"))
    }

    /// The path of its tarball at the registry.
    pub(crate) fn tarball_path(&self) -> String {
        let base = self.name.rsplit('/').next().unwrap_or_default();
        format!("/{}/-/{base}-{}.tgz", self.name, self.version)
    }

    fn tarball_url(&self) -> String {
        format!("{}{}", REGISTRY.trim_end_matches('/'), self.tarball_path())
    }

    /// The registry's document of it.
    pub(crate) fn document(&self) -> Value {
        json!({
            "name": self.name,
            "dist-tags": {"latest": self.version},
            "versions": {self.version: {
                "name": self.name,
                "version": self.version,
                "dependencies": self.dependencies,
                "license": self.licence,
                "dist": {"tarball": self.tarball_url(), "integrity": self.integrity()},
            }},
        })
    }
}

/// Publishes packages; tarballs can be resumed.
pub(crate) fn publish(upstream: &FakeUpstream, packages: &[Package]) {
    for package in packages {
        let document = package.document();
        let tag = format!("\"{}\"", bundle_format::BlobKey::of(document.to_string().as_bytes()).hex());
        upstream.route(&package.document_path(), Reply::json(&document).etag(&tag));
        upstream.route(&package.tarball_path(), Reply::ok(package.tarball.clone()).etag("\"t\"").ranges());
    }
}

/// The lockfile of a project that needs the packages.
pub(crate) fn lockfile(packages: &[Package]) -> Value {
    let mut entries = serde_json::Map::new();
    let wanted: serde_json::Map<_, _> =
        packages.iter().map(|package| (package.name.to_owned(), json!(package.version))).collect();
    entries.insert(String::new(), json!({"name": "project", "version": "1.0.0", "dependencies": wanted}));
    for package in packages {
        let entry = json!({
            "version": package.version,
            "resolved": package.tarball_url(),
            "integrity": package.integrity(),
            "dependencies": package.dependencies,
        });
        entries.insert(format!("node_modules/{}", package.name), entry);
    }
    json!({"name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": entries})
}

/// Writes the project: lockfile, .npmrc, a plain file, and an aftk.toml that wants both.
pub(crate) fn write_project(sides: &Sides, packages: &[Package]) {
    sides.write("package-lock.json", lockfile(packages).to_string());
    sides.write(".npmrc", format!("registry={REGISTRY}\n"));
    sides.write("manual.txt", "read me\n".repeat(300));
    sides.write(
        "aftk.toml",
        "format = 1\nchannel = \"prod\"\nrequests = [\"npm:./package-lock.json\", \"file:./manual.txt\"]\n",
    );
}

/// Arguments and variables that lead a collecting command to the upstream.
pub(crate) fn reach(command: &mut std::process::Command, upstream: &FakeUpstream) {
    command.env("http_proxy", upstream.url()).env("AFTK_INSECURE_HOST", "registry.example.test");
}
