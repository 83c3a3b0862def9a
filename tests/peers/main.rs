//! Journeys with real clients: the real registry outside, and inside a network namespace in which only loopback is up.
//!
//! They need root, `ip`, npm with a registry that it reaches, apt with Debian's sources, Python with pip and its index, and run by themselves (`cargo test
//! --test peers`). What is missing here is a failure, never a skip.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests are clients, outside the program"
)]

mod again;
mod apt;
mod apt_captures;
mod apt_client;
mod apt_inside;
mod apt_outside;
mod apt_private;
mod apt_solving;
mod auditor;
mod command;
mod engine;
mod hosted;
mod images;
mod inside;
mod install;
mod killed;
mod materials;
mod npm_attested;
mod npm_audit;
mod npm_clients;
mod npm_hosted;
mod npm_outside;
mod npm_remote;
mod outside;
mod platform;
mod proved_by_installing;
mod pypi_attested;
mod pypi_built;
mod pypi_hosted;
mod pypi_inside;
mod pypi_locked;
mod pypi_outside;
mod pypi_set;
mod python;
mod questions;
mod running;
