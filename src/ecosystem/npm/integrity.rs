//! Checksums as npm writes them: Subresource Integrity (W3C), and the older `shasum`.

use base64::Engine as _;
use bundle_format::{Algorithm, Digest};

/// The most checksums of one integrity text.
const MOST: usize = 16;

/// The digests of an integrity text such as `sha512-…== sha1-…=`. What isn't understood is left out, as npm does.
pub(crate) fn read(text: &str) -> Vec<Digest> {
    let mut digests: Vec<Digest> = text
        .split_ascii_whitespace()
        .take(MOST)
        .filter_map(|part| {
            let (algorithm, encoded) = part.split_once('-')?;
            let encoded = encoded.split('?').next()?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
            Digest::new(Algorithm::from_name(algorithm)?, &bytes)
        })
        .collect();
    digests.sort();
    digests.dedup();
    digests
}

/// The digests of what a lockfile says of a file. It has to hold: npm compares the file with the strongest algorithm
/// that is named, and refuses it if no digest of that algorithm can be right. Where npm understands nothing at all and
/// goes on, this does not.
///
/// # Errors
/// Why it cannot be held to, if it says anything.
pub(crate) fn read_binding(text: &str) -> Result<Vec<Digest>, String> {
    if text.split_ascii_whitespace().nth(MOST).is_some() {
        return Err(format!("it has more than {MOST} checksums"));
    }
    let digests = read(text);
    let named =
        text.split_ascii_whitespace().filter_map(|part| Algorithm::from_name(part.split_once('-')?.0));
    match named.max() {
        Some(strongest) if !digests.iter().any(|digest| digest.algorithm() == strongest) => {
            Err(format!("it names {}, and no digest of it that a file could have", strongest.name()))
        }
        None if !text.trim().is_empty() => Err("there is no checksum in it that npm understands".to_owned()),
        _ => Ok(digests),
    }
}

/// The digest of a `shasum`: forty hex digits.
pub(crate) fn read_shasum(text: &str) -> Option<Digest> {
    format!("sha1:{}", text.to_ascii_lowercase()).parse().ok()
}

/// Joins what two sources say about one file into checksums that all have to hold. Where both speak of an algorithm,
/// they have to agree on a digest. A source may offer several of one algorithm, of which one holds (a file that was
/// published twice): the other source decides, and without it nobody can.
///
/// # Errors
/// The algorithm that they disagree on.
pub(crate) fn join(left: &[Digest], right: &[Digest]) -> Result<Vec<Digest>, Algorithm> {
    let mut joined = Vec::new();
    for algorithm in
        [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
    {
        let of = |digests: &[Digest]| -> Vec<Digest> {
            digests.iter().filter(|digest| digest.algorithm() == algorithm).cloned().collect()
        };
        let (mut these, those) = (of(left), of(right));
        if these.is_empty() {
            these = those;
        } else if !those.is_empty() {
            these.retain(|digest| those.contains(digest));
            if these.is_empty() {
                return Err(algorithm);
            }
        }
        if these.len() > 1 {
            return Err(algorithm);
        }
        joined.append(&mut these);
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(byte: u8) -> Digest {
        Digest::new(Algorithm::Sha1, &[byte; 20]).unwrap()
    }

    fn sha512(byte: u8) -> Digest {
        Digest::new(Algorithm::Sha512, &[byte; 64]).unwrap()
    }

    #[test]
    fn integrity_is_read_as_npm_reads_it() {
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let text = format!(
            " sha1-{}  sha512-{}?option md5-short sha3-AAAA sha512-!!!! nothing",
            encode(&[1; 20]),
            encode(&[2; 64])
        );
        assert_eq!(read(&text), [sha1(1), sha512(2)]);
        assert_eq!(read(""), []);
        assert_eq!(read_shasum(&"AB".repeat(20)).unwrap(), sha1(0xab));
        assert_eq!(read_shasum("../../etc"), None);
    }

    #[test]
    fn what_a_lockfile_says_has_to_be_possible() {
        let encode = |byte, length| base64::engine::general_purpose::STANDARD.encode(vec![byte; length]);
        let (weak, strong) = (format!("sha1-{}", encode(1, 20)), format!("sha512-{}", encode(2, 64)));
        for (text, digests) in [
            (String::new(), vec![]),
            (" \t".to_owned(), vec![]),
            (strong.clone(), vec![sha512(2)]),
            (format!("{weak}\n{strong}?option"), vec![sha1(1), sha512(2)]),
            (format!("nonsense sha512-AAAA {strong} sha1-!!!!"), vec![sha512(2)]),
        ] {
            assert_eq!(read_binding(&text), Ok(digests), "{text}");
        }
        for text in [
            "nonsense",
            "sha999-AAAA",
            "sha512-",
            "sha512-!!!!",
            "sha512-AAAA",
            strong.trim_end_matches('='),
            &strong.to_uppercase(),
            &format!("{weak} sha512-AAAA"),
            &format!("{} {strong}", "nonsense ".repeat(MOST)),
        ] {
            assert!(read_binding(text).is_err(), "{text}");
        }
    }

    #[test]
    fn two_sources_have_to_agree() {
        assert_eq!(join(&[sha1(1)], &[sha512(2)]), Ok(vec![sha1(1), sha512(2)]));
        assert_eq!(join(&[sha512(2)], &[sha1(1), sha512(2)]), Ok(vec![sha1(1), sha512(2)]));
        assert_eq!(join(&[sha512(1), sha512(2)], &[sha512(2)]), Ok(vec![sha512(2)]));
        assert_eq!(join(&[sha512(1)], &[sha512(2)]), Err(Algorithm::Sha512));
        assert_eq!(join(&[sha512(1), sha512(2)], &[]), Err(Algorithm::Sha512));
        assert_eq!(join(&[], &[]), Ok(vec![]));
    }
}
