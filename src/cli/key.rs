//! `aftk key`: keys of one's own, and whom this side trusts.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::output;
use super::session::{Session, read_key, read_passphrase};
use crate::ops::editions;
use crate::problem::{Kind, Problem};
use crate::trust::{
    Algorithm, COLLECT_KEY, Changed, EVERY_CHANNEL, KeyInfo, Revocation, Revoke, Role, Trust,
};

/// Make, show, trust and revoke keys
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// Make a key of this home's own
    New {
        /// Its name: lower-case letters, digits, `.`, `_` and `-`
        #[arg(value_name = "NAME")]
        name: String,
        /// The algorithm
        #[arg(long, value_name = "ALGORITHM", default_value = "ed25519", value_parser = ["ed25519", "ecdsa-p384-sha384"])]
        algorithm: String,
        /// Encrypt the private key with the passphrase in FILE
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
    /// Make another key with which this site signs what it serves of an ecosystem, such as apt
    ///
    /// The first one is made by itself. Those before sign as well, until their files in HOME/apt/keys are removed: give
    /// clients the new one first.
    Rotate {
        /// The ecosystem
        #[arg(value_name = "ECOSYSTEM")]
        ecosystem: String,
    },
    /// List this home's keys and those it trusts
    List,
    /// Print a public key (PEM); by default the one that `collect` uses
    Show {
        /// The key's name or id
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Trust the public key in a PEM file to sign bundles
    ///
    /// Without --channel, for every channel. Channels come to those that the key has; a key that has every channel is
    /// left with those named alone.
    Trust {
        /// The public key
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Who has it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Only for this channel; several are possible
        #[arg(long, value_name = "CHANNEL")]
        channel: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Stop trusting a key, for ever
    ///
    /// Asks before, at a terminal.
    Revoke {
        /// Its name or id
        #[arg(value_name = "KEY")]
        key: String,
        /// Refuse everything it ever signed (the default)
        #[arg(long, conflicts_with = "retired_after")]
        compromised: bool,
        /// Keep what it signed up to sequence SEQ
        #[arg(long, value_name = "SEQ")]
        retired_after: Option<u64>,
        #[command(flatten)]
        how: How,
    },
}

/// Whether it is done.
#[derive(Debug, clap::Args)]
struct How {
    /// Only say what would change
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl How {
    /// What this home trusts; in a dry run, changes to it are not kept.
    fn trust(&self, session: &Session) -> Result<Trust, Problem> {
        let trust = session.trust()?;
        Ok(if self.dry_run { trust.rehearsal() } else { trust })
    }
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    match arguments.verb {
        KeyVerb::New { name, algorithm, passphrase_file, how } => {
            new(session, &name, &algorithm, passphrase_file, &how)
        }
        KeyVerb::Rotate { ecosystem } => {
            editions::new_key(&session.store()?, &ecosystem, &*session.events, &session.cancel)
        }
        KeyVerb::List => list(session),
        KeyVerb::Show { name } => show(session, name.as_deref()),
        KeyVerb::Trust { file, name, channel, how } => trust(session, &file, name.as_deref(), &channel, &how),
        KeyVerb::Revoke { key, retired_after, how, .. } => revoke(session, &key, retired_after, &how),
    }
}

#[derive(Serialize)]
struct Shown {
    id: String,
    fingerprint: String,
    algorithm: Algorithm,
    pem: String,
}

impl Shown {
    fn of(key: &crate::trust::PublicKey) -> Result<Shown, Problem> {
        let (id, fingerprint) = (key.id().to_owned(), key.fingerprint());
        let pem = key.to_pem().map_err(|error| {
            Problem::new(Kind::Failed, "key.unprintable", format!("the key {id} cannot be written"))
                .caused_by(&error)
        })?;
        Ok(Shown { id, fingerprint, algorithm: key.algorithm(), pem })
    }
}

fn new(
    session: &Session,
    name: &str,
    algorithm: &str,
    passphrase: Option<PathBuf>,
    how: &How,
) -> Result<(), Problem> {
    let algorithm = [Algorithm::Ed25519, Algorithm::EcdsaP384Sha384]
        .into_iter()
        .find(|known| known.name() == algorithm)
        .ok_or_else(|| {
            Problem::new(Kind::Usage, "key.algorithm", format!("{algorithm:?} is not an algorithm"))
        })?;
    let passphrase = passphrase.map(|path| read_passphrase(&session.path(&path))).transpose()?;
    let passphrase = passphrase.as_deref().map(|secret| secret.as_slice());
    let trust = session.trust()?;
    if how.dry_run {
        #[derive(Serialize)]
        struct Planned<'a> {
            name: &'a str,
            algorithm: Algorithm,
        }
        trust.can_make_key(name)?;
        return session.finish(&Planned { name, algorithm }, || {
            output::line(&format!("would make: {name}, {}", algorithm.name()));
        });
    }
    let shown = Shown::of(&trust.new_key(name, algorithm, passphrase)?)?;
    session.finish(&shown, || {
        output::line(&format!("{name}  {}", shown.id));
        say_fingerprint(session, "fingerprint", &shown.fingerprint);
        session.say(&format!("`aftk key show {name}` prints what inside takes: aftk key trust FILE"));
    })
}

fn list(session: &Session) -> Result<(), Problem> {
    #[derive(Serialize)]
    struct KeyReport {
        keys: Vec<crate::trust::KeyInfo>,
    }
    let report = KeyReport { keys: session.trust()?.keys()? };
    session.finish(&report, || {
        let rows: Vec<_> =
            report.keys.iter().map(|key| (key_name(key), key.id.as_str(), marks(key))).collect();
        let names = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let ids = rows.iter().map(|(_, id, _)| id.len()).max().unwrap_or(0);
        for (name, id, marks) in &rows {
            output::line(format!("{name:names$}  {id:ids$}  {marks}").trim_end());
        }
    })
}

/// What a key is called in a list.
fn key_name(key: &KeyInfo) -> &str {
    if key.name.is_empty() { "-" } else { &key.name }
}

/// Whose a key is and what it may do, in words.
fn marks(key: &KeyInfo) -> String {
    let mut marks = Vec::new();
    if key.own {
        marks.push("own".to_owned());
    }
    if !key.roles.is_empty() {
        marks.push(roles(key));
    }
    match &key.revoked {
        Some(Revocation::Compromised) => marks.push("revoked: compromised".to_owned()),
        Some(Revocation::RetiredAfter(sequences)) => {
            let after =
                sequences.iter().map(|(channel, mark)| format!("{mark} of {}", channel_name(channel)));
            marks.push(format!("retired after {}", after.collect::<Vec<_>>().join(", ")));
        }
        None => {}
    }
    marks.join("; ")
}

fn channel_name(channel: &str) -> String {
    if channel == EVERY_CHANNEL { "every channel".to_owned() } else { format!("channel {channel}") }
}

fn show(session: &Session, name: Option<&str>) -> Result<(), Problem> {
    let trust = session.trust()?;
    if name.is_none() {
        session.ensure_collect_key(&trust)?;
    }
    let shown = Shown::of(&trust.public_key(name.unwrap_or(COLLECT_KEY))?)?;
    say_fingerprint(session, &format!("{}, fingerprint", shown.id), &shown.fingerprint);
    session.finish(&shown, || output::block(&shown.pem))
}

fn trust(
    session: &Session,
    file: &std::path::Path,
    name: Option<&str>,
    channels: &[String],
    how: &How,
) -> Result<(), Problem> {
    let pem = read_key(&session.path(file))?;
    let mut trust = how.trust(session)?;
    let before = trust.keys()?;
    let changed = trust.trust(&pem, name, channels)?;
    let infos = trust.keys()?;
    session.finish(&changed, || {
        said(&changed, "trusted", "trust", how);
        for info in infos.iter().filter(|info| changed.keys.contains(&info.id)) {
            let intro = "compare the fingerprint with what the collector reads out to you";
            say_fingerprint(session, intro, &info.fingerprint);
            let before = before.iter().find(|before| before.id == info.id).map(roles);
            let before = before.filter(|before| !before.is_empty() && *before != roles(info));
            let before = before.map(|before| format!("; before: {before}")).unwrap_or_default();
            let now = if how.dry_run { "then" } else { "now" };
            session.say(&format!("{now} {}{before}", roles(info)));
        }
    })
}

/// Tells a fingerprint in two lines, as it is read aloud.
fn say_fingerprint(session: &Session, intro: &str, fingerprint: &str) {
    let (first, second) = fingerprint.split_at(fingerprint.len() / 2);
    session.say(&format!("{intro}:"));
    session.say(&format!("    {}", first.trim()));
    session.say(&format!("    {}", second.trim()));
}

/// What a key may sign, in words.
fn roles(info: &KeyInfo) -> String {
    let role = |(role, channels): (&Role, &Vec<String>)| {
        let whose = channel_name(&channels.join(", "));
        format!("{role:?} of {whose}").to_lowercase()
    };
    info.roles.iter().map(role).collect::<Vec<_>>().join("; ")
}

fn revoke(session: &Session, key: &str, retired_after: Option<u64>, how: &How) -> Result<(), Problem> {
    let revocation = retired_after.map_or(Revoke::Compromised, Revoke::RetiredAfter);
    let mut trust = how.trust(session)?;
    if !how.dry_run {
        // What would be refused is refused before anybody is asked.
        session.trust()?.rehearsal().revoke(key, revocation)?;
        let what = match retired_after {
            None => "everything it ever signed will be refused here".to_owned(),
            Some(sequence) => format!("what it signed after sequence {sequence} will be refused here"),
        };
        session.confirm(&format!("Revoke {key}, for ever? {what}"))?;
    }
    let changed = trust.revoke(key, revocation)?;
    session.finish(&changed, || said(&changed, "revoked", "revoke", how))
}

/// Prints what a change came to, in words for what was done and for what would be.
fn said(changed: &Changed, done: &str, todo: &str, how: &How) {
    let (verb, root) = match (changed.changed, how.dry_run) {
        (false, _) => (format!("already {done}"), "root document"),
        (true, false) => (done.to_owned(), "root document"),
        (true, true) => (format!("would {todo}"), "it would be root document"),
    };
    let name = if changed.name.is_empty() { String::new() } else { format!("{} ", changed.name) };
    for key in &changed.keys {
        output::line(&format!("{verb}: {name}{key} ({root} {})", changed.version));
    }
}
