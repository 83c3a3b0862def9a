//! `aftk serve`: the mirror that clients use.

use std::sync::Arc;

use super::session::Session;
use crate::config::Site;
use crate::http_server::AccessLog;
use crate::ops::serve;
use crate::problem::Problem;
use crate::store::Layout;

/// Serve the store to clients
///
/// Answers npm clients below /npm/all/ and plain downloads below /files/. `/` is a page for people.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Listen on ADDRESS:PORT; several are possible; port 0 takes a free one [default: 127.0.0.1:2385, or site.toml]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let site = Site::read(&Layout::new(&session.home).site())?;
    let store = session.store()?;
    if !session.global.quiet && store.catalogue.list(0, 1)?.is_empty() {
        eprintln!(
            "the store in {} is empty; what `aftk --home {0} import` takes in is served at once",
            session.home.display()
        );
    }
    let listen = if arguments.listen.is_empty() { vec![site.serve.listen] } else { arguments.listen };
    // A log that nobody reads must not stop the server: a failed write is dropped. A line is one write, which no other
    // line can come into.
    let log: AccessLog = Arc::new(|record| {
        use std::io::Write;
        _ = std::io::stderr().write_all(format!("{record}\n").as_bytes());
    });
    let log = (!session.global.quiet).then_some(log);
    session.block_on(serve::serve(&store, &listen, log, &session.cancel, |addresses| {
        for address in addresses {
            eprintln!("serving on http://{address}/");
        }
    }))
}
