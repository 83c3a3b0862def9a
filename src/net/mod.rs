//! The one HTTP client.
//!
//! It goes only to addresses that somebody named: no host stands in here. [`Client::document`] has
//! small metadata documents, [`Client::download`] streams files into a [`Sink`] and resumes what broke off,
//! [`Client::head`] has what a server says of a file, [`Client::part`] a part of one, and [`Client::send`] sends something. All share the connection limits, one retry budget for each
//! operation, origin-bound credentials and redirects of our own; a server that asks who we are is answered by what the
//! [`SignIn`] of the [`Access`] says. How a server is reached, by which proxy and trusting whom, is what its [`Route`]
//! says, and else [`Settings`]. Whatever a server says is hostile: bodies are capped, waits are capped, and no address is
//! printed with a secret.

mod access;
mod body;
mod client;
mod decode;
mod document;
mod download;
mod error;
mod head;
mod limits;
mod own_host;
mod part;
mod payload;
mod pools;
mod redact;
mod redirect;
mod retry;
mod route;
mod settings;
mod sign_in;
mod trust;
mod upload;

pub use access::{Access, Credential};
pub use client::Client;
pub use document::{Document, DocumentAnswer, Validators};
pub use download::{Downloaded, Sink};
pub use head::Head;
pub use part::{Part, PartAnswer, Span};
pub use payload::{Encoding, FilePart, Payload};
pub use redact::{Redacted, redact};
pub use retry::{SystemTimer, Timer};
pub use route::{Authorities, Identity, Proxy, Route};
pub use settings::{Proxies, Settings, Timeouts};
pub use sign_in::{Account, Realm, SignIn};
pub use upload::{Attempts, Sent, Unsent, Upload};
