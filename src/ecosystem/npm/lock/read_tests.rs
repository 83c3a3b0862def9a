//! Lockfiles that the clients themselves wrote.
use super::*;
