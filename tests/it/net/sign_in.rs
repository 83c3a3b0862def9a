//! Signing in at registries that ask for it, and at token servers that may be anybody's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aftk::net::{Access, Account, Client, Proxies, Realm, Settings, SignIn, Timer};
use aftk::problem::{Kind, Problem};
use url::Url;

use super::download::Memory;
use super::route::read;
use super::{NoWaiting, hasty, impatient, noting};
use crate::support::fake_upstream::{FakeUpstream, Reply, Seen};
use crate::support::tls::{authority, with_tls};

/// What a token server is asked for.
const QUESTION: &str = "/token?service=registry.example.test&scope=repository%3Alibrary%2Falpine%3Apull";
/// `me` with the password `sesame`, and as that password's holder.
const BASIC: &str = "Basic bWU6c2VzYW1l";

fn password() -> Option<Account> {
    Some(Account::Password { user: "me".to_owned(), password: "sesame".to_owned().into() })
}

fn identity_token() -> Option<Account> {
    Some(Account::IdentityToken { user: String::new(), token: "sesame".to_owned().into() })
}

fn signing_in(url: Url, account: Option<Account>) -> Access {
    let scope = "repository:library/alpine:pull".to_owned();
    let remedy = "docker login registry.example.test".to_owned();
    Access {
        sign_in: Some(Arc::new(SignIn { account, scope, remedy, ..SignIn::default() })),
        ..Access::open(url)
    }
}

fn challenge(realm: &str) -> String {
    format!(r#"Bearer realm="{realm}",service="registry.example.test",scope="repository:other/thing:push""#)
}

/// A reply for whoever shows this, and a challenge for others.
fn guarded(authorization: &str, challenge: &str, reply: Reply) -> Reply {
    let (wanted, challenge) = (authorization.to_owned(), challenge.to_owned());
    Reply::answer(move |seen| match seen.header("authorization") {
        Some(shown) if shown == wanted => reply.clone(),
        _ => Reply::status(401).header("WWW-Authenticate", challenge.clone()),
    })
}

fn token(text: &str) -> Reply {
    Reply::json(&serde_json::json!({"token": text, "expires_in": 300}))
}

/// A registry with a document at `/a` for whoever has the token `let-me-in`, and the token server that has it.
fn registry() -> (FakeUpstream, FakeUpstream) {
    let (registry, tokens) = (FakeUpstream::start(), FakeUpstream::start());
    let challenge = challenge(tokens.at("/token").as_str());
    registry.route("/a", guarded("Bearer let-me-in", &challenge, Reply::ok("inside").ranges()));
    tokens.route(QUESTION, token("let-me-in"));
    (registry, tokens)
}

fn shown(seen: &[Seen]) -> Vec<Option<&str>> {
    seen.iter().map(|seen| seen.header("authorization")).collect()
}

#[tokio::test]
async fn anybody_gets_a_token_and_shows_it_from_then_on() {
    let (registry, tokens) = registry();
    let client = impatient();
    let access = signing_in(registry.at("/a"), None);
    assert_eq!(read(&client, &access).await.unwrap(), "inside");
    assert_eq!(client.head(&access, "").await.unwrap().unwrap().length(), Some(6));
    assert_eq!(client.size(&access).await, Some(6));
    let with_token = Some("Bearer let-me-in");
    assert_eq!(shown(&registry.requests()), [None, with_token, with_token, with_token]);
    assert_eq!(shown(&tokens.requests()), [None]);

    // Another account, another scope and another origin are let in by tokens of their own.
    tokens.route("/token?service=registry.example.test", token("let-me-in"));
    read(&client, &signing_in(registry.at("/a"), password())).await.unwrap();
    let sign_in = SignIn::default();
    let unscoped = Access { sign_in: Some(Arc::new(sign_in)), ..access };
    read(&client, &unscoped).await.unwrap();
    assert_eq!(shown(&tokens.requests()), [None, Some(BASIC), None]);
    let mut elsewhere = registry.at("/a");
    elsewhere.set_host(Some("localhost")).unwrap();
    read(&client, &signing_in(elsewhere, None)).await.unwrap();
    assert_eq!((tokens.requests().len(), shown(&registry.requests())[8]), (4, None));
}

#[tokio::test]
async fn a_hundred_downloads_at_once_ask_for_one_token() {
    let (registry, tokens) = registry();
    // The token server is on the host of the registry, where the downloads take all the places there are.
    registry.route(QUESTION, token("let-me-in").after(Duration::from_millis(50)));
    let file = guarded("Bearer let-me-in", &challenge(registry.at("/token").as_str()), Reply::ok("inside"));
    registry.route("/file", file);
    let client = impatient();
    let access = signing_in(registry.at("/file"), password());
    let downloads = (0..100).map(|_| {
        let (client, access) = (client.clone(), access.clone());
        tokio::spawn(async move {
            let mut sink = Memory::default();
            client.download(&access, Some(6), 100, &mut sink, &|_| {}).await.map(|_| sink.bytes)
        })
    });
    for download in downloads.collect::<Vec<_>>() {
        assert_eq!(download.await.unwrap().unwrap(), b"inside");
    }
    assert_eq!(registry.requests_to(QUESTION).len(), 1);
    assert_eq!(tokens.requests().len(), 0);
}

#[tokio::test]
async fn a_password_is_shown_where_it_is_asked_for() {
    let upstream = FakeUpstream::start();
    upstream.route("/a", guarded(BASIC, "Digest realm=x, Basic realm=\"x\"", Reply::ok("inside")));
    let client = impatient();
    let access = signing_in(upstream.at("/a"), password());
    assert_eq!(read(&client, &access).await.unwrap(), "inside");
    assert_eq!(read(&client, &access).await.unwrap(), "inside");
    assert_eq!(shown(&upstream.requests()), [None, Some(BASIC), Some(BASIC)]);
}

#[tokio::test]
async fn what_does_not_help_is_not_tried_again() {
    let (registry, tokens) = registry();
    registry.route("/basic", Reply::status(401).header("WWW-Authenticate", "Basic realm=x"));
    let denied = Reply::status(401).header("WWW-Authenticate", challenge(tokens.at("/token").as_str()));
    registry.route("/denied", denied);
    registry.route("/forbidden", Reply::status(403));
    registry.route("/silent", Reply::status(401));
    let anybody = "it is not for everybody; sign in with: docker login registry.example.test";
    let again = "sign in again with: docker login registry.example.test";
    for (path, account, requests, questions, hint) in [
        ("/basic", None, 1, 0, anybody),
        ("/basic", identity_token(), 1, 0, again),
        ("/basic", password(), 2, 0, again),
        ("/denied", None, 2, 1, anybody),
        ("/denied", password(), 2, 1, again),
        ("/forbidden", None, 1, 0, anybody),
        ("/forbidden", password(), 1, 0, "sign in with another one: docker login registry.example.test"),
        ("/silent", None, 1, 0, anybody),
    ] {
        let (client, timer) = noting(Settings::default());
        let before = (registry.requests_to(path).len(), tokens.requests().len());
        let access = signing_in(registry.at(path), account);
        let problem = read(&client, &access).await.unwrap_err();
        let made = (registry.requests_to(path).len() - before.0, tokens.requests().len() - before.1);
        assert_eq!(made, (requests, questions), "{path}");
        assert!(problem.hints[0].ends_with(hint), "{path}: {problem:?}");
        assert!(timer.pauses().is_empty(), "{path}");
        let printed = format!("{problem:?} {access:?}");
        assert!(!printed.contains("sesame") && !printed.contains("let-me-in"), "{printed}");
    }
}

#[tokio::test]
async fn an_identity_token_gets_others() {
    let (registry, tokens) = registry();
    tokens.route("/token", Reply::json(&serde_json::json!({"access_token": "let-me-in"})));
    let access = signing_in(registry.at("/a"), identity_token());
    assert_eq!(read(&impatient(), &access).await.unwrap(), "inside");
    let [seen] = &tokens.requests()[..] else { panic!() };
    assert_eq!((seen.method.as_str(), seen.header("authorization")), ("POST", None));
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        std::str::from_utf8(&seen.body).unwrap(),
        "grant_type=refresh_token&client_id=aftk&service=registry.example.test\
         &scope=repository%3Alibrary%2Falpine%3Apull&refresh_token=sesame"
    );

    for status in [404, 405] {
        tokens.route("/token", Reply::status(status));
        assert_eq!(read(&impatient(), &access).await.unwrap(), "inside", "{status}");
        let seen = tokens.requests().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.header("authorization")), ("GET", Some("Basic OnNlc2FtZQ==")));
    }

    // What is sent is not sent on.
    let elsewhere = FakeUpstream::start();
    for status in [302, 307, 308] {
        let before = tokens.requests().len();
        tokens.route("/token", Reply::status(status).header("Location", elsewhere.at("/token").as_str()));
        let problem = read(&impatient(), &access).await.unwrap_err();
        assert_eq!((problem.code.as_ref(), elsewhere.requests().len()), ("net.status", 0), "{status}");
        assert_eq!(tokens.requests().len(), before + 1);
    }
    tokens.route("/token", Reply::status(400));
    let problem = read(&impatient(), &access).await.unwrap_err();
    assert!(problem.hints[0].contains("docker login"), "{problem:?}");
}

/// A clock that tests move on.
#[derive(Default)]
struct Clock {
    seconds: AtomicU64,
}

#[async_trait::async_trait]
impl Timer for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }
    async fn sleep(&self, _: Duration) {}
    fn random(&self) -> f64 {
        0.0
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_where_it_is_refused() {
    let (registry, tokens) = (FakeUpstream::start(), FakeUpstream::start());
    let good = Arc::new(Mutex::new(0));
    let (issuing, checking) = (good.clone(), good.clone());
    let issue = Reply::answer(move |_| {
        let mut good = issuing.lock().unwrap();
        *good += 1;
        token(&format!("t{good}"))
    });
    tokens.route(QUESTION, issue);
    let challenge = challenge(tokens.at("/token").as_str());
    let check = Reply::answer(move |_| {
        guarded(&format!("Bearer t{}", checking.lock().unwrap()), &challenge, Reply::ok("inside"))
    });
    registry.route("/a", check);
    let clock = Arc::new(Clock::default());
    let client = Client::with_timer(Settings::default(), clock.clone()).unwrap();
    let access = signing_in(registry.at("/a"), None);
    let at = async |seconds: u64| {
        clock.seconds.store(seconds, Ordering::SeqCst);
        let before = registry.requests().len();
        assert_eq!(read(&client, &access).await.unwrap(), "inside");
        (registry.requests().len() - before, tokens.requests().len())
    };
    assert_eq!(at(0).await, (2, 1));
    assert_eq!(at(289).await, (1, 1));
    assert_eq!(at(290).await, (1, 2), "renewed without being refused");
    *good.lock().unwrap() = 7;
    assert_eq!(at(291).await, (2, 3), "refused amid work, and renewed once");
    assert_eq!(at(292).await, (1, 3));
}

#[tokio::test]
async fn a_download_goes_on_with_another_token() {
    let (registry, tokens) = (FakeUpstream::start(), FakeUpstream::start());
    tokens.route(QUESTION, Reply::first(vec![token("first")], token("second")));
    let challenge = challenge(tokens.at("/token").as_str());
    let file = || Reply::ok("the whole file").etag("\"1\"").ranges();
    let rest = guarded("Bearer second", &challenge, file());
    let begun = guarded("Bearer first", &challenge, file().truncate_after(4));
    registry.route("/file", Reply::first(vec![begun.clone(), begun], rest));
    let mut sink = Memory::default();
    let access = signing_in(registry.at("/file"), password());
    impatient().download(&access, Some(14), 100, &mut sink, &|_| {}).await.unwrap();
    assert_eq!((sink.bytes.as_slice(), tokens.requests().len()), (&b"the whole file"[..], 2));
    let first = Some("Bearer first");
    assert_eq!(shown(&registry.requests()), [None, first, first, Some("Bearer second")]);
    assert_eq!(registry.requests()[3].header("range"), Some("bytes=4-"));
}

#[tokio::test]
async fn only_the_server_itself_is_answered() {
    let (registry, tokens) = registry();
    let elsewhere = FakeUpstream::start();
    let asks = |upstream: &FakeUpstream| {
        let challenge = challenge(tokens.at("/token").as_str());
        upstream.route("/blob", guarded("Bearer let-me-in", &challenge, Reply::ok("inside")));
    };
    asks(&elsewhere);
    asks(&registry);
    registry.route("/away", Reply::redirect(elsewhere.at("/blob").as_str()));
    registry.route("/and-back", Reply::redirect(elsewhere.at("/back").as_str()));
    elsewhere.route("/back", Reply::redirect(registry.at("/blob").as_str()));
    for path in ["/away", "/and-back"] {
        let access = signing_in(registry.at(path), password());
        let problem = read(&impatient(), &access).await.unwrap_err();
        assert_eq!((problem.code.as_ref(), tokens.requests().len()), ("net.unauthorized", 0), "{path}");
    }
    // Within the server it is.
    registry.route("/within", Reply::redirect("/blob"));
    assert_eq!(read(&impatient(), &signing_in(registry.at("/within"), None)).await.unwrap(), "inside");
    // A token goes no further than the origin that wanted it.
    let open = guarded(
        "Bearer let-me-in",
        &challenge(tokens.at("/token").as_str()),
        Reply::redirect(elsewhere.at("/open").as_str()),
    );
    registry.route("/to-open", open);
    elsewhere.route("/open", Reply::ok("open"));
    assert_eq!(read(&impatient(), &signing_in(registry.at("/to-open"), None)).await.unwrap(), "open");
    assert_eq!(shown(&elsewhere.requests_to("/open")), [None]);
}

#[tokio::test]
async fn a_token_server_that_sends_on_takes_no_password_along() {
    let (registry, tokens) = registry();
    let elsewhere = FakeUpstream::start();
    tokens.route(QUESTION, Reply::redirect(elsewhere.at("/token").as_str()));
    elsewhere.route("/token", token("let-me-in"));
    let access = signing_in(registry.at("/a"), password());
    assert_eq!(read(&impatient(), &access).await.unwrap(), "inside");
    assert_eq!((shown(&tokens.requests()), shown(&elsewhere.requests())), (vec![Some(BASIC)], vec![None]));
}

#[tokio::test]
async fn a_server_cannot_have_us_sign_in_wherever_it_likes() {
    // The proxy stands in for a registry that is elsewhere.
    let (proxy, own) = (FakeUpstream::start(), FakeUpstream::start());
    let settings = || Settings {
        proxies: Proxies { http: Some(proxy.url()), ..Proxies::default() },
        insecure_hosts: vec!["registry.example.test".to_owned()],
        ..Settings::default()
    };
    for (realm, code) in [
        (own.at("/token").as_str(), "net.realm"),
        ("http://192.0.2.1/token", "net.plain-http"),
        ("http://auth.example.test/token", "net.plain-http"),
        ("file:///etc/passwd", "net.realm"),
        ("nowhere", "net.protocol"),
    ] {
        let before = proxy.requests().len();
        proxy.route("/a", Reply::status(401).header("WWW-Authenticate", challenge(realm)));
        let url = "http://registry.example.test/a".parse().unwrap();
        let problem = read(&noting(settings()).0, &signing_in(url, password())).await.unwrap_err();
        assert_eq!(problem.code, code, "{realm}: {problem:?}");
        assert_eq!((proxy.requests().len() - before, own.requests().len()), (1, 0), "{realm}");
    }
}

#[tokio::test]
async fn nobody_is_led_down_from_https() {
    let (registry, tokens) = (with_tls(), FakeUpstream::start());
    registry
        .route("/a", Reply::status(401).header("WWW-Authenticate", challenge(tokens.at("/token").as_str())));
    let client = noting(Settings { ca_files: vec![authority()], ..Settings::default() }).0;
    let mut url = registry.at("/a");
    url.set_host(Some("localhost")).unwrap();
    let problem = read(&client, &signing_in(url, password())).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.realm", Kind::Refused), "{problem:?}");
    assert!(problem.message.contains("it is plain HTTP"), "{problem:?}");
    assert_eq!(tokens.requests().len(), 0);
}

/// <https://github.com/sonatype/nexus-public/issues/435>: some name themselves by plain HTTP on their port of https.
#[tokio::test]
async fn a_server_that_does_not_know_what_it_is_called_is_asked_itself() {
    let registry = with_tls();
    let mut url = registry.at("/a");
    url.set_host(Some("localhost")).unwrap();
    let realm = format!("http://localhost:{}/token", url.port().unwrap());
    registry.route("/a", guarded("Bearer let-me-in", &challenge(&realm), Reply::ok("inside").ranges()));
    registry.route(QUESTION, token("let-me-in"));
    let client = noting(Settings { ca_files: vec![authority()], ..Settings::default() }).0;
    let access = signing_in(url, password());
    assert_eq!(read(&client, &access).await.unwrap_err().code, "net.realm");
    let sign_in = SignIn { realm: Realm::OwnHost, ..SignIn::clone(access.sign_in.as_ref().unwrap()) };
    let access = Access { sign_in: Some(Arc::new(sign_in)), ..access };
    assert_eq!(read(&client, &access).await.unwrap(), "inside");
}

#[tokio::test]
async fn a_password_is_shown_first_and_a_token_all_the_same_where_one_is_wanted() {
    let (registry, tokens) = registry();
    registry.route("/basic", Reply::ok("inside").ranges().only_for(BASIC));
    for (path, account, requests) in [("/basic", password(), 1), ("/a", password(), 2), ("/a", None, 2)] {
        let access = signing_in(registry.at(path), account);
        let sign_in = SignIn { shows_first: true, ..SignIn::clone(access.sign_in.as_ref().unwrap()) };
        let access = Access { sign_in: Some(Arc::new(sign_in)), ..access };
        let before = registry.requests_to(path).len();
        assert_eq!(read(&impatient(), &access).await.unwrap(), "inside");
        assert_eq!(registry.requests_to(path).len() - before, requests, "{path}");
    }
    assert_eq!(shown(&tokens.requests()), [Some(BASIC), None]);
}

/// Reads from a registry whose token server answers like this, with what the client was asked to wait.
async fn answered(reply: Reply) -> (Result<String, Problem>, Vec<Duration>, usize) {
    let (registry, tokens) = registry();
    tokens.route(QUESTION, reply);
    let (client, timer): (Client, Arc<NoWaiting>) = hasty(Settings::default());
    let read = read(&client, &signing_in(registry.at("/a"), password())).await;
    (read, timer.pauses(), tokens.requests().len())
}

#[tokio::test]
async fn what_token_servers_get_wrong_is_told_or_tried_again() {
    let slow_down = Reply::status(429).header("Retry-After", "7");
    for passing in [Reply::status(503), token("let-me-in").truncate_after(5), slow_down.clone()] {
        let (read, pauses, questions) = answered(Reply::first(vec![passing], token("let-me-in"))).await;
        assert_eq!((read.unwrap().as_str(), pauses.len(), questions), ("inside", 1, 2));
    }
    let (read, pauses, _) = answered(slow_down).await;
    let problem = read.unwrap_err();
    assert_eq!((problem.code.as_ref(), pauses[0]), ("net.too-many-requests", Duration::from_secs(7)));
    assert!(problem.place.unwrap().contains("/token?"));

    let endless = Reply::ok(vec![b' '; 1 << 16]).until_close().endless();
    for (final_one, code) in [
        (Reply::status(401), "net.unauthorized"),
        (Reply::status(403), "net.forbidden"),
        (Reply::status(204), "net.status"),
        (Reply::status(404), "net.realm"),
        (Reply::ok("<html>"), "net.protocol"),
        (Reply::json(&serde_json::json!({"details": "none"})), "net.protocol"),
        (token("a\r\nX: b"), "net.protocol"),
        (Reply::gzip(vec![b' '; 2 << 20]), "net.too-large"),
        (endless, "net.too-large"),
        (Reply::redirect(QUESTION), "net.redirect"),
    ] {
        let (read, pauses, _) = answered(final_one).await;
        let problem = read.unwrap_err();
        assert_eq!((problem.code.as_ref(), pauses.len()), (code, 0), "{problem:?}");
        assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
    }
    // Quick enough not to stall, and still not to be waited for.
    let dawdling = Reply::ok(vec![b' '; 1 << 20]).trickle(Duration::ZERO);
    for reply in [token("let-me-in").trickle(Duration::from_millis(50)), dawdling] {
        let (read, pauses, _) = answered(reply).await;
        assert_eq!((read.unwrap_err().code.as_ref(), pauses.len()), ("net.timeout", 4));
    }
}
