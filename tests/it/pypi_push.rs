//! Python releases pushed into an index: that of another site, which takes uploads as pypiserver, devpi and Nexus do.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::fake_upstream::{FakeUpstream, Reply, Seen};
use crate::support::hosting::Hosting;
use crate::support::raw_http::Client;
use crate::support::releases::Releases;
use crate::support::sides::{Ran, Sides};

/// A site that holds releases, and another one that they are pushed to.
struct Push {
    sides: Sides,
    target: Hosting,
}

impl Push {
    fn new() -> Push {
        let sides = Sides::new();
        let mut releases = Releases::new(&sides.path("in"));
        releases.release("pypi", "some-project", "1.0", json!({}));
        releases.release("pypi", "some-project", "1.1", json!({}));
        releases.release("pypi", "other", "1.0", json!({}));
        releases.publish("one");
        Push { sides, target: Hosting::start() }
    }

    /// Pushes as that account, with more words.
    fn push(&self, account: &str, words: &[&str]) -> Ran {
        let target = format!("pypi:http://{}/pypi/team", self.target.address);
        let mut command = self.sides.command("in");
        command.env("TWINE_USERNAME", account).env("TWINE_PASSWORD", "horse");
        command.args(["push", &target, "--json"]).args(words);
        command.output().unwrap().into()
    }

    fn listed(&self, name: &str) -> Vec<String> {
        let path = format!("/pypi/team/simple/{name}/");
        let accept = "Accept: application/vnd.pypi.simple.v1+json";
        let response = Client::connect(self.target.address).ask("GET", &path, &[accept]);
        let page: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let files = page["files"].as_array().into_iter().flatten();
        files.map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn what_was_chosen_is_there_once() {
    let push = Push::new();
    let looked = push.push("ada", &["-n"]);
    assert_eq!(looked.code, Some(0), "{}", looked.stderr);
    assert_eq!(looked.json()["totals"]["parts"]["missing"]["count"], 6, "{}", looked.stdout);
    assert!(push.listed("other").is_empty());

    let pushed = push.push("ada", &["pypi:some-project"]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    assert_eq!(pushed.json()["totals"]["artifacts"], json!({ "uploaded": 2 }), "{}", pushed.stdout);
    assert_eq!(push.listed("some-project").len(), 4);
    assert!(push.listed("other").is_empty());

    let again = push.push("ada", &[]);
    assert_eq!(
        again.json()["totals"]["artifacts"],
        json!({ "present": 2, "uploaded": 1 }),
        "{}",
        again.stdout
    );
    assert_eq!(push.listed("other").len(), 2);
    let last = push.push("ada", &[]);
    assert_eq!(last.json()["totals"]["artifacts"], json!({ "present": 3 }), "{}", last.stdout);
}

#[test]
fn another_file_of_the_name_stays_and_stops_no_other() {
    let push = Push::new();
    let mut others = Releases::new(&push.target.home);
    others.release("team", "other", "1.0", json!({}));
    others.publish("two");
    let pushed = push.push("ada", &[]);
    assert_eq!(pushed.code, Some(6), "{}", pushed.stderr);
    let totals = &pushed.json()["totals"]["artifacts"];
    assert_eq!(totals, &json!({ "conflict": 1, "uploaded": 2 }), "{}", pushed.stdout);
    let failure = &pushed.json()["failures"][0]["problem"];
    assert_eq!(failure["code"], "push.conflict", "{failure}");
}

#[test]
fn what_an_index_only_leads_on_to_is_not_there() {
    let push = Push::new();
    assert_eq!(push.push("ada", &[]).code, Some(0));
    // As pypiserver does with what it lacks: there it is, but elsewhere.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let elsewhere = push.target.address;
    let taken = std::thread::spawn(move || {
        let mut taken = 0;
        while taken < 2 {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).split(b'\n').map(Result::unwrap);
            let request = String::from_utf8(lines.next().unwrap()).unwrap();
            let path = request.split(' ').nth(1).unwrap();
            let answer = if request.starts_with("GET ") {
                format!("302 Found\r\nLocation: http://{elsewhere}/pypi/team{path}")
            } else {
                assert!(lines.any(|line| line.ends_with(b"--\r")), "a whole form");
                taken += 1;
                "200 OK".to_owned()
            };
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
    let target = format!("pypi:http://{address}/");
    let pushed = push.sides.run("in", &["push", &target, "--json", "pypi:other"]);
    assert_eq!(pushed.json()["totals"]["artifacts"], json!({ "uploaded": 1 }), "{}", pushed.stdout);
    taken.join().unwrap();
}

#[test]
fn what_the_index_says_of_a_refusal_is_passed_on() {
    let push = Push::new();
    let refused = push.push("eve", &["pypi:other"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stdout.contains("the account eve may not write into team"), "{}", refused.stdout);
    assert_eq!(refused.json()["totals"]["artifacts"], json!({ "failed": 1 }));
    for (target, words) in [
        ("pypi:ftp://x/y", &[][..]),
        ("pypi:https://ada:horse@x/y", &[]),
        ("pypi:https://x/y", &["--tag", "x"]),
        ("pypi:https://x/y", &["--map", "a=b"]),
    ] {
        let refused = push.sides.run("in", &[&["push", target][..], words].concat());
        assert_eq!(refused.code, Some(2), "{target} {words:?}: {}", refused.stderr);
    }
}

/// A server that takes and lists files as Nexus' documentation has it: uploads at the repository's own address, pages below
/// `simple/` for whoever has an account, and no file twice. Here its files are by name, with their sha256.
fn nexus(held: Arc<Mutex<BTreeMap<String, String>>>) -> FakeUpstream {
    let upstream = FakeUpstream::start();
    let answer = move |seen: &Seen| {
        if seen.header("authorization") != Some("Basic YWRhOmhvcnNl") {
            let challenge = "BASIC realm=\"Sonatype Nexus Repository Manager\"";
            return Reply::status(401).header("WWW-Authenticate", challenge);
        }
        let mut held = held.lock().unwrap();
        if seen.method == "POST" && seen.path == "/repository/pypi/" {
            let body = String::from_utf8_lossy(&seen.body).into_owned();
            let after = |mark: &str| body.split(mark).nth(1).unwrap().to_owned();
            let file = after("filename=\"").split('"').next().unwrap().to_owned();
            let digest = after("name=\"sha256_digest\"").trim_start()[..64].to_owned();
            assert!(body.contains("file_upload") && body.contains("name=\"metadata_version\""), "{body}");
            if held.contains_key(&file) {
                return Reply::ok("Repository does not allow updating assets: pypi").with_status(400);
            }
            held.insert(file, digest);
            return Reply::status(200);
        }
        let Some(project) = seen.path.strip_prefix("/repository/pypi/simple/") else {
            return Reply::status(404);
        };
        let start = project.trim_end_matches('/').replace('-', "_");
        let of_project = held.iter().filter(|(file, _)| file.replace('-', "_").starts_with(&start));
        let links = of_project.map(|(file, digest)| {
            format!("<a href=\"../../packages/{start}/1/{file}#sha256={digest}\" rel=\"internal\">{file}</a><br/>\n")
        });
        let links: String = links.collect();
        match links.is_empty() {
            true => Reply::status(404),
            false => {
                Reply::ok(format!("<html><body>{links}</body></html>")).header("Content-Type", "text/html")
            }
        }
    };
    upstream.route("*", Reply::answer(answer));
    upstream
}

#[test]
fn nexus_takes_each_file_once_from_an_account_of_netrc() {
    let push = Push::new();
    let held = Arc::new(Mutex::new(BTreeMap::new()));
    let nexus = nexus(held.clone());
    let target = format!("pypi:{}/repository/pypi", nexus.url());
    let pushed = || push.sides.run("in", &["push", &target, "--json"]);
    let refused = pushed();
    assert_ne!(refused.code, Some(0), "nobody said as whom");
    assert!(held.lock().unwrap().is_empty());
    let netrc = "machine http://127.0.0.1 login ada password horse\n";
    std::fs::write(push.sides.path("user/.netrc"), netrc).unwrap();
    assert_eq!(pushed().json()["totals"]["artifacts"], json!({ "uploaded": 3 }));
    assert_eq!(held.lock().unwrap().len(), 6);
    assert_eq!(pushed().json()["totals"]["artifacts"], json!({ "present": 3 }));
    // Another file of the name stays.
    let file = "other-1.0-py3-none-any.whl".to_owned();
    held.lock().unwrap().insert(file, "0".repeat(64));
    let conflict = pushed();
    assert_eq!(conflict.code, Some(6), "{}", conflict.stderr);
    assert_eq!(conflict.json()["totals"]["artifacts"], json!({ "present": 2, "conflict": 1 }));
}
