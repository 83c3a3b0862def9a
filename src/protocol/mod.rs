//! Wire formats that are no ecosystem's own. They know nothing of the house, and speak of bytes alone.

pub mod ecdsa;
#[cfg(feature = "openpgp")]
pub mod openpgp;
#[cfg(feature = "sigstore")]
pub mod sigstore;
