//! Requests: images by name, and lists of them.

use bundle_format::BlobKey;

use super::image_list;
use super::reference::Reference;
use crate::ecosystem::{CollectContext, Request, RequestBody};
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

/// Whether the words of a request are the name of an image or the path of a list.
///
/// # Errors
/// As [`read`].
pub(super) fn check(what: &str) -> Result<(), Problem> {
    if image_list::is_path(what) { Ok(()) } else { read(what).map(drop) }
}

/// The request for an image, or for all images of a list.
///
/// # Errors
/// As [`read`], or if the list cannot be read.
pub(super) async fn parse(what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    let references =
        if image_list::is_path(what) { image_list::read(what, context).await? } else { vec![read(what)?] };
    let words: Vec<String> = references.iter().map(ToString::to_string).collect();
    let words = words.join(" ");
    let identity = match references.as_slice() {
        [only] => format!("oci:{only}"),
        // What a list stands for is the images that it names, wherever it says so.
        _ => format!("oci:images:{}", BlobKey::of(words.as_bytes()).hex()),
    };
    Ok(Request { ecosystem: "oci", text: what.to_owned(), identity, body: RequestBody::Words(words) })
}

/// The images that a request was read as.
///
/// # Errors
/// If it is no request for images.
pub(super) fn images(request: &Request) -> Result<Vec<Reference>, Problem> {
    let RequestBody::Words(words) = &request.body else {
        let message = format!("{} does not name images", request.text);
        return Err(Problem::new(Kind::Usage, "oci.bad-name", message));
    };
    words.split(' ').map(read).collect()
}
