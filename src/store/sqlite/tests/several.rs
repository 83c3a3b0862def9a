//! Several processes on one catalogue.
