//! The logs of certificates (RFC 6962): an authority has them promise to make public what it is about to issue, and puts the
//! promise into the certificate. So none can issue in secret.

use bundle_format::BlobKey;
use jiff::Timestamp;
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::extensions::ParsedExtension;

use super::roots::Log;
use super::{Fault, Hash, certificate, malformed};

/// The identifier of the extension with the promises, in DER: 1.3.6.1.4.1.11129.2.4.2.
const PROMISES: &[u8] = b"\x06\x0a\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02";
/// The tags of a sequence in DER, and of the extensions in a certificate.
const SEQUENCE: u8 = 0x30;
const EXTENSIONS: u8 = 0xa3;

/// Whether one of these logs promised to make a certificate public before `issuer` issued it, the sha256 of whose key that is.
///
/// # Errors
/// Why not.
pub(super) fn check(certificate: &[u8], issuer: &BlobKey, logs: &[Log]) -> Result<(), Fault> {
    let refuse = |why: &str| Err(Fault::Certificate(why.to_owned()));
    let certificate = certificate::read(certificate)?;
    let promises = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SCT(promises) => Some(promises),
        _ => None,
    });
    let Some(promises) = promises else { return refuse("is in no log of certificates") };
    let logged = without_promises(certificate.tbs_certificate.as_ref());
    let logged = logged.ok_or_else(|| malformed("its certificate's extensions"))?;
    let mut why = refuse("is in no log of certificates that is pinned");
    for promise in promises {
        let then =
            i64::try_from(promise.timestamp).ok().and_then(|then| Timestamp::from_millisecond(then).ok());
        let is_its = |log: &&Log| {
            log.id.as_bytes() == promise.id.key_id && then.is_some_and(|then| log.valid.has(then))
        };
        let Some(log) = logs.iter().find(is_its) else { continue };
        // Version 1, a promise of a certificate, and then of one that is yet to be signed.
        let mut signed = vec![0, 0];
        signed.extend(promise.timestamp.to_be_bytes());
        signed.extend([0, 1]);
        signed.extend(issuer.as_bytes());
        signed.extend((logged.len() as u32).to_be_bytes().iter().skip(1));
        signed.extend(&logged);
        signed.extend((promise.extensions.0.len() as u16).to_be_bytes());
        signed.extend(promise.extensions.0);
        if promise.version.0 == 0 && log.key.verifies(Hash::Sha256, &signed, promise.signature.data) {
            return Ok(());
        }
        why = refuse("is not what the log of certificates promised to make public");
    }
    why
}

/// What of a certificate is signed, as it was before the promises were put in.
fn without_promises(signed: &[u8]) -> Option<Vec<u8>> {
    let fields = each(inside(signed)?, |field| {
        if field.first() != Some(&EXTENSIONS) {
            return Some(field.to_vec());
        }
        let extensions = each(inside(inside(field)?)?, |extension| {
            let is_promises = inside(extension)?.starts_with(PROMISES);
            Some(if is_promises { Vec::new() } else { extension.to_vec() })
        })?;
        Some(wrapped(EXTENSIONS, &wrapped(SEQUENCE, &extensions)))
    })?;
    Some(wrapped(SEQUENCE, &fields))
}

/// What is in an element of DER.
fn inside(element: &[u8]) -> Option<&[u8]> {
    Some(Any::from_der(element).ok()?.1.data)
}

/// Elements of DER that follow one another, each changed.
fn each(mut elements: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut changed = Vec::with_capacity(elements.len());
    while !elements.is_empty() {
        let (rest, _) = Any::from_der(elements).ok()?;
        let (element, rest) = elements.split_at_checked(elements.len().checked_sub(rest.len())?)?;
        changed.extend(change(element)?);
        elements = rest;
    }
    Some(changed)
}

/// An element of DER. Its length is written in as few bytes as will do.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut element = vec![tag];
    if content.len() >= 128 {
        element.push(0x80 | length.len() as u8);
    }
    element.extend(if content.is_empty() { vec![0] } else { length });
    element.extend(content);
    element
}
