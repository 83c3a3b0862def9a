//! A bundle for one platform alone.

use std::fs;

use super::command::run;
use super::inside::Inside;
use super::install;
use super::outside::{self, Lockfile};

#[test]
fn one_platform_is_enough_for_it() {
    let whole = outside::collected(Lockfile::Bare);
    let part = outside::collect(&whole.project, "part", &["--platform", "linux-x64-glibc"]);
    assert_eq!(part.report["preflight"]["downloads"], 0, "the store has it all");
    let size = |bundle| fs::metadata(bundle).unwrap().len();
    assert!(size(part.bundle()) * 2 < size(whole.bundle()));

    let inside = Inside::new();
    inside.import(&part.stick);
    let _server = inside.serve();
    let project = inside.project(&part.project);
    let npm = |words: &[&str]| run(inside.program("npm").current_dir(&project).args(words));
    npm(&["ci"]).succeeded();
    install::loads(inside.program("node").current_dir(&project));
    // npm takes entries out of the lockfile when it cannot learn what they are for.
    npm(&["install"]).succeeded();
    install::unchanged(&project, &part.project);
    npm(&["pack", "@esbuild/linux-x64@0.21.5"]).succeeded();
    npm(&["pack", "@esbuild/darwin-x64@0.21.5"]).ended(1).complained("E404");
}
