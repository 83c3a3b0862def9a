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
        "add",
        "remove",
        "lock",
        "collect",
        "pack",
        "inspect",
        "diff",
        "verify",
        "repair",
        "import",
        "serve",
        "export",
        "push",
        "status",
        "ls",
        "why",
        "wanted",
        "forget",
        "rollback",
        "promote",
        "check",
        "gc",
        "receipt",
        "backup",
        "restore",
        "recover",
        "key",
        "account",
        "login",
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
    assert!(stdout(&help).contains("0 done      3 untrusted or damaged"));
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
    write(&directory.path().join("here"), "a file");
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
        &["setup", "npm", "--server", "https://mirror.example.test", "--ca", "missing.pem"],
        &["setup", "ca", "--write"],
        &["serve", "--tls-cert", "a"],
        &["serve", "--tls-self", "--tls-cert", "a", "--tls-key", "b"],
        &["serve", "--tls-name", "mirror.example.test"],
        &["completion", "command.com"],
        &["collect", "--channel", "No Name", "file:./a"],
        &["collect"],
        &["ls"],
        &["verify", "gone.aftk.tar"],
        &["import", "gone"],
        &["key", "trust", "gone.pem"],
        &["-C", "gone", "ls"],
        &["--home", "here", "ls"],
        &["init", "bogus"],
        &["init", "npm:left-pad@./here"],
        &["init", "file:https://files.example.test/a"],
        &["collect", "file:./here", "--out", "here"],
        &["collect", "file:./here", "--out", "here/below"],
    ] {
        let output = aftk(directory.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
    }
    assert!(!directory.path().join("aftk.toml").exists(), "a project that cannot be read is not begun");
}

#[test]
fn init_leaves_out_lockfiles_that_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("bun.lockb"), "");
    let alone = json(&aftk(directory.path(), &["init", "--json"]));
    assert_eq!(alone["error"]["code"], "npm.binary-lockfile");
    write(&directory.path().join("package-lock.json"), "{}");
    let report = json(&aftk(directory.path(), &["init", "--json"]));
    assert_eq!(report["requests"], serde_json::json!(["npm:./package-lock.json"]));
}

#[test]
fn init_takes_one_lockfile_of_several_that_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("package.json"), "{}");
    let dry = |at: &Path| json(&aftk(at, &["init", "--dry-run", "--json"]));
    assert_eq!(dry(at)["requests"], serde_json::json!(["npm:./package.json"]));
    for name in ["yarn.lock", "package-lock.json", "requirements.txt"] {
        write(&at.join(name), "");
    }
    let report = dry(at);
    assert_eq!(report["requests"], serde_json::json!(["npm:./package-lock.json", "pypi:./requirements.txt"]));
    assert_eq!(report["passed_over"], serde_json::json!(["npm:./package.json", "npm:./yarn.lock"]));
    let said = aftk(at, &["init"]);
    assert!(stderr(&said).contains("left out, for another one says what is installed: npm:./package.json"));
}

#[test]
fn options_that_may_be_repeated_take_a_list() {
    fn look(command: &clap::Command, seen: &mut Vec<String>) {
        for argument in command.get_arguments() {
            if let (Some(long), clap::ArgAction::Append) = (argument.get_long(), argument.get_action()) {
                assert_eq!(argument.get_value_delimiter(), Some(','), "{} --{long}", command.get_name());
                seen.push(long.to_owned());
            }
        }
        command.get_subcommands().for_each(|verb| look(verb, seen));
    }
    let mut seen = Vec::new();
    look(&aftk::cli::command(), &mut seen);
    assert!(seen.contains(&"platform".to_owned()) && seen.contains(&"listen".to_owned()), "{seen:?}");
    // Each value reaches the verb as one of its own.
    let directory = tempfile::tempdir().unwrap();
    write(
        &directory.path().join("package-lock.json"),
        r#"{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0"}}}"#,
    );
    for (platforms, expected) in [("linux-x64-glibc,linux-arm64-musl", 0), ("linux-x64-glibc,nonsense", 2)] {
        let variables = [("AFTK_HOME", "home"), ("AFTK_PLATFORM", platforms)];
        let output = with(directory.path(), &variables, &["lock", "-n", "npm:./package-lock.json"]);
        assert_eq!(code(&output), expected, "{platforms}: {}", stderr(&output));
    }
}

#[test]
fn a_project_may_be_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let lockfile = r#"{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0"}}}"#;
    write(&at.join("project/package-lock.json"), lockfile);
    write(&at.join("project/a.txt"), "a");
    let requests = "format = 1\nrequests = [\"npm:./package-lock.json\", \"file:./a.txt\"]\n";
    write(&at.join("project/aftk.toml"), requests);
    let absolute = at.join("project");
    for place in [["-C", "project"], ["-f", "project/aftk.toml"], ["-C", absolute.to_str().unwrap()]] {
        let output = aftk(at, &[&["lock", "-n"][..], &place].concat());
        assert_eq!(code(&output), 0, "{place:?}: {}", stderr(&output));
        assert!(stdout(&output).starts_with("pkg:generic/a.txt?"), "{place:?}: {}", stdout(&output));
    }
}

#[test]
fn hints_name_the_home_and_the_directory_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let hint = |output: &Output| {
        let text = stderr(output);
        text.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default().to_owned()
    };
    let chosen = aftk(at, &["--home", "the home", "ls"]);
    assert!(hint(&chosen).starts_with("`aftk --home 'the home' import PATH`"), "{}", stderr(&chosen));
    let variable = aftk(at, &["ls"]);
    assert!(hint(&variable).starts_with("`aftk --home home import PATH`"), "{}", stderr(&variable));
    write(&at.join("project/README"), "");
    let project = with(at, &[], &["-C", "project", "lock"]);
    assert!(hint(&project).starts_with("`aftk -C project init` writes one"), "{}", stderr(&project));
    // The other side's home is another one.
    write(&at.join("a.txt"), "a");
    assert_eq!(code(&aftk(at, &["collect", "file:./a.txt", "--out", "stick"])), 0);
    let stranger = aftk(at, &["--home", "inside", "import", "stick"]);
    assert!(hint(&stranger).contains("(outside: aftk key show)"), "{}", stderr(&stranger));
    assert!(hint(&stranger).contains("`aftk --home inside key trust FILE`"), "{}", stderr(&stranger));
    let object = json(&aftk(at, &["--home", "inside", "--json", "import", "stick"]));
    assert_eq!(object["error"]["hints"][0], hint(&stranger));
}

#[test]
fn with_json_progress_every_line_is_an_event_and_one_ends_the_job() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("a.txt"), "a");
    write(&at.join("junk.aftk.tar"), &"junk".repeat(1000));
    let collect = ["collect", "file:./a.txt", "--out", "stick"];
    for (arguments, last) in [
        (&["init", "file:./a.txt"][..], "done"),
        (&collect, "done"),
        (&["verify", "stick"], "done"),
        (&["verify", "stick", "junk.aftk.tar"], "error"),
        (&["import", "junk.aftk.tar"], "error"),
        (&["ls"], "done"),
        (&["check"], "done"),
        (&["gc"], "done"),
        (&["key", "show"], "done"),
        (&["key", "list", "--json"], "done"),
        (&["-C", "gone", "ls"], "error"),
        (&["bogus"], "error"),
    ] {
        let output = aftk(at, &[&["--progress", "json"][..], arguments].concat());
        let events: Vec<Value> = stderr(&output)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{arguments:?}: {line}")))
            .collect();
        let ends: Vec<_> =
            events.iter().filter(|event| event["event"] == "done" || event["event"] == "error").collect();
        assert_eq!(ends.len(), 1, "{arguments:?}: {events:?}");
        assert_eq!(events.last().unwrap()["event"], last, "{arguments:?}");
        assert_eq!(code(&output) == 0, last == "done", "{arguments:?}");
    }
}

#[test]
fn a_dry_run_of_keys_and_setup_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let key = with(at, &[("AFTK_HOME", "outside")], &["-q", "key", "show"]);
    write(&at.join("key.pem"), stdout(&key));
    let says = |arguments: &[&str]| {
        let output = aftk(at, arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output).to_owned()
    };
    assert_eq!(says(&["key", "new", "me", "-n"]), "would make: me, ed25519\n");
    assert!(says(&["key", "trust", "key.pem", "--name", "col", "-n"]).starts_with("would trust: col "));
    assert!(says(&["setup", "npm", "--write", "-n"]).ends_with(".npmrc: would be written\n"));
    assert!(!at.join("home").exists() && !at.join(".npmrc").exists());

    assert!(says(&["key", "trust", "key.pem", "--name", "col"]).starts_with("trusted: col "));
    assert!(says(&["key", "revoke", "col", "-n"]).starts_with("would revoke: col "));
    // Nobody is asked where there is no terminal.
    assert!(says(&["key", "revoke", "col"]).starts_with("revoked: col "));
    says(&["setup", "npm", "--write"]);
    assert!(says(&["setup", "npm", "--undo", "-n"]).contains("would be removed"));
    assert!(at.join(".npmrc").exists());
    says(&["setup", "npm", "--undo"]);
    assert!(!at.join(".npmrc").exists(), "it was made by setup alone");
}

#[test]
fn naming_channels_limits_a_key_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let key = with(at, &[("AFTK_HOME", "outside")], &["-q", "key", "show"]);
    write(&at.join("key.pem"), stdout(&key));
    aftk(at, &["key", "trust", "key.pem", "--name", "a"]);
    let limited = aftk(at, &["key", "trust", "key.pem", "--channel", "prod,dev"]);
    let said = "now collector of channel dev, prod; before: collector of every channel";
    assert!(stderr(&limited).contains(said), "{}", stderr(&limited));
    let list = aftk(at, &["key", "list"]);
    let columns: Vec<_> = stdout(&list).lines().map(|line| line.find("ed25519:").unwrap()).collect();
    assert!(columns.len() == 2 && columns[0] == columns[1], "{}", stdout(&list));
}

#[test]
fn a_link_is_called_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("bundle.aftk.tar"), "junk");
    std::os::unix::fs::symlink("bundle.aftk.tar", at.join("link.aftk.tar")).unwrap();
    let output = aftk(at, &["verify", "link.aftk.tar"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("it is a symbolic link"), "{}", stderr(&output));
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    aftk(directory.path(), &["key", "new", "k"]);
    for arguments in [&["key", "list"][..], &["key", "list", "--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aftk"));
        command.current_dir(directory.path()).env("AFTK_HOME", "home");
        #[expect(clippy::disallowed_methods, reason = "a device that is always full")]
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.args(arguments).stdout(full).output().unwrap();
        assert_eq!(code(&output), 1, "{arguments:?}");
        assert!(stderr(&output).contains("cannot write to stdout"), "{}", stderr(&output));
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
fn a_site_of_its_own_authority_hands_it_to_clients() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let none = aftk(at, &["setup", "ca"]);
    assert_eq!(code(&none), 1);
    assert!(stderr(&none).contains("--tls-self"), "{}", stderr(&none));
    write(&at.join("home/site.toml"), "format = 1\n[serve]\nlisten = \"127.0.0.1:0\"\ntls = \"self\"\n");
    let mut server = Command::new(env!("CARGO_BIN_EXE_aftk"))
        .args(["--home", "home", "serve", "--tls-name", "mirror.example.test"])
        .current_dir(at)
        .env_clear()
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(server.stderr.take().unwrap()));
    let mut said = String::new();
    for line in lines {
        let line = line.unwrap();
        said.push_str(&format!("{line}\n"));
        if line.starts_with("serving on https://127.0.0.1:") {
            break;
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(said.contains("serving on https") && said.contains("mirror.example.test, "), "{said}");
    let authority = aftk(at, &["setup", "ca"]);
    assert!(stdout(&authority).starts_with("-----BEGIN CERTIFICATE-----\n"), "{}", stdout(&authority));
    let fingerprint = stderr(&authority).trim().rsplit(' ').next().unwrap().to_owned();
    assert!(fingerprint.len() == 95 && said.contains(&fingerprint), "{said}{fingerprint}");

    let setup = |arguments: &[&str]| {
        let output = aftk(at, &[&["setup"], arguments].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        (stdout(&output).to_owned(), stderr(&output).to_owned())
    };
    assert!(setup(&["npm", "--server", "https://mirror.example.test"]).0.contains("ca=\"-----BEGIN"));
    assert!(!setup(&["npm", "--server", "http://mirror.example.test"]).0.contains("ca="));
    let (_, advice) = setup(&["docker", "--server", "https://mirror.example.test:2385"]);
    assert!(advice.contains("/etc/docker/certs.d/mirror.example.test:2385/ca.crt"), "{advice}");
    // A client's machine has no such site, and is given the file.
    write(&at.join("other.pem"), stdout(&authority));
    let arguments = ["setup", "npm", "--server", "https://mirror.example.test", "--ca", "other.pem"];
    let given = with(at, &[("AFTK_HOME", "other")], &arguments);
    assert!(stdout(&given).contains("ca=\"-----BEGIN"), "{}", stderr(&given));
    for (arguments, what) in [
        (["serve", "--tls-cert", "none.pem", "--tls-key", "none.pem"], "at none.pem"),
        (["serve", "--tls-self", "--tls-name", "a b", "-q"], "\"a b\""),
    ] {
        let refused = aftk(at, &arguments);
        assert_eq!(code(&refused), 2, "{}", stderr(&refused));
        assert!(stderr(&refused).contains(what), "{}", stderr(&refused));
    }
}

#[test]
fn accounts_are_made_listed_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let add = |name: &str, password: &str| {
        write(&at.join("password"), password);
        let mut command = Command::new(env!("CARGO_BIN_EXE_aftk"));
        command.args(["--home", "home", "account", "add", name]).current_dir(at).env_clear();
        command.stdin(std::fs::File::open(at.join("password")).unwrap()).output().unwrap()
    };
    let names = || json(&aftk(at, &["account", "ls", "--json"]))["accounts"].to_string();
    assert_eq!(names(), "[]");
    assert!(!at.join("home").exists(), "looking makes nothing");
    assert_eq!(stdout(&add("ada", "horse\n")), "added: ada\n");
    assert_eq!(stdout(&add("ada", "another")), "changed: ada\n");
    assert_eq!(stdout(&add("ci", "horse\r\n")), "added: ci\n");
    assert_eq!(stdout(&aftk(at, &["account", "ls"])), "ada\nci\n");
    for (name, password, why) in [
        ("bob", "", "there is no password"),
        ("bob", "\n", "there is no password"),
        ("bob", "two\nlines\n", "control character"),
        ("bob", &"x".repeat(73), "longer than 72 bytes"),
        ("b:b", "horse", "cannot name an account"),
    ] {
        let refused = add(name, password);
        assert_eq!(code(&refused), 2);
        assert!(stderr(&refused).contains(why) && stdout(&refused).is_empty(), "{}", stderr(&refused));
    }
    assert_eq!(code(&aftk(at, &["account", "remove", "bob"])), 2);
    assert_eq!(stdout(&aftk(at, &["account", "remove", "ada"])), "removed: ada\n");
    assert_eq!(names(), "[{\"name\":\"ci\"}]");
    // Whoever looks into the log later finds who could do what and when.
    let store = aftk::store::Store::open(&at.join("home")).unwrap();
    let log = store.catalogue.audit(0, 100).unwrap().into_iter().map(|(entry, _)| entry);
    let log: Vec<_> = log.map(|entry| format!("{} {}", entry.action, entry.subject["account"])).collect();
    assert_eq!(log, ["account-added ada", "account-changed ada", "account-added ci", "account-removed ada"]);
}

#[test]
fn a_site_that_cannot_be_served_as_it_says_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let serve = || aftk(at, &["serve", "--listen", "127.0.0.1:0"]);
    let hosted = "format = 1\n[[hosted]]\necosystem = \"deb\"\nname = \"team\"\nwrite = [\"*\"]\n";
    write(&at.join("home/site.toml"), hosted);
    let refused = serve();
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("which is not served") && stderr(&refused).contains("oci"));
    write(&at.join("home/site.toml"), "format = 1\n");
    write(&at.join("home/accounts"), "ada:{SHA}x\n");
    let refused = serve();
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("accounts:1"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("hint: write it with `aftk --home home account add NAME`"));
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
    // An empty one is none.
    let empty =
        with(at, &[("AFTK_HOME", "one"), ("AFTK_DIRECTORY", ""), ("AFTK_COLOR", "")], &["key", "list"]);
    assert_eq!(stdout(&empty), stdout(&plain), "{}", stderr(&empty));
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
