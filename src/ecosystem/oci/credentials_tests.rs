//! Accounts as docker and podman write them down, and helpers that are shell scripts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::credentials::Credentials;
use crate::ecosystem::HelperAnswer;
use crate::ecosystem::testing::FakeMachine;
use crate::net::Account;
use crate::problem::{Kind, Problem};

/// The default registry's address in these tests, of the form that docker has for its own.
const INDEX: &str = "https://index.example.test/v1/";
/// `me:sesame`, as the files have it.
const ME: &str = "bWU6c2VzYW1l";

/// A machine with files and variables from tables, and helpers that are scripts.
#[derive(Default)]
struct Machine {
    files: BTreeMap<PathBuf, String>,
    variables: BTreeMap<&'static str, &'static str>,
    /// The scripts of helpers, by their names.
    helpers: BTreeMap<String, &'static str>,
    /// What helpers were asked.
    asked: Mutex<Vec<String>>,
}

impl Machine {
    /// One with docker's file alone.
    fn with(content: &str) -> Machine {
        Machine::default().file("/home/user/.docker/config.json", content)
    }

    fn file(mut self, path: &str, content: &str) -> Machine {
        self.files.insert(path.into(), content.to_owned());
        self
    }

    fn helper(mut self, name: &str, script: &'static str) -> Machine {
        self.helpers.insert(format!("docker-credential-{name}"), script);
        self
    }

    fn find(&self, server: &str, repository: &str) -> Result<Option<Account>, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime
            .block_on(async { Credentials::load(self).await?.for_registry(server, repository, self).await })
    }

    /// Who is found, as user and secret.
    fn found(&self, server: &str, repository: &str) -> Option<(String, String)> {
        self.find(server, repository).unwrap().map(|account| match account {
            Account::Password { user, password } => (user, password.to_string()),
            Account::IdentityToken { user, token } => (format!("token of {user}"), token.to_string()),
        })
    }

    /// Whose password `sesame` is found.
    fn user(&self, server: &str, repository: &str) -> Option<String> {
        self.found(server, repository).map(|(user, secret)| {
            assert_eq!(secret, "sesame");
            user
        })
    }
}

#[async_trait]
impl FakeMachine for Machine {
    async fn read(&self, path: &Path, _: u64) -> Result<Option<Bytes>, Problem> {
        Ok(self.files.get(path).map(|content| Bytes::copy_from_slice(content.as_bytes())))
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn home_directory(&self) -> Option<PathBuf> {
        Some("/home/user".into())
    }

    async fn ask_helper(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<HelperAnswer, Problem> {
        self.asked.lock().unwrap().push(format!("{program} {input}"));
        let Some(script) = self.helpers.get(program) else {
            return Err(Problem::new(Kind::Usage, "helper.no-answer", "no answer").because("no such program"));
        };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, program]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        // Some scripts do not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Ok(HelperAnswer { succeeded: output.status.success(), output: text.into() })
    }
}

fn auths(pairs: &[(&str, &str)]) -> String {
    let entries = pairs.iter().map(|(key, user)| {
        let auth = STANDARD.encode(format!("{user}:sesame"));
        ((*key).to_owned(), serde_json::json!({ "auth": auth }))
    });
    serde_json::json!({ "auths": entries.collect::<serde_json::Map<_, _>>() }).to_string()
}

#[test]
fn entries_are_read_as_clients_write_them() {
    let found = |entry: &str| {
        let content =
            format!(r#"{{"auths":{{"registry.example.test":{entry}}},"HttpHeaders":{{}},"psFormat":"x"}}"#);
        Machine::with(&content).found("registry.example.test", "a/b")
    };
    let pair = |user: &str, secret: &str| Some((user.to_owned(), secret.to_owned()));
    assert_eq!(found(&format!(r#"{{"auth":"{ME}"}}"#)), pair("me", "sesame"));
    assert_eq!(found(r#"{"auth":"bWU6c2U6c2FtZQAA"}"#), pair("me", "se:same"));
    assert_eq!(found(r#"{"username":"me","password":"sesame"}"#), pair("me", "sesame"));
    assert_eq!(found(r#"{"auth":"bWU6","identitytoken":"sesame"}"#), pair("token of me", "sesame"));
    assert_eq!(found(r#"{"identitytoken":"sesame","email":null}"#), pair("token of ", "sesame"));
    assert_eq!(found(r#"{"username":"<token>","password":"sesame"}"#), pair("token of ", "sesame"));
    for nothing in ["{}", r#"{"auth":""}"#, r#"{"username":"me"}"#, r#"{"auth":"bWU6"}"#] {
        assert_eq!(found(nothing), None, "{nothing}");
    }
    for empty in ["", "\n", "{}", r#"{"auths":null}"#, r#"{"auths":{},"credHelpers":{},"credsStore":""}"#] {
        assert_eq!(Machine::with(empty).found("registry.example.test", "a"), None, "{empty}");
    }
}

#[test]
fn keys_lead_to_registries_and_to_parts_of_them() {
    let machine = Machine::with(&auths(&[
        ("registry.example.test", "all"),
        ("registry.example.test/team", "team"),
        ("registry.example.test/team/app", "app"),
        ("registry.example.test:5000", "port"),
        ("https://old.example.test/v2/", "old"),
        ("http://older.example.test", "older"),
        ("oldest.example.test/v1/", "oldest"),
        ("https://pathed.example.test/anything", "pathed"),
        ("only.example.test/team", "only"),
        (INDEX, "index"),
    ]));
    for (server, repository, user) in [
        ("registry.example.test", "library/a", Some("all")),
        ("registry.example.test", "team", Some("team")),
        ("registry.example.test", "team/other", Some("team")),
        ("registry.example.test", "team/app/part", Some("app")),
        ("registry.example.test", "team/apple", Some("team")),
        ("registry.example.test", "teams/app", Some("all")),
        ("registry.example.test:5000", "team/app", Some("port")),
        ("registry.example.test:5001", "team/app", None),
        ("old.example.test", "a", Some("old")),
        ("older.example.test", "a", Some("older")),
        ("oldest.example.test", "a", Some("oldest")),
        ("pathed.example.test", "a", Some("pathed")),
        ("only.example.test", "other", None),
        ("only.example.test", "team/a", Some("only")),
        (INDEX, "library/a", Some("index")),
        ("index.example.test", "library/a", Some("index")),
        ("example.test", "a", None),
        ("evil-registry.example.test", "a", None),
        ("registry.example.test.evil.test", "a", None),
    ] {
        assert_eq!(machine.user(server, repository).as_deref(), user, "{server} {repository}");
    }
    // What is written for the registry itself comes before an address of it, which comes before nothing.
    let both = [("https://registry.example.test/v1/", "address"), ("registry.example.test", "host")];
    assert_eq!(Machine::with(&auths(&both)).user("registry.example.test", "a").as_deref(), Some("host"));
    let empty =
        format!(r#"{{"auths":{{"r.example.test":{{}},"https://r.example.test":{{"auth":"{ME}"}}}}}}"#);
    assert_eq!(Machine::with(&empty).user("r.example.test", "a").as_deref(), Some("me"));
}

#[test]
fn files_count_in_podmans_order() {
    let of = |user| auths(&[("registry.example.test", user)]);
    let user = |machine: &Machine| machine.user("registry.example.test", "a/b").unwrap();
    let mut machine = Machine::with(&of("docker"));
    assert_eq!(user(&machine), "docker");
    machine = machine.file("/home/user/.config/containers/auth.json", &of("lasting"));
    assert_eq!(user(&machine), "lasting");
    let session = format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw());
    machine = machine.file(&session, &of("session"));
    assert_eq!(user(&machine), "session");
    machine.variables.insert("REGISTRY_AUTH_FILE", "/elsewhere.json");
    assert_eq!(user(&machine), "lasting", "the file that is named is not there");
    machine = machine.file("/elsewhere.json", &of("elsewhere"));
    assert_eq!(user(&machine), "elsewhere");

    machine.variables.insert(
        "DOCKER_AUTH_CONFIG",
        r#"{"auths": {"registry.example.test": {"auth": "dmFyOnNlc2FtZQ=="}},
        "credsStore": "of-nobody"}"#,
    );
    assert_eq!(user(&machine), "var");
    assert_eq!(machine.user("other.example.test", "a"), None, "no helper that a variable names is run");
    machine.variables.insert("DOCKER_AUTH_CONFIG", "{\"auths\": 1, \"auth\": \"sesame\"}");
    let problem = machine.find("registry.example.test", "a").unwrap_err();
    assert!(problem.place.unwrap().starts_with("DOCKER_AUTH_CONFIG:1:"));

    let mut machine = Machine::with(&of("docker"));
    machine.variables.insert("DOCKER_CONFIG", "/moved");
    assert_eq!(machine.user("registry.example.test", "a"), None);
    machine = machine.file("/moved/config.json", &of("moved"));
    assert_eq!(user(&machine), "moved");
    machine.variables.insert("XDG_CONFIG_HOME", "/config");
    machine = machine.file("/config/containers/auth.json", &of("config"));
    assert_eq!(user(&machine), "config");
    machine.variables.insert("XDG_RUNTIME_DIR", "/runtime");
    machine = machine.file("/runtime/containers/auth.json", &of("runtime"));
    assert_eq!(user(&machine), "runtime");
    // One that has nothing for this registry leaves it to the next.
    assert_eq!(
        machine
            .file("/runtime/containers/auth.json", &auths(&[("other.test", "x")]))
            .found("registry.example.test", "a")
            .unwrap()
            .0,
        "config"
    );
}

/// A helper that knows two servers.
const KEEPER: &str = r#"
[ "$1" = get ] || exit 7
read -r server
case $server in
    registry.example.test) echo '{"ServerURL":"x","Username":"kept","Secret":"sesame"}' ;;
    https://index.example.test/v1/) echo '{"Username":"<token>","Secret":"sesame"}' ;;
    *) echo 'credentials not found in native keychain'; exit 1 ;;
esac"#;

#[test]
fn helpers_come_before_what_is_written() {
    let content = |rest: &str| {
        format!(
            r#"{{"auths":{{"other.example.test":{{"auth":"{ME}"}},"registry.example.test":{{"auth":"{ME}"}}}},{rest}}}"#
        )
    };
    let machine = |rest: &str| Machine::with(&content(rest)).helper("keeper", KEEPER);
    let all = machine(r#""credsStore":"keeper""#);
    assert_eq!(all.user("registry.example.test", "a").as_deref(), Some("kept"));
    assert_eq!(all.found(INDEX, "library/a"), Some(("token of ".to_owned(), "sesame".to_owned())));
    assert_eq!(all.user("other.example.test", "a").as_deref(), Some("me"), "it has nothing for this one");
    assert_eq!(all.user("third.example.test", "a"), None);
    assert_eq!(all.asked.lock().unwrap()[0], "docker-credential-keeper registry.example.test");

    let own = machine(r#""credHelpers":{"registry.example.test":"keeper","other.example.test":"keeper"}"#);
    assert_eq!(own.user("registry.example.test", "a").as_deref(), Some("kept"));
    assert_eq!(own.user("other.example.test", "a"), None, "its own helper has the last word");
    let before =
        machine(r#""credHelpers":{"https://registry.example.test":"keeper"},"credsStore":"none-such""#);
    assert_eq!(before.user("registry.example.test", "a").as_deref(), Some("kept"));
    let off = machine(r#""credHelpers":{"registry.example.test":""},"credsStore":"keeper""#);
    assert_eq!(off.user("registry.example.test", "a").as_deref(), Some("me"));
}

#[test]
fn helpers_that_fail_are_named() {
    let content = r#"{"credsStore":"keeper"}"#;
    for (script, why) in [
        ("echo 'the keychain is locked'; exit 1", "it failed and said \"the keychain is locked\""),
        ("printf '\\033[2J'; exit 1", "it failed and said \"\\u{1b}[2J\""),
        ("exit 1", "it failed and said \"\""),
        ("echo '{\"Username\":\"me\",\"Secret\":7}'", "its answer is not of the form of helpers"),
        ("echo 'sesame'", "its answer is not of the form of helpers"),
    ] {
        let problem =
            Machine::with(content).helper("keeper", script).find("registry.example.test", "a").unwrap_err();
        assert_eq!((problem.code.as_ref(), problem.causes[0].as_str()), ("oci.credential-helper", why));
        assert_eq!(problem.place.as_deref(), Some("/home/user/.docker/config.json"));
        assert!(problem.message.contains("docker-credential-keeper"), "{problem:?}");
        assert_eq!(
            problem.hints[0],
            "see what it says: echo registry.example.test | docker-credential-keeper get"
        );
    }
    let problem = Machine::with(content).find("registry.example.test", "a").unwrap_err();
    assert_eq!(problem.causes, ["no such program"]);
    for name in ["../../bin/x", "a/b", "a b", "x\u{202e}"] {
        let machine = Machine::with(&serde_json::json!({"credsStore": name}).to_string());
        let problem = machine.find("registry.example.test", "a").unwrap_err();
        assert_eq!(
            (problem.code.as_ref(), machine.asked.lock().unwrap().len()),
            ("oci.credential-helper", 0),
            "{name}"
        );
    }
}

#[test]
fn damaged_files_are_named_and_not_repeated() {
    for (content, place, why) in [
        ("{\n\"auths\": sesame", "2:10", "it is no JSON"),
        ("{\"auths\":", "1:9", "it is no JSON"),
        ("{\"auths\":{\"r\":\"sesame\"}}", "1:22", "it has something else than docker writes there"),
        ("[]", "1:2", "it has something else than docker writes there"),
    ] {
        let problem = Machine::with(content).find("registry.example.test", "a").unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Usage, "oci.bad-auth-file"));
        assert_eq!(problem.place.as_deref(), Some(&*format!("/home/user/.docker/config.json:{place}")));
        assert_eq!(problem.causes, [why], "{content}");
        assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
    }
    for auth in ["sesame", "c2VzYW1l", "/w=="] {
        let content = format!(
            r#"{{"auths":{{"registry.example.test":{{"auth":"{auth}"}},"fine.test":{{"auth":"{ME}"}}}}}}"#
        );
        let machine = Machine::with(&content);
        let problem = machine.find("registry.example.test", "a").unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Usage, "oci.bad-account"));
        assert!(!format!("{problem:?}").contains(auth), "{problem:?}");
        assert_eq!(machine.user("fine.test", "a").as_deref(), Some("me"), "others are read all the same");
    }
}
