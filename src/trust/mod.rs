//! Keys, the root document, and who may sign what.
//!
//! [`Trust`] is what the verbs use. A home has keys of its own (`keys/`) and a chain of root documents (`trust/`)
//! that say whom it trusts. The first [`Trust::trust`] makes both the site's own key and version 1 of the chain,
//! signed by it; each change after that is one version more. Who may use what a home serves stands in [`AccountsFile`].

mod accounts;
mod chain;
mod change;
mod crypto;
mod error;
mod home_keys;
mod key;
mod key_file;
pub mod root;
pub mod sequence;
mod signer;
mod site_authority;
#[cfg(test)]
mod testing;
pub mod time;
mod tokens;
mod verifier;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use chain::Chain;
use home_keys::HomeKeys;

use crate::store::Layout;

pub use accounts::{AccountList, AccountsFile, AccountsStamp};
pub use change::{Changed, Revoke};
pub use crypto::{Algorithm, KeyRejected, SessionKey};
pub use error::{TrustError, hint_for, untrusted_problem};
pub use key::PublicKey;
pub use root::{EVERY_CHANNEL, Principal, Require, Revocation, Role, Root};
pub use sequence::Mark;
pub use signer::{CommandSigner, KeySigner};
pub use site_authority::{CERTIFICATE_LIFE, ListenerCertificate, SiteAuthority};
pub use tokens::{TokenList, TokensFile};
pub use verifier::TrustVerifier;

/// The key that `collect` uses when none is named; made when it is first needed.
pub const COLLECT_KEY: &str = "collector";

/// The key, and the principal, with which a home signs its own root documents; made when it is first needed.
pub const SITE_KEY: &str = "site";

/// The keys and the trust of one home.
#[derive(Debug)]
pub struct Trust {
    keys: HomeKeys,
    chain: Chain,
    root: Option<Root>,
    /// Whether changes are only tried.
    rehearses: bool,
}

/// A key that is known here, as `aftk key list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Its id.
    pub id: String,
    /// The principal it belongs to, or its name among this home's own; empty for one that is only revoked.
    pub name: String,
    /// Its algorithm; none for one that is only revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The whole digest of the key, to be read aloud; empty for one that is only revoked.
    pub fingerprint: String,
    /// Whether its private half is in this home.
    pub own: bool,
    /// What it may sign, for which channels (`*`: every one).
    pub roles: BTreeMap<Role, Vec<String>>,
    /// Whether and how it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
}

impl Trust {
    /// Opens the keys and the trust of the home in this directory, which need not exist yet. Writes nothing.
    ///
    /// # Errors
    /// [`TrustError::DamagedChain`] if the root documents are not whole; if files cannot be read.
    pub fn open(home: &Path) -> Result<Trust, TrustError> {
        let layout = Layout::new(home);
        let (keys, chain) = (HomeKeys::new(layout.keys()), Chain::new(layout.trust()));
        let mut trust = Trust { keys, chain, root: None, rehearses: false };
        trust.root = trust.load()?;
        Ok(trust)
    }

    /// The same home's trust as it is on disk now: another process may have revoked a key meanwhile.
    ///
    /// # Errors
    /// As [`Trust::open`].
    pub fn reread(&self) -> Result<Trust, TrustError> {
        let (keys, chain, rehearses) = (self.keys.clone(), self.chain.clone(), self.rehearses);
        Ok(Trust { keys, chain, root: self.load()?, rehearses })
    }

    /// The same, where changes of trust are seen here alone and nothing is written.
    #[must_use]
    pub fn rehearsal(mut self) -> Trust {
        self.rehearses = true;
        self
    }

    /// The newest root document; `None` before anybody was trusted here.
    pub fn root(&self) -> Option<&Root> {
        self.root.as_ref()
    }

    /// What verifies documents by the keys that are trusted here; with `own`, by this home's own keys too, as
    /// collectors of every channel: so a bundle is verified where it was made.
    ///
    /// # Errors
    /// If a key's file cannot be read.
    pub fn verifier(&self, own: bool) -> Result<TrustVerifier, TrustError> {
        let names = if own { self.keys.names()? } else { Vec::new() };
        let own = names.iter().filter(|name| *name != SITE_KEY).map(|name| self.keys.public(name));
        Ok(TrustVerifier::new(self.root.clone(), own.collect::<Result<Vec<_>, _>>()?))
    }

    /// Makes a key of this home's own. The passphrase is used as it is: whoever reads it from a file drops the
    /// line feed.
    ///
    /// # Errors
    /// If there is one of that name, the name is out of form or reserved, or the passphrase is empty.
    pub fn new_key(
        &self,
        name: &str,
        algorithm: Algorithm,
        passphrase: Option<&[u8]>,
    ) -> Result<PublicKey, TrustError> {
        self.can_make_key(name)?;
        self.keys.create(name, algorithm, passphrase)
    }

    /// Whether a key of that name could be made.
    ///
    /// # Errors
    /// If there is one, or the name is out of form or reserved.
    pub fn can_make_key(&self, name: &str) -> Result<(), TrustError> {
        if name == SITE_KEY {
            return Err(TrustError::ReservedName(SITE_KEY));
        }
        self.keys.free(name).map(drop)
    }

    /// Makes sure that there is a [`COLLECT_KEY`], and says whether it was made just now.
    ///
    /// # Errors
    /// As [`Trust::new_key`].
    pub fn ensure_collect_key(&self) -> Result<bool, TrustError> {
        self.ensure(COLLECT_KEY)
    }

    /// The public key of that name or id: of this home's own, or of those that are trusted here.
    ///
    /// # Errors
    /// [`TrustError::NoSuchKey`]; if a principal of that name has several keys, which its id tells apart.
    pub fn public_key(&self, name: &str) -> Result<PublicKey, TrustError> {
        if self.keys.has(name) {
            return self.keys.public(name);
        }
        let mut principals = self.root.iter().flat_map(|root| &root.principals);
        if let Some(principal) = principals.find(|principal| principal.name == name) {
            return match principal.keys.as_slice() {
                [key] => Ok(key.clone()),
                keys => {
                    let ids: Vec<_> = keys.iter().map(PublicKey::id).collect();
                    Err(TrustError::NoSuchKey(format!("{name}, but it has several: {}", ids.join(", "))))
                }
            };
        }
        for own in self.keys.names()? {
            let key = self.keys.public(&own)?;
            if key.id() == name {
                return Ok(key);
            }
        }
        let trusted = self.root.as_ref().and_then(|root| root.principal_of(name));
        trusted.map(|(_, key)| key.clone()).ok_or_else(|| TrustError::NoSuchKey(name.to_owned()))
    }

    /// What signs with one of this home's own keys, or with the private key in a file.
    ///
    /// # Errors
    /// If there is neither, if the key was revoked here, or its file is exposed, encrypted or no key.
    pub fn signer(&self, name_or_file: &str, passphrase: Option<&[u8]>) -> Result<KeySigner, TrustError> {
        let signer = if self.keys.has(name_or_file) {
            self.keys.signer(name_or_file, passphrase)?
        } else if Path::new(name_or_file).is_file() {
            home_keys::signer_from(Path::new(name_or_file), passphrase)?
        } else {
            return Err(TrustError::NoSuchKey(name_or_file.to_owned()));
        };
        self.refuse_revoked(signer.public())?;
        Ok(signer)
    }

    /// What signs by a command of the user's, with the private half of this public key.
    ///
    /// # Errors
    /// If the key is not accepted or was revoked here.
    pub fn command_signer(&self, public_pem: &[u8], command: &str) -> Result<CommandSigner, TrustError> {
        let public = PublicKey::from_pem(public_pem).map_err(TrustError::key("the public key"))?;
        self.refuse_revoked(&public)?;
        Ok(CommandSigner::new(public, command))
    }

    /// Every key that is known here: this home's own, those that are trusted, and those that are revoked.
    ///
    /// # Errors
    /// If a key's file cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, TrustError> {
        let mut infos: BTreeMap<String, KeyInfo> = BTreeMap::new();
        let describe = |key: &PublicKey, name: &str| KeyInfo {
            id: key.id().to_owned(),
            name: name.to_owned(),
            algorithm: Some(key.algorithm()),
            fingerprint: key.fingerprint(),
            own: false,
            roles: BTreeMap::new(),
            revoked: None,
        };
        for name in self.keys.names()? {
            let key = self.keys.public(&name)?;
            infos.insert(key.id().to_owned(), KeyInfo { own: true, ..describe(&key, &name) });
        }
        for principal in self.root.iter().flat_map(|root| &root.principals) {
            for key in &principal.keys {
                let info = infos.entry(key.id().to_owned()).or_insert_with(|| describe(key, &principal.name));
                info.roles = principal.roles.clone();
            }
        }
        for (id, revocation) in self.root.iter().flat_map(|root| &root.revocations) {
            let unknown = || KeyInfo {
                id: id.clone(),
                name: String::new(),
                algorithm: None,
                fingerprint: String::new(),
                own: false,
                roles: BTreeMap::new(),
                revoked: None,
            };
            infos.entry(id.clone()).or_insert_with(unknown).revoked = Some(revocation.clone());
        }
        let mut infos: Vec<_> = infos.into_values().collect();
        infos.sort_by(|a, b| (!a.own, &a.name, &a.id).cmp(&(!b.own, &b.name, &b.id)));
        Ok(infos)
    }

    fn load(&self) -> Result<Option<Root>, TrustError> {
        let anchor = match self.keys.public(SITE_KEY) {
            Ok(key) => Some(key),
            Err(TrustError::NoSuchKey(_)) => None,
            Err(error) => return Err(error),
        };
        self.chain.load(anchor.as_ref())
    }

    /// Makes a key of that name if there is none, and says whether it did.
    fn ensure(&self, name: &str) -> Result<bool, TrustError> {
        if self.keys.has(name) {
            return Ok(false);
        }
        match self.keys.create(name, Algorithm::Ed25519, None) {
            Ok(_) => Ok(true),
            // Another process was faster.
            Err(TrustError::KeyExists(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn refuse_revoked(&self, key: &PublicKey) -> Result<(), TrustError> {
        let revoked = self.root.as_ref().is_some_and(|root| root.revocations.contains_key(key.id()));
        if revoked { Err(TrustError::Revoked(key.id().to_owned())) } else { Ok(()) }
    }
}
