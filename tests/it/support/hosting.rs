//! A site that hosts repositories of images, indexes of Python releases and npm registries, over a real store, and a client that
//! pushes images request by request.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aftk::access::{Hosted, Read};
use aftk::ecosystem::registry;
use aftk::http_server::{Access, Accounts, Mount, Served, Server, ServerSettings, Timeouts, Upstreams};
use aftk::store::Store;
use bundle_format::BlobKey;
use serde_json::{Value, json};

use super::images::IMAGE;
use super::raw_http::{Client, Response};
use super::sides::scratch;

/// What accounts show: each has the password `horse`.
pub(crate) const ADA: &str = "Authorization: Basic YWRhOmhvcnNl";
pub(crate) const BOB: &str = "Authorization: Basic Ym9iOmhvcnNl";
pub(crate) const EVE: &str = "Authorization: Basic ZXZlOmhvcnNl";

/// bcrypt of `horse`, as cheap as can be.
const HORSE: &str = "$2b$04$abcdefghijklmnopqrstuuz8fopI114RyghuYhvhf71t8S.jRpJhq";

/// How many bytes the repository `small` may have.
pub(crate) const QUOTA: u64 = 10_000;

/// After how long a client that sends nothing is gone.
pub(crate) const STALL: Duration = Duration::from_secs(1);

/// Writes who has an account into a home: `ada`, `bob` and `eve`.
pub(crate) fn write_accounts(home: &Path) {
    let lines: String = ["ada", "bob", "eve"].iter().map(|name| format!("{name}:{HORSE}\n")).collect();
    std::fs::write(home.join("accounts"), lines).unwrap();
}

/// A running server: `ada` and `bob` may write into `team`, and everybody with an account into `small`.
pub(crate) struct Hosting {
    pub(crate) home: PathBuf,
    pub(crate) address: SocketAddr,
    read: Read,
    directory: Option<tempfile::TempDir>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    runtime: Option<tokio::runtime::Runtime>,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Hosting {
    pub(crate) fn start() -> Hosting {
        Hosting::with(Read::Open)
    }

    pub(crate) fn with(read: Read) -> Hosting {
        let directory = scratch();
        let mut hosting = Hosting::at(&directory.path().join("home"), read);
        hosting.directory = Some(directory);
        hosting
    }

    /// Serves a home, which may hold something.
    pub(crate) fn at(home: &Path, read: Read) -> Hosting {
        let store = Store::open(home).unwrap();
        write_accounts(home);
        let hosted = |ecosystem: &str, name: &str, write: &[&str], quota| Hosted {
            ecosystem: ecosystem.to_owned(),
            name: name.to_owned(),
            write: write.iter().map(|account| (*account).to_owned()).collect(),
            packages: Vec::new(),
            quota,
        };
        let hosted = vec![
            hosted("oci", "team", &["ada", "bob"], None),
            hosted("oci", "small", &["*"], Some(QUOTA)),
            hosted("pypi", "team", &["ada", "bob"], None),
            hosted("pypi", "small", &["*"], Some(QUOTA)),
            hosted("npm", "team", &["ada", "bob"], None),
            hosted("npm", "small", &["*"], Some(QUOTA)),
            Hosted { packages: vec!["@owned/*".to_owned()], ..hosted("npm", "owner", &["ada"], None) },
        ];
        let accounts = Some(Arc::new(Accounts::open(home.join("accounts")).unwrap()));
        let settings = ServerSettings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            connections: 100,
            timeouts: Timeouts { body: STALL, ..Timeouts::default() },
            ..ServerSettings::default()
        };
        let served = Served {
            blobs: Arc::clone(&store.blobs),
            catalogue: Arc::clone(&store.catalogue),
            mounts: registry::ECOSYSTEMS.iter().flat_map(|ecosystem| Mount::of(*ecosystem)).collect(),
            upstreams: Upstreams::default(),
            ecosystems: registry::ECOSYSTEMS.to_vec(),
            access: Access { read, hosted, accounts },
            log: None,
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
        Hosting {
            home: home.to_owned(),
            address,
            read,
            directory: None,
            stop: Some(stop),
            runtime: Some(runtime),
            running: Some(running),
        }
    }

    /// Ends the server, and starts another one in its place.
    pub(crate) fn restart(mut self) -> Hosting {
        self.stop();
        let mut next = Hosting::at(&self.home, self.read);
        next.directory = self.directory.take();
        next
    }

    /// Ends the server; what it served stays as long as what is returned.
    pub(crate) fn close(mut self) -> Option<tempfile::TempDir> {
        self.stop();
        self.directory.take()
    }

    fn stop(&mut self) {
        if let (Some(stop), Some(running), Some(runtime)) =
            (self.stop.take(), self.running.take(), self.runtime.take())
        {
            let _ = stop.send(());
            runtime.block_on(running).unwrap();
        }
    }

    pub(crate) fn client(&self) -> Pusher {
        Pusher::connect(self.address)
    }

    /// A request of `ada` without a body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Response {
        self.client().ask(method, path, &[])
    }

    /// How many files are being brought.
    pub(crate) fn staged(&self) -> usize {
        std::fs::read_dir(self.home.join("store/staging")).unwrap().count()
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A connection on which somebody pushes.
pub(crate) struct Pusher {
    client: Client,
    who: &'static str,
}

impl Pusher {
    pub(crate) fn connect(address: SocketAddr) -> Pusher {
        Pusher { client: Client::connect(address), who: ADA }
    }

    /// The same; `None` if the server is gone.
    pub(crate) fn try_connect(address: SocketAddr) -> Option<Pusher> {
        Some(Pusher { client: Client::over(TcpStream::connect(address).ok()?), who: ADA })
    }

    /// The same as somebody else; nobody, if it is empty.
    pub(crate) fn of(mut self, who: &'static str) -> Pusher {
        self.who = who;
        self
    }

    /// Sends the head of a request, after which whatever one likes may be sent.
    pub(crate) fn begin(&mut self, method: &str, path: &str, headers: &[&str]) -> &mut Client {
        let head = self.head(method, path, headers);
        self.client.send(head);
        &mut self.client
    }

    fn head(&self, method: &str, path: &str, headers: &[&str]) -> String {
        let who = if self.who.is_empty() { String::new() } else { format!("{}\r\n", self.who) };
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{method} {path} HTTP/1.1\r\nHost: aftk.test:2385\r\n{who}{lines}\r\n")
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> Response {
        self.begin(method, path, headers).response(method == "HEAD").unwrap()
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
        self.try_send(method, path, headers, body).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The same; `None` if the server is gone.
    pub(crate) fn try_send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Option<Response> {
        let length = format!("Content-Length: {}", body.len());
        let head = self.head(method, path, &[headers, &[&length]].concat());
        self.client.0.write_all(&[head.as_bytes(), body].concat()).ok()?;
        self.client.response(false)
    }

    /// Begins an upload; its address.
    #[track_caller]
    pub(crate) fn upload(&mut self, repository: &str) -> String {
        let begun = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(begun.status, 202, "{}", begun.text());
        location(&begun)
    }

    /// Pushes a blob in one request, which must be taken, and describes it.
    #[track_caller]
    pub(crate) fn blob(&mut self, repository: &str, bytes: &[u8]) -> Value {
        self.try_blob(repository, bytes).expect("the server is there")
    }

    #[track_caller]
    fn try_blob(&mut self, repository: &str, bytes: &[u8]) -> Option<Value> {
        let descriptor = describe("application/vnd.oci.image.layer.v1.tar", bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", digest(&descriptor));
        let made = self.try_send("POST", &path, &[], bytes)?;
        assert_eq!(made.status, 201, "{}", made.text());
        Some(descriptor)
    }

    /// Pushes a manifest as what it calls itself.
    pub(crate) fn manifest(&mut self, repository: &str, reference: &str, manifest: &Value) -> Response {
        self.try_manifest(repository, reference, manifest).expect("the server is there")
    }

    fn try_manifest(&mut self, repository: &str, reference: &str, manifest: &Value) -> Option<Response> {
        let media_type = format!("Content-Type: {}", manifest["mediaType"].as_str().unwrap());
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.try_send("PUT", &path, &[&media_type], manifest.to_string().as_bytes())
    }

    /// Pushes an image with one layer, which must be taken, and describes it.
    #[track_caller]
    pub(crate) fn image(&mut self, repository: &str, tag: &str, layer: &[u8]) -> Value {
        self.try_image(repository, tag, layer).expect("the server is there")
    }

    /// The same; `None` if the server is gone.
    #[track_caller]
    pub(crate) fn try_image(&mut self, repository: &str, tag: &str, layer: &[u8]) -> Option<Value> {
        let manifest = image(&self.try_blob(repository, b"{}")?, &[self.try_blob(repository, layer)?]);
        let made = self.try_manifest(repository, tag, &manifest)?;
        assert_eq!(made.status, 201, "{}", made.text());
        Some(describe(IMAGE, manifest.to_string().as_bytes()))
    }
}

/// A descriptor of some bytes.
pub(crate) fn describe(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": BlobKey::of(bytes).to_string(), "size": bytes.len()})
}

/// The manifest of an image.
pub(crate) fn image(config: &Value, layers: &[Value]) -> Value {
    let mut config = config.clone();
    config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers})
}

pub(crate) fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// Where a response leads.
#[track_caller]
pub(crate) fn location(response: &Response) -> String {
    response.header("location").expect("a Location").to_owned()
}

/// Status and code of an error, which says something to a person.
#[track_caller]
pub(crate) fn refused(response: &Response) -> (u16, String) {
    let body: Value =
        serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"));
    let error = &body["errors"][0];
    assert!(!error["message"].as_str().unwrap().is_empty());
    (response.status, error["code"].as_str().unwrap().to_owned())
}
