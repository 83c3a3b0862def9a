//! Python packages outside: the real index, and uv, whose answers ours are held to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::command::{bounded, run};
use super::outside::{aftk_behind, directory};

/// Packages that many people use.
const PACKAGES: [&str; 50] = [
    "aiohttp",
    "ansible",
    "apache-airflow",
    "azure-identity",
    "beautifulsoup4",
    "black",
    "boto3",
    "celery[redis]",
    "click",
    "cryptography",
    "dask[complete]",
    "django",
    "fastapi",
    "flask",
    "google-cloud-storage",
    "httpx[http2]",
    "ipython",
    "jinja2",
    "jupyterlab",
    "kubernetes",
    "matplotlib",
    "mypy",
    "nltk",
    "notebook",
    "numpy",
    "opencv-python",
    "pandas",
    "paramiko",
    "pillow",
    "poetry",
    "pydantic",
    "pytest",
    "requests",
    "rich",
    "scikit-learn",
    "scipy",
    "scrapy",
    "selenium",
    "spacy",
    "sphinx",
    "sqlalchemy",
    "streamlit",
    "tensorflow",
    "torch",
    "tox",
    "transformers",
    "typer",
    "urllib3",
    "virtualenv",
    "xarray",
];
const PYTHONS: [&str; 3] = ["3.9", "3.11", "3.13"];
/// Where an answer of ours differs from uv's, and why it may: lines of `PYTHON PACKAGE: why`.
const DIFFERENCES: &str = include_str!("../../fixtures/pypi/differences-from-uv.txt");

/// uv, in an environment of its own.
fn uv() -> &'static Path {
    static UV: OnceLock<PathBuf> = OnceLock::new();
    UV.get_or_init(|| {
        let environment = directory().join("uv");
        run(bounded(&[], "python3").args(["-m", "venv"]).arg(&environment)).succeeded();
        run(bounded(&[], environment.join("bin/pip")).args(["install", "--quiet", "uv"])).succeeded();
        environment.join("bin/uv")
    })
}

fn file_name(package: &str) -> String {
    format!("requirements-{}.txt", package.replace(['[', ']'], "-"))
}

/// What we choose, by package, for a Python.
fn ours(python: &str) -> BTreeMap<String, BTreeSet<String>> {
    let project = directory().join(format!("python-{python}"));
    fs::create_dir_all(&project).unwrap();
    for package in PACKAGES {
        fs::write(project.join(file_name(package)), format!("{package}\n")).unwrap();
    }
    let requests: Vec<String> = PACKAGES.iter().map(|package| format!("./{}", file_name(package))).collect();
    let text = format!(
        "format = 1\nrequests = {requests:?}\n[[pypi]]\npython = \"{python}\"\nplatforms = \"manylinux_2_28_x86_64\"\n\
         with-installers = false\n"
    );
    fs::write(project.join("aftk.toml"), text).unwrap();
    run(aftk_behind(&[]).arg("-C").arg(&project).arg("lock")).succeeded();
    let mut chosen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let lock = fs::read_to_string(project.join("aftk.lock")).unwrap();
    for line in lock.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (Some(name), Some(version)) = (record["name"].as_str(), record["version"].as_str()) else {
            continue;
        };
        for request in record["requests"].as_array().into_iter().flatten() {
            let release = format!("{name}=={version}");
            chosen
                .entry(request.as_str().unwrap().trim_start_matches("./").to_owned())
                .or_default()
                .insert(release);
        }
    }
    chosen
}

/// What uv chooses.
fn theirs(package: &str, python: &str) -> BTreeSet<String> {
    let input = directory().join(file_name(package));
    fs::write(&input, format!("{package}\n")).unwrap();
    let mut command = Command::new(uv());
    command.args(["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python]);
    command.args(["--python-platform", "x86_64-manylinux_2_28"]).arg(&input).stdin(Stdio::null());
    let outcome = run(&mut command).succeeded();
    let lines = outcome.stdout.lines().filter_map(|line| line.split(';').next()).map(str::trim);
    lines.filter(|line| line.contains("==")).map(without_extras).collect()
}

/// What uv chooses, by package; it waits for the index most of the time, so several at once.
fn all_of_theirs(python: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = PACKAGES
            .chunks(5)
            .map(|some| {
                scope.spawn(move || {
                    some.iter().map(|&package| (package, theirs(package, python))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn without_extras(line: &str) -> String {
    match (line.split_once('['), line.split_once(']')) {
        (Some((name, _)), Some((_, rest))) => format!("{name}{rest}"),
        _ => line.to_owned(),
    }
}

#[test]
#[ignore = "uv alone takes a quarter of an hour for it: cargo test --test peers pypi_outside -- --ignored"]
fn popular_packages_are_resolved_as_uv_resolves_them() {
    let known: BTreeSet<&str> =
        DIFFERENCES.lines().filter_map(|line| line.split_once(": ")).map(|(what, _)| what).collect();
    let (mut same, mut unexplained) = (0, Vec::new());
    for python in PYTHONS {
        let (ours, theirs) = (ours(python), all_of_theirs(python));
        for package in PACKAGES {
            let (ours, theirs) = (&ours[&file_name(package)], &theirs[package]);
            if ours == theirs {
                same += 1;
            } else if !known.contains(format!("{python} {package}").as_str()) {
                let (more, less): (Vec<_>, Vec<_>) =
                    (ours.difference(theirs).collect(), theirs.difference(ours).collect());
                unexplained.push(format!("{python} {package}: ours alone {more:?}, uv's alone {less:?}"));
            }
        }
    }
    assert!(unexplained.is_empty(), "{same} alike\n{}", unexplained.join("\n"));
    assert!(same * 100 >= 98 * PACKAGES.len() * PYTHONS.len(), "{same} alike");
}
