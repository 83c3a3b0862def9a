//! Python's clients as they are today, and what was collected for them from the real index.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::command::{bounded, run};
use super::inside::{Inside, SERVER};
use super::outside;

/// What projects ask for: some of it compiled.
pub(crate) const WANTED: &[&str] = &["requests", "fastapi", "attrs"];
/// What shows that it was installed.
pub(crate) const IMPORTS: &str = "import requests, fastapi, attrs, pydantic_core; print('imported')";

/// A virtual environment outside with these programs, made once.
fn environment(cell: &'static OnceLock<PathBuf>, name: &str, wanted: &[&str]) -> &'static Path {
    cell.get_or_init(|| {
        let directory = outside::directory().join(name);
        run(bounded(&[], "python3").args(["-m", "venv"]).arg(&directory)).succeeded();
        let mut pip = bounded(&[], directory.join("bin/pip"));
        run(pip.args(["install", "--quiet", "--upgrade"]).args(wanted)).succeeded();
        directory.join("bin")
    })
}

/// The directory of pip, uv, poetry, twine and pypiserver.
pub(crate) fn clients() -> &'static Path {
    static CLIENTS: OnceLock<PathBuf> = OnceLock::new();
    environment(&CLIENTS, "python-clients", &["pip", "uv", "poetry", "twine", "pypiserver"])
}

/// The directory of pdm, with what it was released with: it wants other versions than poetry does.
pub(crate) fn pdm() -> &'static Path {
    static PDM: OnceLock<PathBuf> = OnceLock::new();
    environment(&PDM, "python-pdm", &["pdm[locked]"])
}

/// The directory of devpi.
pub(crate) fn devpi() -> &'static Path {
    static DEVPI: OnceLock<PathBuf> = OnceLock::new();
    environment(&DEVPI, "python-devpi", &["devpi-server", "devpi-client"])
}

/// What was collected for two Pythons on two architectures.
pub(crate) fn collected() -> &'static Path {
    static STICK: OnceLock<PathBuf> = OnceLock::new();
    STICK.get_or_init(|| {
        let (project, stick) =
            (outside::directory().join("python"), outside::directory().join("stick-python"));
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("requirements.txt"), WANTED.join("\n")).unwrap();
        let own =
            run(bounded(&[], "python3").args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
        let mut collect = outside::aftk_behind(&[]);
        collect
            .current_dir(&project)
            .args(["collect", "requirements.txt", "--channel", "python", "--out"])
            .arg(&stick);
        collect.args(["--python", own.succeeded().stdout.trim(), "--python", "3.13"]);
        collect.args(["--platform", "linux-x86_64", "--platform", "linux-aarch64"]);
        run(&mut collect).succeeded();
        stick
    })
}

/// A site that holds what was collected, and whose user's clients are set up for it.
pub(crate) fn site() -> Inside {
    site_of(collected())
}

/// The same with what a stick holds.
pub(crate) fn site_of(stick: &Path) -> Inside {
    let inside = Inside::new();
    inside.import(stick);
    inside.new_user(|home| {
        for (client, path) in [
            ("pip", ".config/pip/pip.conf"),
            ("uv", ".config/uv/uv.toml"),
            ("pdm", ".config/pdm/config.toml"),
        ] {
            let setup = run(inside.aftk().args(["setup", client, "--server", SERVER])).succeeded();
            fs::create_dir_all(home.join(path).parent().unwrap()).unwrap();
            fs::write(home.join(path), setup.stdout).unwrap();
        }
    });
    inside
}

/// One of the clients, in the namespace.
pub(crate) fn client(inside: &Inside, directory: &Path, name: &str) -> Command {
    inside.program(directory.join(name).to_str().unwrap())
}

/// What a Python of an environment says.
pub(crate) fn says(inside: &Inside, environment: &Path, script: &str) -> String {
    let mut python = inside.program(environment.join("bin/python").to_str().unwrap());
    run(python.args(["-c", script])).succeeded().stdout.trim().to_owned()
}
