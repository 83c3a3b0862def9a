//! aftk.
fn main() {}
