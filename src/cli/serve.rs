//! `aftk serve`: the mirror that clients use.

use std::path::PathBuf;
use std::sync::Arc;

use super::session::Session;
use crate::config::{Read, Site};
use crate::events::Happening;
use crate::http_server::AccessLog;
use crate::ops::certificates::CertificateSource;
use crate::ops::serve::{self, ServeRequest};
use crate::problem::{Kind, Problem};
use crate::store::Layout;

/// Serve the store to clients
///
/// Answers npm clients below /npm/all/ and plain downloads below /files/. `/` is a page for people.
/// Who may read and write is said in site.toml and by `aftk account`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Listen on ADDRESS:PORT; several are possible; port 0 takes a free one [default: site.toml, else 127.0.0.1:2385]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Speak TLS, and show the certificate in FILE (PEM, with the chain behind it); read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Speak TLS with certificates of this site's own authority, which is made if there is none
    #[arg(long, conflicts_with = "tls_cert")]
    tls_self: bool,
    /// A name or address by which clients reach this server, for certificates of its own authority; several are possible
    #[arg(long, value_name = "NAME", conflicts_with = "tls_cert")]
    tls_name: Vec<String>,
    /// Answer for the upstreams of what was imported by their own names too, for clients that are led here for them by DNS or
    /// /etc/hosts; with --tls-self, certificates are for these names as well
    #[arg(long)]
    impersonate: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let site = Site::read(&Layout::new(&session.home).site())?;
    let certificate = certificate_source(&arguments, &site, session)?;
    let store = session.store()?;
    if site.hosted.is_empty() && store.catalogue.list(None, 1)?.is_empty() {
        let home = session.home.display();
        session.say(&format!(
            "the store in {home} is empty; what `aftk import PATH` takes in is served at once"
        ));
    }
    let accounts = Layout::new(&session.home).accounts();
    let read = site.serve.read;
    let needs_accounts = read == Read::Accounts || site.hosted.iter().any(|one| !one.write.is_empty());
    if needs_accounts && !accounts.exists() {
        let what = if read == Read::Accounts { "read" } else { "write" };
        session.say(&format!("nobody may {what} yet: `aftk account add NAME` makes an account"));
    }
    let listen = if arguments.listen.is_empty() { vec![site.serve.listen] } else { arguments.listen };
    // A log that nobody reads must not stop the server: a failed write is dropped.
    let events = session.events.clone();
    let log: AccessLog = Arc::new(move |record| {
        events.emit(Happening::Message { message: record.to_string() });
    });
    let log = (!session.global.quiet).then_some(log);
    let impersonate = arguments.impersonate || site.serve.impersonate;
    let Site { hosted, mounts, .. } = site;
    let request = ServeRequest { listen, certificate, read, hosted, mounts, impersonate, accounts };
    session.block_on(serve::serve(&store, request, log, &session.events, &session.cancel, |addresses| {
        for address in addresses {
            session.events.emit(Happening::Serving { address });
        }
    }))
}

/// Where the certificate comes from: as the command line says, else as `site.toml` does.
fn certificate_source(
    arguments: &Arguments,
    site: &Site,
    session: &Session,
) -> Result<Option<CertificateSource>, Problem> {
    if let (Some(chain), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        return Ok(Some(CertificateSource::Files { chain: session.path(chain), key: session.path(key) }));
    }
    let file = &site.serve;
    if arguments.tls_self || file.tls.is_some() {
        let names = if arguments.tls_name.is_empty() { &file.tls_names } else { &arguments.tls_name };
        let directory = Layout::new(&session.home).tls();
        return Ok(Some(CertificateSource::Own { directory, names: names.clone() }));
    }
    if !arguments.tls_name.is_empty() {
        return Err(Problem::new(
            Kind::Usage,
            "serve.tls",
            "--tls-name is for certificates of the site's own authority",
        )
        .hint("give --tls-self as well"));
    }
    Ok(match (&file.tls_cert, &file.tls_key) {
        (Some(chain), Some(key)) => Some(CertificateSource::Files { chain: chain.clone(), key: key.clone() }),
        _ => None,
    })
}
