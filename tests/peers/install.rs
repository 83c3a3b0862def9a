//! The first whole journey: a real lockfile outside, an installation inside.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::command::run;
use super::inside::Inside;
use super::outside::{self, Lockfile};

#[test]
fn npm_installs_from_a_lockfile_without_addresses() {
    npm_installs(Lockfile::Bare);
}

#[test]
fn npm_installs_from_a_lockfile_with_addresses() {
    npm_installs(Lockfile::Resolved);
}

fn npm_installs(lockfile: Lockfile) {
    let collected = outside::collected(lockfile);
    let inside = Inside::new();
    let project = inside.project(&collected.project);
    let _server = inside.serve();
    let npm = |words: &[&str]| run(inside.program("npm").current_dir(&project).args(words));

    // Nothing is here before the bundle is, and a running server shows what is imported.
    npm(&["ci"]).ended(1).complained("E404");
    inside.import(&collected.stick);
    npm(&["ci"]).succeeded();
    loads(inside.program("node").current_dir(&project));
    let installed = fs::read(project.join("package-lock.json")).unwrap();
    assert_eq!(installed, fs::read(collected.project.join("package-lock.json")).unwrap());

    npm(&["install"]).succeeded();
    unchanged(&project, &collected.project);
    npm(&["ls", "--all"]).succeeded();

    // Whoever has the mirror alone comes to a whole lockfile too, and it can be installed from.
    fs::remove_dir_all(project.join("node_modules")).unwrap();
    fs::remove_file(project.join("package-lock.json")).unwrap();
    npm(&["install"]).succeeded();
    npm(&["ci"]).succeeded();
    loads(inside.program("node").current_dir(&project));
}

#[test]
fn pnpm_10_installs_from_its_import_of_a_lockfile() {
    pnpm_installs("10");
}

#[test]
fn pnpm_12_installs_from_its_import_of_a_lockfile() {
    pnpm_installs("12");
}

fn pnpm_installs(major: &str) {
    let programs = outside::programs("pnpm", major);
    let collected = outside::collected(Lockfile::Bare);
    let inside = Inside::new();
    let project = inside.project(&collected.project);
    // pnpm runs only the install scripts that the project allows: the one spelling is of version 10, the other later.
    let allowed =
        "allowBuilds:\n  esbuild: true\n  sharp: true\nonlyBuiltDependencies:\n  - esbuild\n  - sharp\n";
    fs::write(project.join("pnpm-workspace.yaml"), allowed).unwrap();
    inside.import(&collected.stick);
    let server = inside.serve();
    let pnpm = |words: &[&str]| {
        let mut pnpm = inside.program("pnpm");
        pnpm.env("PATH", outside::search_path(Some(&programs))).current_dir(&project).args(words);
        run(&mut pnpm)
    };
    pnpm(&["import"]).succeeded();
    let imported = fs::read(project.join("pnpm-lock.yaml")).unwrap();
    pnpm(&["install", "--frozen-lockfile"]).succeeded();
    loads(inside.program("node").current_dir(&project));
    pnpm(&["install", "--no-frozen-lockfile"]).succeeded();
    assert_eq!(fs::read(project.join("pnpm-lock.yaml")).unwrap(), imported);
    assert!(server.log().contains(&format!("\"pnpm/{major}.")), "{}", server.log());
}

/// What was installed works: native code, an alias, and both of the names that differ by case.
pub(crate) fn loads(node: &mut Command) {
    let script = r#"
        const assert = require('node:assert');
        assert.match(require('esbuild').transformSync('let a: number = 1', { loader: 'ts' }).code, /let a = 1/);
        assert(require('semver-six').satisfies('1.2.3', '^1.0.0'));
        assert(require('JSONStream').parse && require('jsonstream-lower').parse);
        assert.notStrictEqual(require.resolve('JSONStream'), require.resolve('jsonstream-lower'));
        const red = { create: { width: 2, height: 2, channels: 3, background: 'red' } };
        require('sharp')(red).png().toBuffer().then((png) => console.log(png.toString('latin1', 1, 4)));
    "#;
    assert_eq!(run(node.args(["-e", script])).succeeded().stdout, "PNG\n");
}

/// The lockfile is the same to the byte.
pub(crate) fn unchanged(project: &Path, original: &Path) {
    let [now, before] =
        [project, original].map(|path| fs::read_to_string(path.join("package-lock.json")).unwrap());
    assert!(now == before, "npm changed the lockfile:\n{now}");
}
