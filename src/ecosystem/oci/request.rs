//! Requests: images by name.

use super::reference::Reference;
use crate::ecosystem::{Request, RequestBody};
use crate::problem::{Kind, Problem};

/// Reads the name of an image; `docker://` before it, as other tools want it, is no part of it.
///
/// # Errors
/// If it is none, saying why.
pub(super) fn read(what: &str) -> Result<Reference, Problem> {
    let name = what.strip_prefix("//").unwrap_or(what);
    Reference::read(name).map_err(|why| {
        Problem::new(Kind::Usage, "oci.bad-name", format!("{name:?} is not the name of an image"))
            .because(why)
            .hint("write it as docker does: docker:redis:7, docker:registry.example.org/team/app@sha256:…")
    })
}

/// The request for an image.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(what: &str) -> Result<Request, Problem> {
    let reference = read(what)?;
    Ok(Request {
        ecosystem: "oci",
        text: what.to_owned(),
        identity: format!("oci:{reference}"),
        body: RequestBody::Words(reference.to_string()),
    })
}
