//! Requests: images by name, and lists of them.

use std::fmt;

use bundle_format::{BlobKey, Digest};

use super::daemon;
use super::image_list;
use super::layout::{self, Place};
use super::reference::{Name, Reference, Which, read_digest};
use crate::ecosystem::{CollectContext, Request, RequestBody};
use crate::problem::{Kind, Problem};

/// Images of registries, and lists of them.
pub(super) const REGISTRY: &str = "docker";
/// A directory that is an OCI layout.
pub(super) const LAYOUT: &str = "oci";
/// The same in an archive.
pub(super) const LAYOUT_ARCHIVE: &str = "oci-archive";
/// What `docker save` writes.
pub(super) const DOCKER_ARCHIVE: &str = "docker-archive";
/// What a docker engine of this machine has.
pub(super) const DAEMON: &str = "docker-daemon";

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

/// An image that a request stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Image {
    /// What it is called.
    pub(super) reference: Reference,
    /// The manifest in the store, for images of this machine.
    pub(super) held: Option<Digest>,
}

impl Image {
    /// An image of this machine.
    pub(super) fn held(name: &Name, tag: Option<&str>, digest: &Digest) -> Image {
        let which = tag.map_or_else(|| Which::Digest(digest.clone()), |tag| Which::Tag(tag.to_owned()));
        Image { reference: Reference { name: name.clone(), which }, held: Some(digest.clone()) }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.held {
            Some(digest) => write!(f, "{}={digest}", self.reference),
            None => write!(f, "{}", self.reference),
        }
    }
}

/// Whether the words of a request are the name of an image, or the path of something.
///
/// # Errors
/// As [`read`].
pub(super) fn check(word: &str, what: &str) -> Result<(), Problem> {
    if word == DAEMON {
        return read(what).map(drop);
    }
    if word != REGISTRY {
        return Place::read(what, |_| true).map(drop).map_err(|why| bad_name(what, why));
    }
    if image_list::is_path(what) { Ok(()) } else { read(what).map(drop) }
}

/// The request for an image, for all images of a list, or for those of an archive.
///
/// # Errors
/// As [`read`], or if the list or archive cannot be read.
pub(super) async fn parse(word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    let images = if word == DAEMON {
        daemon::take_in(&read(what)?, context).await?
    } else if word != REGISTRY {
        let directory = context.directory();
        let place = Place::read(what, |path| directory.join(path).exists());
        layout::take_in(&place.map_err(|why| bad_name(what, why))?, context).await?
    } else {
        let references = if image_list::is_path(what) {
            image_list::read(what, context).await?
        } else {
            vec![read(what)?]
        };
        references.into_iter().map(|reference| Image { reference, held: None }).collect()
    };
    let words: Vec<String> = images.iter().map(ToString::to_string).collect();
    let words = words.join(" ");
    let identity = match images.as_slice() {
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
pub(super) fn images(request: &Request) -> Result<Vec<Image>, Problem> {
    let RequestBody::Words(words) = &request.body else {
        return Err(bad_name(&request.text, "it is a document".to_owned()));
    };
    let image = |words: &str| {
        let (name, held) = words.split_once('=').filter(|_| !words.contains('#')).unzip();
        let held = held.map(read_digest).transpose().map_err(|why| bad_name(words, why))?;
        Ok(Image { reference: read(name.unwrap_or(words))?, held })
    };
    words.split(' ').map(image).collect()
}

fn bad_name(what: &str, why: String) -> Problem {
    Problem::new(Kind::Usage, "oci.bad-name", format!("{what:?} does not name images")).because(why)
}
