//! The hermetic tests: no network, no client but our own.

mod net;
mod support;
