//! Whether the solver chooses what the real apt chooses, on the real archive.
//!
//! The solver has no verb of its own, and no more needs one than it needs the program: its modules are read in here.

mod oracle;

#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/deb822.rs"]
mod deb822;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/preferences.rs"]
mod preferences;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/relation.rs"]
mod relation;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/solve/mod.rs"]
mod solve;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/status.rs"]
mod status;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/universe/mod.rs"]
mod universe;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../../src/ecosystem/apt/version.rs"]
mod version;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use oracle::{Apt, Outcome};
use solve::{Answer, Question, cases, solve};
use status::Baseline;
use universe::Universe;

#[test]
fn apt_answers_every_small_case_as_the_fixtures_say() {
    for case in cases::all() {
        let (apt, universe, pins) = (Apt::of_case(&case), case.universe(), case.pins());
        for ask in case.asks.iter().filter(|ask| !ask.words.iter().any(|word| word == "--superset")) {
            let words: Vec<&str> = ask.words.iter().map(String::as_str).collect();
            let verb: &[&str] = if words.contains(&"dist-upgrade") { &[] } else { &["install"] };
            let theirs = apt.would(&[verb, &words].concat());
            let ours = solve(&universe, &ask.question(&case.baseline, &pins));
            let ours = ours.map(|answer| outcome(&universe, &answer)).map_err(|reason| reason.to_string());
            assert_eq!(difference(&theirs, &ours), None, "{}: {words:?}", case.name);
            if let (Err(theirs), Err(ours)) = (theirs, ours) {
                let theirs = theirs.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
                // After a semicolon we may say more.
                let reasons = ours.lines().map(|reason| reason.split("; ").next().unwrap());
                let other = reasons.filter(|reason| !theirs.contains(reason)).collect::<Vec<_>>();
                assert!(
                    other.is_empty(),
                    "{}: {words:?}: apt does not say {other:?} but {theirs}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn a_hundred_packages_for_an_empty_machine() {
    agree(&["amd64"], None, &listed("packages"));
}

#[test]
fn a_hundred_packages_for_this_machine() {
    let extended_states = fs::read("/var/lib/apt/extended_states").unwrap_or_default();
    let baseline = Baseline { status: fs::read("/var/lib/dpkg/status").unwrap(), extended_states };
    agree(&["amd64"], Some(&baseline), &listed("packages"));
}

#[test]
fn several_architectures_and_the_hard_cases() {
    agree(&["amd64", "i386"], None, &listed("hard_cases"));
}

/// Lines of a fixture: words that `apt-get install` is given.
fn listed(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apt").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Asks both for each line, with what is recommended and without. Of all answers 98 % have to be the same, and every
/// difference has to be known: in `fixtures/apt/differences`, as `words, a tab, why`.
fn agree(architectures: &[&str], baseline: Option<&Baseline>, lines: &[String]) {
    let apt = Apt::of_this_machine(architectures);
    let universe = apt.universe(architectures);
    apt.set_baseline(&baseline.cloned().unwrap_or_default());
    let known = listed("differences");
    let (mut asked, mut differing, mut unexplained) = (0, 0, Vec::new());
    for line in lines {
        for recommends in [true, false] {
            let mut words: Vec<&str> = line.split(' ').collect();
            let wanted = words.iter().map(|word| cases::want(word)).collect();
            let question = Question { wanted, recommends, baseline, ..Question::default() };
            let ours = solve(&universe, &question);
            let ours = ours.map(|answer| outcome(&universe, &answer)).map_err(|reason| reason.to_string());
            words.insert(0, if recommends { "--install-recommends" } else { "--no-install-recommends" });
            let theirs = apt.would(&[&["install"], words.as_slice()].concat());
            asked += 1;
            let Some(difference) = difference(&theirs, &ours) else { continue };
            differing += 1;
            if !known.iter().any(|known| known.split('\t').next() == Some(line)) {
                unexplained.push(format!("{}: {difference}", words.join(" ")));
            }
        }
    }
    assert!(
        unexplained.is_empty(),
        "of {asked} answers {differing} differ, and unexplained are\n{}",
        unexplained.join("\n")
    );
    assert!(differing * 50 <= asked, "of {asked} answers {differing} differ");
}

/// An answer as apt prints its own.
fn outcome(universe: &Universe, answer: &Answer) -> Outcome {
    let install = answer.install.iter().map(|version| universe.file_name(*version)).collect();
    Outcome { install, remove: answer.remove.iter().cloned().collect() }
}

/// How an answer differs from apt's, if it does.
fn difference(apt: &Result<Outcome, String>, ours: &Result<Outcome, String>) -> Option<String> {
    match (apt, ours) {
        (Err(_), Err(_)) => None,
        (Ok(apt), Ok(ours)) if apt == ours => None,
        (Ok(apt), Ok(ours)) => {
            let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                one.difference(other).cloned().collect::<Vec<_>>().join(" ")
            };
            Some(format!(
                "only apt installs [{}], only we [{}]; only apt removes [{}], only we [{}]",
                only(&apt.install, &ours.install),
                only(&ours.install, &apt.install),
                only(&apt.remove, &ours.remove),
                only(&ours.remove, &apt.remove),
            ))
        }
        (Ok(_), Err(reason)) => Some(format!("only apt can: {reason}")),
        (Err(reason), Ok(_)) => Some(format!("only we can: {reason}")),
    }
}
