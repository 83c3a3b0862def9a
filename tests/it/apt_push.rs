//! Archives pushed into a server that keeps files.

use crate::apt_collect::{Project, archive};
use crate::support::raw_repository::RawRepository;

/// A site that holds what the project wants, and a server to push it to.
fn site() -> (Project, RawRepository, String) {
    let (project, server) = (Project::new(), RawRepository::start());
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    project.sides.run("in", &["import", project.sides.path("stick").to_str().unwrap()]).done();
    let target = format!("apt:{}/repository/raw", server.url());
    (project, server, target)
}

const FOLDER: &str = "/repository/raw/debian";

#[test]
fn what_clients_look_at_first_is_pushed_last_and_nothing_twice() {
    let (project, server, target) = site();
    let push = |more: &[&str]| project.sides.run("in", &[&["push", &target][..], more].concat());
    let looked = push(&["-n", "--json"]);
    assert_eq!(looked.code, Some(0), "{}", looked.stderr);
    assert!(server.puts().is_empty());

    let report = push(&["--json"]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert_eq!(report.json()["totals"]["artifacts"]["uploaded"], 4, "{}", report.stdout);
    let puts = server.puts();
    let is_pool: Vec<bool> = puts.iter().map(|path| path.contains("/pool/")).collect();
    assert_eq!(is_pool.iter().filter(|is_pool| **is_pool).count(), 4);
    assert!(is_pool.is_sorted_by(|one, other| one >= other), "{puts:?}");
    assert_eq!(puts.last().unwrap(), &format!("{FOLDER}/dists/stable/InRelease"));
    let path = "pool/main/h/libhello1_1.2+b1_amd64.deb";
    let library = std::fs::read(archive().join(path)).unwrap();
    assert_eq!(server.file(&format!("{FOLDER}/{}", path.replace('+', "%2B"))), Some(library));
    let index = format!("{FOLDER}/dists/stable/main/binary-amd64/Packages.xz");
    let digest = bundle_format::BlobKey::of(&server.file(&index).unwrap()).hex();
    let release = server.file(&format!("{FOLDER}/dists/stable/Release")).unwrap();
    assert!(String::from_utf8(release).unwrap().contains(&digest));

    let again = push(&["--json"]);
    assert_eq!(again.json()["totals"]["artifacts"]["present"], 4, "{}", again.stdout);
    assert!(server.puts().iter().all(|path| !path.contains("/pool/")));
}

#[test]
fn indices_stay_as_they_were_where_a_package_is_missing() {
    let (project, server, target) = site();
    let push = || project.sides.run("in", &["push", &target, "--json"]);
    server.refuse(Some("hello-data"));
    let refused = push();
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    let puts = server.puts();
    assert!(
        puts.iter().any(|path| path.contains("/pool/")) && !puts.iter().any(|path| path.contains("/dists/"))
    );
    server.refuse(None);
    let taken = format!("{FOLDER}/pool/main/h/hello-data_2.10-3_all.deb");
    server.keep(&taken, b"another one");
    let conflict = push();
    assert_eq!(conflict.code, Some(6), "{}", conflict.stderr);
    assert_eq!(conflict.json()["totals"]["artifacts"]["conflict"], 1, "{}", conflict.stdout);
    assert_eq!(server.file(&taken).unwrap(), b"another one");
    assert!(server.puts().is_empty());
}

#[test]
fn what_is_for_images_alone_is_refused() {
    let (project, _, target) = site();
    for more in [&["--tag", "x"][..], &["--keep-host"], &["--map", "a=b"]] {
        let refused = project.sides.run("in", &[&["push", &target][..], more].concat());
        assert_eq!(refused.code, Some(2), "{more:?}: {}", refused.stderr);
    }
    let nowhere = project.sides.run("in", &["push", "apt:ftp://x/y"]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}
