//! Errors as clients of registries read them (OCI distribution specification, "Error Codes").

use bytes::Bytes;
use serde_json::json;

use crate::ecosystem::{Answer, Content};

/// The media type of everything that is no manifest, index or blob.
pub(crate) const JSON: &str = "application/json";

/// The specification's codes, as far as they are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    /// docker's own, for an `n` that is no number.
    PaginationNumberInvalid,
    SizeInvalid,
    TooManyRequests,
    Unauthorized,
    Unsupported,
    /// docker's own, for what the client cannot mend.
    Unknown,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Code::BlobUnknown => "BLOB_UNKNOWN",
            Code::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Code::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Code::Denied => "DENIED",
            Code::DigestInvalid => "DIGEST_INVALID",
            Code::ManifestInvalid => "MANIFEST_INVALID",
            Code::ManifestUnknown => "MANIFEST_UNKNOWN",
            Code::NameInvalid => "NAME_INVALID",
            Code::NameUnknown => "NAME_UNKNOWN",
            Code::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Code::SizeInvalid => "SIZE_INVALID",
            Code::TooManyRequests => "TOOMANYREQUESTS",
            Code::Unauthorized => "UNAUTHORIZED",
            Code::Unsupported => "UNSUPPORTED",
            Code::Unknown => "UNKNOWN",
        }
    }

    fn status(self) -> u16 {
        match self {
            Code::BlobUnknown
            | Code::BlobUploadUnknown
            | Code::ManifestUnknown
            | Code::NameUnknown
            | Code::Unsupported => 404,
            Code::BlobUploadInvalid
            | Code::DigestInvalid
            | Code::ManifestInvalid
            | Code::NameInvalid
            | Code::PaginationNumberInvalid => 400,
            Code::Unauthorized => 401,
            Code::Denied => 403,
            Code::SizeInvalid => 413,
            Code::TooManyRequests => 429,
            Code::Unknown => 500,
        }
    }

    /// What fits an error of the server's own.
    fn of(status: u16) -> Code {
        match status {
            400 => Code::NameInvalid,
            401 => Code::Unauthorized,
            403 => Code::Denied,
            413 => Code::SizeInvalid,
            429 => Code::TooManyRequests,
            404 | 405 => Code::Unsupported,
            _ => Code::Unknown,
        }
    }
}

/// Refuses a request. Clients show the message to the person.
pub(crate) fn refuse(code: Code, message: &str) -> Answer {
    refuse_as(code.status(), code, message)
}

/// Refuses a request with another status than the code mostly has.
pub(crate) fn refuse_as(status: u16, code: Code, message: &str) -> Answer {
    Answer::from(Content::Status { status, media_type: JSON, body: body(code, message) })
}

/// An error of the server's own.
pub(crate) fn of_server(status: u16, message: &str) -> Bytes {
    body(Code::of(status), message)
}

fn body(code: Code, message: &str) -> Bytes {
    Bytes::from(json!({ "errors": [{ "code": code.name(), "message": message }] }).to_string())
}
