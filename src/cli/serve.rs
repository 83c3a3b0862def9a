//! `aftk serve`: the mirror that clients use.

use std::sync::Arc;

use super::session::Session;
use crate::config::Site;
use crate::events::Happening;
use crate::http_server::AccessLog;
use crate::ops::serve;
use crate::problem::Problem;
use crate::store::Layout;

/// Serve the store to clients
///
/// Answers npm clients below /npm/all/ and plain downloads below /files/. `/` is a page for people.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Listen on ADDRESS:PORT; several are possible; port 0 takes a free one [default: site.toml, else 127.0.0.1:2385]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let site = Site::read(&Layout::new(&session.home).site())?;
    let store = session.store()?;
    if store.catalogue.list(None, 1)?.is_empty() {
        let home = session.home.display();
        session.say(&format!(
            "the store in {home} is empty; what `aftk import PATH` takes in is served at once"
        ));
    }
    let listen = if arguments.listen.is_empty() { vec![site.serve.listen] } else { arguments.listen };
    // A log that nobody reads must not stop the server: a failed write is dropped.
    let events = session.events.clone();
    let log: AccessLog = Arc::new(move |record| {
        events.emit(Happening::Message { message: record.to_string() });
    });
    let log = (!session.global.quiet).then_some(log);
    session.block_on(serve::serve(&store, &listen, log, &session.cancel, |addresses| {
        for address in addresses {
            session.events.emit(Happening::Serving { address: format!("http://{address}/") });
        }
    }))
}
