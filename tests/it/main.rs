//! The hermetic tests: no network, no client but our own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod damage;
mod faults;
mod http_server;
mod journey;
mod net;
mod support;
