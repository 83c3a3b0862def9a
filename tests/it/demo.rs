//! The demonstration, where no registry can be reached and no client is installed.

use crate::support::sides::{Ran, Sides};

/// Demonstrates with a registry in the environment that nobody answers for.
fn demonstrate(sides: &Sides, arguments: &[&str]) -> Ran {
    let mut command = sides.command("unused");
    command.env("npm_config_registry", "http://127.0.0.1:1/");
    command.args(["demo", "--json"]).args(arguments).output().unwrap().into()
}

#[test]
fn the_demo_falls_back_to_invented_packages_in_a_directory_beside() {
    let sides = Sides::new();
    // The variable stays set, and beats any npmrc: the invented packages are collected nevertheless.
    let ran = demonstrate(&sides, &["-o", "shown/here"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!((&report["real"], &report["installed"]), (&false.into(), &false.into()));
    let directory = sides.path("project").join("shown/here");
    assert_eq!(report["directory"], directory.to_str().unwrap());
    assert!(directory.join("outside/project/aftk.lock").is_file());
    assert!(directory.join("inside").is_dir());
}

#[test]
fn the_demo_can_be_told_to_have_real_packages_or_fail() {
    let sides = Sides::new();
    let ran = demonstrate(&sides, &["-o", "shown", "--real"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert_eq!(ran.json()["error"]["code"], "demo.no-upstream");
}

#[test]
fn the_demo_does_not_hide_a_configuration_that_is_wrong() {
    let sides = Sides::new();
    std::fs::write(sides.path("user").join(".npmrc"), "registry=nonsense\n").unwrap();
    let ran: Ran = sides.command("unused").args(["demo", "--json", "-o", "shown"]).output().unwrap().into();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(ran.json()["error"]["code"], "npm.bad-registry");
}
