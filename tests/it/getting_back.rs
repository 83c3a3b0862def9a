//! Going back: earlier states, forgetting, a catalogue made again, backups, and an old copy put back.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::sides::{Ran, Sides, bundles};

/// An outside that has collected three bundles of the channel `prod`, and an inside that has imported some.
struct Site {
    sides: Sides,
    bundles: Vec<PathBuf>,
}

impl Site {
    /// Each bundle lists a file of its own, `1.txt`, and one that it changes, `moving.txt`; an inside that has imported
    /// the first so many.
    fn with(imported: usize) -> Site {
        let sides = Sides::new();
        for sequence in 1..=3 {
            sides.write(&format!("{sequence}.txt"), format!("only in {sequence}"));
            sides.write("moving.txt", format!("moved {sequence}"));
            let file = format!("file:./{sequence}.txt");
            let words = ["collect", &file, "file:./moving.txt", "--channel", "prod", "--out", "../stick"];
            sides.run("out", &words).done();
        }
        sides.trust();
        let site = Site { bundles: bundles(&sides.path("stick")), sides };
        (0..imported)
            .for_each(|index| assert_eq!(site.import(index).json()["bundles"][0]["outcome"], "imported"));
        site
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.sides.run("in", words)
    }

    fn import(&self, index: usize) -> Ran {
        self.run(&["import", "--json", self.bundles[index].to_str().unwrap()])
    }

    /// What `ls --json` prints.
    fn listed(&self) -> Value {
        let ran = self.run(&["ls", "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()
    }

    /// The names that are shown.
    fn names(&self) -> Vec<String> {
        let listed = self.listed();
        let artifacts = listed["artifacts"].as_array().unwrap();
        let mut names: Vec<String> = artifacts
            .iter()
            .map(|one| one["purl"].as_str().unwrap().split(['/', '?']).nth(1).unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn fails(&self, words: &[&str], exit: i32, code: &str) -> Ran {
        let ran = self.run(&[words, &["--json"]].concat());
        assert_eq!((ran.code, &ran.json()["error"]["code"]), (Some(exit), &json!(code)), "{}", ran.stderr);
        ran
    }
}

#[test]
fn a_channel_goes_back_and_forward_again() {
    let site = Site::with(3);
    assert_eq!(
        site.run(&["rollback", "prod", "-n"]).done(),
        "prod: would show sequence 2 (it was 3, the newest here is 3)\n"
    );
    let back = site.run(&["rollback", "prod"]);
    assert_eq!(back.stdout, "prod: shows sequence 2 (it was 3, the newest here is 3)\n");
    assert!(back.stderr.contains("promote prod`"), "{}", back.stderr);
    assert!(!site.names().contains(&"3.txt".to_owned()));
    // What it went back from is held already; that does not show it again.
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "already-held");
    assert!(!site.names().contains(&"3.txt".to_owned()));
    site.fails(&["promote", "prod/7"], 4, "generation.none");
    site.fails(&["rollback", "other"], 4, "selector.nothing");
    site.fails(&["promote", "prod/x"], 2, "usage.sequence");
    assert_eq!(site.run(&["promote", "prod"]).done(), "prod: shows sequence 3 (it was 2, the newest here)\n");
    assert!(site.names().contains(&"3.txt".to_owned()));
    // gc leaves two states, and the bytes of those.
    site.run(&["gc"]).done();
    site.fails(&["rollback", "prod", "--to", "1"], 4, "generation.none");
    site.run(&["rollback", "prod", "--to", "2"]).done();
    site.run(&["check"]).done();
}

#[test]
fn what_is_forgotten_comes_back_with_the_next_bundle() {
    let site = Site::with(2);
    let would = site.run(&["forget", "file:1.txt", "-n"]).done();
    assert!(would.ends_with("would forget 1 artifact; gc frees 1 blob, 9 B\n"), "{would}");
    assert_eq!(site.names(), ["1.txt", "2.txt", "moving.txt"]);
    assert!(site.run(&["forget", "file:moving.txt"]).done().ends_with("gc frees 2 blobs, 14 B\n"));
    assert_eq!(site.names(), ["1.txt", "2.txt"]);
    assert_eq!(site.run(&["gc"]).done(), "freed 2 blobs, 14 B\n");
    site.run(&["check"]).done();
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "imported");
    assert_eq!(site.names(), ["1.txt", "2.txt", "3.txt", "moving.txt"]);

    site.run(&["forget", "--channel", "prod", "--keep-last", "1"]).done();
    assert_eq!(site.names(), ["3.txt", "moving.txt"]);
    site.fails(&["rollback", "prod"], 4, "generation.none");
    site.run(&["gc"]).done();
    site.run(&["check"]).done();
    site.run(&["forget", "--channel", "prod", "--keep-within", "6m"]).done();
    site.fails(&["forget", "--channel", "prod", "--keep-within", "6"], 2, "usage.time");
    site.fails(&["forget", "npm:nothing"], 4, "selector.nothing");
    assert_eq!(site.run(&["forget"]).code, Some(2));
}
