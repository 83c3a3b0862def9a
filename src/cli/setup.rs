//! `aftk setup CLIENT`: point a client at a mirror.

use std::path::{Path, PathBuf};

use super::output;
use super::session::Session;
use crate::config::{self, Site};
use crate::ecosystem::ClientFile;
use crate::ops::setup::{self, Change};
use crate::problem::{Kind, Problem};
use crate::store::{Layout, Store};
use crate::trust::SiteAuthority;
use crate::units;

/// Print the configuration that points a client at a server
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The client, such as npm, docker or containerd; or `ca`: this site's own certificate authority
    #[arg(value_name = "CLIENT")]
    client: String,
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2385")]
    server: String,
    /// The certificate authority (PEM) that clients need to believe an https server [default: this site's own, if it has
    /// one]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Write it into the client's own file, between marks
    #[arg(long, conflicts_with = "undo")]
    write: bool,
    /// Take out what --write wrote
    #[arg(long)]
    undo: bool,
    /// Put the server's addresses into a lockfile of the client, in place of the registries' that it was made from;
    /// nothing else in it changes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["write", "undo", "ca"])]
    rewrite_lock: Option<PathBuf>,
    /// Only say what --write, --undo or --rewrite-lock would change
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    if arguments.client == "ca" {
        return print_authority(&arguments, session);
    }
    if let Some(path) = &arguments.rewrite_lock {
        return rewrite_lock(&arguments, path, session);
    }
    let authority = authority(&arguments, session)?;
    // A client's machine has none.
    let store = Store::open_existing(&session.home).ok();
    let file =
        setup::configuration(&arguments.client, &arguments.server, authority.as_deref(), store.as_ref())?;
    if !arguments.write && !arguments.undo {
        session.say(format!("this is for {}", file.place()).as_str());
        say_rest(&file, session);
        return session.finish(&setup::SetupReport::of(&file, None), || output::block(&file.text));
    }
    let home: PathBuf = config::user_home().ok_or_else(|| {
        Problem::new(Kind::Usage, "setup.home", "HOME is not set, so there is no place for the client's file")
    })?;
    let path = home.join(file.path);
    let change = if arguments.write { setup::write } else { setup::undo };
    let changed = change(&path, &file, arguments.dry_run)?;
    if changed != Change::None {
        say_rest(&file, session);
    }
    session.finish(&setup::SetupReport::of(&file, Some(&path)), || {
        let verb = match (changed, arguments.dry_run) {
            (Change::None, _) => "unchanged",
            (Change::Written, false) => "written",
            (Change::Written, true) => "would be written",
            (Change::TakenOut, false) => "our lines are taken out",
            (Change::TakenOut, true) => "our lines would be taken out",
            (Change::Removed, false) => "removed, nothing else was in it",
            (Change::Removed, true) => "would be removed, nothing else is in it",
        };
        output::line(&format!("{}: {verb}", path.display()));
    })
}

fn rewrite_lock(arguments: &Arguments, path: &Path, session: &Session) -> Result<(), Problem> {
    let path = session.path(path);
    let report = setup::rewrite_lock(&arguments.client, &arguments.server, &path, arguments.dry_run)?;
    for address in &report.left {
        session.say(&format!("{address} stays: no mirror has what is there"));
    }
    for (now, instead) in &report.project {
        session.say(&format!("npm wants package.json to say the same: {instead} in place of {now}"));
    }
    session.finish(&report, || {
        let word = if arguments.dry_run { "would be changed" } else { "changed" };
        let addresses = units::count(report.changed as u64, "URL");
        output::line(&format!("{}: {addresses} {word}", report.file.display()));
    })
}

/// What a person has to do besides.
fn say_rest(file: &ClientFile, session: &Session) {
    if !file.then.is_empty() {
        session.say(file.then);
    }
    if let Some(advice) = file.authority_advice() {
        session.say(&advice);
    }
}

/// The certificate authority that clients need: the one that was given, or this site's own if the server speaks TLS with it.
fn authority(arguments: &Arguments, session: &Session) -> Result<Option<String>, Problem> {
    match &arguments.ca {
        Some(path) => match SiteAuthority::certificate_at(&session.path(path))? {
            Some(authority) => Ok(Some(authority)),
            None => Err(Problem::new(Kind::Usage, "setup.ca", "there is no such file").at(path.display())),
        },
        None if arguments.server.starts_with("https:") => {
            let layout = Layout::new(&session.home);
            match Site::read(&layout.site())?.serve.tls_cert {
                Some(_) => Ok(None),
                None => SiteAuthority::certificate_in(&layout.tls()),
            }
        }
        None => Ok(None),
    }
}

fn print_authority(arguments: &Arguments, session: &Session) -> Result<(), Problem> {
    if arguments.write || arguments.undo {
        return Err(Problem::new(Kind::Usage, "setup.ca", "every client has another place for it")
            .hint("print it into a file: `aftk setup ca > FILE`"));
    }
    let Some(text) = SiteAuthority::certificate_in(&Layout::new(&session.home).tls())? else {
        return Err(Problem::new(
            Kind::Failed,
            "setup.ca",
            "this site has no certificate authority of its own",
        )
        .hint("`aftk serve --tls-self` makes one; a server on another machine has it at /setup/ca.pem"));
    };
    session.say(&format!("its fingerprint (SHA-256) is {}", SiteAuthority::fingerprint(&text)));
    session.finish(&setup::SetupReport { file: "ca.pem".into(), text: text.clone() }, || output::block(&text))
}
