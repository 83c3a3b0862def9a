//! Bills of materials: what a bundle lists, in the words that scanners and auditors read.
//!
//! Both forms follow from the bundle alone: the same bundle makes the same document, wherever and whenever it is made.

mod cyclonedx;
mod spdx;

use bundle_format::{Algorithm, Artifact, BlobKey};

pub use cyclonedx::{CycloneDx, cyclonedx};
pub use spdx::{Spdx, spdx};

/// A name for an artifact that no other one of the bundle has, of letters and digits.
fn identifier(artifact: &Artifact) -> String {
    let parts = [
        artifact.ecosystem.as_str(),
        &artifact.repository,
        &artifact.name,
        &artifact.version,
        &artifact.qualifier,
    ];
    // No part has a zero byte.
    BlobKey::of(parts.join("\0").as_bytes()).hex().chars().take(32).collect()
}

/// What upstream says of a licence, if it is an expression of SPDX with licences that SPDX knows.
fn expression(licence: &str) -> Option<&str> {
    let parsed = ::spdx::Expression::parse(licence).ok()?;
    let is_known = |requirement: &::spdx::expression::ExpressionReq| requirement.req.license.id().is_some();
    parsed.requirements().all(is_known).then_some(licence)
}

/// The bytes that stand for the bundle in names that must be its own.
fn uuid(snapshot: &BlobKey) -> uuid::Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(snapshot.as_bytes()).for_each(|(to, from)| *to = *from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Where a file is from, if it says so with a whole address.
fn address(origin: &str) -> Option<&str> {
    let is_web = ["https://", "http://"].iter().any(|scheme| origin.starts_with(scheme));
    (is_web && url::Url::parse(origin).is_ok()).then_some(origin)
}

/// What an algorithm is called, in both forms but for the hyphen that SPDX leaves out.
fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha1 => "SHA-1",
        Algorithm::Sha256 => "SHA-256",
        Algorithm::Sha384 => "SHA-384",
        Algorithm::Sha512 => "SHA-512",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expressions_that_spdx_knows_are_passed_on() {
        for known in ["MIT", "(MIT OR Apache-2.0)", "GPL-2.0-only WITH Classpath-exception-2.0"] {
            assert_eq!(expression(known), Some(known));
        }
        for unknown in
            ["", "UNLICENSED", "SEE LICENSE IN x", "LicenseRef-mine", "MIT OR BSD", "(MIT", "mit or x"]
        {
            assert_eq!(expression(unknown), None, "{unknown}");
        }
    }
}
