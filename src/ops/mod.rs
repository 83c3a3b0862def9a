//! The verbs' work, ecosystem-blind.
