//! The hermetic tests: no network, no client but our own.

#![allow(clippy::unwrap_used, reason = "a test whose ground gives way fails")]

mod http_server;
mod support;
