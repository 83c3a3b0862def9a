//! Python inside: pip, uv, poetry and pdm install from our index alone, in a namespace without a network.

use std::fs;

use super::command::run;
use super::inside::{Inside, SERVER, Server};
use super::outside;
use super::python::{IMPORTS, WANTED, client, clients, pdm, says, site, site_of};

/// Nothing was asked for in vain.
fn had_all(server: &Server) {
    let log = server.log();
    let missed: Vec<&str> = log.lines().filter(|line| line.contains("\" 404 ")).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn pip_old_and_new_installs_from_us_alone() {
    let inside = site();
    let server = inside.serve();
    // The one that comes with Python, and today's.
    for (name, newer) in [("old", false), ("new", true)] {
        let environment = inside.path(name);
        run(inside.program("python3").args(["-m", "venv"]).arg(&environment)).succeeded();
        let mut pip = if newer {
            let mut pip = client(&inside, clients(), "pip");
            pip.arg("--python").arg(&environment);
            pip
        } else {
            client(&inside, &environment.join("bin"), "pip")
        };
        run(pip.args(["install", "--no-cache-dir", "--quiet"]).args(WANTED)).succeeded();
        assert_eq!(says(&inside, &environment, IMPORTS), "imported");
    }
    had_all(&server);
    assert!(server.log().contains(".whl.metadata"), "{}", server.log());
}

#[test]
fn uv_installs_from_us_and_resolves_for_another_architecture() {
    let inside = site();
    let server = inside.serve();
    let environment = inside.path("uv");
    let uv = || client(&inside, clients(), "uv");
    run(uv().arg("venv").arg(&environment)).succeeded();
    let mut install = uv();
    // A time that is not told would be after every other.
    install
        .args(["pip", "install", "--no-cache", "--exclude-newer", "2090-01-01", "--python"])
        .arg(&environment);
    run(install.args(WANTED)).succeeded();
    assert_eq!(says(&inside, &environment, IMPORTS), "imported");
    let requirements = inside.path("requirements.txt");
    fs::write(&requirements, WANTED.join("\n")).unwrap();
    let mut compile = uv();
    compile.args(["pip", "compile", "--no-cache", "--only-binary", ":all:", "--python-version", "3.13"]);
    compile.args(["--python-platform", "aarch64-unknown-linux-gnu"]).arg(&requirements);
    let compiled = run(&mut compile).succeeded().stdout;
    assert!(compiled.contains("\npydantic-core=="), "{compiled}");
    had_all(&server);
}

/// A project for this machine's Python alone, in a directory of its own.
fn project(inside: &Inside, name: &str, more: &str) -> std::path::PathBuf {
    let version =
        run(inside.program("python3").args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
    let version = version.succeeded().stdout;
    let directory = inside.path(name);
    fs::create_dir(&directory).unwrap();
    let wanted: Vec<String> = WANTED.iter().map(|one| format!("\"{one}\"")).collect();
    let text = format!(
        "[project]\nname = \"app\"\nversion = \"1\"\nrequires-python = \"=={}.*\"\ndependencies = [{}]\n{more}",
        version.trim(),
        wanted.join(", ")
    );
    fs::write(directory.join("pyproject.toml"), text).unwrap();
    directory
}

#[test]
fn poetry_locks_and_installs() {
    let inside = site();
    let server = inside.serve();
    // As `setup poetry` says it in its comment.
    let setup = run(inside.aftk().args(["setup", "poetry", "--server", SERVER])).succeeded().stdout;
    let source = setup.lines().skip_while(|line| !line.contains("[[tool.poetry.source]]"));
    let source = source.map_while(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join("\n");
    let project = project(&inside, "poetry", &format!("[tool.poetry]\npackage-mode = false\n{source}\n"));
    for verb in ["lock", "install"] {
        let mut poetry = client(&inside, clients(), "poetry");
        poetry.current_dir(&project).env("POETRY_VIRTUALENVS_IN_PROJECT", "true");
        run(poetry.args([verb, "--no-interaction"])).succeeded();
    }
    assert_eq!(says(&inside, &project.join(".venv"), IMPORTS), "imported");
    had_all(&server);
}

#[test]
fn pdm_locks_and_installs() {
    let inside = site();
    let server = inside.serve();
    let project = project(&inside, "pdm", "[tool.pdm]\ndistribution = false\n");
    let mut install = client(&inside, pdm(), "pdm");
    install.current_dir(&project).env("PDM_CHECK_UPDATE", "0").arg("install");
    run(&mut install).succeeded();
    assert_eq!(says(&inside, &project.join(".venv"), IMPORTS), "imported");
    had_all(&server);
}

/// The project itself is built inside, so that its sources can be edited there: with hatchling, which asks for `editables` only
/// when it is called.
#[test]
fn the_project_itself_is_installed_by_pip_and_uv() {
    let (outside, stick) = (outside::directory().join("own-project"), outside::directory().join("stick-own"));
    let write = |directory: &std::path::Path| {
        fs::create_dir_all(directory.join("src/app")).unwrap();
        fs::write(directory.join("src/app/__init__.py"), "import attr\nNAME = 'app'\n").unwrap();
        let text = "[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n[project]\n\
                    name = \"app\"\nversion = \"1\"\ndependencies = [\"attrs\"]\n";
        fs::write(directory.join("pyproject.toml"), text).unwrap();
        fs::write(directory.join("requirements.txt"), "-e .\n").unwrap();
    };
    write(&outside);
    let mut collect = outside::aftk_behind(&[]);
    collect.current_dir(&outside).args(["collect", "requirements.txt", "--channel", "own", "--out"]);
    run(collect.arg(&stick)).succeeded();

    let inside = site_of(&stick);
    let server = inside.serve();
    let project = inside.path("project");
    write(&project);
    let (with_pip, with_uv) = (inside.path("with-pip"), inside.path("with-uv"));
    let uv = || client(&inside, clients(), "uv");
    for environment in [&with_pip, &with_uv] {
        run(uv().arg("venv").arg(environment)).succeeded();
    }
    let mut pip = client(&inside, clients(), "pip");
    pip.current_dir(&project).arg("--python").arg(&with_pip);
    run(pip.args(["install", "--no-cache-dir", "--quiet", "-r", "requirements.txt"])).succeeded();
    let mut install = uv();
    install.current_dir(&project).args(["pip", "install", "--no-cache", "--python"]).arg(&with_uv);
    run(install.args(["-e", "."])).succeeded();
    for environment in [&with_pip, &with_uv] {
        assert_eq!(says(&inside, environment, "import app; print(app.NAME, app.__file__)"), {
            format!("app {}", project.join("src/app/__init__.py").display())
        });
    }
    had_all(&server);
}
