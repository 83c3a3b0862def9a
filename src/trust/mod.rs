//! Keys, the root document, and who may sign what.

mod crypto;

pub use crypto::{Algorithm, KeyRejected};
