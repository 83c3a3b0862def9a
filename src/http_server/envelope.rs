//! What stands around a file in the body of a request, taken apart while it comes.

use bytes::Bytes;
use http::HeaderMap;

use super::attachment::{self, Attachment};
use super::form::{self, Form};
use super::receive::Patience;
use crate::ecosystem::{ClientRequest, Takes};

/// What is not what the route takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A body with a file in it, on its way.
#[derive(Debug)]
pub(super) enum Envelope {
    /// The body is the file.
    None,
    /// A form with the file as a part.
    Form(Form),
    /// A JSON document with the file as a text.
    Attachment(Attachment),
}

impl Envelope {
    /// What a request with these headers brings on such a route.
    ///
    /// # Errors
    /// If it says that it brings something else.
    pub(super) fn of(takes: Takes, headers: &HeaderMap) -> Result<Envelope, Malformed> {
        match takes {
            Takes::Form(file) => Form::of(headers, file).map(Envelope::Form).ok_or(Malformed),
            Takes::Attachment(path) => Ok(Envelope::Attachment(Attachment::new(path))),
            Takes::Question | Takes::Document(_) | Takes::Upload | Takes::SignIn(_) => Ok(Envelope::None),
        }
    }

    /// How many bytes the file has at least if the body has so many.
    pub(super) fn least(&self, body: u64) -> u64 {
        match self {
            Envelope::None => body,
            Envelope::Form(_) => body.saturating_sub(form::LARGEST as u64),
            Envelope::Attachment(_) => body.saturating_sub(attachment::LARGEST as u64) / 4 * 3,
        }
    }

    /// How much of such a body is read if nobody wants it.
    pub(super) fn patience(&self) -> Patience {
        match self {
            Envelope::None | Envelope::Form(_) => Patience::USUAL,
            Envelope::Attachment(_) => Patience::LONG,
        }
    }

    /// Takes what came; returns the bytes of the file that are among it.
    ///
    /// # Errors
    /// If it is not what it should be, or has more than it may have besides the file.
    pub(super) fn take(&mut self, bytes: Bytes) -> Result<Vec<Bytes>, Malformed> {
        match self {
            Envelope::None => Ok(vec![bytes]),
            Envelope::Form(form) => form.take(&bytes),
            Envelope::Attachment(attachment) => attachment.take(&bytes),
        }
    }

    /// Puts what stood around the file into the request, if all of it came.
    ///
    /// # Errors
    /// If not.
    pub(super) fn open(self, request: &mut ClientRequest) -> Result<(), Malformed> {
        match self {
            Envelope::None => {}
            Envelope::Form(form) => request.form = form.finish()?,
            Envelope::Attachment(attachment) => request.body = attachment.finish()?,
        }
        Ok(())
    }
}
