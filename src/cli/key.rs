//! `aftk key`: keys of one's own, and whom this side trusts.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::output;
use super::session::{Session, read_key, read_passphrase};
use crate::problem::{Kind, Problem};
use crate::store::Layout;
use crate::trust::{Algorithm, COLLECT_KEY, Changed, EVERY_CHANNEL, KeyInfo, Revocation, Revoke, Role};

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
    },
    /// Stop trusting a key
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
    },
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    match arguments.verb {
        KeyVerb::New { name, algorithm, passphrase_file } => new(session, &name, &algorithm, passphrase_file),
        KeyVerb::List => list(session),
        KeyVerb::Show { name } => show(session, name.as_deref()),
        KeyVerb::Trust { file, name, channel } => trust(session, &file, name.as_deref(), &channel),
        KeyVerb::Revoke { key, retired_after, .. } => revoke(session, &key, retired_after),
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

fn new(session: &Session, name: &str, algorithm: &str, passphrase: Option<PathBuf>) -> Result<(), Problem> {
    let algorithm = [Algorithm::Ed25519, Algorithm::EcdsaP384Sha384]
        .into_iter()
        .find(|known| known.name() == algorithm)
        .ok_or_else(|| {
            Problem::new(Kind::Usage, "key.algorithm", format!("{algorithm:?} is not an algorithm"))
        })?;
    let passphrase = passphrase.map(|path| read_passphrase(&session.path(&path))).transpose()?;
    let passphrase = passphrase.as_deref().map(|secret| secret.as_slice());
    let shown = Shown::of(&session.trust()?.new_key(name, algorithm, passphrase)?)?;
    session.finish(&shown, || {
        output::line(&format!("{name}  {}", shown.id));
        if !session.global.quiet {
            eprintln!("fingerprint {}", shown.fingerprint);
            eprintln!("inside: `aftk key trust FILE` with what `aftk key show {name}` prints");
        }
    })
}

fn list(session: &Session) -> Result<(), Problem> {
    #[derive(Serialize)]
    struct KeyReport {
        keys: Vec<crate::trust::KeyInfo>,
    }
    let report = KeyReport { keys: session.trust()?.keys()? };
    session.finish(&report, || {
        for key in &report.keys {
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
                        sequences.iter().map(|(channel, mark)| format!("{mark} of channel {channel}"));
                    marks.push(format!("retired after {}", after.collect::<Vec<_>>().join(", ")));
                }
                None => {}
            }
            output::line(&format!("{:<20} {}  {}", key.name, key.id, marks.join("; ")));
        }
    })
}

fn show(session: &Session, name: Option<&str>) -> Result<(), Problem> {
    let trust = session.trust()?;
    if name.is_none() && trust.ensure_collect_key()? && !session.global.quiet {
        eprintln!("made the key {COLLECT_KEY:?} in {}", Layout::new(&session.home).keys().display());
    }
    let shown = Shown::of(&trust.public_key(name.unwrap_or(COLLECT_KEY))?)?;
    if !session.global.quiet {
        eprintln!("{}, fingerprint {}", shown.id, shown.fingerprint);
    }
    session.finish(&shown, || print!("{}", shown.pem))
}

fn trust(
    session: &Session,
    file: &std::path::Path,
    name: Option<&str>,
    channels: &[String],
) -> Result<(), Problem> {
    let pem = read_key(&session.path(file))?;
    let mut trust = session.trust()?;
    let changed = trust.trust(&pem, name, channels)?;
    let infos = trust.keys()?;
    session.finish(&changed, || {
        said(&changed, "trusted");
        for info in infos.iter().filter(|info| changed.keys.contains(&info.id) && !session.global.quiet) {
            eprintln!(
                "fingerprint {}: compare it with what the collector reads out to you",
                info.fingerprint
            );
            eprintln!("now {}", roles(info));
        }
    })
}

/// What a key may sign, in words.
fn roles(info: &KeyInfo) -> String {
    let role = |(role, channels): (&Role, &Vec<String>)| {
        let whose = match channels.as_slice() {
            [every] if every == EVERY_CHANNEL => "every channel".to_owned(),
            channels => format!("channel {}", channels.join(", ")),
        };
        format!("{role:?} of {whose}").to_lowercase()
    };
    info.roles.iter().map(role).collect::<Vec<_>>().join("; ")
}

fn revoke(session: &Session, key: &str, retired_after: Option<u64>) -> Result<(), Problem> {
    let how = retired_after.map_or(Revoke::Compromised, Revoke::RetiredAfter);
    let changed = session.trust()?.revoke(key, how)?;
    session.finish(&changed, || said(&changed, "revoked"))
}

fn said(changed: &Changed, verb: &str) {
    let verb = if changed.changed { verb.to_owned() } else { format!("already {verb}") };
    for key in &changed.keys {
        output::line(&format!("{verb}: {} {key} (root document {})", changed.name, changed.version));
    }
}
