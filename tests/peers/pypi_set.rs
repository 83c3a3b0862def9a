//! A set as people ask for it, some of it compiled and one of it to be built from its sources, for two Pythons on two
//! architectures: collected from the real index, and installed inside by pip and by uv.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{bounded, run};
use super::inside::{Inside, SERVER};
use super::outside;
use super::python::{client, clients, says};

const WANTED: [&str; 4] = ["fastapi", "pandas", "psycopg2", "scikit-learn"];
const IMPORTS: &str = "import fastapi, pandas, psycopg2, sklearn; print('imported')";
const PYTHONS: [&str; 2] = ["3.11", "3.13"];

/// A Python of this machine: on the path, or one of pyenv's.
fn python(version: &str) -> PathBuf {
    let name = format!("python{version}");
    let asked = run(bounded(&[], &name).args(["-c", "import sys; print(sys.executable)"]));
    if asked.code == Some(0) {
        return PathBuf::from(asked.stdout.trim());
    }
    let root = run(bounded(&[], "pyenv").arg("root")).succeeded().stdout;
    let versions = fs::read_dir(Path::new(root.trim()).join("versions")).unwrap();
    let mut found = versions.map(|entry| entry.unwrap().path().join("bin").join(&name));
    found.find(|path| path.exists()).unwrap_or_else(|| panic!("{name} is needed here"))
}

fn collected() -> PathBuf {
    let (project, stick) = (outside::directory().join("set"), outside::directory().join("stick-set"));
    fs::create_dir_all(&project).unwrap();
    let mut collect = outside::aftk_behind(&[]);
    collect.current_dir(&project).arg("collect").args(WANTED.map(|name| format!("pypi:{name}")));
    collect.args(["--channel", "set", "--out"]).arg(&stick);
    for python in PYTHONS {
        collect.args(["--python", python]);
    }
    run(collect.args(["--platform", "linux-x86_64", "--platform", "linux-aarch64"])).succeeded();
    stick
}

fn quiet<'a>(command: &'a mut Command, words: &[&str]) -> &'a mut Command {
    command.args(words).arg("--quiet").args(WANTED)
}

#[test]
#[ignore = "it brings 400 MB and builds psycopg2: needs python3.11, python3.13, a compiler and libpq-dev: cargo test --test peers pypi_set -- --ignored"]
fn a_set_is_collected_for_all_its_targets_and_installed_inside() {
    let inside = Inside::new();
    inside.import(&collected());
    inside.new_user(|home| {
        for (name, path) in [("pip", ".config/pip/pip.conf"), ("uv", ".config/uv/uv.toml")] {
            let setup = run(inside.aftk().args(["setup", name, "--server", SERVER])).succeeded();
            fs::create_dir_all(home.join(path).parent().unwrap()).unwrap();
            fs::write(home.join(path), setup.stdout).unwrap();
        }
    });
    let server = inside.serve();
    let uv = || client(&inside, clients(), "uv");
    for version in PYTHONS {
        let python = python(version);
        let by_pip = inside.path(&format!("pip-{version}"));
        run(inside.program(python.to_str().unwrap()).args(["-m", "venv"]).arg(&by_pip)).succeeded();
        let mut pip = client(&inside, &by_pip.join("bin"), "pip");
        run(quiet(&mut pip, &["install", "--no-cache-dir"])).succeeded();
        assert_eq!(says(&inside, &by_pip, IMPORTS), "imported", "pip, {version}");
        let by_uv = inside.path(&format!("uv-{version}"));
        run(uv().args(["venv", "--python"]).arg(&python).arg(&by_uv)).succeeded();
        let mut install = uv();
        install.args(["pip", "install", "--no-cache", "--python"]).arg(&by_uv);
        run(quiet(&mut install, &[])).succeeded();
        assert_eq!(says(&inside, &by_uv, IMPORTS), "imported", "uv, {version}");
        // Of the other architecture everything is here as well, by the word of uv's resolver.
        let requirements = inside.path("requirements.txt");
        fs::write(&requirements, WANTED.join("\n")).unwrap();
        let mut compile = uv();
        compile.args(["pip", "compile", "--no-cache", "--python-version", version, "--python"]).arg(&python);
        compile.args(["--python-platform", "aarch64-unknown-linux-gnu"]).arg(&requirements);
        let compiled = run(&mut compile);
        assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
        for name in WANTED {
            assert!(compiled.stdout.contains(&format!("\n{name}==")), "{name}: {}", compiled.stdout);
        }
        let mut download = uv();
        let target = inside.path(&format!("aarch64-{version}"));
        download.args(["pip", "install", "--no-cache", "--python-version", version, "--python"]).arg(&python);
        download.args([
            "--python-platform",
            "aarch64-unknown-linux-gnu",
            "--only-binary",
            ":all:",
            "--quiet",
        ]);
        download.arg("--target").arg(&target).args(["fastapi", "pandas", "scikit-learn"]);
        run(&mut download).succeeded();
        let compiled = fs::read_dir(target.join("numpy/_core")).unwrap();
        let names = compiled.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().any(|name| name.contains("aarch64")), "numpy is not for aarch64");
    }
    let log = server.log();
    let missed: Vec<&str> = log.lines().filter(|line| line.contains("\" 404 ")).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
