//! Who is let in: passwords, tokens, and what is everybody's.

use aftk::access::{Hosted, Read};
use aftk::http_server::Accounts;
use aftk::trust::AccountsFile;
use base64::Engine as _;

use super::*;

/// A site with the accounts `ada` and `bob`, whose passwords are `horse`.
struct Guarded {
    site: Site,
    file: AccountsFile,
    directory: tempfile::TempDir,
}

impl std::ops::Deref for Guarded {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

fn guarded(read: Read) -> Guarded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("accounts");
    let file = AccountsFile::at(path.clone());
    for name in ["ada", "bob"] {
        file.set(name, "horse").unwrap();
    }
    let hosted = Hosted {
        ecosystem: "fake".to_owned(),
        name: "team".to_owned(),
        write: vec!["*".to_owned()],
        packages: Vec::new(),
        quota: None,
    };
    let accounts = Some(Arc::new(Accounts::open(path).unwrap()));
    let site = Site::with_access(Access { read, hosted: vec![hosted], accounts }, |_| {});
    Guarded { site, file, directory }
}

fn basic(name: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {text}")
}

fn token(response: &Response) -> String {
    assert_eq!(response.status, 200, "{}", response.text());
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 300);
    assert!(body["issued_at"].is_null(), "clocks differ behind an air gap");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    format!("Authorization: Bearer {}", body["token"].as_str().unwrap())
}

fn post(site: &Site, form: &str) -> Response {
    let mut client = site.client();
    let length = form.len();
    client.send(format!("POST /-/token HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{form}"));
    client.response(false).unwrap()
}

const WHO: &str = "/fake/all/who";
const ADA: &str = "Account(\"ada\")";

#[test]
fn whoever_shows_credentials_is_known_by_them() {
    let site = guarded(Read::Open);
    assert_eq!(site.get(WHO, &[]).text(), "Anonymous");
    assert_eq!(site.get(WHO, &[&basic("ada", "horse")]).text(), ADA);
    assert_eq!(site.get(WHO, &[&basic("ada", "horse").replace("Basic", "bAsIC")]).text(), ADA);
    // Wrong ones are refused though none are needed, each time, in the words of these clients.
    let (right, wrong) = (basic("ada", "horse"), basic("ada", "house"));
    for headers in [
        &[wrong.as_str()][..],
        &[&basic("eve", "horse")],
        &[&basic("ada", "")],
        &[&basic("", "")],
        &[&basic("ada", &"horse".repeat(100))],
        &["Authorization: Basic %"],
        &["Authorization: Basic"],
        &["Authorization: Digest x"],
        &["Authorization: Bearer x"],
        &["Authorization: Bearer "],
        &[&right, &right],
    ] {
        let refused = site.get("/fake/all/document/x", headers);
        assert_eq!(refused.status, 401, "{headers:?}");
        assert_eq!(
            refused.header("www-authenticate"),
            Some("Fake realm=\"http://aftk.test:2385\",scope=\"name=x\"")
        );
        assert!(refused.text().starts_with("{\"error\":\"name, password or token are wrong"));
    }
    // On our own pages, in those of everybody.
    assert_eq!(site.get("/", &[&wrong]).header("www-authenticate"), Some("Basic realm=\"aftk\""));
    assert_eq!(site.get("/fake/all/nothing/here/at/all", &[&wrong]).status, 401);
}

#[test]
fn where_there_are_no_accounts_credentials_are_anothers() {
    let site = Site::start();
    assert_eq!(site.get(WHO, &[&basic("ada", "horse")]).text(), "Anonymous");
    assert_eq!(site.get("/-/token", &[&basic("ada", "horse")]).status, 401);
    let site = guarded(Read::Open);
    site.file.remove("ada").unwrap();
    site.file.remove("bob").unwrap();
    eventually("nobody is left", || site.get(WHO, &[&basic("ada", "horse")]).text() == "Anonymous");
    assert_eq!(site.get("/fake/all/hello", &[]).status, 200);
}

#[test]
fn a_password_is_hashed_once_for_many_requests() {
    let site = guarded(Read::Open);
    let begin = clock::instant();
    std::thread::scope(|scope| {
        for name in ["ada", "bob"] {
            for _ in 0..10 {
                scope.spawn(|| {
                    let mut client = site.client();
                    for _ in 0..50 {
                        assert_eq!(client.ask("GET", WHO, &[&basic(name, "horse")]).status, 200);
                    }
                });
            }
        }
    });
    // A thousand hashes would take half a minute of two cores.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn a_token_stands_for_whoever_asked_for_it() {
    let site = guarded(Read::Open);
    let url = "/-/token?service=aftk.test:2385&scope=repository:team/app:pull,push";
    let anonymous = token(&site.get(url, &[]));
    assert_eq!(site.get(WHO, &[&anonymous]).text(), "Anonymous");
    let ada = token(&site.get(url, &[&basic("ada", "horse")]));
    assert_eq!(site.get(WHO, &[&ada]).text(), ADA);
    let posted =
        token(&post(&site, "grant_type=password&service=s&client_id=c&username=ada&password=h%6frse"));
    assert_eq!(site.get(WHO, &[&posted]).text(), ADA);
    // Nobody stays signed in for ever by asking for the next token with the last one.
    assert_eq!(site.get(url, &[&ada]).status, 401);
    assert_eq!(site.get(url, &[&anonymous]).status, 401);

    for headers in [[basic("ada", "house")], [basic("eve", "horse")]] {
        let refused = site.get(url, &[&headers[0]]);
        assert_eq!(refused.status, 401);
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"aftk\""));
    }
    assert_eq!(post(&site, "grant_type=password&username=ada&password=house").status, 401);
    // Docker shows mirrors the account that it has elsewhere: who only pulls may as well be nobody.
    let pull = "/-/token?account=eve&service=s&scope=repository:library/redis:pull";
    let nobody = token(&site.get(pull, &[&basic("eve", "horse")]));
    assert_eq!(site.get(WHO, &[&nobody]).text(), "Anonymous");
    assert_eq!(guarded(Read::Accounts).get(pull, &[&basic("eve", "horse")]).status, 401);
    for (form, error) in [
        ("grant_type=refresh_token&refresh_token=x", "unsupported_grant_type"),
        ("username=ada&password=horse", "invalid_request"),
        ("grant_type=password&username=ada", "invalid_request"),
        ("", "invalid_request"),
        ("\u{0}%%%", "invalid_request"),
    ] {
        let refused = post(&site, form);
        let body: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!((refused.status, body["error"].as_str()), (400, Some(error)), "{form}");
    }
    let refused = site.client().ask("DELETE", url, &[]);
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, POST")));
}

#[test]
fn an_answer_that_is_kept_is_not_everybodys() {
    let site = guarded(Read::Accounts);
    let key = site.store.put(b"secret");
    let path = format!("/fake/all/lasting/{}/6", key.hex());
    let ada = token(&site.get("/-/token", &[&basic("ada", "horse")]));
    for _ in 0..3 {
        assert_eq!(site.get(&path, &[&ada]).text(), "secret");
        let refused = site.get(&path, &[]);
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").is_some() && !refused.text().contains("secret"));
        assert_eq!(site.client().ask("HEAD", &path, &[]).status, 401);
        let there = format!("If-None-Match: \"{key}\"");
        assert_eq!(site.get(&path, &[&there]).status, 401);
    }
    assert_eq!(site.get(&path, &[&basic("bob", "horse")]).text(), "secret");
}

#[test]
fn where_accounts_read_few_things_are_everybodys() {
    let site = guarded(Read::Accounts);
    for (path, status) in [
        ("/-/health", 200),
        ("/setup/ca.pem", 404),
        ("/", 401),
        ("/-/metrics", 401),
        ("/setup/fakeclient", 401),
        ("/-/token", 401),
        ("/nothing", 401),
        (WHO, 401),
        ("/-/health/", 401),
        ("/-/%68ealth", 401),
    ] {
        assert_eq!(site.get(path, &[]).status, status, "{path}");
    }
    let ada = basic("ada", "horse");
    for path in ["/", "/-/metrics", "/setup/fakeclient", "/-/token", WHO] {
        assert_eq!(site.get(path, &[&ada]).status, 200, "{path}");
    }
    // What is everybody's elsewhere is nobody's pass here.
    let open = guarded(Read::Open);
    let foreign = token(&open.get("/-/token", &[]));
    assert_eq!(site.get(WHO, &[&foreign]).status, 401);
    // Nor is there another way in under the name of a host that is impersonated.
    for path in ["/who", "/setup/ca.pem", "/-/health"] {
        assert_eq!(site.get(path, &["Host: registry.example.test"]).status, 401, "{path}");
    }
    assert_eq!(site.get("/who", &["Host: registry.example.test", &ada]).text(), ADA);
}

#[test]
fn whoever_is_removed_is_signed_out_while_it_serves() {
    let site = guarded(Read::Accounts);
    let ada = token(&site.get("/-/token", &[&basic("ada", "horse")]));
    let bob = token(&site.get("/-/token", &[&basic("bob", "horse")]));
    assert_eq!(site.get(WHO, &[&ada]).text(), ADA);
    site.file.remove("ada").unwrap();
    site.file.set("bob", "another").unwrap();
    eventually("the token is nobody's", || site.get(WHO, &[&ada]).status == 401);
    assert_eq!(site.get(WHO, &[&bob]).status, 401);
    for name in ["ada", "bob"] {
        assert_eq!(site.get(WHO, &[&basic(name, "horse")]).status, 401);
    }
    assert_eq!(site.get(WHO, &[&basic("bob", "another")]).status, 200);
    // Nobody is let in by a file that cannot be read, and only the log says why.
    let path = site.directory.path().join("accounts");
    aftk::fsx::replace_private(&path, b"ada:horse\n").unwrap();
    eventually("it is not believed", || site.get(WHO, &[&basic("bob", "another")]).status == 500);
    assert!(!site.get(WHO, &[&ada]).text().contains("accounts"));
    assert!(site.log().contains("not hashed by bcrypt"));
    assert_eq!(site.get("/-/health", &[]).status, 200);
}

#[test]
fn whoever_greets_is_told_how_to_sign_in() {
    let site = guarded(Read::Open);
    let told = site.get("/fake/all/hello", &[]);
    assert_eq!(told.status, 401);
    assert_eq!(told.header("www-authenticate"), Some("Fake realm=\"http://aftk.test:2385\",scope=\"\""));
    // Whoever then shows that they are nobody is nobody, and reads.
    let anonymous = token(&site.get("/-/token", &[]));
    assert_eq!(site.get("/fake/all/hello", &[&anonymous]).text(), "Anonymous");
    assert_eq!(site.get("/fake/all/hello", &[&basic("ada", "horse")]).text(), ADA);
    assert_eq!(site.get("/fake/all/document/x", &[]).status, 200);
    assert_eq!(Site::start().get("/fake/all/hello", &[]).status, 200);
}
