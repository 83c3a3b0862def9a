//! Project pages in HTML: anchors, and what stands in their `data-` attributes (PEP 503, 592, 658, 714).

use html5gum::{StartTag, Token, Tokenizer};
use percent_encoding::percent_decode_str;
use url::Url;

use super::simple::{Listed, Offered, Page, address, digest, known_version};

/// Reads a page. What is no HTML has no anchors.
///
/// # Errors
/// If it says that it is of a version to come.
pub(super) fn parse(bytes: &[u8], base: &Url) -> Result<Page, String> {
    let text = String::from_utf8_lossy(bytes);
    let (mut page, mut base) = (Page::default(), base.clone());
    for token in Tokenizer::new(&*text) {
        let Ok(Token::StartTag(tag)) = token else { continue };
        match &**tag.name {
            b"a" => page.files.extend(file(&tag, &base)),
            b"base" => {
                let stated = value(&tag, "href").and_then(|href| base.join(&href).ok());
                base = stated.unwrap_or(base);
            }
            b"meta" => {
                let content = value(&tag, "content").unwrap_or_default();
                match value(&tag, "name").as_deref() {
                    Some("pypi:repository-version") => known_version(&content)?,
                    Some("pypi:project-status") => page.status = Some(content),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    Ok(page)
}

/// The file that an anchor leads to. Its name is the last part of the address, as pip has it, whatever people are shown.
fn file(tag: &StartTag<()>, base: &Url) -> Option<Listed> {
    let (url, fragment) = address(base, &value(tag, "href")?)?;
    let path = url.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    let name = percent_decode_str(last).decode_utf8().ok()?.into_owned();
    let checksum = |text: &str| text.split_once('=').and_then(|(name, hex)| digest(name, hex));
    let said = value(tag, "data-core-metadata").or_else(|| value(tag, "data-dist-info-metadata"));
    let metadata = match said.as_deref() {
        None => Offered::Unsaid,
        Some("false") => Offered::No,
        Some(said) => Offered::Yes(checksum(said).and_then(|digest| digest.blob_key())),
    };
    Some(Listed {
        checksums: fragment.split('&').filter_map(checksum).collect(),
        requires_python: value(tag, "data-requires-python").filter(|pythons| !pythons.is_empty()),
        size: value(tag, "data-size").and_then(|size| size.parse().ok()),
        upload_time: value(tag, "data-upload-time").filter(|time| !time.is_empty()),
        yanked: value(tag, "data-yanked"),
        provenance: value(tag, "data-provenance").and_then(|text| Some(address(base, &text)?.0)),
        name,
        url,
        metadata,
    })
}

/// An attribute's value; empty, where it has none.
fn value(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(name.as_bytes())?;
    Some(String::from_utf8_lossy(&value.value).into_owned())
}
