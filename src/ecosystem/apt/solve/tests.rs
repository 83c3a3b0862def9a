//! The cases of `fixtures/apt/solving`, and what no file of sane size could show.

use std::collections::BTreeSet;

use super::super::deb822::Stanza;
use super::super::universe::{IndexFacts, Universe};
use super::{Engine, Question, Unsolvable, Want, cases, solve};

#[test]
fn every_case_is_answered_as_apt_answers_it() {
    let cases = cases::all();
    assert!(cases.len() >= 10, "the fixtures are there");
    for case in cases {
        let (universe, pins) = (case.universe(), case.pins());
        for ask in &case.asks {
            let place = format!("{}: {}", case.name, ask.words.join(" "));
            match solve(&universe, &ask.question(&case.baseline, &pins)) {
                Ok(answer) => {
                    assert_eq!(ask.fails, Vec::<String>::new(), "{place} is to fail");
                    let mut found: Vec<String> =
                        answer.install.iter().map(|version| universe.file_name(*version)).collect();
                    let mut expected = ask.install.clone();
                    found.sort();
                    expected.sort();
                    assert_eq!((&found, &answer.remove), (&expected, &ask.remove), "{place}");
                    assert_eq!(answer.strange, Vec::<String>::new(), "{place}");
                }
                Err(unsolvable) => {
                    let text = unsolvable.to_string();
                    assert!(!ask.fails.is_empty(), "{place}: {text}");
                    for part in &ask.fails {
                        assert!(text.contains(part), "{place}: {part:?} is not in {text:?}");
                    }
                }
            }
        }
    }
}

/// What a system would install that sees nothing but what is carried: of all wants together or, where all alternatives are
/// carried, of each by itself.
fn inside(carried: &Universe, question: &Question<'_>) -> Result<BTreeSet<String>, Unsolvable> {
    let wants: Vec<Vec<Want>> = match question.engine {
        Engine::Exact => vec![question.wanted.clone()],
        Engine::Superset => question.wanted.iter().map(|want| vec![want.clone()]).collect(),
    };
    let mut files = BTreeSet::new();
    for wanted in wants {
        let exact = Question { wanted, engine: Engine::Exact, ..question.clone() };
        files.extend(solve(carried, &exact)?.install.into_iter().map(|version| carried.file_name(version)));
    }
    Ok(files)
}

#[test]
fn what_is_carried_for_an_answer_is_enough_for_it_and_a_package_less_is_not() {
    for case in cases::all() {
        let (universe, pins) = (case.universe(), case.pins());
        for ask in &case.asks {
            let question = ask.question(&case.baseline, &pins);
            let Ok(answer) = solve(&universe, &question) else { continue };
            let carried = |left_out: Option<usize>| {
                let architectures: Vec<&str> = case.architectures.iter().map(String::as_str).collect();
                let mut carried = Universe::new(&architectures).unwrap();
                for index in universe.indices() {
                    carried.begin_index(index.clone()).unwrap();
                }
                for (place, version) in answer.install.iter().enumerate() {
                    for origin in universe.origins(*version).filter(|_| Some(place) != left_out) {
                        let Some(index) = origin.index else { continue };
                        let source = &case.indices[usize::from(index) / case.architectures.len()];
                        let architecture = &universe.indices()[usize::from(index)].architecture;
                        let stanza = source.of(architecture).nth(origin.place as usize).unwrap();
                        carried.add(index, &Stanza::only(stanza.as_bytes()), 0).unwrap();
                    }
                }
                carried
            };
            let place = format!("{}: {}", case.name, ask.words.join(" "));
            let exact = Question { engine: Engine::Exact, ..question.clone() };
            if solve(&universe, &exact).is_err() {
                // All alternatives of what excludes itself are no help.
                assert!(inside(&carried(None), &question).is_err(), "{place}");
                continue;
            }
            let outside: BTreeSet<String> =
                answer.install.iter().map(|version| universe.file_name(*version)).collect();
            let chosen = inside(&carried(None), &question).unwrap();
            // It may upgrade less, where it sees less of what excludes each other.
            assert!(chosen.is_subset(&outside), "{place}: {chosen:?} instead of {outside:?}");
            if question.engine == Engine::Exact && case.baseline.status.is_empty() {
                let wanted = answer.install.iter().position(|version| {
                    let name = universe.name_text(universe.name(universe.package(*version))).to_owned();
                    question
                        .wanted
                        .iter()
                        .any(|want| matches!(want, Want::Package { name: wanted, .. } if *wanted == name))
                });
                if wanted.is_some() {
                    assert!(inside(&carried(wanted), &question) != Ok(outside), "{place}");
                }
            }
        }
    }
}

fn universe_of(stanzas: impl Iterator<Item = String>) -> Universe {
    let mut universe = Universe::new(&["amd64"]).unwrap();
    let index = universe.begin_index(IndexFacts::default()).unwrap();
    for stanza in stanzas {
        universe.add(index, &Stanza::only(stanza.as_bytes()), 0).unwrap();
    }
    universe
}

fn wanting(name: &str) -> Question<'static> {
    Question { wanted: vec![Want::package(name)], recommends: true, ..Question::default() }
}

#[test]
fn chains_are_followed_as_far_as_apt_follows_them() {
    let chain = |length: usize| {
        universe_of((0..length).map(|place| {
            let next = if place + 1 == length { "p0".to_owned() } else { format!("p{}", place + 1) };
            format!("Package: p{place}\nVersion: 1\nArchitecture: all\nDepends: {next}\n")
        }))
    };
    assert_eq!(solve(&chain(2500), &wanting("p0")).unwrap().install.len(), 2500);
    let reason = solve(&chain(20_000), &wanting("p0")).unwrap_err().to_string();
    assert!(reason.contains("is not going to be installed"), "{reason}");
    let all = Question { engine: Engine::Superset, ..wanting("p0") };
    assert_eq!(solve(&chain(20_000), &all).unwrap().install.len(), 20_000);
}

#[test]
fn many_alternatives_that_fail_take_no_long_time() {
    // Each of a thousand alternatives needs a thousand others, and the last of them what nobody has.
    let universe = universe_of((0..1000).map(|place| {
        let alternatives: Vec<String> = (0..1000).map(|other| format!("p{other}")).collect();
        format!(
            "Package: p{place}\nVersion: 1\nArchitecture: all\nDepends: {}, nobody-{place}\n",
            alternatives.join(" | ")
        )
    }));
    let reason = solve(&universe, &wanting("p0")).unwrap_err().to_string();
    assert!(reason.contains("p0 : Depends: nobody-0 but it is not installable"), "{reason}");
}

#[test]
fn a_stanza_that_cannot_be_read_changes_nothing() {
    let mut universe = Universe::new(&["amd64"]).unwrap();
    let index = universe.begin_index(IndexFacts::default()).unwrap();
    for (stanza, fault) in [
        ("Version: 1\nArchitecture: all\n", "no Package"),
        ("Package: a\nArchitecture: all\n", "no Version"),
        ("Package: a\nVersion: 1\nArchitecture: m68k\n", "m68k"),
        ("Package: a\nVersion: 1\nArchitecture: all\nDepends: b (>= 1\n", "a 1: Depends: a parenthesis"),
        ("Package: a\nVersion: 1\nArchitecture: all\nProvides: (b)\n", "a 1: Provides: there is no"),
    ] {
        let error = universe.add(index, &Stanza::only(stanza.as_bytes()), 0).unwrap_err();
        assert!(error.contains(fault), "{stanza}: {error}");
    }
    assert_eq!(universe.version_count(), 0);
    let error = universe.add(index, &Stanza::only(b"Package: a\nVersion: \xff\n"), 0).unwrap_err();
    assert!(error.contains("Version is not UTF-8"), "{error}");
}
