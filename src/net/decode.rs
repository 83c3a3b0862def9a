//! Content codings (RFC 9110, section 8.4), decoded by us so that a cap holds while decoding.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Decodes a body as it comes. What is decoded has to be taken out after each piece.
pub(super) enum Decoder {
    /// Nothing to decode.
    Identity,
    /// `gzip`: one or more members.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// `deflate` before its first byte: servers mean by it either of two formats.
    Deflate,
    /// `deflate` as it is defined: zlib's format.
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    /// `deflate` as some servers send it: bare.
    Bare(Box<DeflateDecoder<Vec<u8>>>),
}

/// How much is decoded at once. Deflate expands at most 1,032 times, so a bomb takes 4 MiB before it is
/// noticed.
const PIECE: usize = 4096;

impl Decoder {
    /// The decoder for the value of a Content-Encoding header; `None` if it is one that we don't know.
    pub(super) fn new(coding: &str) -> Option<Decoder> {
        match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Decoder::Identity),
            "gzip" | "x-gzip" => Some(Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            "deflate" => Some(Decoder::Deflate),
            _ => None,
        }
    }

    /// Decodes `encoded` and gives what comes out of it to `take`, in pieces.
    ///
    /// # Errors
    /// [`Stop::Damaged`] if it isn't of this coding, [`Stop::Taker`] with what `take` returned.
    pub(super) fn feed<E>(
        &mut self,
        encoded: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        if let (Decoder::Deflate, Some(first)) = (&*self, encoded.first()) {
            *self = match first & 0x0f == 8 && first >> 4 <= 7 {
                true => Decoder::Zlib(Box::new(ZlibDecoder::new(Vec::new()))),
                false => Decoder::Bare(Box::new(DeflateDecoder::new(Vec::new()))),
            };
        }
        if matches!(self, Decoder::Identity) {
            return take(encoded).map_err(Stop::Taker);
        }
        for piece in encoded.chunks(PIECE) {
            match self {
                Decoder::Identity | Decoder::Deflate => Ok(()),
                Decoder::Gzip(decoder) => decoder.write_all(piece),
                Decoder::Zlib(decoder) => decoder.write_all(piece),
                Decoder::Bare(decoder) => decoder.write_all(piece),
            }
            .map_err(Stop::Damaged)?;
            self.hand_over(take)?;
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`Decoder::feed`]; also if it ends too early.
    pub(super) fn finish<E>(&mut self, take: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), Stop<E>> {
        match self {
            Decoder::Identity | Decoder::Deflate => return Ok(()),
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Zlib(decoder) => decoder.try_finish(),
            Decoder::Bare(decoder) => decoder.try_finish(),
        }
        .map_err(Stop::Damaged)?;
        self.hand_over(take)
    }

    fn hand_over<E>(&mut self, take: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), Stop<E>> {
        let decoded = match self {
            Decoder::Identity | Decoder::Deflate => return Ok(()),
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zlib(decoder) => decoder.get_mut(),
            Decoder::Bare(decoder) => decoder.get_mut(),
        };
        if !decoded.is_empty() {
            take(decoded).map_err(Stop::Taker)?;
            decoded.clear();
        }
        Ok(())
    }
}

/// Why decoding ended early.
pub(super) enum Stop<E> {
    /// The bytes are not what Content-Encoding says.
    Damaged(io::Error),
    /// Whoever takes the decoded bytes wants no more.
    Taker(E),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of `step` bytes, at most `limit` bytes.
    fn decode(coding: &str, encoded: &[u8], step: usize, limit: usize) -> Result<Vec<u8>, &'static str> {
        let mut decoder = Decoder::new(coding).ok_or("unknown")?;
        let mut decoded = Vec::new();
        let mut take = |bytes: &[u8]| {
            if decoded.len() + bytes.len() > limit {
                return Err("too large");
            }
            decoded.extend_from_slice(bytes);
            Ok(())
        };
        let plain = |stop| match stop {
            Stop::Damaged(_) => "damaged",
            Stop::Taker(why) => why,
        };
        for piece in encoded.chunks(step) {
            decoder.feed(piece, &mut take).map_err(plain)?;
        }
        decoder.finish(&mut take).map_err(plain)?;
        Ok(decoded)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_is_decoded_in_pieces_of_any_size() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|number| number.to_be_bytes()).collect();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        bare.write_all(&text).unwrap();
        let forms = [
            ("", text.clone()),
            ("identity", text.clone()),
            (" GZIP", gzip(&text)),
            ("x-gzip", gzip(&text)),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", bare.finish().unwrap()),
        ];
        for (coding, encoded) in forms {
            for step in [1, 1000, usize::MAX] {
                assert!(decode(coding, &encoded, step, text.len()) == Ok(text.clone()), "{coding} in {step}");
            }
        }
    }

    #[test]
    fn members_of_gzip_follow_each_other() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decode("gzip", &two, 3, 100), Ok(b"one two".to_vec()));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        assert_eq!(decode("gzip", &gzip(&vec![0; 50_000_000]), 4096, 1_000_000), Err("too large"));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_damaged() {
        let whole = gzip(b"some text that is long enough to be cut somewhere");
        for end in 1..whole.len() {
            assert_eq!(decode("gzip", &whole[..end], 7, 100), Err("damaged"), "cut at {end}");
        }
        assert_eq!(decode("gzip", b"<html>", 7, 100), Err("damaged"));
        assert_eq!(decode("br", b"", 7, 100), Err("unknown"));
        assert_eq!(decode("gzip, gzip", b"", 7, 100), Err("unknown"));
    }
}
