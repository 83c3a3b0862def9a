//! Wheels that are built outside, of sources from the real index and of such as would do harm, and installed inside where
//! nothing could be built.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::{Outcome, bounded, run};
use super::inside::{Inside, SERVER};
use super::outside;
use super::python::{client, clients, says};

/// A builder that looks around before it builds a wheel by itself.
const NOSY: &str = r#"
import os, socket, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    home = open('home.txt').read()
    assert os.listdir(home) == [], 'it sees ' + home
    assert os.system('umount ' + home + ' 2>/dev/null') != 0, 'it sees what was hidden'
    try:
        socket.create_connection(('1.1.1.1', 443), 5)
    except OSError:
        pass
    else:
        raise Exception('it has a network')
    told = [name for name in os.environ if 'SECRET' in name or name == 'PIP_INDEX_URL']
    assert not told, told
    assert os.environ['HOME'].startswith('/tmp/') and os.environ['HOME'] != '/tmp', os.environ['HOME']
    name = 'aftk_nosy-1.0-py3-none-any.whl'
    with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:
        wheel.writestr('aftk_nosy.py', 'SEEN = "nothing"\n')
        wheel.writestr('aftk_nosy-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: aftk-nosy\nVersion: 1.0\n')
        wheel.writestr('aftk_nosy-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr('aftk_nosy-1.0.dist-info/RECORD', '')
    return name
"#;

fn collect(project: &Path, channel: &str, words: &[&str]) -> Outcome {
    let mut collect = outside::aftk_behind(&[]);
    collect.current_dir(project).env("SECRET_OF_MINE", "x").env("PIP_TIMEOUT", "60");
    collect.args(["collect", "--build-wheels", "--channel", channel]).args(words);
    run(collect.arg("--out").arg(outside::directory().join(format!("stick-{channel}"))))
}

/// A project that asks for one whose sources stand beside it, with their builder.
fn project(name: &str, builder: &str) -> PathBuf {
    let project = outside::directory().join(name);
    let sources = project.join("aftk_nosy-1.0");
    fs::create_dir_all(project.join("links")).unwrap();
    fs::create_dir_all(&sources).unwrap();
    for (file, text) in [
        ("PKG-INFO", "Metadata-Version: 2.2\nName: aftk-nosy\nVersion: 1.0\n"),
        (
            "pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
        ),
        ("backend.py", builder),
        ("home.txt", outside::home().to_str().unwrap()),
    ] {
        fs::write(sources.join(file), text).unwrap();
    }
    let mut tar = bounded(&[], "tar");
    run(tar.current_dir(&project).args(["-czf", "links/aftk_nosy-1.0.tar.gz", "aftk_nosy-1.0"])).succeeded();
    fs::write(project.join("requirements.txt"), "--find-links ./links\naftk-nosy\n").unwrap();
    project
}

#[test]
fn what_was_built_here_is_installed_where_nothing_can_be_built() {
    let project = outside::directory().join("built");
    fs::create_dir_all(&project).unwrap();
    let own = run(bounded(&[], "python3").args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]));
    let own = own.succeeded().stdout.trim().to_owned();
    // One is pure, the other has a part in C.
    let words = ["pypi:docopt==0.6.2", "pypi:crcmod==1.7", "--python", &own, "--platform", "linux-x86_64"];
    let collected = collect(&project, "built", &words).succeeded();
    collected.complained("so one was built here from crcmod-1.7.tar.gz");
    let inside = Inside::new();
    let stick = outside::directory().join("stick-built");
    inside.import(&stick);
    let why = run(inside.aftk().args(["why", "pypi:crcmod"])).succeeded();
    assert!(
        why.stdout.contains("was built by whoever collected it, from crcmod-1.7.tar.gz"),
        "{}",
        why.stdout
    );
    inside.new_user(|home| {
        let setup = run(inside.aftk().args(["setup", "pip", "--server", SERVER])).succeeded();
        fs::create_dir_all(home.join(".config/pip")).unwrap();
        fs::write(home.join(".config/pip/pip.conf"), setup.stdout).unwrap();
    });
    let _server = inside.serve();
    let environment = inside.path("environment");
    run(inside.program("python3").args(["-m", "venv"]).arg(&environment)).succeeded();
    let mut pip = client(&inside, clients(), "pip");
    pip.arg("--python").arg(&environment).args(["install", "--no-cache-dir", "--only-binary", ":all:"]);
    run(pip.args(["docopt", "crcmod"])).succeeded();
    let compiled = "import docopt, crcmod._crcfunext; print('imported')";
    assert_eq!(says(&inside, &environment, compiled), "imported");
}

#[test]
fn a_builder_sees_neither_the_keys_nor_a_network() {
    let collected = collect(&project("nosy", NOSY), "nosy", &["requirements.txt"]).succeeded();
    collected.complained("so one was built here from aftk_nosy-1.0.tar.gz");
}

#[test]
fn a_build_that_fails_is_told_in_the_builders_words() {
    let builder = "def build_wheel(*_, **__):\n    raise SystemExit('libnosy.h is missing')\n";
    let failed = collect(&project("failing", builder), "failing", &["requirements.txt"]).ended(4);
    let failed = failed.complained("aftk-nosy 1.0 cannot be built for").complained("libnosy.h is missing");
    failed.complained("system-packages");
}
