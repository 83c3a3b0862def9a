//! `site.toml`: how a site serves.

use std::path::Path;

use serde::Deserialize;

use crate::problem::{Kind, Problem};

/// How a site serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The version of the file's form: 1.
    pub format: u32,
    /// The listener.
    #[serde(default)]
    pub serve: Serve,
}

/// The listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// Where it listens: `address:port`.
    pub listen: String,
}

impl Default for Serve {
    fn default() -> Serve {
        Serve { listen: "127.0.0.1:2385".to_owned() }
    }
}

impl Site {
    /// Reads a `site.toml`; without one, everything is as by default.
    ///
    /// # Errors
    /// A usage problem with the place of what is wrong in it.
    pub fn read(path: &Path) -> Result<Site, Problem> {
        match super::read::<Site>(path)? {
            None => Ok(Site::default()),
            Some(site) if site.format == 1 => Ok(site),
            Some(site) => Err(Problem::new(
                Kind::Usage,
                "config.invalid",
                format!("format {} is not known; this version reads format 1", site.format),
            )
            .at(path.display())),
        }
    }
}
