//! The command line is a contract: what scripts see of it, run as the program itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs aftk in a directory with the home `home` below it, and nothing else in its environment.
fn aftk(directory: &Path, arguments: &[&str]) -> Output {
    with(directory, &[("AFTK_HOME", "home")], arguments)
}

fn with(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aftk"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json(output: &Output) -> Value {
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "one object: {text:?}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_verbs_are_these() {
    let command = aftk::cli::command();
    let verbs: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
    let expected = [
        "init",
        "lock",
        "collect",
        "inspect",
        "verify",
        "import",
        "serve",
        "ls",
        "check",
        "gc",
        "key",
        "setup",
        "completion",
        "demo",
        "version",
    ];
    assert_eq!(verbs, expected);
    command.debug_assert();
}

#[test]
fn every_option_is_explained_and_has_a_variable() {
    fn look(command: &clap::Command, seen: &mut usize) {
        assert!(command.get_about().is_some(), "{} is not explained", command.get_name());
        for argument in command.get_arguments() {
            let (verb, id) = (command.get_name(), argument.get_id());
            if matches!(id.as_str(), "help" | "version") {
                continue;
            }
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty() && !help.ends_with('.'), "{verb} {id}: {help:?}");
            let Some(long) = argument.get_long() else {
                assert!(argument.is_positional(), "{verb} {id} has no long name");
                continue;
            };
            let variable = format!("AFTK_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "{verb}");
            *seen += 1;
        }
        for verb in command.get_subcommands() {
            look(verb, seen);
        }
    }
    let mut seen = 0;
    look(&aftk::cli::command(), &mut seen);
    assert!(seen > 20, "only {seen} options were seen");
}

#[test]
fn help_goes_to_stdout_and_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["-h"], &["collect", "--help"], &["key", "trust", "-h"]] {
        let output = aftk(directory.path(), arguments);
        assert_eq!((code(&output), stderr(&output)), (0, ""), "{arguments:?}");
        assert!(stdout(&output).contains("Usage: aftk"), "{arguments:?}");
    }
    let help = aftk(directory.path(), &["--help"]);
    assert!(stdout(&help).contains("Exit codes: 0 done, 1 failed, 2 usage, 3 untrusted or damaged"));
    assert!(stdout(&help).lines().all(|line| line.chars().count() <= 100));
    assert!(!directory.path().join("home").exists(), "asking for help makes nothing");
}

#[test]
fn the_version_is_said_twice_alike() {
    let directory = tempfile::tempdir().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(stdout(&aftk(directory.path(), &["--version"])), format!("aftk {version}\n"));
    let plain = aftk(directory.path(), &["version"]);
    assert!(stdout(&plain).starts_with(&format!("aftk {version}\nbundle format ")));
    let report = json(&aftk(directory.path(), &["version", "--json"]));
    assert_eq!(report["version"], version);
    assert!(report["ecosystems"].as_array().is_some_and(|names| !names.is_empty()));
}

#[test]
fn completions_are_printed() {
    let directory = tempfile::tempdir().unwrap();
    for (shell, has) in [("bash", "complete -F"), ("zsh", "#compdef aftk"), ("fish", "complete -c aftk")] {
        let output = aftk(directory.path(), &["completion", shell]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains(has), "{shell}");
    }
}

#[test]
fn a_wrong_call_is_2_and_prints_nothing_on_stdout() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["colect"],
        &["collect", "--chanel", "x"],
        &["import"],
        &["key", "trust"],
        &["collect", "--jobs", "0", "file:./a"],
        &["collect", "--limit-rate", "fast", "file:./a"],
        &["collect", "file:./a", "--file", "aftk.toml"],
        &["setup", "npm", "--write", "--undo"],
        &["completion", "command.com"],
        &["collect", "--channel", "No Name", "file:./a"],
        &["collect"],
        &["ls"],
        &["verify", "gone.aftk.tar"],
        &["import", "gone"],
        &["key", "trust", "gone.pem"],
        &["-C", "gone", "ls"],
    ] {
        let output = aftk(directory.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn errors_are_objects_with_json() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--json", "colect"][..], "usage.arguments"),
        (&["verify", "--json"], "usage.arguments"),
        (&["--json", "collect"], "config.missing"),
        (&["ls", "--json"], "store.missing"),
    ] {
        let output = aftk(directory.path(), arguments);
        let report = json(&output);
        assert_eq!(report["error"]["code"], expected);
        assert_eq!(report["error"]["kind"], "usage");
        assert_eq!(report["exit_code"], 2);
        assert_eq!(code(&output), 2);
        assert!(report["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[test]
fn unknown_keys_are_named_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("aftk.toml"), "format = 1\nrequests = [\"file:./a\"]\nchanel = \"prod\"\n");
    write(
        &directory.path().join("home/site.toml"),
        "format = 1\n[serve]\nlisten = \"127.0.0.1:0\"\ntsl = true\n",
    );
    for (verb, key, place) in [("lock", "chanel", "aftk.toml:3:1"), ("serve", "tsl", "site.toml:4:1")] {
        let output = aftk(directory.path(), &[verb]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(key) && stderr(&output).contains(place), "{}", stderr(&output));
    }
}

#[test]
fn an_option_beats_a_variable() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let made = |home: &str| at.join(home).join("keys").is_dir();
    assert_eq!(code(&with(at, &[("AFTK_HOME", "one")], &["key", "new", "k"])), 0);
    assert!(made("one"));
    assert_eq!(code(&with(at, &[("AFTK_HOME", "two")], &["--home", "three", "key", "new", "k"])), 0);
    assert!(made("three") && !made("two"));
    let quiet =
        with(at, &[("AFTK_HOME", "one"), ("AFTK_JSON", "1"), ("AFTK_QUIET", "true")], &["key", "list"]);
    assert_eq!(json(&quiet)["keys"][0]["name"], "k");
    // Switched off in words, as scripts do.
    let plain = with(at, &[("AFTK_HOME", "one"), ("AFTK_JSON", "0")], &["key", "list"]);
    assert!(stdout(&plain).starts_with("k "), "{}", stdout(&plain));
}

#[test]
fn the_exit_code_tells_kinds_of_failure_apart() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("a.txt"), "a");
    write(&at.join("junk.aftk.tar"), &"junk".repeat(1000));
    assert_eq!(code(&aftk(at, &["verify", "junk.aftk.tar"])), 3);
    assert_eq!(code(&aftk(at, &["import", "junk.aftk.tar"])), 3);
    assert_eq!(code(&aftk(at, &["collect", "file:./a.txt", "--out", "stick"])), 0);
    assert_eq!(code(&aftk(at, &["verify", "stick"])), 0);
    // Another side, which trusts nobody yet.
    let stranger = with(at, &[("AFTK_HOME", "inside")], &["--json", "import", "stick"]);
    assert_eq!((code(&stranger), json(&stranger)["error"]["kind"].clone()), (3, Value::from("untrusted")));
    write(&at.join("aftk.toml"), "mine");
    assert_eq!(code(&aftk(at, &["init", "file:./a.txt"])), 6, "what is there is not overwritten");
}

#[expect(clippy::disallowed_methods, reason = "a test lays out its own directory")]
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
