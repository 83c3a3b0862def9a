//! The tests of the format from outside.

// A test says what it expects by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/make_vectors/cases/mod.rs"]
mod cases;
mod flips;
mod properties;
mod recipe;
mod recovering;
mod roundtrip;
mod sample;
mod support;
mod vectors;
mod volumes;
