//! What clients miss inside finds its way into the project outside.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::Sides;

/// What is wanted inside, once so many different things are.
fn wanted(sides: &Sides, different: usize) -> Value {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let report = sides.run("in", &["wanted", "--json"]).json();
        if report["wanted"].as_array().unwrap().len() >= different {
            return report;
        }
        assert!(Instant::now() < until, "{report}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_clients_missed_is_added_outside() {
    let sides = Sides::new();
    sides.write("manual.txt", "read me");
    sides.run("in", &["key", "new", "any"]).done();
    sides.run("in", &["collect", "file:./manual.txt", "--out", "../stick"]).done();
    let serving = Serving::start(&sides);
    let ask = |method: &str, path: &str| {
        let answer = Client::connect(serving.address).ask(method, path, &[]);
        assert_eq!(answer.status, 404, "{method} {path}");
    };
    // As docker and containerd ask for an image: they look first.
    let image = "/v2/registry.example.test/team/app/manifests/1.2";
    for _ in 0..2 {
        ask("HEAD", image);
        ask("GET", image);
    }
    ask("GET", "/npm/all/left-pad");
    ask("GET", "/files/all/downloads.example.test/tool.bin");
    let report = wanted(&sides, 3);
    let told: Vec<_> = report["wanted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["request"], one["name"], one["count"]]))
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["docker:registry.example.test/team/app:1.2", "team/app", 2],
            [null, "downloads.example.test/tool.bin", 1],
            ["npm:left-pad", "left-pad", 1],
        ])
    );
    let list = sides.run("in", &["wanted"]).done();
    assert!(list.starts_with("docker:registry.example.test/team/app:1.2  # 2 times, last 2"), "{list}");
    assert!(list.contains("# no request brings it: file all downloads.example.test/tool.bin"), "{list}");

    let toml = "# Ours.\nformat = 1\nrequests = [\n  # the manual\n  \"file:./manual.txt\",\n]\n";
    sides.write("aftk.toml", toml);
    let list = format!("{list}npm:No Name\n");
    for (name, text, code) in [("wanted.txt", list, 4), ("wanted.json", report.to_string(), 0)] {
        sides.write(name, text);
        let dry = sides.run("out", &["add", "--from", name, "--dry-run"]);
        assert_eq!(
            (dry.code, dry.stdout.as_str()),
            (Some(code), "+ docker:registry.example.test/team/app:1.2\n+ npm:left-pad\n")
        );
        assert_eq!(dry.stderr.contains("not added: npm:No Name: "), code == 4, "{}", dry.stderr);
        assert_eq!(std::fs::read_to_string(sides.path("project/aftk.toml")).unwrap(), toml);
    }
    assert_eq!(sides.run("out", &["add", "--from", "wanted.txt"]).code, Some(4));
    let added = std::fs::read_to_string(sides.path("project/aftk.toml")).unwrap();
    assert_eq!(
        added,
        toml.replace("]\n", "  \"docker:registry.example.test/team/app:1.2\",\n  \"npm:left-pad\",\n]\n")
    );

    let cleared = sides.run("in", &["wanted", "--clear"]);
    assert!(cleared.stderr.contains("forgotten here"), "{}", cleared.stderr);
    assert_eq!(sides.run("in", &["wanted"]).done(), "");
}

#[test]
fn requests_are_added_and_taken_out() {
    let sides = Sides::new();
    let missing = sides.run("out", &["add", "docker:registry.example.test/a:1"]);
    assert_eq!((missing.code, missing.stderr.contains("`aftk init`")), (Some(2), true), "{}", missing.stderr);
    let toml = "format = 1\nrequests = [\"file:./a.txt\"] # ours\n";
    sides.write("aftk.toml", toml);
    let read = || std::fs::read_to_string(sides.path("project/aftk.toml")).unwrap();
    let added = sides.run("out", &["add", "docker:registry.example.test/a:1", "file:./a.txt"]);
    assert!(added.stderr.contains("there already: file:./a.txt"), "{}", added.stderr);
    assert_eq!(added.done(), "+ docker:registry.example.test/a:1\n");
    assert_eq!(read(), toml.replace("]", ", \"docker:registry.example.test/a:1\"]"));
    assert_eq!(sides.run("out", &["add", "nonsense:x"]).code, Some(2));
    assert_eq!(sides.run("out", &["add"]).code, Some(2));
    assert_eq!(sides.run("out", &["remove", "file:./other.txt"]).code, Some(2));
    assert_eq!(
        sides.run("out", &["remove", "docker:registry.example.test/a:1"]).done(),
        "- docker:registry.example.test/a:1\n"
    );
    assert_eq!(read(), toml);
    let last = sides.run("out", &["remove", "file:./a.txt"]);
    assert_eq!(
        (last.code, last.stderr.contains("no request would be left")),
        (Some(2), true),
        "{}",
        last.stderr
    );
}
