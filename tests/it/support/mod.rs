//! What several tests need.

pub(crate) mod fake_store;
pub(crate) mod fake_upstream;
pub(crate) mod raw_http;
