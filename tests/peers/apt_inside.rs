//! Systems built and extended from our archive alone: apt, mmdebstrap and debootstrap in a namespace without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::Apt;
use super::command::{Outcome, run};
use super::inside::{Inside, SERVER};
use super::outside;

/// The suite of this machine, which is the one that its apt knows.
fn codename() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap();
    let found = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    found.unwrap().trim_matches('"').to_owned()
}

/// Where this machine's apt has the suite from.
fn archive(codename: &str) -> String {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]);
    let targets = run(&mut targets).succeeded().stdout;
    let of_suite = targets.lines().find_map(|line| line.strip_suffix(&format!(" {codename}")));
    of_suite.unwrap().to_owned()
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A site that has what a small system, nginx and postgresql need, all of it proved by Debian's keys: of one suite alone, as
/// debootstrap knows no more than one.
fn site(codename: &str) -> Inside {
    let inside = Inside::new();
    let (project, stick) = (inside.path("systems"), inside.path("stick"));
    fs::create_dir(&project).unwrap();
    let text = format!(
        "format = 1\nrequests = [\"apt:@minbase\", \"apt:@debootstrap\", \"apt:apt\", \"apt:usr-is-merged\", \
         \"apt:nginx\", \"apt:postgresql\"]\n\n[[apt]]\nname = \"debian\"\nuri = \"{}\"\nsuites = [\"{codename}\"]\n\
         components = [\"main\"]\narchitectures = [\"amd64\"]\nsigned-by = \"{KEYRING}\"\n",
        archive(codename)
    );
    fs::write(project.join("aftk.toml"), text).unwrap();
    let mut collect = outside::aftk_behind(&[]);
    run(collect.current_dir(&project).args(["collect", "--no-recommends", "--out"]).arg(&stick)).succeeded();
    let keyrings = inside.home().join("apt/keyrings");
    fs::create_dir_all(&keyrings).unwrap();
    fs::copy(KEYRING, keyrings.join("debian.gpg")).unwrap();
    let imported = run(inside.aftk().arg("import").arg(&stick)).succeeded();
    assert!(!imported.stderr.contains("not verified"), "{}", imported.stderr);
    inside
}

/// What a server gives to clients.
fn fetched(inside: &Inside, path: &str, to: &Path) {
    run(inside.program("curl").args(["-sSf", "-o"]).arg(to).arg(format!("{SERVER}/{path}"))).succeeded();
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
    fetched(&inside, "setup/apt", &sources);
    fetched(&inside, "apt/debian/aftk-archive-keyring.asc", &key.with_extension("asc"));
    let gpg = ["--batch", "--yes", "--dearmor", "-o"];
    run(inside.program("gpg").args(gpg).arg(key.with_extension("gpg")).arg(key.with_extension("asc")))
        .succeeded();
    run(inside.program("gpgv").arg("--keyring").arg(key.with_extension("gpg")).arg({
        let release = inside.path("InRelease");
        fetched(&inside, &format!("apt/debian/dists/{codename}/InRelease"), &release);
        release
    }))
    .succeeded();

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

    let apt = Apt::new(&inside, "apt", &fs::read_to_string(&sources).unwrap());
    let updated = run(apt.get_at("+10 days").arg("update")).succeeded();
    assert!(!updated.stderr.contains("W:"), "{}", updated.stderr);
    let simulated = run(apt.get_at("+10 days").args(["-s", "install", "nginx"])).succeeded();
    assert!(simulated.stdout.contains("Inst nginx"), "{}", simulated.stdout);
}
