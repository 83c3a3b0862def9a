//! `uv.lock` of the real index inside: with our addresses in it, and unchanged where the hosts that it names are answered for; and
//! what moves of a lock when one package alone is to move.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::command::{AFTK, bounded, run};
use super::inside::{Inside, SERVER};
use super::outside;
use super::python::{client, clients};

const PROJECT: &str = "[project]\nname = \"app\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n\
                       dependencies = [\"requests\", \"markupsafe\"]\n";

/// A project that uv locked outside, and what was collected for that.
fn locked(name: &str) -> (PathBuf, PathBuf) {
    let (project, stick) =
        (outside::directory().join(name), outside::directory().join(format!("stick-{name}")));
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("pyproject.toml"), PROJECT).unwrap();
    run(bounded(&[], clients().join("uv")).current_dir(&project).args(["lock", "--no-cache", "--no-config"]))
        .succeeded();
    let mut collect = outside::aftk_behind(&[]);
    collect.current_dir(&project).args(["collect", "uv.lock", "--channel", name, "--out"]).arg(&stick);
    run(collect.args(["--platform", "linux-x86_64"])).succeeded();
    (project, stick)
}

/// The project as it comes inside.
fn copied(inside: &Inside, project: &Path) -> PathBuf {
    let copy = inside.path("project");
    fs::create_dir(&copy).unwrap();
    for file in ["pyproject.toml", "uv.lock"] {
        fs::copy(project.join(file), copy.join(file)).unwrap();
    }
    copy
}

/// Installs what the lock says, and nothing else.
fn sync(inside: &Inside, project: &Path, words: &[&str], variables: &[(&str, &Path)]) {
    let mut uv = client(inside, clients(), "uv");
    uv.current_dir(project).args(["sync", "--no-cache"]).args(words).envs(variables.iter().copied());
    run(&mut uv).succeeded();
    let python = project.join(".venv/bin/python");
    let mut python = inside.program(python.to_str().unwrap());
    let says = run(python.args(["-c", "import requests, markupsafe; print('imported')"])).succeeded();
    assert_eq!(says.stdout.trim(), "imported");
}

#[test]
fn a_lock_of_uv_installs_with_our_addresses() {
    let (project, stick) = locked("uv-rewritten");
    let inside = Inside::new();
    inside.import(&stick);
    let lock = copied(&inside, &project).join("uv.lock");
    let before = fs::read_to_string(&lock).unwrap();
    let setup = ["setup", "uv", "--server", SERVER, "--rewrite-lock"];
    run(inside.aftk().args(setup).arg(&lock)).succeeded();
    let after = fs::read_to_string(&lock).unwrap();
    assert_eq!(after.lines().count(), before.lines().count());
    assert!(after.contains(&format!("{SERVER}/pypi/all/files/")), "{after}");
    let _server = inside.serve();
    // uv is told nothing: the lock says all.
    sync(&inside, lock.parent().unwrap(), &["--frozen"], &[]);
    // To uv that is set up for us it is a lock that holds.
    inside.new_user(|home| {
        let setup = run(inside.aftk().args(["setup", "uv", "--server", SERVER])).succeeded();
        fs::create_dir_all(home.join(".config/uv")).unwrap();
        fs::write(home.join(".config/uv/uv.toml"), setup.stdout).unwrap();
    });
    sync(&inside, lock.parent().unwrap(), &["--locked"], &[]);
    assert_eq!(fs::read_to_string(&lock).unwrap(), after);
}

/// The file that `ip netns exec` shows in the place of /etc/hosts.
struct Hosts(PathBuf);

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_unchanged_lock_of_uv_installs_where_we_answer_for_its_hosts() {
    let (project, stick) = locked("uv-unchanged");
    let inside = Inside::new();
    inside.import(&stick);
    let lock = fs::read_to_string(project.join("uv.lock")).unwrap();
    let addresses = lock.split('"').filter(|text| text.starts_with("https://"));
    let mut hosts: Vec<&str> = addresses.filter_map(|address| address.split('/').nth(2)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    assert!(hosts.len() > 1, "files stand at a host of their own: {hosts:?}");
    let [.., name] = inside.enter();
    let folder = Hosts(Path::new("/etc/netns").join(name));
    fs::create_dir_all(&folder.0).unwrap();
    let lines: String = hosts.iter().map(|host| format!("127.0.0.1 {host}\n")).collect();
    fs::write(folder.0.join("hosts"), format!("127.0.0.1 localhost\n{lines}")).unwrap();
    let server = inside.serve_with(&["--impersonate", "--tls-self", "--listen", "127.0.0.1:443"]);
    let authority = inside.path("authority.pem");
    fs::write(&authority, run(inside.aftk().args(["setup", "ca"])).succeeded().stdout).unwrap();
    let project = copied(&inside, &project);
    sync(&inside, &project, &["--frozen"], &[("SSL_CERT_FILE", &authority)]);
    assert_eq!(fs::read_to_string(project.join("uv.lock")).unwrap(), lock);
    assert!(server.log().contains(".whl"), "{}", server.log());
}

/// A server of this machine, ended when it is dropped.
struct Older(Child);

impl Drop for Older {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_package_of_the_real_index_moves_alone() {
    let project = outside::directory().join("moves");
    fs::create_dir_all(&project).unwrap();
    let text = "format = 1\nchannel = \"moves\"\nrequests = [\"pypi:idna\", \"pypi:attrs\"]\n[[pypi]]\n\
                targets = [\"cp311-linux-x86_64\"]\nwith-installers = false\n";
    fs::write(project.join("aftk.toml"), text).unwrap();
    // An index as it once was: a site that has nothing newer.
    let (older, stick) = (Inside::new(), outside::directory().join("stick-older"));
    let mut collect = outside::aftk_behind(&[]);
    collect.args([
        "collect",
        "pypi:idna==3.6",
        "pypi:attrs==23.1.0",
        "--channel",
        "older",
        "--python",
        "3.11",
    ]);
    run(collect.args(["--platform", "linux-x86_64", "--out"]).arg(&stick)).succeeded();
    older.import(&stick);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut serve = Command::new(AFTK);
    serve.args(["serve", "--listen", &address]).env("AFTK_HOME", older.home());
    let _serving = Older(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let index = format!("http://{address}/pypi/all/simple/");
    let begun = Instant::now();
    while std::net::TcpStream::connect(&address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server is not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    let lock = |words: &[&str], variables: &[(&str, &str)]| -> Vec<String> {
        let mut lock = outside::aftk_behind(&[]);
        lock.current_dir(&project).args(["lock", "--json"]).args(words).envs(variables.iter().copied());
        let report = run(&mut lock).succeeded().json();
        let all = report["artifacts"].as_array().unwrap().iter();
        all.map(|one| one["purl"].as_str().unwrap().to_owned()).collect()
    };
    let (attrs, idna) = ("pkg:pypi/attrs@23.1.0", "pkg:pypi/idna@3.6");
    assert_eq!(lock(&[], &[("PIP_INDEX_URL", &index)]), [attrs, idna]);
    assert_eq!(lock(&[], &[]), [attrs, idna], "what is locked stays");
    let moved = lock(&["-P", "idna"], &[]);
    assert!(moved.len() == 2 && moved[0] == attrs && moved[1] != idna, "{moved:?}");
    let all = lock(&["--upgrade"], &[]);
    assert!(all[0] != attrs && all[1] == moved[1], "{all:?}");
}
