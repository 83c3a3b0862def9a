//! npm packages that clients publish inside, and that go on into a registry of another make.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::command::run;
use super::inside::{Inside, SERVER};
use super::npm_clients::{BERRY, BUN, NPM, NpmClient, PNPM, PNPM_10, YARN_1, site};
use super::outside;
use super::running::Running;

/// A site that mirrors what was collected and hosts the scope `@team`, into which its user may write.
fn hosting() -> (Inside, super::inside::Server) {
    let inside = site();
    let password = inside.path("password");
    fs::write(&password, "horse\n").unwrap();
    let password = fs::File::open(password).unwrap();
    run(inside.aftk().args(["account", "add", "ada"]).stdin(password)).succeeded();
    let hosted = "format = 1\n[[hosted]]\necosystem = \"npm\"\nname = \"team\"\nwrite = [\"ada\"]\npackages = [\"@team/*\"]\n";
    fs::write(inside.home().join("site.toml"), hosted).unwrap();
    let server = inside.serve();
    // What npm login keeps; it asks for the password at a terminal alone.
    let user = "{\"name\":\"ada\",\"password\":\"horse\"}";
    let address = format!("{SERVER}/npm/all/-/user/org.couchdb.user:ada");
    let said =
        run(inside.program("curl").args(["-sSf", "-X", "PUT", "-d", user, &address])).succeeded().json();
    let token = said["token"].as_str().unwrap();
    let place = SERVER.trim_start_matches("http:");
    append(&inside, ".npmrc", &format!("{place}/npm/all/:_authToken={token}\n"));
    append(&inside, ".yarnrc.yml", &format!("npmAuthToken: {token}\n"));
    (inside, server)
}

fn append(inside: &Inside, file: &str, text: &str) {
    let path = inside.user().join(file);
    let before = fs::read_to_string(&path).unwrap();
    fs::write(path, before + text).unwrap();
}

/// A package of our own, which needs one that is mirrored.
fn package(inside: &Inside, name: &str, version: &str) -> PathBuf {
    let directory = inside.path(&format!("package-{name}"));
    fs::create_dir_all(&directory).unwrap();
    let manifest = format!(
        "{{\"name\":\"@team/{name}\",\"version\":\"{version}\",\"license\":\"MIT\",\"main\":\"index.js\",\
         \"dependencies\":{{\"react\":\"*\"}}}}"
    );
    fs::write(directory.join("package.json"), manifest).unwrap();
    fs::write(directory.join("index.js"), format!("require('react'); module.exports = '{name} {version}'\n"))
        .unwrap();
    directory
}

fn npm(inside: &Inside, directory: &std::path::Path, words: &[&str]) -> super::command::Outcome {
    run(NPM.command(inside, directory).args(words))
}

#[test]
fn what_each_client_publishes_npm_installs() {
    let (inside, _server) = hosting();
    let publishers: [(&str, NpmClient, &[&str]); 6] = [
        ("by-npm", NPM, &["publish"]),
        ("by-pnpm-10", PNPM_10, &["publish", "--no-git-checks"]),
        ("by-pnpm", PNPM, &["publish", "--no-git-checks"]),
        ("by-yarn-1", YARN_1, &["publish", "--non-interactive", "--new-version", "1.0.0"]),
        ("by-berry", BERRY, &["npm", "publish"]),
        ("by-bun", BUN, &["publish"]),
    ];
    for (name, client, words) in publishers {
        let directory = package(&inside, name, "1.0.0");
        if name == "by-berry" {
            fs::write(directory.join("yarn.lock"), "").unwrap();
            run(client.command(&inside, &directory).arg("install")).succeeded();
        }
        run(client.command(&inside, &directory).args(words)).succeeded();
    }
    // Another user, who has no account.
    inside.new_user(|home| {
        let setup = run(inside.aftk().args(["setup", "npm", "--server", SERVER])).succeeded();
        fs::write(home.join(".npmrc"), setup.stdout).unwrap();
    });
    let project = inside.path("user-of-all");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("package.json"), "{}").unwrap();
    let names: Vec<String> = publishers.iter().map(|(name, ..)| format!("@team/{name}")).collect();
    let words: Vec<&str> = ["install"].into_iter().chain(names.iter().map(String::as_str)).collect();
    npm(&inside, &project, &words).succeeded();
    let text = fs::read_to_string(project.join("package-lock.json")).unwrap();
    let lock: Value = serde_json::from_str(&text).unwrap();
    for name in &names {
        let mut node = inside.program("node");
        let said = run(node.current_dir(&project).args(["-p", &format!("require('{name}')")])).succeeded();
        assert_eq!(said.stdout.trim(), format!("{} 1.0.0", name.trim_start_matches("@team/")));
    }
    // The bytes are those that npm packed.
    let packed =
        npm(&inside, &inside.path("package-by-npm"), &["pack", "--json", "--dry-run"]).succeeded().json();
    let installed = &lock["packages"]["node_modules/@team/by-npm"];
    assert_eq!(installed["integrity"], packed[0]["integrity"], "{packed}");
    run(inside.aftk().arg("check")).succeeded();
}

#[test]
fn npm_changes_what_it_published() {
    let (inside, _server) = hosting();
    let directory = package(&inside, "tool", "1.0.0");
    let npm = |words: &[&str]| npm(&inside, &directory, words);
    npm(&["publish"]).succeeded();
    npm(&["publish"]).ended(1).complained("cannot publish over the previously published versions");
    package(&inside, "tool", "1.1.0");
    npm(&["publish", "--tag", "next"]).succeeded();
    assert_eq!(npm(&["dist-tag", "ls"]).succeeded().stdout.trim(), "latest: 1.0.0\nnext: 1.1.0");
    npm(&["dist-tag", "add", "@team/tool@1.1.0", "beta"]).succeeded();
    npm(&["dist-tag", "rm", "@team/tool", "next"]).succeeded();
    npm(&["deprecate", "@team/tool@1.0.0", "use the next one"]).succeeded();
    let view = |field: &str| npm(&["view", "@team/tool@1.0.0", field]).succeeded().stdout.trim().to_owned();
    assert_eq!(view("deprecated"), "use the next one");
    assert_eq!(npm(&["whoami"]).succeeded().stdout.trim(), "ada");
    npm(&["unpublish", "@team/tool@1.1.0"]).succeeded();
    let tags = npm(&["dist-tag", "ls"]).succeeded().stdout;
    assert_eq!(tags.trim(), "latest: 1.0.0");
    npm(&["unpublish", "--force", "@team/tool"]).succeeded();
    npm(&["view", "@team/tool"]).ended(1).complained("was not published into team");
    // A name that is not the team's.
    let other = inside.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("package.json"), "{\"name\":\"react\",\"version\":\"99.0.0\"}").unwrap();
    let refused = run(NPM.command(&inside, &other).arg("publish"));
    refused.ended(1).complained("no hosted repository has react");
    npm(&["logout"]).succeeded();
    npm(&["whoami"]).ended(1).complained("ENEEDAUTH");
}

#[test]
fn packages_go_on_into_verdaccio() {
    let inside = site();
    let directory = inside.path("verdaccio");
    fs::create_dir(&directory).unwrap();
    let config = directory.join("config.yaml");
    let text = format!(
        "storage: {0}/storage\nauth:\n  htpasswd:\n    file: {0}/htpasswd\nsecurity:\n  api:\n    jwt:\n      sign:\n        \
         expiresIn: 1d\nuplinks: {{}}\npackages:\n  '**': {{access: $all, publish: $authenticated}}\n\
         publish: {{allow_offline: true}}\nmax_body_size: 100mb\nlog: {{type: stdout, format: pretty, level: warn}}\n",
        directory.display()
    );
    fs::write(&config, text).unwrap();
    let address = "http://127.0.0.1:4873/";
    let program = outside::programs("verdaccio", "6").join("verdaccio");
    let arguments = ["--config", config.to_str().unwrap(), "--listen", "127.0.0.1:4873"];
    let _verdaccio = Running::start(&inside, &program, &arguments, address);
    let user = "{\"name\":\"ada\",\"password\":\"a horse\"}";
    let words = ["-sSf", "-X", "PUT", "-H", "content-type: application/json", "-d", user];
    let mut curl = inside.program("curl");
    let said = run(curl.args(words).arg(format!("{address}-/user/org.couchdb.user:ada"))).succeeded().json();
    let npmrc =
        format!("registry={address}\n//127.0.0.1:4873/:_authToken={}\n", said["token"].as_str().unwrap());
    fs::write(inside.user().join(".npmrc"), npmrc).unwrap();

    let selectors =
        ["react", "react-dom", "scheduler", "@types/react", "csstype"].map(|name| format!("npm:{name}"));
    for outcome in ["uploaded", "present"] {
        let mut push = inside.aftk();
        push.args(["push", "--json", &format!("npm:{address}")]).args(&selectors);
        let report = run(&mut push).succeeded().json();
        let artifacts = report["totals"]["artifacts"].as_object().unwrap();
        assert_eq!(artifacts.keys().collect::<Vec<_>>(), [outcome], "{report}");
    }
    let project = inside.path("from-verdaccio");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("package.json"), "{}").unwrap();
    npm(&inside, &project, &["install", "react-dom", "@types/react"]).succeeded();
    let read = |path: PathBuf| serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap();
    let lock = read(project.join("package-lock.json"));
    let original = read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/npm/vite/package-lock.json").into());
    for name in ["react", "react-dom", "scheduler", "@types/react", "csstype"] {
        let integrity = |lock: &Value| lock["packages"][format!("node_modules/{name}")]["integrity"].clone();
        assert!(integrity(&lock).is_string(), "{name}");
        assert_eq!(integrity(&lock), integrity(&original), "{name}");
    }
}
