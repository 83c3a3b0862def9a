//! aftk carries packages into air-gapped networks in signed, deduplicated bundles.
//!
//! The map of the house (see ARCHITECTURE.md):
//!
//! - [`cli`]: one verb a file; the only place that prints.
//! - [`ops`]: the verbs' work, without knowing any ecosystem.
//! - [`ecosystem`]: npm, file …: one folder each.
//! - [`protocol`]: wire formats that several ecosystems share.
//! - [`net`]: the one HTTP client. [`http_server`]: the one listener.
//! - [`store`]: blobs and the catalogue. [`trust`]: keys and who may sign what.
//! - [`config`], [`access`], [`events`], [`findings`], [`problem`], [`settings`], [`units`], [`clock`], [`fsx`], [`spill`],
//!   [`blocking`]: what every room needs.

#![forbid(unsafe_code)]

pub mod access;
pub mod blocking;
pub mod cancel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod ecosystem;
pub mod events;
pub mod findings;
pub mod fsx;
pub mod http_server;
pub mod net;
pub mod ops;
pub mod problem;
pub mod protocol;
pub mod settings;
pub mod spill;
pub mod store;
pub mod trust;
pub mod units;
