//! The verbs' work, ecosystem-blind.

pub mod check;
pub mod gc;
#[cfg(test)]
mod testing;
