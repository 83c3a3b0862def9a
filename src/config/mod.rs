//! Configuration: the environment, `aftk.toml` (what to collect) and `site.toml` (how a site serves).
//!
//! A flag beats a variable, a variable beats a file. Unknown keys in files are refused with their place.

mod environment;
mod home;
mod project;
mod request_list;
mod site;
mod target;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::Spanned;

use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

pub use environment::{all_with_prefix, variable, variable_os};
pub use home::{default_home, user_home};
pub use project::{AllowedGap, Mode, Project, template};
pub use request_list::{Edit, Edited, edit_requests};
pub use site::{ChannelRules, Keeping, MountRule, Serve, Site, SiteTls};
pub use target::{Product, Rewrite, Target};

pub use crate::access::{Hosted, Read};

/// The most bytes that a configuration file may have.
const LIMIT: u64 = 1024 * 1024;

/// Reads the text of a configuration file; `None` if there is none.
///
/// # Errors
/// A usage problem if it cannot be read, or is no text.
fn text(path: &Path) -> Result<Option<String>, Problem> {
    let bytes = fsx::read_limited(path, LIMIT).map_err(|e| {
        Problem::new(Kind::Usage, "config.unreadable", format!("cannot read {}", path.display()))
            .caused_by(&e)
    })?;
    bytes.map(String::from_utf8).transpose().map_err(|_| {
        Problem::new(Kind::Usage, "config.encoding", "a configuration file must be UTF-8").at(path.display())
    })
}

/// Reads TOML.
///
/// # Errors
/// A usage problem with file, line and column if it cannot be read as `T`.
fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, Problem> {
    toml::from_str(text).map_err(|error| {
        let place = match error.span() {
            Some(span) => place(text, span.start, path),
            None => path.display().to_string(),
        };
        Problem::new(Kind::Usage, "config.invalid", error.message().to_owned()).at(place)
    })
}

/// Tables of an ecosystem's own, as settings that say where they are written.
fn settings(
    ecosystem: &str,
    tables: Vec<Spanned<Map<String, Value>>>,
    text: &str,
    path: &Path,
) -> Vec<Settings> {
    let settings = |table: Spanned<Map<String, Value>>| Settings {
        ecosystem: ecosystem.to_owned(),
        place: place(text, table.span().start, path),
        values: table.into_inner(),
    };
    tables.into_iter().map(settings).collect()
}

/// What stands so many bytes from the beginning of a file, as people name it: file, line and column.
fn place(text: &str, offset: usize, path: &Path) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{}:{line}:{column}", path.display())
}
