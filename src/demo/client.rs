//! The client of the demonstration: the machine's own npm, which knows nothing but the mirror.

use std::path::Path;
use std::process::Stdio;

use crate::cancel::Cancel;
use crate::config;
use crate::fsx;
use crate::ops::setup;
use crate::problem::{Kind, Problem};

/// Runs `npm ci` in `project` with the mirror at `server`; returns how many packages it installed, or `None` if there
/// is no npm.
///
/// # Errors
/// If npm fails: then the mirror is not what it should be.
pub(super) async fn install(
    project: &Path,
    inside: &Path,
    server: &str,
    cancel: &Cancel,
) -> Result<Option<usize>, Problem> {
    let home = inside.join("user");
    let failed = |what: &str, error: &std::io::Error| {
        Problem::new(Kind::Failed, "demo.client", what.to_owned()).caused_by(error)
    };
    fsx::create_directory(&home, fsx::Access::Ordinary)
        .map_err(|error| failed("cannot make a home for npm", &error))?;
    let configuration = setup::configuration("npm", server, None, None)?;
    setup::write(&home.join(configuration.path), &configuration, false)?;
    let mut command = tokio::process::Command::new("npm");
    // Neither the user's configuration nor a cache may help it.
    command
        .args(["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"])
        .current_dir(project)
        .env_clear()
        .env("HOME", &home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(path) = config::variable_os("PATH") {
        command.env("PATH", path);
    }
    let running = async {
        match command.output().await {
            Ok(output) => Ok(Some(output)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("cannot run npm", &error)),
        }
    };
    let Some(output) = cancel.race(running).await? else { return Ok(None) };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Problem::new(Kind::Failed, "demo.npm", "npm could not install from the mirror")
            .because(said.trim().chars().take(2000).collect::<String>()));
    }
    count(&project.join("node_modules"))
        .map(Some)
        .map_err(|error| failed("cannot read what npm installed", &error))
}

/// The packages below a `node_modules`, scoped ones included.
fn count(modules: &Path) -> std::io::Result<usize> {
    let mut packages = 0;
    for entry in std::fs::read_dir(modules)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('@') {
            packages += std::fs::read_dir(entry.path())?.count();
        } else if !name.starts_with('.') {
            packages += 1;
        }
    }
    Ok(packages)
}
