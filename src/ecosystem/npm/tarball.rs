//! What a tarball says of itself: the `package.json` in it.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// The most bytes that are unpacked of one.
const MOST_UNPACKED: u64 = 2 << 30;
/// The largest `package.json`, in bytes.
const LARGEST: u64 = 1 << 20;

/// Which package and version a tarball says that it is.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) version: String,
}

/// Reads which package a tarball is, and whether all of it can be unpacked. Blocks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn identity(file: impl Read) -> io::Result<Identity> {
    Identity::read(&package_json(file)?)
}

impl Identity {
    /// Reads a `package.json`.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn read(text: &str) -> io::Result<Identity> {
        serde_json::from_str(text).map_err(|error| damaged(&format!("its package.json is damaged: {error}")))
    }
}

/// The `package.json` of a tarball, all of which can be unpacked. Blocks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn package_json(file: impl Read) -> io::Result<String> {
    document(file, "package.json", LARGEST)?.ok_or_else(|| damaged("it has no package.json in its folder"))
}

/// A document of at most `most` bytes in the folder of a tarball, all of which can be unpacked; `None`, if there is none. Blocks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn document(file: impl Read, name: &str, most: u64) -> io::Result<Option<String>> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(file).take(MOST_UNPACKED));
    let mut found = None;
    // Raw: what extends an entry's header may be as large as it likes, and a client's own paths are short.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        if is_in_folder(&entry.path_bytes(), name) {
            let mut text = Vec::new();
            (&mut entry).take(most + 1).read_to_end(&mut text)?;
            if text.len() as u64 > most {
                return Err(damaged(&format!("its {name} is larger than {}", crate::units::bytes(most))));
            }
            // Of two, the one that is unpacked last stays.
            found = Some(text);
        }
    }
    // The checksum of all of it stands at the end.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    let Some(mut text) = found else { return Ok(None) };
    let byte_order_mark = b"\xef\xbb\xbf";
    if text.starts_with(byte_order_mark) {
        text.drain(..byte_order_mark.len());
    }
    String::from_utf8(text).map(Some).map_err(|_| damaged(&format!("its {name} is not UTF-8")))
}

/// Whether a path is that of a file in a tarball's one folder, which npm takes away whatever it is called.
fn is_in_folder(path: &[u8], name: &str) -> bool {
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.next().is_some() && parts.next() == Some(name.as_bytes()) && parts.next().is_none()
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tarball of these files.
    pub(crate) fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder =
            tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (path, text) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_tarball_says_which_package_it_is() {
        let good = "\u{feff}{\"name\":\"@s/a\",\"version\":\"1.0.0\",\"main\":7}";
        let wrong = "{\"name\":\"b\",\"version\":\"2.0.0\"}";
        let expected = Identity { name: "@s/a".to_owned(), version: "1.0.0".to_owned() };
        for folder in ["package", "./a-1.0.0"] {
            let inner = format!("{folder}/node_modules/b/package.json");
            let files = [("package/a.js", "x"), (&inner, wrong), (&format!("{folder}/package.json"), good)];
            assert_eq!(identity(&tarball(&files)[..]).unwrap(), expected);
        }
        assert_eq!(identity(&tarball(&[("p/package.json", "{}")])[..]).unwrap(), Identity::default());
    }

    #[test]
    fn what_is_no_tarball_of_a_package_is_named() {
        let large = " ".repeat(1 << 21);
        let whole = tarball(&[("package/package.json", "{}"), ("package/a", &large)]);
        for (bytes, why) in [
            (&b"this is plain text and no archive"[..], "gzip"),
            (&whole[..whole.len() - 10], ""),
            (&tarball(&[("package.json", "{}")]), "no package.json"),
            (&tarball(&[("package/package.json", "no")]), "is damaged"),
            (&tarball(&[("package/package.json", &large)]), "larger than 1.0 MiB"),
        ] {
            let error = identity(bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
