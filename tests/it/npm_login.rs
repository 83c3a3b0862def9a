//! Signing in as npm and yarn do, who keep a token that lasts.

use aftk::access::Read;
use serde_json::{Value, json};

use crate::support::hosting::Hosting;
use crate::support::npm_packages::{document, tarball};
use crate::support::raw_http::{Client, Response};

fn login(hosting: &Hosting, name: &str, password: &str) -> Response {
    let body = json!({"_id": format!("org.couchdb.user:{name}"), "name": name, "password": password, "type": "user"});
    let path = format!("/npm/all/-/user/org.couchdb.user:{name}");
    hosting.client().of("").send("PUT", &path, &[], body.to_string().as_bytes())
}

fn error(response: &Response) -> String {
    let body: Value =
        serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()));
    body["error"].as_str().unwrap().to_owned()
}

/// A request with a token.
fn with(hosting: &Hosting, token: &str, method: &str, path: &str, body: &[u8]) -> Response {
    let bearer = format!("Authorization: Bearer {token}");
    hosting.client().of("").send(method, path, &[&bearer], body)
}

fn token(response: &Response) -> String {
    assert_eq!(response.status, 201, "{}", response.text());
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    body["token"].as_str().unwrap().to_owned()
}

#[test]
fn whoever_signs_in_has_a_token_until_they_sign_out() {
    // Nobody may read here, and whoever signs in is nobody yet.
    let hosting = Hosting::with(Read::Accounts);
    let (one, other) = (token(&login(&hosting, "ada", "horse")), token(&login(&hosting, "ada", "horse")));
    assert_ne!(one, other);
    let whoami = |hosting: &Hosting, token: &str| with(hosting, token, "GET", "/npm/all/-/whoami", b"");
    assert_eq!(whoami(&hosting, &one).text(), "{\"username\":\"ada\"}");
    let body = document("a", "1.0.0", &tarball(&json!({"name": "a", "version": "1.0.0"}))).to_string();
    let made = with(&hosting, &one, "PUT", "/npm/team/a", body.as_bytes());
    assert_eq!(made.status, 201, "{}", made.text());
    // It outlives the server, and the file has nothing that opens anything.
    let text = std::fs::read_to_string(hosting.home.join("tokens")).unwrap();
    assert!(text.lines().count() == 2 && !text.contains(&one) && !text.contains("aftk_"), "{text}");
    let hosting = hosting.restart();
    assert_eq!(whoami(&hosting, &other).status, 200);

    let path = format!("/npm/all/-/user/token/{one}");
    assert_eq!(with(&hosting, &one, "DELETE", &path, b"").status, 200);
    let refused = whoami(&hosting, &one);
    assert_eq!((refused.status, refused.header("www-authenticate").is_some()), (401, true));
    assert_eq!(whoami(&hosting, &other).status, 200);
    for wrong in ["aftk_", "aftk_x", &other[..other.len() - 1], "x"] {
        assert_eq!(whoami(&hosting, wrong).status, 401, "{wrong}");
    }
}

#[test]
fn another_password_ends_all_tokens() {
    let hosting = Hosting::start();
    let token = token(&login(&hosting, "ada", "horse"));
    let accounts = aftk::trust::AccountsFile::at(hosting.home.join("accounts"));
    accounts.set("ada", "donkey").unwrap();
    let hosting = hosting.restart();
    // The helper writes the accounts anew at each start.
    accounts.set("ada", "donkey").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(with(&hosting, &token, "GET", "/npm/all/-/whoami", b"").status, 401);
    assert_eq!(login(&hosting, "ada", "horse").status, 401);
    assert_eq!(login(&hosting, "ada", "donkey").status, 201);
}

#[test]
fn whoever_cannot_sign_in_is_told_why() {
    let hosting = Hosting::start();
    for (name, password) in [("ada", "donkey"), ("nobody", "horse")] {
        let refused = login(&hosting, name, password);
        assert_eq!(
            (refused.status, error(&refused).contains("are wrong")),
            (401, true),
            "{}",
            refused.text()
        );
    }
    let path = "/npm/all/-/user/org.couchdb.user:ada";
    for body in ["", "{}", "[]", "{\"name\":\"bob\",\"password\":\"horse\"}"] {
        let refused = hosting.client().of("").send("PUT", path, &[], body.as_bytes());
        assert_eq!((refused.status, error(&refused).contains("are needed")), (400, true), "{body}");
    }
    // npm tries a browser first, and takes this for what it is.
    let refused = hosting.client().of("").send("POST", "/npm/all/-/v1/login", &[], b"{}");
    assert_eq!(refused.status, 404);
    let refused = Client::connect(hosting.address).ask("GET", "/npm/all/-/npm/v1/tokens", &[]);
    assert!(error(&refused).contains("npm login makes one"), "{}", refused.text());
    assert!(!hosting.home.join("tokens").exists());
}
