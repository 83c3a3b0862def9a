//! Editions: after the store has changed, what ecosystems materialise is made again, and seen all at once.
//!
//! Whoever serves does this, when it begins and whenever it notices a commit, be it of another process: until an edition is
//! ready, clients find the one before.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bundle_format::BlobKey;
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::blocking::blocking;
use crate::cancel::Cancel;
use crate::clock;
use crate::config::Site;
use crate::ecosystem::{AdmitContext as _, DocumentWrite, Ecosystem, MaterialiseContext, registry};
use crate::events::{Events, Happening};
use crate::fsx;
use crate::ops::admission::Side;
use crate::ops::intake::Intake;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::store::{
    AuditEntry, BlobWrite, Change, ChangeSet, Cursor, EditionDocument, EditionDocuments, EditionState,
    Expected, Linked, Precondition, Store, StoreError, edition_state, publish_edition,
};

/// How often it is asked whether the store has changed.
const PAUSE: Duration = Duration::from_secs(1);
/// After so long an edition is confirmed, though nothing changed: else gc would forget it in the end.
const CONFIRMED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How many artifacts are taken from the catalogue at once.
const PAGE: usize = 1_000;
/// The most bytes that a list of documents may have.
const LARGEST_LIST: u64 = 64 << 20;
/// The most bytes that a private key may have.
const LARGEST_KEY: u64 = 64 << 10;

/// Makes the editions that the store's newest revision demands. Those that are there and right stay.
///
/// # Errors
/// If one cannot be made; then those before stay.
pub fn refresh(store: &Store, events: &dyn Events, cancel: &Cancel) -> Result<(), Problem> {
    registry::ECOSYSTEMS.iter().try_for_each(|ecosystem| refresh_one(store, *ecosystem, events, cancel))
}

/// Makes one more key with which the site signs what it serves of an ecosystem.
///
/// # Errors
/// Usage, if nothing of the ecosystem is signed here.
pub fn new_key(store: &Store, ecosystem: &str, events: &dyn Events, cancel: &Cancel) -> Result<(), Problem> {
    let known = registry::ECOSYSTEMS.iter().filter(|one| one.materialise().is_some());
    let Some(found) = known.clone().find(|one| one.name() == ecosystem) else {
        let names: Vec<_> = known.map(|one| one.name()).collect();
        let message = format!("nothing of {ecosystem:?} is signed by a site");
        return Err(Problem::new(Kind::Usage, "edition.ecosystem", message)
            .hint(format!("keys of sites sign what is served of: {}", names.join(", "))));
    };
    let ecosystem = found.name();
    let maker =
        Maker { store, ecosystem, intake: Intake::new(store)?, before: Mutex::default(), events, cancel };
    found.materialise().map_or(Ok(()), |materialise| materialise.new_key(&maker))
}

/// Makes editions whenever the store has changed. Never ends. What goes wrong is said once for each revision.
pub async fn keep_fresh(store: &Store, events: Arc<dyn Events>, cancel: &Cancel) {
    let mut done = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        let (store, events, cancel) = (store.clone(), Arc::clone(&events), cancel.clone());
        let looked = blocking(move || {
            // Besides the revision count the keys, what the site says, and the day: editions are confirmed now and then.
            let today = clock::now_text().get(..10).map(str::to_owned);
            let layout = &store.layout;
            let keys = registry::ECOSYSTEMS
                .iter()
                .flat_map(|one| [layout.ecosystem_keys(one.name()), layout.ecosystem_keyrings(one.name())]);
            let files: Vec<_> = keys.chain([layout.site()]).map(|path| fsx::modified(&path).ok()).collect();
            let seen = (store.catalogue.revision()?, files, today);
            if done.as_ref() != Some(&seen)
                && let Err(problem) = refresh(&store, &*events, &cancel)
            {
                let what = format!("clients find what was there before: {problem}");
                events.warn(&problem.code, what);
            }
            Ok(seen)
        });
        done = looked.await.ok();
    }
}

fn refresh_one(
    store: &Store,
    ecosystem: &'static dyn Ecosystem,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(), Problem> {
    let Some(materialise) = ecosystem.materialise() else { return Ok(()) };
    let path = store.layout.edition_lock();
    let _lock = fsx::Lock::exclusive(&path)
        .map_err(|source| StoreError::Io { what: format!("cannot lock {}", path.display()), source })?;
    let revision = store.catalogue.revision()?;
    let own = store.catalogue.repositories()?;
    let names: Vec<String> =
        own.into_iter().filter(|one| one.ecosystem == ecosystem.name()).map(|one| one.name).collect();
    let maker = Maker {
        store,
        ecosystem: ecosystem.name(),
        intake: Intake::new(store)?,
        before: Mutex::default(),
        events,
        cancel,
    };
    let stamp = |maker: &Maker<'_>| -> Result<String, Problem> {
        Ok(format!("{} {} {}", revision.0, env!("CARGO_PKG_VERSION"), materialise.stamp(maker)?))
    };
    let wanted = stamp(&maker)?;
    let since = clock::now().checked_sub(CONFIRMED_FOR).map(clock::text).unwrap_or_default();
    let is_right = |name: &String| -> Result<bool, Problem> {
        let state = edition_state(&*store.catalogue, ecosystem.name(), name)?;
        Ok(state.is_some_and(|state| state.stamp == wanted && state.confirmed >= since))
    };
    if names.iter().map(is_right).collect::<Result<Vec<_>, _>>()?.iter().all(|right| *right) {
        return Ok(());
    }
    events.emit(Happening::Stage { name: "indices".into(), items: Some(names.len() as u64), bytes: None });
    let editions = materialise.materialise(&names, &maker)?;
    let stamp = stamp(&maker)?;
    for (name, documents) in names.iter().zip(editions) {
        maker.publish(name, &documents, &stamp)?;
    }
    Ok(())
}

/// The documents of a repository's edition; none, if there is none.
///
/// # Errors
/// If it cannot be read.
pub fn documents(store: &Store, ecosystem: &str, repository: &str) -> Result<EditionDocuments, Problem> {
    let state = edition_state(&*store.catalogue, ecosystem, repository)?;
    let Some(state) = state else { return Ok(EditionDocuments::new()) };
    if store.blobs.size(&state.list)?.is_none() {
        return Ok(EditionDocuments::new());
    }
    let list = super::read_blob(store, &state.list, LARGEST_LIST)?;
    Ok(serde_json::from_slice(&list).unwrap_or_default())
}

/// What a materialising ecosystem works with.
struct Maker<'a> {
    store: &'a Store,
    ecosystem: &'static str,
    intake: Intake,
    /// The documents of the editions before, by repository.
    before: Mutex<BTreeMap<String, Arc<EditionDocuments>>>,
    events: &'a dyn Events,
    cancel: &'a Cancel,
}

impl Maker<'_> {
    fn documents_before(&self, repository: &str) -> Result<Arc<EditionDocuments>, Problem> {
        let mut known = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(documents) = known.get(repository) {
            return Ok(Arc::clone(documents));
        }
        let documents = Arc::new(documents(self.store, self.ecosystem, repository)?);
        known.insert(repository.to_owned(), Arc::clone(&documents));
        Ok(documents)
    }

    fn side(&self) -> Side<'_> {
        Side { store: self.store, ecosystem: self.ecosystem }
    }

    fn publish(&self, repository: &str, documents: &EditionDocuments, stamp: &str) -> Result<(), Problem> {
        let place = (self.ecosystem, repository);
        let state = edition_state(&*self.store.catalogue, self.ecosystem, repository)?;
        let before = self.documents_before(repository)?;
        self.intake.flush()?;
        // What is used again has to be here still, whatever gc did meanwhile.
        for (path, document) in
            documents.iter().filter(|(path, document)| before.get(*path) == Some(document))
        {
            if !self.intake.hold(&document.blob, document.size)? {
                let message = format!("the document {path:?} of an edition is gone");
                return Err(Problem::new(Kind::Failed, "edition.gone", message)
                    .hint("it is made again when this is repeated"));
            }
        }
        let list = serde_json::to_vec(documents).map_err(|error| {
            Problem::new(Kind::Failed, "edition.list", "the list of an edition cannot be written")
                .caused_by(&error)
        })?;
        let list = self.intake.keep(&list, None)?;
        self.intake.flush()?;
        let number = state.map_or(1, |state| state.number + 1);
        let state = EditionState { number, stamp: stamp.to_owned(), confirmed: clock::now_text(), list };
        Ok(publish_edition(&*self.store.catalogue, place, &state, documents, &before)?)
    }
}

impl MaterialiseContext for Maker<'_> {
    fn each(&self, each: &mut dyn FnMut(Linked) -> Result<(), Problem>) -> Result<(), Problem> {
        let mut after = Cursor::before(self.ecosystem);
        loop {
            self.cancel.check()?;
            let page = self.store.catalogue.list(Some(&after), PAGE)?;
            let is_last = page.len() < PAGE;
            for listed in page {
                if listed.linked.artifact.ecosystem != self.ecosystem {
                    return Ok(());
                }
                after = listed.cursor;
                each(listed.linked)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        super::read_blob(self.store, key, limit)
    }

    fn open(&self, key: &BlobKey) -> Result<Box<dyn Read + Send>, Problem> {
        self.side().open(key)
    }

    fn settings(&self) -> Result<Vec<Settings>, Problem> {
        let all = Site::read(&self.store.layout.site())?.settings;
        Ok(all.into_iter().filter(|settings| settings.ecosystem == self.ecosystem).collect())
    }

    fn keyrings(&self, endings: &[&str]) -> Result<Vec<(PathBuf, Bytes)>, Problem> {
        self.side().keyrings(endings)
    }

    fn warn(&self, code: &str, text: &str) {
        self.events.warn(code, text.to_owned());
    }

    fn before(&self, repository: &str, path: &str) -> Result<Option<(EditionDocument, File)>, Problem> {
        let Some(document) = self.documents_before(repository)?.get(path).copied() else { return Ok(None) };
        let blob = self.store.blobs.open(&document.blob)?;
        Ok(blob.filter(|blob| blob.length == document.size).map(|blob| (document, blob.file)))
    }

    fn begin(&self) -> Result<Box<dyn DocumentWrite + '_>, Problem> {
        let write = self.store.blobs.begin(&[], true)?;
        Ok(Box::new(Writing { write, size: 0, intake: &self.intake }))
    }

    fn keys(&self) -> Result<Vec<(String, Zeroizing<String>)>, Problem> {
        let directory = self.store.layout.ecosystem_keys(self.ecosystem);
        let unreadable = |error: io::Error| {
            Problem::new(Kind::Failed, "edition.key", "a private key of this site cannot be read")
                .at(directory.display())
                .caused_by(&error)
        };
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_none_or(|extension| extension != "key") {
                continue;
            }
            let Some(bytes) = fsx::read_limited(&path, LARGEST_KEY).map_err(unreadable)? else { continue };
            let text =
                String::from_utf8(bytes).map_err(|error| unreadable(io::Error::other(error.utf8_error())))?;
            keys.push((path.display().to_string(), Zeroizing::new(text)));
        }
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(keys)
    }

    fn add_key(&self, name: &str, text: &str, fingerprint: &str) -> Result<(), Problem> {
        let directory = self.store.layout.ecosystem_keys(self.ecosystem);
        let path = directory.join(format!("{name}.key"));
        let written = fsx::create_directory(&directory, fsx::Access::Private)
            .and_then(|()| fsx::replace_private(&path, text.as_bytes()));
        written.map_err(|error| {
            Problem::new(Kind::Failed, "edition.key", "a private key of this site cannot be written")
                .at(path.display())
                .caused_by(&error)
        })?;
        let subject = [("ecosystem", self.ecosystem), ("fingerprint", fingerprint)];
        let subject: BTreeMap<_, _> =
            subject.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let entry = AuditEntry { time: clock::now_text(), action: "site-key".to_owned(), subject };
        self.store
            .catalogue
            .commit(&ChangeSet { changes: vec![Change::Audit(entry)] }, &Precondition::None)?;
        let message = format!(
            "this site signs its {} repositories with a new key of its own; `aftk setup {0}` gives it to clients. Its \
             fingerprint: {fingerprint}",
            self.ecosystem
        );
        self.events.emit(Happening::Message { message });
        Ok(())
    }
}

/// A document on its way into the store.
struct Writing<'a> {
    write: Box<dyn BlobWrite>,
    size: u64,
    intake: &'a Intake,
}

impl Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write.write(bytes).map_err(io::Error::other)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DocumentWrite for Writing<'_> {
    fn finish(self: Box<Self>) -> Result<(BlobKey, u64), Problem> {
        let staged = self.write.stage(&Expected::default())?;
        Ok((self.intake.take(staged, None)?, self.size))
    }
}
