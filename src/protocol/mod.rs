//! Wire formats that are no ecosystem's own. They know nothing of the house, and speak of bytes alone.

#[cfg(feature = "openpgp")]
pub mod openpgp;
#[cfg(feature = "sigstore")]
pub mod sigstore;
