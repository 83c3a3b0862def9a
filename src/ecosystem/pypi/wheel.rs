//! The METADATA of a wheel, found in the archive without unpacking anything else.

use std::io::{Read, Seek};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::name::Name;
use super::unreadable::Unreadable;

/// The most bytes of METADATA that are read out of a wheel: what an import reads again.
pub(super) const LARGEST_METADATA: u64 = 4 << 20;

/// Reads the METADATA of a project's wheel, which `file` names for messages.
///
/// # Errors
/// If the archive is damaged, has no such document, has two, has that of another project, or has one that is larger than
/// 4 MiB.
pub(super) fn metadata(wheel: impl Read + Seek, file: &str, project: &Name) -> Result<Vec<u8>, Unreadable> {
    let fail = |why: String| Unreadable::new(file, "wheel", why);
    let damaged = |error: rawzip::Error| fail(format!("its archive is damaged: {error}"));
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(wheel, &mut buffer).map_err(damaged)?;
    let mut found = None;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        let path = entry.file_path();
        let Some(directory) = path.as_ref().strip_suffix(b".dist-info/METADATA") else { continue };
        // What other projects vendored stands in directories of their own.
        if directory.contains(&b'/') {
            continue;
        }
        let owner =
            std::str::from_utf8(directory).ok().and_then(|text| Name::parse(text.split('-').next()?).ok());
        if owner.as_ref() != Some(project) {
            return Err(fail("its METADATA stands in the directory of another project".to_owned()));
        }
        if found.replace((entry.wayfinder(), entry.compression_method())).is_some() {
            return Err(fail("it has two documents METADATA".to_owned()));
        }
    }
    let (wayfinder, method) = found.ok_or_else(|| fail("it has no METADATA".to_owned()))?;
    let entry = archive.get_entry(wayfinder).map_err(damaged)?;
    let mut metadata = Vec::new();
    let read = match method {
        CompressionMethod::STORE => {
            entry.verifying_reader(entry.reader()).take(LARGEST_METADATA + 1).read_to_end(&mut metadata)
        }
        CompressionMethod::DEFLATE => entry
            .verifying_reader(DeflateDecoder::new(entry.reader()))
            .take(LARGEST_METADATA + 1)
            .read_to_end(&mut metadata),
        _ => return Err(fail("its METADATA is compressed in a way that installers do not know".to_owned())),
    };
    read.map_err(|error| fail(format!("its METADATA cannot be unpacked: {error}")))?;
    if metadata.len() as u64 > LARGEST_METADATA {
        return Err(fail("its METADATA is larger than 4 MiB".to_owned()));
    }
    Ok(metadata)
}

/// Wheels for tests.
#[cfg(test)]
pub(super) mod made {
    use std::io::Write as _;

    use rawzip::{CompressionMethod, ZipArchiveWriter};

    /// An archive of these documents.
    pub(crate) fn archive(documents: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        for (path, document) in documents {
            let file = archive.new_file(path).compression_method(CompressionMethod::DEFLATE);
            let (mut entry, config) = file.start().unwrap();
            let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
            let mut writer = config.wrap(encoder);
            writer.write_all(document).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes
    }

    /// What a release says of itself.
    pub(crate) fn metadata(name: &str, version: &str) -> String {
        format!(
            "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: About {name}\nRequires-Python: >=3.8\n\
             Requires-Dist: other>=1 ; extra == \"more\"\nProvides-Extra: more\n\nA description.\n"
        )
    }

    /// A wheel of a release, as builders make them.
    pub(crate) fn wheel(name: &str, version: &str) -> Vec<u8> {
        let metadata = metadata(name, version);
        let directory = format!("{}-{version}.dist-info", name.replace('-', "_"));
        archive(&[
            (&format!("{name}/__init__.py"), b"pass"),
            (&format!("{directory}/METADATA"), metadata.as_bytes()),
            (&format!("{directory}/RECORD"), b""),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let project = Name::parse("some-project").unwrap();
        metadata(Cursor::new(bytes), "x.whl", &project).map_err(|error| error.to_string())
    }

    #[test]
    fn metadata_is_found_wherever_it_stands() {
        assert_eq!(
            read(&made::wheel("some-project", "1.0")).unwrap(),
            made::metadata("some-project", "1.0").as_bytes()
        );
        let vendored = [("a/b-1.dist-info/METADATA", &b"x"[..]), ("Some.Project-1.dist-info/METADATA", b"y")];
        assert_eq!(read(&made::archive(&vendored)).unwrap(), b"y");
    }

    #[test]
    fn hostile_archives_are_refused_and_named() {
        let large = vec![b' '; LARGEST_METADATA as usize + 1];
        let good = made::wheel("some-project", "1.0");
        let mut flipped = good.clone();
        let at = flipped.windows(9).position(|part| part == b"/METADATA").unwrap() + 12;
        flipped[at] ^= 0x40;
        for (bytes, why) in [
            (made::archive(&[("x", b"")]), "it has no METADATA"),
            (made::archive(&[("other-1.dist-info/METADATA", b"")]), "another project"),
            (
                made::archive(&[
                    ("some_project-1.dist-info/METADATA", b"a"),
                    ("some_project-2.dist-info/METADATA", b"b"),
                ]),
                "two documents",
            ),
            (made::archive(&[("some_project-1.dist-info/METADATA", &large)]), "larger than 4 MiB"),
            (flipped, "METADATA cannot be unpacked"),
            (good[..good.len() / 2].to_vec(), "damaged"),
            (b"no archive".to_vec(), "damaged"),
            (Vec::new(), "damaged"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
