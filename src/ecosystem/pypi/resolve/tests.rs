//! Resolving, on projects that do not exist: pip's and uv's hard cases.

use super::*;
use crate::ecosystem::pypi::metadata::Metadata;
use crate::ecosystem::pypi::release::{File, Release, releases};

/// What indexes and addresses have.
#[derive(Default)]
struct World {
    files: HashMap<(usize, Name), Vec<File>>,
    metadata: HashMap<String, Result<Metadata, String>>,
    releases: HashMap<(usize, Name), Vec<Release>>,
}

/// What was asked for so far: nothing else is known.
struct Known<'a> {
    world: &'a World,
    asked: HashSet<Need>,
}

impl Candidates for Known<'_> {
    fn releases(&self, index: usize, project: &Name) -> Option<&[Release]> {
        self.asked.contains(&Need::Releases { index, project: project.clone() }).then(|| {
            self.world.releases.get(&(index, project.clone())).map(Vec::as_slice).unwrap_or_default()
        })
    }
    fn metadata(&self, index: usize, project: &Name, file: &str) -> Option<Result<&Metadata, &str>> {
        let need = Need::Metadata { index, project: project.clone(), file: file.to_owned() };
        self.asked.contains(&need).then(|| self.world.metadata[file].as_ref().map_err(String::as_str))
    }
    fn metadata_at(&self, url: &str) -> Option<Result<&Metadata, &str>> {
        let known = self.asked.contains(&Need::MetadataAt { url: url.into() });
        known.then(|| self.world.metadata[url].as_ref().map_err(String::as_str))
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn requirements(texts: &[&str]) -> Vec<Requirement> {
    texts.iter().map(|text| Requirement::parse(text).unwrap()).collect()
}

fn described(project: &str, version: &str, requires: &[&str]) -> Metadata {
    let mut text = format!("Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n");
    for line in requires {
        let field = if line.contains(": ") { "" } else { "Requires-Dist: " };
        text.push_str(&format!("{field}{line}\n"));
    }
    Metadata::parse(text.as_bytes()).unwrap()
}

impl World {
    /// A pure wheel, and what its metadata says: requirements, or whole lines.
    fn has(mut self, release: &str, requires: &[&str]) -> World {
        let (project, version) = release.split_once(' ').unwrap();
        let file = format!("{}-{version}-py3-none-any.whl", project.replace('-', "_"));
        self.metadata.insert(file.clone(), Ok(described(project, version, requires)));
        self.lists(0, project, &file, None, false)
    }

    /// A file of an index.
    fn lists(mut self, index: usize, project: &str, file: &str, python: Option<&str>, yanked: bool) -> World {
        let project = name(project);
        let read = File::read(&project, file, python, yanked).unwrap();
        let version = read.parsed.version.to_string();
        self.metadata
            .entry(file.to_owned())
            .or_insert_with(|| Ok(described(project.as_str(), &version, &[])));
        self.files.entry((index, project)).or_default().push(read);
        self
    }

    fn at(mut self, url: &str, release: &str, requires: &[&str]) -> World {
        let (project, version) = release.split_once(' ').unwrap();
        self.metadata.insert(url.to_owned(), Ok(described(project, version, requires)));
        self
    }

    /// What comes of it, and in how many rounds.
    fn rounds(mut self, wanted: Wanted, target: &str) -> (Result<Solution, Vec<String>>, usize, usize) {
        self.releases =
            std::mem::take(&mut self.files).into_iter().map(|(key, files)| (key, releases(files))).collect();
        let wanted = Wanted { indexes: wanted.indexes.max(1), ..wanted };
        let mut known = Known { world: &self, asked: HashSet::new() };
        let target = Target::parse(target).unwrap();
        for round in 1.. {
            match solve(&wanted, &target, &known) {
                Outcome::Solved(solution) => return (Ok(solution), round, known.asked.len()),
                Outcome::Conflict(lines) => return (Err(lines), round, known.asked.len()),
                Outcome::Needs(needs) => {
                    assert!(!needs.is_empty());
                    for need in needs {
                        assert!(known.asked.insert(need.clone()), "{need:?} is asked for once");
                    }
                }
            }
        }
        unreachable!("rounds have no end")
    }

    fn solve(self, wanted: Wanted, target: &str) -> Result<Vec<String>, Vec<String>> {
        let (solved, ..) = self.rounds(wanted, target);
        solved.map(|solution| {
            let line = |(name, selected): (&Name, &Selected)| format!("{name} {}", selected.version);
            solution.selected.iter().map(line).collect()
        })
    }

    /// What is installed on today's Linux.
    fn gives(self, wanted: &[&str], expected: &[&str]) {
        let wanted = Wanted { requirements: requirements(wanted), ..Wanted::default() };
        assert_eq!(self.solve(wanted, LINUX).unwrap(), expected);
    }

    /// What a person is told.
    fn refuses(self, wanted: &[&str], expected: &[&str]) {
        let wanted = Wanted { requirements: requirements(wanted), ..Wanted::default() };
        assert_eq!(self.solve(wanted, LINUX).unwrap_err(), expected);
    }
}

const LINUX: &str = "cp312-manylinux_2_28_x86_64";

#[test]
fn the_newest_that_all_agree_on_is_taken() {
    let world = || {
        World::default()
            .has("app 1.0", &["lib>=1", "old ; python_version < '3'"])
            .has("lib 1.0", &[])
            .has("lib 2.0", &["base<2"])
            .has("lib 3.0", &["base<1"])
            .has("base 0.9", &[])
            .has("base 1.5", &[])
            .has("base 2.0", &[])
    };
    // What is asked for is decided before what that needs.
    world().gives(&["app", "base>=1"], &["app 1.0", "base 2.0", "lib 1.0"]);
    world().gives(&["lib>1", "base>=1"], &["base 1.5", "lib 2.0"]);
    world().gives(&["App"], &["app 1.0", "base 0.9", "lib 3.0"]);
    world().gives(&["lib==1"], &["lib 1.0"]);
    world().gives(&["app ; sys_platform == 'win32'"], &[]);
}

#[test]
fn rounds_are_few() {
    let mut world = World::default();
    for level in 0..10 {
        for number in 0..8 {
            let next: Vec<_> = (0..8).map(|next| format!("p{}-{next}>=1", level + 1)).collect();
            let next: Vec<_> = next.iter().map(String::as_str).filter(|_| level < 9).collect();
            world = world.has(&format!("p{level}-{number} 1.0"), &next);
        }
    }
    let wanted = Wanted { requirements: requirements(&["p0-0"]), ..Wanted::default() };
    let (solved, rounds, _) = world.rounds(wanted, LINUX);
    assert_eq!(solved.unwrap().selected.len(), 73);
    assert!(rounds <= 21, "{rounds} rounds for ten levels");
}

#[test]
fn a_long_way_back_is_asked_for_ahead() {
    let mut world = World::default().has("base 1.0", &[]).has("base 2.0", &[]);
    for minor in 0..300 {
        let base = if minor < 5 { "base<2" } else { "base>=2" };
        world = world.has(&format!("lib 1.{minor}"), &[base]);
    }
    let wanted = Wanted { requirements: requirements(&["lib", "base<2"]), ..Wanted::default() };
    let (solved, rounds, _) = world.rounds(wanted, LINUX);
    assert_eq!(solved.unwrap().selected[&name("lib")].version.to_string(), "1.4");
    assert!(rounds < 25, "{rounds} rounds for 300 versions");
}

#[test]
fn a_pin_takes_what_was_yanked_and_nothing_else_does() {
    let world = || {
        World::default()
            .lists(0, "p", "p-1.0-py3-none-any.whl", None, false)
            .lists(0, "p", "p-2.0-py3-none-any.whl", None, true)
            .has("app 1.0", &["p>=1"])
            .has("strict 1.0", &["p==2.0"])
    };
    world().gives(&["p"], &["p 1.0"]);
    world().gives(&["p==2.0"], &["p 2.0"]);
    world().gives(&["p===2.0"], &["p 2.0"]);
    world().gives(&["app", "strict"], &["app 1.0", "p 2.0", "strict 1.0"]);
    world().refuses(&["p>1"], &["you ask for p>1", "p 2.0 was taken back by its authors (yanked)"]);
}

#[test]
fn prereleases_are_taken_if_named_or_alone() {
    let world = || {
        World::default()
            .has("p 1.0", &[])
            .has("p 2.0rc1", &[])
            .has("young 0.1a1", &[])
            .has("young 0.1a2", &[])
            .has("brave 1.0", &["p>=2.0rc1"])
    };
    world().gives(&["p"], &["p 1.0"]);
    world().gives(&["p>=2.0rc1"], &["p 2.0rc1"]);
    world().gives(&["p>=1.0a1"], &["p 2.0rc1"]);
    world().gives(&["young"], &["young 0.1a2"]);
    world().gives(&["brave"], &["brave 1.0", "p 2.0rc1"]);
    // It is heard of late: what was decided before is decided anew.
    world().gives(&["p", "brave"], &["brave 1.0", "p 2.0rc1"]);
    world().refuses(&["p>1.0"], &["you ask for p>1.0", "p 2.0rc1 is a prerelease, which nobody names"]);
    let wanted = Wanted { requirements: requirements(&["p"]), with_prereleases: true, ..Wanted::default() };
    assert_eq!(world().solve(wanted, LINUX).unwrap(), ["p 2.0rc1"]);
}

#[test]
fn a_pin_takes_the_local_versions_too() {
    let world = || {
        World::default()
            .lists(0, "torchlike", "torchlike-2.5.1+cu124-cp312-cp312-linux_x86_64.whl", None, false)
            .lists(0, "torchlike", "torchlike-2.5.2-cp312-cp312-win_amd64.whl", None, false)
    };
    world().gives(&["torchlike==2.5.1"], &["torchlike 2.5.1+cu124"]);
    world().gives(&["torchlike"], &["torchlike 2.5.1+cu124"]);
    world().refuses(&["torchlike==2.5.1+cpu"], &["you ask for torchlike==2.5.1+cpu"]);
}

#[test]
fn markers_and_wheels_are_of_the_target() {
    let world = || {
        World::default()
            .has("dock 6.0", &["pipes>=304 ; sys_platform == 'win32'", "unixy ; os_name == 'posix'"])
            .lists(0, "pipes", "pipes-304-cp311-cp311-win_amd64.whl", None, false)
            .lists(0, "pipes", "pipes-305-cp311-cp311-win32.whl", None, false)
            .has("unixy 1.0", &[])
    };
    let wanted = || Wanted { requirements: requirements(&["dock<7"]), ..Wanted::default() };
    assert_eq!(world().solve(wanted(), "cp311-win_amd64").unwrap(), ["dock 6.0", "pipes 304"]);
    assert_eq!(world().solve(wanted(), LINUX).unwrap(), ["dock 6.0", "unixy 1.0"]);
    assert_eq!(
        world().solve(wanted(), "cp312-win_amd64").unwrap_err(),
        [
            "you ask for dock<7",
            "pipes 305 has no wheel for cp312-win_amd64, and no source distribution that may be used",
            "pipes 304 has no wheel for cp312-win_amd64, and no source distribution that may be used",
            "dock 6.0 needs pipes>=304",
        ]
    );
}

#[test]
fn a_wheel_of_three_tags_and_a_source_distribution_alone_are_taken() {
    let three_ways =
        "odbc-5.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_28_x86_64.whl";
    let world = || {
        World::default().lists(0, "odbc", three_ways, None, false).lists(
            0,
            "docopts",
            "docopts-0.6.2.tar.gz",
            None,
            false,
        )
    };
    let wanted = Wanted { requirements: requirements(&["odbc", "docopts"]), ..Wanted::default() };
    let solution = world().rounds(wanted.clone(), LINUX).0.unwrap();
    assert_eq!(solution.selected[&name("odbc")].file, three_ways);
    assert_eq!(solution.selected[&name("docopts")].file, "docopts-0.6.2.tar.gz");
    let wanted = Wanted { formats: HashMap::from([(name("docopts"), Formats::Wheels)]), ..wanted };
    let lines = world().solve(wanted, LINUX).unwrap_err();
    assert_eq!(lines[1], "docopts 0.6.2 has no file of the formats that may be used");
}

#[test]
fn extras_may_ask_for_their_own_project() {
    let complete = [
        "base>=1",
        "Provides-Extra: array",
        "Provides-Extra: frame",
        "Provides-Extra: complete",
        "num ; extra == 'array'",
        "ask[array] ; extra == 'frame'",
        "pan ; extra == 'frame'",
        "ask[array,frame] ; extra == 'complete'",
        "gui ; extra == 'complete' and sys_platform == 'win32'",
    ];
    let world = || {
        World::default()
            .has("ask 1.0", &[])
            .has("ask 2026.1", &["base>=2"])
            .has("ask 2024.8.0", &complete)
            .has("ask 2025.1", &complete)
            .has("base 1.0", &[])
            .has("num 1.0", &[])
            .has("pan 1.0", &["num", "ask"])
    };
    world().gives(&["ask[complete]==2024.8.0"], &["ask 2024.8.0", "base 1.0", "num 1.0", "pan 1.0"]);
    world().gives(&["ask[array]"], &["ask 2025.1", "base 1.0", "num 1.0"]);
    world().gives(&["ask[array]", "ask<2025"], &["ask 2024.8.0", "base 1.0", "num 1.0"]);
    let wanted = Wanted { requirements: requirements(&["ask[nothing]>2"]), ..Wanted::default() };
    let solution = world().rounds(wanted, LINUX).0.unwrap();
    assert_eq!(solution.notes.iter().collect::<Vec<_>>(), ["ask 2025.1 has no extra nothing"]);
    assert_eq!(solution.selected[&name("ask")].extras, [name("nothing")]);
}

#[test]
fn the_python_of_the_target_decides() {
    let world = || {
        World::default()
            .lists(0, "p", "p-1.0-py3-none-any.whl", Some(">=3.6"), false)
            .lists(0, "p", "p-2.0-py3-none-any.whl", Some(">=3.13"), false)
            .has("hidden 1.0", &[])
            .has("hidden 2.0", &["Requires-Python: >=3.13"])
    };
    world().gives(&["p", "hidden"], &["hidden 1.0", "p 1.0"]);
    let why = "p 2.0 needs Python >=3.13, and the target has 3.12.0";
    world().refuses(&["p>=2"], &["you ask for p>=2", why]);
    let lines =
        world().solve(Wanted { requirements: requirements(&["hidden>1"]), ..Wanted::default() }, LINUX);
    assert!(
        lines
            .unwrap_err()
            .contains(&"hidden 2.0: it needs Python >=3.13, and the target has 3.12.0".to_owned())
    );
}

#[test]
fn addresses_stand_for_their_projects() {
    const URL: &str = "https://files.example.test/p-9.0.tar.gz";
    let world = || {
        World::default()
            .has("p 1.0", &[])
            .has("app 1.0", &["p>=1"])
            .has("far 1.0", &["p @ https://files.example.test/p-9.0.tar.gz"])
            .has("other 1.0", &["p @ https://other.example.test/p-1.0.tar.gz"])
            .at(URL, "p 9.0", &["q"])
            .has("q 1.0", &[])
    };
    world().gives(&["app", "p @ https://files.example.test/p-9.0.tar.gz"], &["app 1.0", "p 9.0", "q 1.0"]);
    // It is heard of late here, too.
    world().gives(&["p", "far"], &["far 1.0", "p 9.0", "q 1.0"]);
    let wanted = Wanted { requirements: requirements(&["far", "other"]), ..Wanted::default() };
    let lines = world().solve(wanted, LINUX).unwrap_err();
    assert!(lines.iter().any(|line| line.contains("is asked for, too")), "{lines:?}");
    let wanted = Wanted { requirements: requirements(&["far"]), ..Wanted::default() };
    let solution = world().rounds(wanted, LINUX).0.unwrap();
    assert_eq!(solution.selected[&name("p")].origin, Origin::Url(URL.into()));
}

#[test]
fn the_first_index_that_has_a_project_is_the_only_one() {
    let world = || {
        World::default()
            .lists(0, "ours", "ours-1.0-py3-none-any.whl", None, false)
            .lists(1, "ours", "ours-99-py3-none-any.whl", None, false)
            .lists(1, "theirs", "theirs-1.0-py3-none-any.whl", None, false)
    };
    let wanted = Wanted { requirements: requirements(&["ours", "theirs"]), indexes: 2, ..Wanted::default() };
    assert_eq!(world().solve(wanted.clone(), LINUX).unwrap(), ["ours 1.0", "theirs 1.0"]);
    let wanted = Wanted { index_of: HashMap::from([(name("ours"), 1)]), ..wanted };
    assert_eq!(world().solve(wanted, LINUX).unwrap(), ["ours 99", "theirs 1.0"]);
}

#[test]
fn constraints_hold_and_need_nothing() {
    let world = World::default().has("p 1.0", &[]).has("p 2.0", &[]).has("q 1.0", &["p"]);
    let wanted = Wanted {
        requirements: requirements(&["q"]),
        constraints: requirements(&["p<2", "unused==1"]),
        ..Wanted::default()
    };
    assert_eq!(world.solve(wanted, LINUX).unwrap(), ["p 1.0", "q 1.0"]);
}

#[test]
fn a_conflict_says_who_wants_what() {
    let world = || {
        World::default()
            .has("web 1.0", &["wire>=2"])
            .has("web 1.1", &["wire>=2"])
            .has("store 3.0", &["wire<2"])
            .has("wire 1.9", &[])
            .has("wire 2.0", &[])
    };
    world().refuses(
        &["web", "store"],
        &["you ask for web", "you ask for store", "web 1.0 to 1.1 needs wire>=2", "store 3.0 needs wire<2"],
    );
    world().refuses(&["wire>=5"], &["you ask for wire>=5", "the newest wire is 2.0"]);
    world().refuses(&["absent"], &["you ask for absent", "no index has a project absent"]);
    let wanted = Wanted {
        requirements: requirements(&["web"]),
        constraints: requirements(&["wire<2"]),
        ..Wanted::default()
    };
    let lines = world().solve(wanted, LINUX).unwrap_err();
    assert!(lines.contains(&"a constraint says wire<2".to_owned()), "{lines:?}");
}

#[test]
fn what_lies_about_itself_is_not_taken() {
    let mut world = World::default().has("p 1.0", &[]).has("p 2.0", &[]).has("p 3.0", &[]);
    world.metadata.insert("p-3.0-py3-none-any.whl".to_owned(), Err("it is damaged".to_owned()));
    world.metadata.insert("p-2.0-py3-none-any.whl".to_owned(), Ok(described("q", "2.0", &[])));
    world.gives(&["p"], &["p 1.0"]);
}
