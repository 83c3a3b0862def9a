//! A registry in this process, for a demonstration without any network: two invented packages, and nothing else.

use std::net::SocketAddr;

use bundle_format::Artifact;
use bytes::Bytes;

use crate::cancel::Cancel;
use crate::ecosystem::{Answer, ClientRequest, Content, Ecosystem, Route, Serve, ServeContext};
use crate::http_server::{Access, Mount, Served, Server, ServerSettings, Upstreams};
use crate::problem::Problem;
use crate::store::Store;

/// What stands in the documents where a registry writes its own address.
const BASE: &str = "{base}";

const DOCUMENTS: [(&str, &str); 2] = [
    ("@aftk-demo/greeting", include_str!("../../fixtures/demo/embedded/greeting.json")),
    ("aftk-demo-words", include_str!("../../fixtures/demo/embedded/words.json")),
];

const TARBALLS: [(&str, &[u8]); 2] = [
    ("greeting-1.0.0.tgz", include_bytes!("../../fixtures/demo/embedded/aftk-demo-greeting-1.0.0.tgz")),
    ("aftk-demo-words-2.1.0.tgz", include_bytes!("../../fixtures/demo/embedded/aftk-demo-words-2.1.0.tgz")),
];

/// Starts the registry on a free port; returns its address, to be written into an npmrc. It ends with `cancel`.
///
/// # Errors
/// If no port can be had.
pub(super) fn start(store: &Store, cancel: &Cancel) -> Result<String, Problem> {
    let settings =
        ServerSettings { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..ServerSettings::default() };
    let mount = Mount {
        host: None,
        prefix: "upstream".to_owned(),
        repository: Some("demo".to_owned()),
        ecosystem: &DemoUpstream,
    };
    let served = Served {
        blobs: store.blobs.clone(),
        catalogue: store.catalogue.clone(),
        mounts: vec![mount],
        upstreams: Upstreams::default(),
        ecosystems: Vec::new(),
        access: Access::default(),
        log: None,
        warn: None,
    };
    let server = Server::bind(settings, served)?;
    let address = server.local_addresses().first().map(ToString::to_string).unwrap_or_default();
    let cancel = cancel.clone();
    tokio::spawn(async move { server.run(cancel.asked()).await });
    Ok(format!("http://{address}/upstream/"))
}

struct DemoUpstream;

impl Ecosystem for DemoUpstream {
    fn name(&self) -> &'static str {
        "demo-upstream"
    }

    fn words(&self) -> &'static [&'static str] {
        &[]
    }

    fn schema(&self) -> &'static str {
        "demo-upstream/1"
    }

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:generic/{}@{}", artifact.name, artifact.version)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(self)
    }
}

impl Serve for DemoUpstream {
    fn prefix(&self) -> &'static str {
        "upstream"
    }

    fn routes(&self) -> &'static [Route] {
        const ROUTES: &[Route] = &[
            Route::get("@{scope}/{name}/-/{file}", "tarball"),
            Route::get("{name}/-/{file}", "tarball"),
            Route::get("{name}", "document"),
        ];
        ROUTES
    }

    fn handle(&self, request: &ClientRequest, _: &dyn ServeContext) -> Result<Answer, Problem> {
        let asked = |capture: &str| {
            request.captures.iter().find(|(name, _)| *name == capture).map_or("", |(_, value)| value.as_str())
        };
        let document = |name| DOCUMENTS.iter().find(|(known, _)| *known == name);
        let tarball = |file| TARBALLS.iter().find(|(known, _)| *known == file);
        let (media_type, body) = match request.action {
            "document" => (
                "application/json",
                document(asked("name")).map(|(_, text)| text.replace(BASE, &request.base).into()),
            ),
            _ => (
                "application/octet-stream",
                tarball(asked("file")).map(|(_, bytes)| Bytes::from_static(bytes)),
            ),
        };
        Ok(Answer::from(match body {
            Some(body) => Content::Document { media_type, body, vary: "" },
            None => Content::Status { status: 404, media_type: "application/json", body: "{}".into() },
        }))
    }
}
