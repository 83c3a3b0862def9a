//! What can go wrong with keys and trust, and how it reads outside of this room.

use std::io;
use std::path::{Path, PathBuf};

use bundle_format::Untrusted;

use super::crypto::KeyRejected;
use crate::problem::{Kind, Problem};

/// An error of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file could not be read or written.
    #[error("{what}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A key is not accepted.
    #[error("{place}: {reason}")]
    Key {
        /// Which file or key.
        place: String,
        /// Why not.
        reason: KeyRejected,
    },
    /// A private key that others on this machine can read is no secret.
    #[error("{}: the private key can be read by others (mode {mode:04o})", path.display())]
    Exposed {
        /// Its file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The private key is encrypted and no passphrase was given.
    #[error("{}: the private key needs its passphrase", .0.display())]
    PassphraseNeeded(PathBuf),
    /// There is no such key.
    #[error("there is no key {0:?} here")]
    NoSuchKey(String),
    /// A key of that name is there already.
    #[error("there is a key named {0:?} already")]
    KeyExists(String),
    /// A name that this home keeps for itself.
    #[error("the name {0:?} is kept for the key with which this home signs its root documents")]
    ReservedName(&'static str),
    /// A name that stands for somebody else's key.
    #[error("the name {name:?} stands for another key already: {id}")]
    NameTaken {
        /// The name.
        name: String,
        /// The key that has it.
        id: String,
    },
    /// A name that cannot name a key or a channel.
    #[error("{0:?} cannot be a name: lower-case letters, digits, '.', '_' and '-', at most 64")]
    Name(String),
    /// A key that was revoked is not trusted again.
    #[error("the key {0} was revoked here")]
    Revoked(String),
    /// What is asked for cannot stand in the root document.
    #[error("the root document cannot say that: {0}")]
    RootRefused(String),
    /// The chain of root documents is not whole.
    #[error("the root documents of this home are damaged: {reason}")]
    DamagedChain {
        /// Which file.
        place: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A snapshot, or the root document, has expired.
    #[error("{what} expired at {at}")]
    Expired {
        /// What has expired.
        what: String,
        /// When.
        at: String,
    },
    /// A file of accounts that cannot be believed.
    #[error("the accounts of this home cannot be read: {reason}")]
    Accounts {
        /// The file and the line.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A password that cannot be one.
    #[error("the password cannot be used: {0}")]
    Password(&'static str),
    /// A name that no account can have.
    #[error("{0:?} cannot name an account: letters, digits, '.', '_', '-', '@' and '+', at most 64")]
    AccountName(String),
    /// There is no such account.
    #[error("there is no account {0:?} here")]
    NoSuchAccount(String),
    /// A file of tokens is not understood.
    #[error("a line of the tokens is none")]
    Tokens {
        /// Where.
        place: String,
    },
    /// There is no room for another token.
    #[error("there are {0} tokens already, and no more are given")]
    TooManyTokens(usize),
    /// A signer did not sign.
    #[error("{0}")]
    NotSigned(String),
}

impl TrustError {
    pub(super) fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> TrustError {
        let what = format!("cannot {what} {}", path.display());
        move |source| TrustError::Io { what, source }
    }

    pub(super) fn key(place: impl Into<String>) -> impl FnOnce(KeyRejected) -> TrustError {
        let place = place.into();
        move |reason| TrustError::Key { place, reason }
    }

    /// Kind, stable code and hint; no hint where the message says all.
    fn rendering(&self) -> (Kind, &'static str, Option<String>) {
        let hint = |text: &str| Some(text.to_owned());
        match self {
            TrustError::Io { .. } => (Kind::Failed, "trust.io", None),
            TrustError::Key { reason, .. } => match reason {
                KeyRejected::Unsupported => {
                    (Kind::Untrusted, "trust.unsupported-key", hint("make keys with aftk key new"))
                }
                KeyRejected::Weak(_) => {
                    (Kind::Untrusted, "trust.weak-key", hint("make a new key with aftk key new"))
                }
                KeyRejected::PrivateGiven => (
                    Kind::Usage,
                    "trust.private-key",
                    hint("print the public half where the key lives: aftk key show"),
                ),
                KeyRejected::PrivateUnsupported | KeyRejected::Encryption(_) => (
                    Kind::Usage,
                    "trust.key-file",
                    hint("convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE`"),
                ),
                KeyRejected::Passphrase | KeyRejected::EmptyPassphrase => {
                    (Kind::Usage, "trust.passphrase", None)
                }
                KeyRejected::Failed(_) => (Kind::Failed, "trust.key-failed", None),
            },
            TrustError::Exposed { path, .. } => {
                (Kind::Untrusted, "trust.key-exposed", Some(format!("run `chmod 600 {}`", path.display())))
            }
            TrustError::PassphraseNeeded(_) => {
                (Kind::Usage, "trust.passphrase", hint("name a file with --passphrase-file"))
            }
            TrustError::NoSuchKey(_) => {
                (Kind::Usage, "trust.no-such-key", hint("`aftk key list` shows the keys that are known here"))
            }
            TrustError::KeyExists(_) => (Kind::Usage, "trust.key-exists", hint("choose another name")),
            TrustError::ReservedName(_) => (Kind::Usage, "trust.reserved-name", hint("choose another name")),
            TrustError::NameTaken { .. } => (Kind::Usage, "trust.name-taken", hint("choose another name")),
            TrustError::Name(_) => (Kind::Usage, "trust.name", None),
            TrustError::Revoked(_) => {
                (Kind::Untrusted, "trust.revoked", hint("make a new key with aftk key new, and trust that"))
            }
            TrustError::RootRefused(_) => (Kind::Usage, "trust.root-refused", None),
            TrustError::DamagedChain { .. } => (
                Kind::Untrusted,
                "trust.damaged-root",
                hint("restore the directories `trust` and `keys` of this home from a backup"),
            ),
            TrustError::Expired { .. } => {
                (Kind::Stale, "trust.expired", hint("collect again, and carry the newer bundle"))
            }
            TrustError::Accounts { .. } => (
                Kind::Usage,
                "trust.accounts",
                hint(
                    "write it with `aftk account add NAME`, or with htpasswd -B: lines of a name, a colon and a hash",
                ),
            ),
            TrustError::Password(_) => (Kind::Usage, "trust.password", None),
            TrustError::AccountName(_) => (Kind::Usage, "trust.account-name", None),
            TrustError::NoSuchAccount(_) => (
                Kind::Usage,
                "trust.no-such-account",
                hint("`aftk account ls` shows the accounts that are here"),
            ),
            TrustError::Tokens { .. } => (
                Kind::Usage,
                "trust.tokens",
                hint("remove the file: everybody signs in anew then, and nothing else is in it"),
            ),
            TrustError::TooManyTokens(_) => (
                Kind::Unavailable,
                "trust.too-many-tokens",
                hint("`npm logout` ends one, and another password all of an account"),
            ),
            TrustError::NotSigned(_) => (Kind::Failed, "trust.not-signed", None),
        }
    }
}

impl From<TrustError> for Problem {
    fn from(error: TrustError) -> Problem {
        let (kind, code, hint) = error.rendering();
        let mut problem = Problem::new(kind, code, error.to_string());
        match &error {
            TrustError::Io { source, .. } => problem = problem.because(source.to_string()),
            TrustError::DamagedChain { place, .. } => problem = problem.at(place.display()),
            TrustError::Accounts { place, .. } | TrustError::Tokens { place } => problem = problem.at(place),
            _ => {}
        }
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// What helps when a document is not trusted, by the code of [`Untrusted`].
pub fn hint_for(code: &str) -> Option<&'static str> {
    Some(match code {
        "trust.unknown-key" => {
            "if you know who made it, bring their public key (outside: aftk key show), by a way you trust, and run `aftk key trust FILE`"
        }
        "trust.bad-signature" => "the file was altered or damaged: copy it again from where it was made",
        "trust.revoked" => "collect again outside with a key that is trusted here",
        "trust.scope" => {
            "`aftk key list` shows who may sign for which channel; `aftk key trust FILE --channel NAME` extends it"
        }
        "trust.threshold" => "let another of the trusted people sign it too",
        "trust.wrong-site" => "this bundle was made for another site",
        "trust.epoch" => "import the newer root document first",
        _ => return None,
    })
}

/// The problem of a document that is not trusted: exit 3.
pub fn untrusted_problem(untrusted: &Untrusted) -> Problem {
    let mut problem = Problem::new(Kind::Untrusted, "trust.untrusted", untrusted.message.clone());
    problem.code = untrusted.code.clone().into();
    match hint_for(&untrusted.code) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
