//! Signatures by ECDSA on P-256 over SHA-256 (FIPS 186-5), as upstreams make them: they are verified here and never made.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};

/// SubjectPublicKeyInfo of a P-256 key up to the 65 bytes of the uncompressed point (RFC 5480).
const PREFIX: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// A public key that is a point of the curve.
#[derive(Clone)]
pub struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER, in the one encoding that OpenSSL writes; nothing, if it is no key on P-256.
    pub fn from_spki(spki: &[u8]) -> Option<PublicKey> {
        let point =
            spki.strip_prefix(&PREFIX).filter(|point| point.len() == 65 && point.first() == Some(&4))?;
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok().map(PublicKey)
    }

    /// Whether a signature, in DER, is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// Made by OpenSSL 3.0: `openssl ecparam -name prime256v1 -genkey`, `openssl pkey -pubout -outform DER`, and
    /// `printf 'a@1.0.0:sha512-AAAA' | openssl dgst -sha256 -sign`.
    const KEY: &str = "3059301306072a8648ce3d020106082a8648ce3d0301070342000461be80105b259cf74385907a3999d24272e0e08f80315a25f9a1cd056c96b05cd72ee1f687e7e0c0193816836d03979f2fb21b2345dba0448802e344291728de";
    const SIGNATURE: &str = "304602210080b9819270dc190e2c015dcaae9c1fe1875ee6bc650ca1699c419fdc774d1239022100971d4fb2c33c9d1167dee07323d777de4e029d4029add54f9c86cef2e45b415d";

    #[test]
    fn what_openssl_signed_is_verified_and_nothing_else() {
        let (spki, signature) = (bytes(KEY), bytes(SIGNATURE));
        let key = PublicKey::from_spki(&spki).unwrap();
        assert!(key.verifies(b"a@1.0.0:sha512-AAAA", &signature));
        assert!(!key.verifies(b"a@1.0.1:sha512-AAAA", &signature));
        for place in 0..signature.len() {
            let mut other = signature.clone();
            other[place] ^= 1;
            assert!(!key.verifies(b"a@1.0.0:sha512-AAAA", &other), "{place}");
            assert!(!key.verifies(b"a@1.0.0:sha512-AAAA", &signature[..place]), "{place}");
        }
    }

    #[test]
    fn keys_are_read_strictly() {
        let spki = bytes(KEY);
        for end in 0..spki.len() {
            assert!(PublicKey::from_spki(&spki[..end]).is_none(), "{end} bytes");
        }
        assert!(PublicKey::from_spki(&[&spki[..], b"\0"].concat()).is_none());
        assert!(PublicKey::from_spki(&[&PREFIX[..], &[4], &[1; 64]].concat()).is_none(), "off the curve");
    }
}
