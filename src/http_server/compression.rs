//! gzip for documents. Blobs are never compressed: they are what they are, and mostly compressed already.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::ecosystem::weights::weighted;

/// Smaller documents gain nothing: they fit in a packet or two anyway.
pub(super) const WORTHWHILE: usize = 1024;

/// Whether the client takes gzip, and does not like the plain form better (RFC 9110 section 12.5.3).
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for (coding, weight) in weighted(headers, ACCEPT_ENCODING) {
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(weight);
        } else if coding.eq_ignore_ascii_case("identity") {
            identity = Some(weight);
        } else if coding == "*" {
            any = Some(weight);
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// Compresses a document: thoroughly if the result is kept, quickly if it is for one answer. `None` if it would not
/// get smaller.
pub(super) fn gzip(document: &[u8], kept: bool) -> Option<Bytes> {
    let level = if kept { Compression::new(6) } else { Compression::fast() };
    let mut encoder = GzEncoder::new(Vec::with_capacity(document.len() / 4), level);
    encoder.write_all(document).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < document.len()).then(|| Bytes::from(packed.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn weights_decide() {
        for (value, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip; q=0.001", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("identity;q=1, gzip;q=0.5", false),
            ("identity;q=0.5, gzip;q=1", true),
            ("br", false),
            ("", false),
            ("gzip;q=nonsense", false),
            ("gzip;q=2", false),
            ("gzip;q=0.9999", false),
            ("notgzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn what_does_not_shrink_stays() {
        assert!(gzip(&[7; 4096], true).is_some_and(|packed| packed.len() < 100));
        assert!(gzip(b"x", true).is_none());
    }
}
