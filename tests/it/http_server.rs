//! The listener over raw sockets, with an ecosystem made for the tests.

mod access;
mod clients;
mod paths;
mod representations;
mod site;
mod tls;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftk::clock;
use aftk::ecosystem::template::Template;
use aftk::ecosystem::{
    Answer, ClientFile, ClientRequest, Content, Ecosystem, Form, Route, Serve, ServeContext, Setup,
    SetupServer,
};
use aftk::http_server::{Access, Mount, Served, Server, ServerSettings, Timeouts, Upstreams};
use aftk::problem::{Kind, Problem};
use bundle_format::{Artifact, BlobKey, Repository};
use bytes::Bytes;

use crate::support::fake_store::FakeStore;
use crate::support::raw_http::{Client, Response};

/// An ecosystem whose packages are what the tests need.
struct Fake;

const ROUTES: &[Route] = &[
    Route::get("/document/{name}", "document"),
    Route::get("/blob/{key}/{size}", "blob"),
    Route::get("/read/{key}/{limit}", "read"),
    Route::get("/files/{path...}", "captured"),
    Route::get("/broken", "broken"),
    Route::get("/refused", "refused"),
    Route::get("/slow", "slow"),
    Route::get("/missing/{name}/{version}", "missing"),
    Route::get("/lasting/{key}/{size}", "lasting"),
    Route::get("/who", "who"),
    Route::get("/hello", "hello"),
    Route::post("/echo", "echo"),
    Route::get("/{package}", "captured"),
];

static MADE: AtomicUsize = AtomicUsize::new(0);

impl Ecosystem for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn words(&self) -> &'static [&'static str] {
        &[]
    }

    fn schema(&self) -> &'static str {
        "fake/1"
    }
    fn purl(&self, _: &Artifact) -> String {
        String::new()
    }
    fn serve(&self) -> Option<&dyn Serve> {
        Some(self)
    }
    fn setup(&self) -> &[&dyn Setup] {
        &[&Fake]
    }
}

impl Setup for Fake {
    fn client(&self) -> &'static str {
        "fakeclient"
    }
    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        let (address, repositories) = (server.address, server.repositories.join(","));
        let mut text = format!("registry={address}/fake/all/\nrepositories={repositories}\n");
        let authority_file = server.authority.map(|authority| {
            text.push_str(authority);
            ".fakeca".to_owned()
        });
        Ok(ClientFile { path: ".fakerc", text, form: Form::Among("#"), then: "", authority_file })
    }
}

impl Serve for Fake {
    fn prefix(&self) -> &'static str {
        "fake"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn is_greeting(&self, action: &str) -> bool {
        action == "hello"
    }

    fn scope(&self, captures: &[(&'static str, String)]) -> String {
        captures.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn challenge(&self, origin: &str, scope: &str) -> String {
        format!("Fake realm=\"{origin}\",scope=\"{scope}\"")
    }

    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        let capture = |index: usize| request.captures[index].1.as_str();
        let document = |body: Bytes| {
            Ok(Answer::from(Content::Document { media_type: "application/json", body, vary: "Accept" }))
        };
        match request.action {
            "document" => {
                let body = context.derived(capture(0), "", &mut || {
                    let number = MADE.fetch_add(1, Ordering::Relaxed);
                    let mut template = Template::default();
                    template.push_str(&format!("{} {number} {}", capture(0), "text ".repeat(1000)));
                    Ok(Some(template))
                })?;
                document(body.unwrap())
            }
            action @ ("blob" | "lasting") => {
                let answer = Answer::from(Content::Blob {
                    key: BlobKey::from_hex(capture(0)).unwrap(),
                    size: capture(1).parse().unwrap(),
                    media_type: "application/octet-stream".to_owned(),
                });
                Ok(Answer { lasting: action == "lasting", ..answer })
            }
            "who" | "hello" => document(Bytes::from(format!("{:?}", request.principal))),
            "read" => {
                let key = BlobKey::from_hex(capture(0)).unwrap();
                document(context.read(&key, capture(1).parse().unwrap())?)
            }
            "captured" => {
                let repository = request.repository.as_deref().unwrap_or("-");
                let text = format!("{} {repository} {} ?{}", capture(0), request.base, request.query);
                document(Bytes::from(text))
            }
            "echo" => document(request.body.clone()),
            "slow" => {
                std::thread::sleep(Duration::from_millis(300));
                document(Bytes::from_static(b"slow"))
            }
            "missing" => {
                context.missed(request.repository.as_deref(), capture(0), capture(1));
                let body = Bytes::from_static(b"{\"error\":\"not_found\"}");
                Ok(Answer::from(Content::Status { status: 404, media_type: "application/json", body }))
            }
            "broken" => Err(Problem::new(Kind::Failed, "store.io", "cannot read /secret/place")
                .because("errno 5 in /secret/place")),
            _ => Err(Problem::new(Kind::Usage, "fake.bad", "this is not how to ask").at("/secret/place")),
        }
    }
}

/// A server that runs until the test ends.
struct Site {
    address: SocketAddr,
    store: Arc<FakeStore>,
    log: Arc<Mutex<Vec<String>>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    runtime: Option<tokio::runtime::Runtime>,
    running: Option<tokio::task::JoinHandle<()>>,
}

fn quick() -> Timeouts {
    Timeouts {
        head: Duration::from_millis(500),
        idle: Duration::from_millis(1500),
        body: Duration::from_millis(1000),
        stall: Duration::from_millis(700),
        shutdown: Duration::from_secs(5),
    }
}

impl Site {
    fn start() -> Site {
        Site::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ServerSettings)) -> Site {
        Site::with_access(Access::default(), change)
    }

    fn with_access(access: Access, change: impl FnOnce(&mut ServerSettings)) -> Site {
        let mut settings = ServerSettings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            connections: 100,
            ..ServerSettings::default()
        };
        change(&mut settings);
        let store = Arc::new(FakeStore::default());
        store.repositories.lock().unwrap().push(Repository {
            ecosystem: "fake".to_owned(),
            name: "origin_5000".to_owned(),
            origin: "https://<origin>.example.test".to_owned(),
        });
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let mut mounts = vec![Mount::of(&Fake).unwrap()];
        mounts.push(Mount {
            host: Some("Registry.example.test".to_owned()),
            prefix: String::new(),
            repository: Some("origin_5000".to_owned()),
            ecosystem: &Fake,
        });
        let served = Served {
            blobs: store.clone(),
            catalogue: store.clone(),
            mounts,
            upstreams: Upstreams::default(),
            ecosystems: vec![&Fake],
            access,
            log: Some(Arc::new(move |record| lines.lock().unwrap().push(record.to_string()))),
            warn: None,
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = {
            let _entered = runtime.enter();
            Server::bind(settings, served).unwrap()
        };
        let address = server.local_addresses()[0];
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let running = runtime.spawn(server.run(async {
            let _ = stopped.await;
        }));
        Site { address, store, log, stop: Some(stop), runtime: Some(runtime), running: Some(running) }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn get(&self, path: &str, headers: &[&str]) -> Response {
        self.client().ask("GET", path, headers)
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Asks the server to stop, and waits until it has.
    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.runtime.as_ref().unwrap().block_on(self.running.take().unwrap()).unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until something holds, for at most five seconds.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = clock::instant();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
