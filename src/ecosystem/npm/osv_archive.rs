//! Archives of OSV's documents, one for each weakness: `all.zip`, as OSV publishes those of an ecosystem. They are read one after
//! the other, and only what is wanted of them is kept.

use std::io::{Read, Seek};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::advisory::Advisory;
use super::osv;

/// The most documents of one archive; that of npm has some 220,000.
const MOST: u64 = 2_000_000;
/// The largest document, in bytes.
const LARGEST: u64 = 4 << 20;
/// The most bytes of all documents together.
const LARGEST_TOGETHER: u64 = 16 << 30;
/// The most advisories that are kept.
const MOST_KEPT: usize = 200_000;

/// What an archive says of the packages that are wanted. Blocks.
///
/// # Errors
/// Why it cannot be read, and which of its documents, if it is one.
pub(super) fn read(
    archive: impl Read + Seek,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Advisory)>, String> {
    let damaged = |error: rawzip::Error| format!("it is no archive that can be read: {error}");
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(archive, &mut buffer).map_err(damaged)?;
    let (mut kept, mut count, mut together) = (Vec::new(), 0, 0);
    let mut document = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        let path = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        if !path.ends_with(".json") {
            continue;
        }
        let shown: String = path.chars().take(200).collect::<String>().escape_debug().collect();
        count += 1;
        if count > MOST {
            return Err("it has more than 2,000,000 documents".to_owned());
        }
        let method = entry.compression_method();
        let entry = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
        document.clear();
        let unpacked = match method {
            CompressionMethod::STORE => {
                entry.verifying_reader(entry.reader()).take(LARGEST + 1).read_to_end(&mut document)
            }
            CompressionMethod::DEFLATE => entry
                .verifying_reader(DeflateDecoder::new(entry.reader()))
                .take(LARGEST + 1)
                .read_to_end(&mut document),
            _ => return Err(format!("{shown} is compressed in a way that is not known here")),
        };
        unpacked.map_err(|error| format!("{shown} cannot be unpacked: {error}"))?;
        let size = document.len() as u64;
        together += size;
        if size > LARGEST || together > LARGEST_TOGETHER {
            return Err(format!("{shown} is larger than 4 MiB, or all of them are larger than 16 GiB"));
        }
        let told = osv::read(&document).map_err(|error| format!("{shown}: {error}"))?;
        kept.extend(told.into_iter().filter(|(name, _)| is_wanted(name)));
        if kept.len() > MOST_KEPT {
            return Err("it has more than 200,000 advisories on what is carried".to_owned());
        }
    }
    // An archive of something else would look like one that knows nothing.
    if count == 0 { Err("there is no document in it".to_owned()) } else { Ok(kept) }
}

#[cfg(test)]
pub(super) mod made {
    use std::io::Write as _;

    use rawzip::{CompressionMethod, ZipArchiveWriter, ZipDataWriter};

    /// An archive of these files, packed.
    pub(in super::super) fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut archive = ZipArchiveWriter::new(Vec::new());
        for (path, bytes) in files {
            let (mut entry, config) =
                archive.new_file(path).compression_method(CompressionMethod::DEFLATE).start().unwrap();
            let packer = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
            let mut writer: ZipDataWriter<_> = config.wrap(packer);
            writer.write_all(bytes).unwrap();
            let (packer, descriptor) = writer.finish().unwrap();
            packer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::json;

    use super::made::archive;
    use super::*;

    fn document(name: &str) -> Vec<u8> {
        let affected = json!([{ "package": { "ecosystem": "npm", "name": name },
                                "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }] }]);
        json!({ "id": format!("MAL-{name}"), "affected": affected }).to_string().into_bytes()
    }

    fn told(files: &[(&str, Vec<u8>)]) -> Result<Vec<String>, String> {
        let read = read(Cursor::new(archive(files)), |name| name.starts_with("our-"))?;
        Ok(read.into_iter().map(|(name, advisory)| format!("{name} {}", advisory.range)).collect())
    }

    #[test]
    fn what_is_wanted_of_an_archive_is_kept() {
        let files = [
            ("MAL-1.json", document("our-a")),
            ("MAL-2.json", document("other")),
            ("MAL-3.json", document("our-b")),
            ("README", b"no document".to_vec()),
        ];
        assert_eq!(told(&files), Ok(vec!["our-a *".to_owned(), "our-b *".to_owned()]));
    }

    #[test]
    fn what_is_no_such_archive_is_refused_with_its_document() {
        let refused = |files: &[(&str, Vec<u8>)]| told(files).unwrap_err();
        assert_eq!(refused(&[("README", Vec::new())]), "there is no document in it");
        assert!(
            refused(&[("a.json", document("our-a")), ("b\u{1b}.json", b"{".to_vec())])
                .starts_with("b\\u{1b}.json: ")
        );
        assert!(refused(&[("a.json", vec![b' '; (4 << 20) + 1])]).contains("larger than 4 MiB"));
        let good = archive(&[("a.json", document("our-a"))]);
        assert!(read(Cursor::new(b"no archive".to_vec()), |_| true).is_err());
        for end in 0..good.len() {
            assert!(read(Cursor::new(good[..end].to_vec()), |_| true).is_err(), "{end} bytes");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // A bit of what nobody reads changes nothing; none brings anything else out.
            let told = read(Cursor::new(bad), |_| true);
            assert!(told.is_err() || told.is_ok_and(|told| told.len() == 1 && told[0].0 == "our-a"), "{at}");
        }
    }
}
