//! All clients of npm's registry, each with a lock of its own making: a React project as create-vite makes one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::command::run;
use super::inside::{Inside, SERVER};
use super::outside;

/// Where the project and its locks are.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/npm/vite");

/// A client: what npm calls it, which version, and the lock that it writes.
#[derive(Clone, Copy)]
pub(crate) struct NpmClient {
    package: &'static str,
    major: &'static str,
    pub(crate) program: &'static str,
    /// The lock among the fixtures, and how the client calls it.
    lock: (&'static str, &'static str),
    /// What installs exactly what the lock says.
    pub(crate) install: &'static [&'static str],
}

const fn pnpm(major: &'static str) -> NpmClient {
    NpmClient {
        package: "pnpm",
        major,
        program: "pnpm",
        lock: ("pnpm-lock.yaml", "pnpm-lock.yaml"),
        install: &["install", "--frozen-lockfile"],
    }
}

/// The one that this machine has.
pub(crate) const NPM: NpmClient = NpmClient {
    package: "",
    major: "",
    program: "npm",
    lock: ("package-lock.json", "package-lock.json"),
    install: &["ci"],
};
pub(crate) const PNPM_9: NpmClient = pnpm("9");
pub(crate) const PNPM_10: NpmClient = pnpm("10");
pub(crate) const PNPM: NpmClient = pnpm("12");
pub(crate) const YARN_1: NpmClient = NpmClient {
    package: "yarn",
    major: "1",
    program: "yarn",
    // Without addresses: yarn would go there, whatever registry it has.
    lock: ("yarn-1.lock", "yarn.lock"),
    install: &["install", "--frozen-lockfile", "--non-interactive"],
};
pub(crate) const BERRY: NpmClient = NpmClient {
    package: "@yarnpkg/cli-dist",
    major: "4",
    program: "yarn",
    lock: ("yarn-berry.lock", "yarn.lock"),
    install: &["install", "--immutable"],
};
pub(crate) const BUN: NpmClient = NpmClient {
    package: "bun",
    major: "1",
    program: "bun",
    lock: ("bun.lock", "bun.lock"),
    install: &["install", "--frozen-lockfile"],
};

impl NpmClient {
    /// The client inside.
    pub(crate) fn command(&self, inside: &Inside, directory: &Path) -> Command {
        let mut command = inside.program(self.program);
        if !self.package.is_empty() {
            let programs = outside::programs(self.package, self.major);
            command.env("PATH", outside::search_path(Some(&programs)));
        }
        // Else it makes no directory for what is installed.
        command.env("YARN_NODE_LINKER", "node-modules").current_dir(directory);
        command
    }

    /// A directory with the project and this client's lock in it.
    fn project(&self, parent: &Path) -> PathBuf {
        let project = parent.join(format!("{}-{}", self.program, self.lock.0));
        fs::create_dir_all(&project).unwrap();
        for (from, to) in [("package.json", "package.json"), self.lock] {
            fs::copy(Path::new(FIXTURE).join(from), project.join(to)).unwrap();
        }
        project
    }

    /// A name that no other client has, for a directory.
    pub(crate) fn program_directory(&self) -> String {
        format!("{}-{}", self.program, self.major)
    }

    /// Installs the project as its lock says, and builds it with what was installed.
    fn installs(&self, inside: &Inside) {
        let parent = inside.path("projects");
        let project = self.project(&parent);
        run(self.command(inside, &project).args(self.install)).succeeded();
        let [now, before] = [project.join(self.lock.1), Path::new(FIXTURE).join(self.lock.0)]
            .map(|path| fs::read(path).unwrap());
        assert!(now == before, "{} changed its lock", self.program);
        let main = "import { createRoot } from 'react-dom/client'\ncreateRoot(document.body).render(<h1>hello</h1>)\n";
        fs::write(project.join("main.jsx"), main).unwrap();
        fs::write(project.join("index.html"), "<script type=\"module\" src=\"/main.jsx\"></script>\n")
            .unwrap();
        let mut node = inside.program("node");
        run(node.current_dir(&project).args(["node_modules/vite/bin/vite.js", "build"])).succeeded();
        assert!(project.join("dist/index.html").exists());
        fs::remove_dir_all(parent).unwrap();
    }
}

/// What was collected by all locks at once.
pub(crate) fn collected() -> &'static Path {
    static STICK: OnceLock<PathBuf> = OnceLock::new();
    STICK.get_or_init(|| {
        let (projects, stick) = (outside::directory().join("vite"), outside::directory().join("stick-vite"));
        let requests = [NPM, PNPM, YARN_1, BERRY, BUN]
            .map(|client| format!("npm:{}", client.project(&projects).join(client.lock.1).display()));
        let mut collect = outside::aftk_behind(&[]);
        collect.arg("collect").args(requests).args(["--channel", "vite", "--out"]).arg(&stick);
        run(&mut collect).succeeded();
        stick
    })
}

/// A site that holds it, and whose user's clients are set up for it.
pub(crate) fn site() -> Inside {
    let inside = Inside::new();
    inside.import(collected());
    inside.new_user(|home| {
        for (client, file) in [("npm", ".npmrc"), ("yarn", ".yarnrc.yml"), ("bun", ".bunfig.toml")] {
            let setup = run(inside.aftk().args(["setup", client, "--server", SERVER])).succeeded();
            fs::write(home.join(file), setup.stdout).unwrap();
        }
    });
    inside
}

#[test]
fn each_client_installs_a_project_from_its_own_lock() {
    let inside = site();
    let _server = inside.serve();
    for client in [NPM, PNPM_9, PNPM_10, PNPM, YARN_1, BERRY, BUN] {
        client.installs(&inside);
    }
}
