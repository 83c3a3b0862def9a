//! Every path on disk, below the home of one side.
//!
//! ```text
//! HOME/                            owner only
//!   site.toml                      how this side serves
//!   accounts                       who may use what is served: names and hashes of passwords, in htpasswd's form
//!   tokens                         hashes of the tokens that accounts signed in for
//!   keys/NAME.pem, NAME.pub        private keys (PKCS#8, PEM) and their public ones (SPKI, PEM)
//!   trust/                         the chain of root documents
//!   trust/incarnation              what the store says of itself too, unless an old copy of it was put back
//!   tls/                           the site's own certificate authority, for a listener that speaks TLS
//!   apt/keys/FINGERPRINT.key       the keys that the site signs its own indices with (OpenPGP, armored)
//!   npm/keyrings/*.json            the keys that registries of npm sign with, as the site believes them
//!   apt/keyrings/*.asc, *.gpg      whose signatures the site believes of upstreams (OpenPGP)
//!   channels/CHANNEL/              the lock and the ledger of collecting without a project
//!   store/
//!     blobs/sha256/ab/abcd…        blobs, raw, read-only, named by all 64 hex digits of their sha256
//!     staging/NAME                 bytes of a session that can be resumed, 64 hex digits
//!     staging/RANDOM.part          bytes of one that cannot, or that are complete and wait to be settled
//!     trash/DIGEST.RANDOM          blobs that gc removed, until their bytes are freed
//!     quarantine/DIGEST            damaged blobs, for people to look at
//!     locks/                       empty files that carry advisory locks
//!     accepted/CHANNEL/PLACE.json  a file for each accepted snapshot, to make a lost catalogue again from
//!     forgotten/CHANNEL/….json     what a channel was made to forget, which such a catalogue does not show either
//!     rebuild/, rebuilt/           where a catalogue is made again, and waits to take the old one's place
//!     backup/                      where one is copied for a backup
//!     catalogue.sqlite             the rows; with -wal and -shm beside it
//! ```

use std::path::{Path, PathBuf};

use bundle_format::BlobKey;

/// The paths of one home. Makes nothing and checks nothing: names that come from outside are checked by
/// whoever hands them over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    home: PathBuf,
}

impl Layout {
    /// The paths below `home`.
    pub fn new(home: &Path) -> Layout {
        Layout { home: home.to_owned() }
    }

    /// The home itself.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// How this side serves.
    pub fn site(&self) -> PathBuf {
        self.home.join("site.toml")
    }

    /// Whom this side serves.
    pub fn accounts(&self) -> PathBuf {
        self.home.join("accounts")
    }

    /// Where keys are.
    pub fn keys(&self) -> PathBuf {
        self.home.join("keys")
    }

    /// Where the root documents are.
    pub fn trust(&self) -> PathBuf {
        self.home.join("trust")
    }

    /// Where the keys of sites are whose receipts were believed.
    pub fn sites(&self) -> PathBuf {
        self.home.join("sites")
    }

    /// What the catalogue says as well, unless it is an old copy that was put back.
    pub fn incarnation(&self) -> PathBuf {
        self.home.join("trust/incarnation")
    }

    /// The private keys that the site has for an ecosystem.
    pub fn ecosystem_keys(&self, ecosystem: &str) -> PathBuf {
        self.home.join(ecosystem).join("keys")
    }

    /// The keys of upstreams that the site believes, of an ecosystem.
    pub fn ecosystem_keyrings(&self, ecosystem: &str) -> PathBuf {
        self.home.join(ecosystem).join("keyrings")
    }

    /// Where the site's own certificate authority is.
    pub fn tls(&self) -> PathBuf {
        self.home.join("tls")
    }

    /// Lock and ledger of a channel; the channel's name has been checked.
    pub fn channel(&self, name: &str) -> PathBuf {
        self.home.join("channels").join(name)
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.home.join("store")
    }

    /// The rows.
    pub fn catalogue(&self) -> PathBuf {
        self.home.join("store/catalogue.sqlite")
    }

    /// The blobs, in one directory for each first two digits.
    pub fn blobs(&self) -> PathBuf {
        self.home.join("store/blobs/sha256")
    }

    /// The directory of a blob.
    pub fn blob_directory(&self, key: &BlobKey) -> PathBuf {
        self.blobs().join(key.hex().get(..2).unwrap_or_default())
    }

    /// A blob.
    pub fn blob(&self, key: &BlobKey) -> PathBuf {
        self.blob_directory(key).join(key.hex())
    }

    /// What is written but not yet held.
    pub fn staging(&self) -> PathBuf {
        self.home.join("store/staging")
    }

    /// What gc removed.
    pub fn trash(&self) -> PathBuf {
        self.home.join("store/trash")
    }

    /// What was found damaged.
    pub fn quarantine(&self) -> PathBuf {
        self.home.join("store/quarantine")
    }

    /// What says which snapshots were accepted.
    pub fn accepted(&self) -> PathBuf {
        self.home.join("store/accepted")
    }

    /// What says what channels were made to forget.
    pub fn forgotten(&self) -> PathBuf {
        self.home.join("store/forgotten")
    }

    /// The home in which a catalogue is made again.
    pub fn rebuild(&self) -> PathBuf {
        self.home.join("store/rebuild")
    }

    /// The same home, once its catalogue is to take the old one's place.
    pub fn rebuilt(&self) -> PathBuf {
        self.home.join("store/rebuilt")
    }

    /// Where the catalogue is copied for a backup.
    pub fn backup(&self) -> PathBuf {
        self.home.join("store/backup")
    }

    /// Files that carry locks.
    pub fn locks(&self) -> PathBuf {
        self.home.join("store/locks")
    }

    /// The lock of whoever collects garbage.
    pub fn gc_lock(&self) -> PathBuf {
        self.locks().join("gc")
    }

    /// The lock of whoever makes editions.
    pub fn edition_lock(&self) -> PathBuf {
        self.locks().join("edition")
    }

    /// The lock of whoever accepts a snapshot.
    pub fn incarnation_lock(&self) -> PathBuf {
        self.locks().join("incarnation")
    }

    /// The lock of whoever fills a generation of the source that the catalogue knows by this number.
    pub fn source_lock(&self, source: i64) -> PathBuf {
        self.locks().join(format!("source-{source}"))
    }
}
