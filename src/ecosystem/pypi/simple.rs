//! Project pages of indexes: which files there are of a project (PEP 503, 691, 700, 714, 592, 740 and 792).
//!
//! Indexes answer in JSON or in HTML, whatever they are asked for, and leave out what they like.

use bundle_format::{BlobKey, Digest};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::page_html;
use super::unreadable::Unreadable;

/// What is asked for: JSON if there is any, for HTML leaves more out.
pub(super) const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, \
                                 text/html;q=0.01";
/// The largest page that is read, in bytes. The largest real ones have a tenth of it.
pub(super) const LARGEST: u64 = 64 << 20;
/// The most files that a page may list.
const MOST_FILES: usize = 500_000;

/// What an index says of a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The files, in the index's order; those with an address that is none are left out.
    pub(super) files: Vec<Listed>,
    /// What has become of the project, if that is said and is not `active` (PEP 792).
    pub(super) status: Option<String>,
}

/// A file that a page lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name.
    pub(super) name: String,
    /// Its whole address, without a fragment and without user or password.
    pub(super) url: String,
    /// Its checksums, of the algorithms that are known.
    pub(super) checksums: Vec<Digest>,
    /// The Pythons that it works with, as the index says it.
    pub(super) requires_python: Option<String>,
    /// Its size in bytes.
    pub(super) size: Option<u64>,
    /// When it was uploaded, as the index says it (ISO 8601).
    pub(super) upload_time: Option<String>,
    /// Why it was taken back, if it was; empty, if nobody says why.
    pub(super) yanked: Option<String>,
    /// Whether its metadata can be had without it.
    pub(super) metadata: Offered,
    /// Where its attestations are.
    pub(super) provenance: Option<String>,
}

/// Whether a file's metadata can be had at its address with `.metadata` behind it (PEP 658).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Offered {
    /// Nothing is said, which some indexes do that have it.
    #[default]
    Unsaid,
    /// It cannot.
    No,
    /// It can, and has this digest if one is told.
    Yes(Option<BlobKey>),
}

impl Page {
    /// Reads a page that was had from `base`. Blocks, for large ones.
    ///
    /// # Errors
    /// If it is damaged, of a version to come, or lists too much.
    pub(super) fn parse(bytes: &[u8], content_type: &str, base: &Url) -> Result<Page, Unreadable> {
        let fail = |why: String| Unreadable::new(base.as_str(), "page of an index", why);
        let says_json = content_type.split(';').next().is_some_and(|kind| kind.trim().ends_with("json"));
        let is_json = says_json || bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let page = if is_json { json(bytes, base) } else { page_html::parse(bytes, base) };
        let mut page = page.map_err(fail)?;
        if page.files.len() > MOST_FILES {
            return Err(fail("it lists more than 500,000 files".to_owned()));
        }
        page.status = page.status.filter(|status| status != "active");
        Ok(page)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    meta: Option<Meta>,
    files: Vec<Written>,
    project_status: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Meta {
    api_version: Option<String>,
}

/// A file as JSON has it. What is not the file itself is read leniently: one odd field of one file hides no project.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: Map<String, Value>,
    #[serde(default)]
    requires_python: Value,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    upload_time: Value,
    #[serde(default)]
    yanked: Value,
    #[serde(default)]
    core_metadata: Value,
    #[serde(default)]
    dist_info_metadata: Value,
    #[serde(default)]
    provenance: Value,
}

fn json(bytes: &[u8], base: &Url) -> Result<Page, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if let Some(version) = document.meta.and_then(|meta| meta.api_version) {
        known_version(&version)?;
    }
    let status = match document.project_status {
        Some(Value::Object(status)) => status.get("status").and_then(Value::as_str).map(str::to_owned),
        Some(Value::String(status)) => Some(status),
        _ => None,
    };
    let files = document.files.into_iter().filter_map(|file| file.read(base)).collect();
    Ok(Page { files, status })
}

/// Whether a page's version is one that is read: 1.x.
///
/// # Errors
/// What is wrong with it.
pub(super) fn known_version(version: &str) -> Result<(), String> {
    match version.split('.').next() {
        Some("1") => Ok(()),
        _ => Err(format!("it is of version {version:?}, and versions 1.x are read")),
    }
}

impl Written {
    fn read(self, base: &Url) -> Option<Listed> {
        let text = |value: Value| match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        };
        let digests = |hashes: &Map<String, Value>| -> Vec<Digest> {
            hashes.iter().filter_map(|(name, hex)| digest(name, hex.as_str()?)).collect()
        };
        let offered = |value: &Value| match value {
            Value::Bool(false) => Some(Offered::No),
            Value::Bool(true) => Some(Offered::Yes(None)),
            Value::Object(hashes) => Some(Offered::Yes(digests(hashes).iter().find_map(Digest::blob_key))),
            _ => None,
        };
        Some(Listed {
            name: self.filename,
            url: address(base, &self.url)?.0,
            checksums: digests(&self.hashes),
            requires_python: text(self.requires_python),
            size: self.size.as_u64(),
            upload_time: text(self.upload_time),
            yanked: match self.yanked {
                Value::Bool(true) => Some(String::new()),
                Value::String(why) => Some(why),
                _ => None,
            },
            metadata: offered(&self.core_metadata)
                .or_else(|| offered(&self.dist_info_metadata))
                .unwrap_or_default(),
            provenance: text(self.provenance).and_then(|url| Some(address(base, &url)?.0)),
        })
    }
}

/// A checksum by the name of its algorithm; `None`, if it is not known, or no digest of it.
pub(super) fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    format!("{}:{}", algorithm.to_ascii_lowercase(), hex.to_ascii_lowercase()).parse().ok()
}

/// The whole address of what a page links to, and its fragment.
pub(super) fn address(base: &Url, text: &str) -> Option<(String, String)> {
    let mut url = base.join(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let fragment = url.fragment().unwrap_or_default().to_owned();
    url.set_fragment(None);
    url.set_username("").and_then(|()| url.set_password(None)).ok()?;
    Some((url.into(), fragment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://me:word@index.example.test/simple/a/").unwrap()
    }

    fn read(text: &str, content_type: &str) -> Result<Page, Unreadable> {
        Page::parse(text.as_bytes(), content_type, &base())
    }

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789abcdef";

    #[test]
    fn json_says_all_that_there_is_to_say() {
        let text = format!(
            r#"{{"meta": {{"api-version": "1.4"}}, "name": "a", "project-status": {{"status": "archived", "reason": "x"}},
            "files": [
              {{"filename": "a-1-py3-none-any.whl", "url": "../../files/a-1-py3-none-any.whl#x", "hashes": {{"sha256": "{HEX}", "new": "1"}},
                "requires-python": ">=3.8", "size": 3, "upload-time": "2026-01-01T00:00:00.5Z", "yanked": "broken",
                "core-metadata": {{"sha256": "{HEX}"}}, "dist-info-metadata": true, "provenance": "https://index.example.test/p"}},
              {{"filename": "a-1.tar.gz", "url": "https://u:p@files.example.test/a-1.tar.gz", "hashes": {{}}, "requires-python": null,
                "size": "odd", "yanked": false, "dist-info-metadata": false}},
              {{"filename": "a-2.tar.gz", "url": "file:///etc/passwd", "hashes": {{}}}}]}}"#
        );
        let page = read(&text, "application/vnd.pypi.simple.v1+json").unwrap();
        assert_eq!(page.status.as_deref(), Some("archived"));
        let [wheel, sdist] = page.files.as_slice() else { panic!("{page:?}") };
        assert_eq!(wheel.url, "https://index.example.test/files/a-1-py3-none-any.whl");
        assert_eq!(wheel.checksums.len(), 1);
        assert_eq!((wheel.size, wheel.yanked.as_deref()), (Some(3), Some("broken")));
        assert_eq!(wheel.metadata, Offered::Yes(wheel.checksums[0].blob_key()));
        assert_eq!(wheel.provenance.as_deref(), Some("https://index.example.test/p"));
        assert_eq!(sdist.url, "https://files.example.test/a-1.tar.gz");
        assert_eq!((sdist.size, &sdist.yanked, sdist.metadata), (None, &None, Offered::No));
    }

    #[test]
    fn html_is_read_as_browsers_read_it() {
        let text = format!(
            "<!DOCTYPE html><html><head><meta name='pypi:repository-version' content='1.3'>\
             <meta name=pypi:project-status content=quarantined><base href='/files/'></head><body>\
             <!-- <a href='a-0.tar.gz'>a-0.tar.gz</a> -->\
             <A HREF=\"a-1%2Bcu1-py3-none-any.whl#sha256={HEX}\" data-requires-python='&gt;=3.8' data-yanked \
              data-dist-info-metadata='sha256={HEX}' data-upload-time='2026-01-01T00:00:00Z'>whatever</a>\
             <a href='//files.example.test/a-1.tar.gz?x=1#md5=00' data-core-metadata='false' data-yanked='why'>\n a-1.tar.gz</a>\
             <a href='a-3.tar.gz'>"
        );
        let page = read(&text, "text/html; charset=utf-8").unwrap();
        assert_eq!(page.status.as_deref(), Some("quarantined"));
        let [wheel, sdist, last] = page.files.as_slice() else { panic!("{page:?}") };
        assert_eq!(wheel.name, "a-1+cu1-py3-none-any.whl");
        assert_eq!(wheel.requires_python.as_deref(), Some(">=3.8"));
        assert_eq!(wheel.yanked.as_deref(), Some(""));
        assert_eq!(wheel.metadata, Offered::Yes(wheel.checksums[0].blob_key()));
        assert_eq!((sdist.name.as_str(), sdist.yanked.as_deref()), ("a-1.tar.gz", Some("why")));
        assert_eq!(
            (sdist.url.as_str(), sdist.metadata),
            ("https://files.example.test/a-1.tar.gz?x=1", Offered::No)
        );
        assert!(sdist.checksums.is_empty(), "what is no digest is none");
        assert_eq!(last.url, "https://index.example.test/files/a-3.tar.gz");
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for (text, kind) in [
            ("{", "application/json"),
            ("{}", ""),
            (r#"{"meta": {"api-version": "2.0"}, "files": []}"#, "text/html"),
            ("<meta name='pypi:repository-version' content='2.0'>", "text/html"),
            ("\u{0}[]", "application/json"),
        ] {
            assert!(read(text, kind).is_err(), "{text}");
        }
        assert_eq!(read("no page at all", "text/plain").unwrap(), Page::default());
    }
}
