//! Python releases that clients upload inside, and that go on into indexes of other makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::command::{Outcome, bounded, run};
use super::inside::{Inside, SERVER};
use super::outside;
use super::python::{IMPORTS, WANTED, client, clients, devpi, says, site};
use super::running::Running;

/// Wheel and source distribution of a project of our own, built outside: the number tells its bytes apart.
fn built(number: u32) -> PathBuf {
    let project = outside::directory().join(format!("our-project-{number}"));
    let distributions = project.join("dist");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("our_project.py"), format!("number = {number}\n")).unwrap();
    let text = "[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n\n[project]\n\
                name = \"Our.Project\"\nversion = \"1.0\"\ndependencies = [\"attrs\"]\n\n\
                [tool.setuptools]\npy-modules = [\"our_project\"]\n";
    fs::write(project.join("pyproject.toml"), text).unwrap();
    let mut uv = bounded(&[], clients().join("uv"));
    run(uv.current_dir(&project).args(["build", "--quiet", "--out-dir"]).arg(&distributions)).succeeded();
    distributions
}

/// The same, once for all.
fn ours() -> &'static Path {
    static OURS: OnceLock<PathBuf> = OnceLock::new();
    OURS.get_or_init(|| built(1))
}

/// Its files, as clients are given them.
fn files(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        all.filter(|path| path.to_string_lossy().contains("our_project-")).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    files
}

/// A site that mirrors what was collected and hosts `team`, where `ada` may write and `eve` may not.
fn hosting() -> Inside {
    let inside = site();
    for account in ["ada", "eve"] {
        let password = inside.path("password");
        fs::write(&password, "horse\n").unwrap();
        let password = fs::File::open(password).unwrap();
        run(inside.aftk().args(["account", "add", account]).stdin(password)).succeeded();
    }
    let hosted = "format = 1\n[[hosted]]\necosystem = \"pypi\"\nname = \"team\"\nwrite = [\"ada\"]\n";
    fs::write(inside.home().join("site.toml"), hosted).unwrap();
    inside
}

fn upload(inside: &Inside, uploader: &str, account: &str, files: &[PathBuf]) -> Outcome {
    let address = format!("{SERVER}/pypi/team/");
    let mut command = client(inside, clients(), uploader);
    // Else a message would be broken into lines.
    command.env("COLUMNS", "500");
    match uploader {
        "twine" => {
            command.args(["upload", "--non-interactive", "--disable-progress-bar", "--repository-url"])
        }
        _ => command.args(["publish", "--publish-url"]),
    };
    run(command.arg(address).args(["--username", account, "--password", "horse"]).args(files))
}

#[test]
fn poetry_publishes_what_pip_installs() {
    let inside = hosting();
    let _server = inside.serve();
    let project = ours().parent().unwrap();
    let publish = |account: &str| {
        let mut poetry = client(&inside, clients(), "poetry");
        poetry.current_dir(project).env("COLUMNS", "500");
        poetry.env("POETRY_REPOSITORIES_TEAM_URL", format!("{SERVER}/pypi/team/"));
        poetry
            .env("POETRY_HTTP_BASIC_TEAM_USERNAME", account)
            .env("POETRY_HTTP_BASIC_TEAM_PASSWORD", "horse");
        run(poetry.args(["publish", "--no-interaction", "--repository", "team"]))
    };
    let refused = publish("eve").ended(1);
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("403"), "{said}");
    publish("ada").succeeded();
    // The same again is no other.
    publish("ada").succeeded();
    let environment = inside.path("environment");
    run(inside.program("python3").args(["-m", "venv"]).arg(&environment)).succeeded();
    let mut pip = client(&inside, &environment.join("bin"), "pip");
    run(pip.args(["install", "--no-cache-dir", "--quiet", "our-project"])).succeeded();
    assert_eq!(says(&inside, &environment, "import our_project; print(our_project.number)"), "1");
}

#[test]
fn twine_and_uv_upload_what_pip_installs() {
    let inside = hosting();
    let _server = inside.serve();
    let (ours, others) = (files(ours()), files(&built(2)));
    for (uploader, code) in [("twine", 1), ("uv", 2)] {
        let said = |outcome: Outcome| outcome.stdout + &outcome.stderr;
        let refused = said(upload(&inside, uploader, "eve", &ours).ended(code));
        assert!(refused.contains("the account eve may not write into team"), "{refused}");
        // Those of the second uploader are there already.
        upload(&inside, uploader, "ada", &ours).succeeded();
        let refused = said(upload(&inside, uploader, "ada", &others).ended(code));
        assert!(refused.contains("File already exists: our_project-1.0"), "{refused}");
    }
    let environment = inside.path("environment");
    run(inside.program("python3").args(["-m", "venv"]).arg(&environment)).succeeded();
    let mut pip = client(&inside, &environment.join("bin"), "pip");
    run(pip.args(["install", "--no-cache-dir", "--quiet", "our-project"])).succeeded();
    assert_eq!(says(&inside, &environment, "import our_project, attrs; print(our_project.number)"), "1");
    run(inside.aftk().arg("check")).succeeded();
}

/// Pushes all, twice: the second time all of it is there.
fn push(inside: &Inside, target: &str, account: (&str, &str)) {
    for outcome in ["uploaded", "present"] {
        let mut push = inside.aftk();
        push.env("TWINE_USERNAME", account.0).env("TWINE_PASSWORD", account.1);
        let report = run(push.args(["push", "--json", target])).succeeded().json();
        let artifacts = report["totals"]["artifacts"].as_object().unwrap();
        assert_eq!(artifacts.keys().collect::<Vec<_>>(), [outcome], "{report}");
    }
}

/// Installs from another index than ours.
fn installs(inside: &Inside, name: &str, index: &str) {
    let environment = inside.path(name);
    run(inside.program("python3").args(["-m", "venv"]).arg(&environment)).succeeded();
    let mut pip = client(inside, &environment.join("bin"), "pip");
    run(pip.args(["install", "--no-cache-dir", "--quiet", "--index-url", index]).args(WANTED)).succeeded();
    assert_eq!(says(inside, &environment, IMPORTS), "imported");
}

#[test]
fn releases_go_on_into_pypiserver() {
    let inside = site();
    let directory = inside.path("pypiserver");
    fs::create_dir(&directory).unwrap();
    let arguments =
        ["run", "-i", "127.0.0.1", "-p", "8081", "-P", ".", "-a", ".", directory.to_str().unwrap()];
    let address = "http://127.0.0.1:8081/";
    let _server = Running::start(&inside, &clients().join("pypi-server"), &arguments, address);
    push(&inside, &format!("pypi:{address}"), ("", ""));
    installs(&inside, "from-pypiserver", &format!("{address}simple/"));
}

#[test]
fn releases_go_on_into_devpi() {
    let inside = site();
    let directory = inside.path("devpi");
    let directory = directory.to_str().unwrap();
    let words = ["--serverdir", directory, "--root-passwd", "horse", "--no-root-pypi"];
    run(client(&inside, devpi(), "devpi-init").args(words)).succeeded();
    let arguments = ["--serverdir", directory, "--host", "127.0.0.1", "--port", "3141", "--offline-mode"];
    let address = "http://127.0.0.1:3141/";
    let _server = Running::start(&inside, &devpi().join("devpi-server"), &arguments, address);
    for words in [
        &["use", address][..],
        &["login", "root", "--password", "horse"],
        &["index", "-c", "root/team", "bases=", "volatile=False"],
    ] {
        run(client(&inside, devpi(), "devpi").args(words)).succeeded();
    }
    push(&inside, &format!("pypi:{address}root/team/"), ("root", "horse"));
    installs(&inside, "from-devpi", &format!("{address}root/team/+simple/"));
}
