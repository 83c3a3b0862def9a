//! An index of Python packages that exists nowhere, and a project that collects from it.

use std::collections::BTreeMap;

use bundle_format::BlobKey;
use serde_json::{Value, json};

use super::fake_upstream::{FakeUpstream, Reply};
use super::releases::wheel;
use super::sides::{Ran, Sides};

/// A target, as the project names it.
pub(crate) const TARGET: &str = "cp312-manylinux_2_28_x86_64";

/// A project, and the index that it collects from.
pub(crate) struct FakeIndex {
    pub(crate) sides: Sides,
    pub(crate) upstream: FakeUpstream,
    /// What pages list, by the project.
    pages: BTreeMap<String, Vec<Value>>,
}

/// What a release says of itself, with what it requires.
pub(crate) fn metadata(name: &str, version: &str, requires: &[&str]) -> String {
    let requires: String = requires.iter().map(|line| format!("Requires-Dist: {line}\n")).collect();
    format!("Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n{requires}\n")
}

/// A source distribution, in which each document stands at its path below the distribution's own directory.
pub(crate) fn sdist(name: &str, version: &str, documents: &[(&str, &str)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for (path, text) in documents {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = format!("{name}-{version}/{path}");
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

impl FakeIndex {
    pub(crate) fn new() -> FakeIndex {
        FakeIndex { sides: Sides::new(), upstream: FakeUpstream::start(), pages: BTreeMap::new() }
    }

    /// The address of the index.
    pub(crate) fn url(&self) -> String {
        format!("{}/simple/", self.upstream.url())
    }

    /// A pure wheel whose metadata can be had by itself.
    pub(crate) fn has(&mut self, name: &str, version: &str, requires: &[&str]) {
        let file = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
        self.wheel(&file, name, version, requires, json!({}));
    }

    /// A wheel of that name, with more of what the index says of it.
    pub(crate) fn wheel(&mut self, file: &str, name: &str, version: &str, requires: &[&str], more: Value) {
        let metadata = metadata(name, version, requires);
        let bytes = wheel(name, version, &metadata);
        let mut line = json!({ "core-metadata": { "sha256": BlobKey::of(metadata.as_bytes()).hex() } });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.upstream.route(&format!("/files/{file}.metadata"), Reply::ok(metadata));
        self.lists(name, file, bytes, line);
    }

    /// A file, and the line of the page that lists it.
    pub(crate) fn lists(&mut self, name: &str, file: &str, bytes: Vec<u8>, more: Value) {
        let mut line = json!({
            "filename": file,
            "url": format!("../../files/{file}"),
            "hashes": { "sha256": BlobKey::of(&bytes).hex() },
            "size": bytes.len(),
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.upstream.route(&format!("/files/{file}"), Reply::ok(bytes).ranges().etag("\"1\""));
        self.pages.entry(name.to_owned()).or_default().push(line);
        let page = json!({ "meta": { "api-version": "1.1" }, "name": name, "files": self.pages[name] });
        let page = Reply::json(&page).without("Content-Type");
        let page = page.header("Content-Type", "application/vnd.pypi.simple.v1+json");
        self.upstream.route(&format!("/simple/{name}/"), page);
    }

    /// Writes the project: what it asks for, and what it says to Python packages besides.
    pub(crate) fn write(&self, requests: &str, more: &str) {
        let text = format!(
            "format = 1\nrequests = {requests}\n\n[[pypi]]\ntargets = [\"{TARGET}\"]\nwith-installers = false\n{more}\n\n\
             [[pypi]]\nname = \"pypi\"\nindex = \"{}\"\ndefault = true\n",
            self.url()
        );
        self.sides.write("aftk.toml", text);
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.sides.run("out", arguments)
    }

    /// Collects, and carries the bundle inside; says what was collected.
    #[track_caller]
    pub(crate) fn carry(&self) -> Vec<String> {
        let ran = self.run(&["collect", "--out", "../stick", "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        self.sides.trust();
        let bundle = self.sides.medium().pop().unwrap().display().to_string();
        self.sides.run("in", &["import", &bundle]).done();
        purls(&ran)
    }
}

/// The package URLs of what a report lists.
pub(crate) fn purls(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let all = report["artifacts"].as_array().unwrap().iter();
    all.map(|one| one["purl"].as_str().unwrap().to_owned()).collect()
}
