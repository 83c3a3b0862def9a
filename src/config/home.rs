//! Where one side of aftk keeps all it has, unless it is told.

use std::path::PathBuf;

use super::environment::variable_os;

/// The user's home directory, as the environment says it.
pub fn user_home() -> Option<PathBuf> {
    variable_os("HOME").map(PathBuf::from)
}

/// `/var/lib/aftk` for root, else `aftk` in the user's data directory (XDG base directory specification).
/// `None` if the environment does not say where that is.
pub fn default_home() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/aftk"));
    }
    let data = variable_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    data.or_else(|| user_home().map(|home| home.join(".local/share"))).map(|data| data.join("aftk"))
}
