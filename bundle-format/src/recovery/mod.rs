//! Recovery: bytes from which damage is mended, and lost volumes are made again (SPEC.md, section 10.1).
//!
//! What is protected are the *bodies* of files, which begin where the head ends: a head is the same in every file of a
//! bundle. Bodies are laid out in [`Grid`]s of slices, and each stripe across a grid gets more slices, by Reed and Solomon's
//! code. Nothing of this is trusted: what was mended is verified as if it had come from a medium.
//!
//! - [`grid`]: which slices stand together · [`packet`]: a slice of recovery, and by what damage is found
//! - `code`: the arithmetic · [`mod@file`]: files of recovery
//! - [`mod@protect`]: making packets · [`mod@mend`]: using them

mod code;
pub mod file;
pub mod grid;
pub mod mend;
pub mod packet;
pub mod protect;

use serde::{Deserialize, Serialize};

pub use self::file::{Layout, RecoveryFile, Subject};
pub use self::grid::{Grid, Lanes};
pub use self::mend::{Data, Packets, Survey, damaged_packets, mend};
pub use self::protect::{Made, protect};

/// What a bundle has of recovery, as its packing list says it: one of both at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// How many hundredths of every file lie beside it, from 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u64>,
    /// How many spare volumes there are, each of which stands in for any that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<u64>,
}

/// The most volumes, spare ones included, of a bundle that has spare volumes: a slice of each is held at once.
pub const MAX_ACROSS: u64 = 256;

impl Recovery {
    /// How many spare volumes there are.
    pub fn spares(&self) -> u64 {
        self.spares.unwrap_or_default()
    }

    /// Checks the rules for a bundle of so many volumes.
    pub(crate) fn validate(&self, volumes: u64) -> Result<(), String> {
        if self.percent.is_none() && self.spares.is_none() {
            return Err("a recovery of nothing is left out".to_owned());
        }
        if self.percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return Err("recovery is from 1 to 100 hundredths".to_owned());
        }
        if self.spares.is_some_and(|spares| spares == 0 || spares.saturating_add(volumes) > MAX_ACROSS) {
            return Err(format!("{volumes} volumes and the spare ones are {MAX_ACROSS} at most"));
        }
        Ok(())
    }
}
