//! The hermetic tests: no network, no client but our own.

mod http_server;
mod support;
