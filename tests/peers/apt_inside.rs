//! Systems built and extended from our archive alone: apt, mmdebstrap and debootstrap in a namespace without a network.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt::Apt;
use super::apt_private::{KEYRING, archive, codename};
use super::command::{Outcome, run};
use super::inside::{Inside, SERVER};
use super::outside;

/// A site that has what new systems begin with, nginx and postgresql, of all suites that Debian has updates in, and all of it
/// proved by Debian's keys.
fn site(codename: &str) -> Inside {
    let inside = Inside::new();
    let (project, stick) = (inside.path("systems"), inside.path("stick"));
    fs::create_dir(&project).unwrap();
    let table = |name: &str, uri: &str, suites: &[String]| {
        format!(
            "\n[[apt]]\nname = \"{name}\"\nuri = \"{uri}\"\nsuites = {suites:?}\ncomponents = [\"main\"]\narchitectures = \
             [\"amd64\"]\nsigned-by = \"{KEYRING}\"\n"
        )
    };
    let security = format!("{codename}-security");
    let suites = [codename.to_owned(), format!("{codename}-updates")];
    let text = [
        "format = 1\nrequests = [\"apt:@minbase\", \"apt:@debootstrap\", \"apt:nginx\", \"apt:postgresql\"]\n".to_owned(),
        table("debian", &archive(codename), &suites),
        table("debian-security", &archive(&security), std::slice::from_ref(&security)),
    ];
    fs::write(project.join("aftk.toml"), text.concat()).unwrap();
    let mut collect = outside::aftk_behind(&[]);
    run(collect.current_dir(&project).args(["collect", "--no-recommends", "--out"]).arg(&stick)).succeeded();
    let keyrings = inside.home().join("apt/keyrings");
    fs::create_dir_all(&keyrings).unwrap();
    for name in ["debian.gpg", "debian-security.gpg"] {
        fs::copy(KEYRING, keyrings.join(name)).unwrap();
    }
    let imported = run(inside.aftk().arg("import").arg(&stick)).succeeded();
    assert!(!imported.stderr.contains("not verified"), "{}", imported.stderr);
    inside
}

/// A program in a system that was built, within the namespace.
fn within(inside: &Inside, root: &Path, script: &str) -> Outcome {
    let mut command = inside.program("chroot");
    command.env("DEBIAN_FRONTEND", "noninteractive").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    run(command.arg(root).args(["sh", "-ec", script])).succeeded()
}

#[test]
fn systems_are_built_and_extended_from_our_archive_alone() {
    let codename = codename();
    let inside = site(&codename);
    let _server = inside.serve();
    let (sources, key): (PathBuf, PathBuf) = (inside.path("aftk.sources"), inside.path("key"));
    inside.fetch("setup/apt", &sources);
    inside.fetch("apt/debian/aftk-archive-keyring.asc", &key.with_extension("asc"));
    let gpg = ["--batch", "--yes", "--dearmor", "-o"];
    run(inside.program("gpg").args(gpg).arg(key.with_extension("gpg")).arg(key.with_extension("asc")))
        .succeeded();
    let release = inside.path("InRelease");
    inside.fetch(&format!("apt/debian/dists/{codename}/InRelease"), &release);
    run(inside.program("gpgv").arg("--keyring").arg(key.with_extension("gpg")).arg(&release)).succeeded();
    // What apt verifies with since Debian 13, which refuses more than gpgv does.
    let detached = ["Release.gpg", "Release"].map(|name| {
        let path = inside.path(name);
        inside.fetch(&format!("apt/debian/dists/{codename}/{name}"), &path);
        path
    });
    run(inside.program("sqv").arg("--keyring").arg(key.with_extension("asc")).args(detached)).succeeded();

    let first = inside.path("by-mmdebstrap");
    run(inside
        .program("mmdebstrap")
        .args(["--quiet", "--mode=root", "--variant=apt", &codename])
        // Of what merges /usr, debootstrap's way is here alone.
        .arg("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
        .arg(&first)
        .arg(&sources))
    .succeeded();
    let second = inside.path("by-debootstrap");
    run(inside
        .program("debootstrap")
        .arg(format!("--keyring={}", key.with_extension("gpg").display()))
        .args(["--variant=minbase", &codename])
        .arg(&second)
        .arg(format!("{SERVER}/apt/debian")))
    .succeeded();
    for root in [&first, &second] {
        for list in ["etc/apt/sources.list", "etc/apt/sources.list.d/0000aftk.sources"] {
            let _ = fs::remove_file(root.join(list));
        }
        fs::copy(&sources, root.join("etc/apt/sources.list.d/aftk.sources")).unwrap();
        within(
            &inside,
            root,
            "apt-get update -qq && apt-get install -qq --no-install-recommends nginx postgresql",
        );
        let said = within(&inside, root, "nginx -v 2>&1; dpkg-query -W postgresql").stdout;
        assert!(said.contains("nginx version") && said.contains("postgresql"), "{said}");
    }

    let apt = Apt::new(&inside, &fs::read_to_string(&sources).unwrap());
    let updated = run(apt.get_at("+10 days").arg("update")).succeeded();
    assert!(!updated.stderr.contains("W:"), "{}", updated.stderr);
    let simulated = run(apt.get_at("+10 days").args(["-s", "install", "nginx"])).succeeded();
    assert!(simulated.stdout.contains("Inst nginx"), "{}", simulated.stdout);
}
