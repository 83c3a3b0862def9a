//! The tests of the format from outside.

// A test says what it expects by failing.
#![allow(clippy::unwrap_used)]

mod flips;
mod roundtrip;
mod support;
