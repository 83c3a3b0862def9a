//! `collect --prove install`: real pip and npm install from the finished bundle alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::{Outcome, run};
use super::outside;

fn collect(project: &Path, channel: &str) -> Outcome {
    let mut collect = outside::aftk_behind(&[]);
    collect.current_dir(project).args([
        "collect",
        "--prove",
        "install",
        "--channel",
        channel,
        "--json",
        "--out",
    ]);
    run(collect.arg(outside::directory().join(format!("stick-{channel}"))))
}

fn project(name: &str, text: &str) -> PathBuf {
    let project = outside::directory().join(name);
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("aftk.toml"), format!("format = 1\n{text}")).unwrap();
    project
}

#[test]
fn pip_and_npm_install_what_was_collected() {
    let project = project(
        "proved",
        "requests = [\"./requirements.txt\", \"pypi:attrs\", \"npm:./package-lock.json\"]\n",
    );
    fs::write(project.join("requirements.txt"), "requests[socks]>=2.30\n").unwrap();
    outside::copy_project(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/npm/journey")), &project);
    let report = collect(&project, "proved").succeeded().json();
    let installed = report["installed"].as_array().unwrap();
    let what: Vec<&str> = installed.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what.len(), 3, "{what:?}");
    assert!(what.iter().any(|what| what.starts_with("requirements.txt for cp3")), "{what:?}");
    assert!(what.contains(&"npm:./package-lock.json"), "{what:?}");
}

#[test]
fn what_is_not_enough_is_told_in_the_clients_words() {
    // Somebody accepted that it is missing, and pip does not.
    let text = "requests = [\"pypi:attrs\", \"pypi:aftk-has-no-such-package\"]\n\
                [[gap]]\nname = \"pypi:aftk-has-no-such-package\"\nreason = \"we do without\"\n";
    let failed = collect(&project("not-enough", text), "not-enough").ended(4);
    failed.complained("cannot install").complained("aftk-has-no-such-package");
}
