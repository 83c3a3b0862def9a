//! Certificates: whom one names, and whether an authority vouches for it (RFC 5280, as far as Sigstore's have it).

use bundle_format::BlobKey;
use jiff::Timestamp;
use x509_parser::asn1_rs::{FromDer as _, Utf8String};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::{Fault, Hash, Key, malformed};

/// The largest certificate that is read, in bytes. Real ones have 2 KiB.
const LARGEST: usize = 64 << 10;
/// The extensions in which an authority says who vouched to it for the identity, and which repository and commit a workflow was
/// run for: each as text in DER, and formerly as bare text.
const ISSUER: [&str; 2] = ["1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1"];
const REPOSITORY: [&str; 2] = ["1.3.6.1.4.1.57264.1.12", "1.3.6.1.4.1.57264.1.5"];
const COMMIT: [&str; 2] = ["1.3.6.1.4.1.57264.1.13", "1.3.6.1.4.1.57264.1.3"];

/// A signer's certificate.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) key: Key,
    /// Whom it names.
    pub(super) identity: String,
    /// Who vouched for that.
    pub(super) issuer: String,
    /// What a workflow was run for; empty, where that is not said.
    pub(super) repository: String,
    pub(super) commit: String,
    pub(super) der: Vec<u8>,
}

impl Leaf {
    pub(super) fn read(der: &[u8]) -> Result<Leaf, Fault> {
        let certificate = read(der)?;
        let key = Key::read(certificate.public_key())
            .ok_or_else(|| malformed("its certificate's key is none of ECDSA on P-256 or P-384"))?;
        let names = certificate.subject_alternative_name().map_err(|_| malformed("its certificate"))?;
        let identity = match names.map(|names| names.value.general_names.as_slice()) {
            Some([GeneralName::URI(name) | GeneralName::RFC822Name(name)]) => printable(name),
            _ => None,
        };
        let identity = identity.ok_or_else(|| malformed("its certificate does not name one signer"))?;
        let said = |places| said(&certificate, places);
        let (issuer, repository, commit) = (said(ISSUER)?, said(REPOSITORY)?, said(COMMIT)?);
        Ok(Leaf { key, identity, issuer, repository, commit, der: der.to_vec() })
    }

    /// Whether an authority vouches for it: each certificate up to one that signed itself, all of them the authority's and
    /// valid then. Gives the sha256 of the key that signed it.
    ///
    /// # Errors
    /// Why not; `None`, if it is another authority's.
    pub(super) fn is_vouched_for(
        &self,
        authority: &[Vec<u8>],
        then: Timestamp,
    ) -> Result<BlobKey, Option<Fault>> {
        let refuse = |why: &str| Some(Fault::Certificate(why.to_owned()));
        let leaf = read(&self.der).map_err(Some)?;
        let others: Vec<X509Certificate<'_>> =
            authority.iter().map(|der| read(der)).collect::<Result<_, _>>().map_err(Some)?;
        let (mut certificate, mut issuer) = (&leaf, None);
        // As many as there are: whoever signed each other in a circle is not followed any longer.
        for below in 0..=others.len() {
            if !is_valid(certificate, then) {
                return Err(match below {
                    0 => refuse("did not hold when it was logged"),
                    _ => refuse("is of an authority whose own did not hold then"),
                });
            }
            check_purpose(certificate, below).map_err(Some)?;
            let is_above = |other: &&X509Certificate<'_>| {
                other.subject().as_raw() == certificate.issuer().as_raw() && is_signed_by(certificate, other)
            };
            let Some(above) = others.iter().find(is_above) else {
                return Err(if below == 0 {
                    None
                } else {
                    refuse("is of an authority that is not pinned whole")
                });
            };
            let issuer = *issuer.get_or_insert_with(|| BlobKey::of(above.public_key().raw));
            if below > 0 && std::ptr::eq(above, certificate) {
                return Ok(issuer);
            }
            certificate = above;
        }
        Err(refuse("is of authorities that lead to no first one"))
    }
}

/// What an authority says in one of these extensions; nothing, where it says nothing. The first is in DER.
fn said(certificate: &X509Certificate<'_>, [place, former]: [&str; 2]) -> Result<String, Fault> {
    let value = |place: &str| {
        let mut extensions = certificate.extensions().iter();
        extensions.find(|extension| extension.oid.to_id_string() == place).map(|extension| extension.value)
    };
    let text = match (value(place), value(former)) {
        (Some(value), _) => Utf8String::from_der(value).ok().map(|(_, text)| text.string()),
        (None, Some(value)) => String::from_utf8(value.to_vec()).ok(),
        (None, None) => return Ok(String::new()),
    };
    let text = text.as_deref().and_then(printable);
    text.ok_or_else(|| malformed("its certificate says in no text who vouched for the signer, or for what"))
}

/// What people can be shown of a name.
fn printable(text: &str) -> Option<String> {
    let is_good = !text.is_empty() && text.len() <= 2048 && !text.chars().any(char::is_control);
    is_good.then(|| text.to_owned())
}

pub(super) fn read(der: &[u8]) -> Result<X509Certificate<'_>, Fault> {
    if der.len() > LARGEST {
        return Err(malformed("its certificate is larger than 64 KiB"));
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(malformed("its certificate is none")),
    }
}

fn is_valid(certificate: &X509Certificate<'_>, then: Timestamp) -> bool {
    let (from, until) = (certificate.validity().not_before, certificate.validity().not_after);
    (from.timestamp()..=until.timestamp()).contains(&then.as_second())
}

/// Whether a certificate may do what it is used for: sign for itself, or for `below` others that stand below it.
fn check_purpose(certificate: &X509Certificate<'_>, below: usize) -> Result<(), Fault> {
    let refuse = |why: &str| Err(Fault::Certificate(why.to_owned()));
    let (mut is_authority, mut most_below, mut may_sign, mut is_for_code) = (false, None, false, false);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                (is_authority, most_below) = (basic.ca, basic.path_len_constraint);
            }
            ParsedExtension::KeyUsage(usage) => {
                may_sign = if below == 0 { usage.digital_signature() } else { usage.key_cert_sign() };
            }
            ParsedExtension::ExtendedKeyUsage(usage) => is_for_code = usage.code_signing,
            ParsedExtension::SubjectAlternativeName(_) => {}
            _ if extension.critical => return refuse("has a condition that is not known here"),
            _ => {}
        }
    }
    if !may_sign || is_authority != (below > 0) || below == 0 && !is_for_code {
        return refuse("is not for what it is used for");
    }
    // Below the first authority stands the leaf, which does not count.
    if most_below.is_some_and(|most| u64::from(most) < (below as u64).saturating_sub(1)) {
        return refuse("stands below more authorities than it may");
    }
    Ok(())
}

fn is_signed_by(certificate: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    let hash = match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.10045.4.3.2" => Hash::Sha256,
        "1.2.840.10045.4.3.3" => Hash::Sha384,
        _ => return false,
    };
    let signature = &certificate.signature_value.data;
    let key = Key::read(by.public_key());
    key.is_some_and(|key| key.verifies(hash, certificate.tbs_certificate.as_ref(), signature))
}
