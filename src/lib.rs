//! aftk.
