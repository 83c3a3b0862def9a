//! Pushing what the store shows into somebody else's server.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::BlobKey;
use serde::Serialize;

use super::context::Outside;
use super::editions;
use super::select::{self, Selector};
use crate::blocking::blocking;
use crate::clock;
use crate::ecosystem::push::{Entry, Ledger, Outcome, Push, PushContext, PushOrder};
use crate::ecosystem::{Chosen, CollectContext, Ecosystem, registry};
use crate::events::Happening;
use crate::net::Client;
use crate::problem::{Kind, Problem};
use crate::store::{
    AuditEntry, BlobFile, Change, ChangeSet, EditionDocuments, Linked, LinkedRef, Precondition, Store,
};

/// What the audit log calls it.
pub(super) const PUSHED: &str = "pushed";
/// How many lines are written to the audit log in one transaction.
const LOGGED_AT_ONCE: usize = 1000;

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PushReport {
    /// Where to.
    pub target: String,
    /// Whether nothing was changed, and everything is what would have been.
    pub dry_run: bool,
    /// What became of everything.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// In numbers.
    pub totals: Totals,
}

/// A ledger in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Parts by their state, each once for each repository, and the bytes that they have.
    pub parts: BTreeMap<String, Total>,
    /// Artifacts by their outcome.
    pub artifacts: BTreeMap<String, u64>,
    /// Labels by their outcome.
    pub refs: BTreeMap<String, u64>,
}

/// How many, and how large together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl PushReport {
    /// The worst that happened, if it decides the exit code: what was refused outweighs what may come right by itself.
    pub fn problem(&self) -> Option<Problem> {
        let worst = self.ledger.failures.iter().max_by_key(|failure| severity(failure.problem.kind));
        let conflicts: Vec<&str> = self
            .ledger
            .refs
            .iter()
            .filter(|entry| entry.outcome == Outcome::Conflict)
            .map(|entry| entry.target.as_str())
            .collect();
        let conflict = conflicts.first().map(|first| {
            let others = if conflicts.len() > 1 {
                format!(" and {} more", conflicts.len() - 1)
            } else {
                String::new()
            };
            Problem::new(
                Kind::Refused,
                "push.conflict",
                format!("{first}{others} stands for something else there"),
            )
            .hint("without --no-move-tags it is moved")
        });
        match (worst, conflict) {
            (Some(failure), Some(conflict)) if severity(failure.problem.kind) < severity(conflict.kind) => {
                Some(conflict)
            }
            (Some(failure), _) => Some(failure.problem.clone()),
            (None, conflict) => conflict,
        }
    }
}

fn severity(kind: Kind) -> u8 {
    match kind {
        Kind::Interrupted => 0,
        Kind::Unavailable => 1,
        Kind::Stale => 2,
        Kind::Incomplete => 3,
        Kind::Refused => 4,
        Kind::Usage => 5,
        Kind::Failed => 6,
        Kind::Untrusted => 7,
    }
}

/// What pushes to a target, an ecosystem's word and an address: `docker://registry.example.test/mirror`; and the address.
fn find(target: &str) -> Result<(&'static dyn Ecosystem, &'static dyn Push, &str), Problem> {
    let found = target.split_once(':').and_then(|(word, rest)| {
        let ecosystem = registry::of_word(word)?;
        Some((ecosystem, ecosystem.push()?, rest))
    });
    found.ok_or_else(|| {
        let message = format!("{target:?} is no target that this version pushes to");
        Problem::new(Kind::Usage, "push.target", message)
            .hint("write docker://HOST/PREFIX, for example docker://registry.example.test/mirror, npm:https://HOST/PATH/, pypi:https://HOST/PATH/, or apt:https://HOST/PATH")
    })
}

/// An order to push to `target`, checked by its words alone; its own target is overwritten.
///
/// # Errors
/// Usage, if it is wrong.
pub fn order(target: &str, mut order: PushOrder) -> Result<PushOrder, Problem> {
    let (_, pusher, rest) = find(target)?;
    rest.clone_into(&mut order.target);
    pusher.check(&order)?;
    Ok(order)
}

/// Pushes what selectors select, or all of the target's ecosystem if there is none, as an [`order`] for that target says.
///
/// # Errors
/// If a selector selects nothing, or the target cannot be used at all. What fails for one package stands in the report.
pub async fn push(
    target: &str,
    order: PushOrder,
    selectors: Vec<Selector>,
    outside: &Arc<Outside>,
) -> Result<PushReport, Problem> {
    let (ecosystem, pusher, _) = find(target)?;
    let (store, name, use_for) =
        (outside.store().clone(), ecosystem.name(), format!("can be pushed to {target}"));
    let chosen = blocking(move || select::chosen(&store, name, &selectors, &use_for)).await?;
    let context = Inside { outside: outside.clone(), ecosystem: name };
    let ledger = outside.cancel().race(pusher.push(&order, &chosen, &context)).await?;
    if !order.dry_run {
        let (store, entries) = (outside.store().clone(), logged(name, target, &ledger));
        blocking(move || log(&store, entries)).await?;
    }
    let totals = totals(&ledger);
    Ok(PushReport { target: target.to_owned(), dry_run: order.dry_run, ledger, totals })
}

/// What the audit log says of a push: what is there now, and what it was here.
fn logged(ecosystem: &str, target: &str, ledger: &Ledger) -> Vec<AuditEntry> {
    let time = clock::now_text();
    let is_there = |entry: &&Entry| !matches!(entry.outcome, Outcome::Conflict | Outcome::Failed);
    let entries = ledger.artifacts.iter().chain(&ledger.refs).filter(is_there).map(|entry| {
        let subject = [
            ("ecosystem", ecosystem),
            ("outcome", outcome_word(entry.outcome)),
            ("source", &entry.source),
            ("target", target),
            ("there", &entry.target),
            ("version", &entry.version),
        ];
        let subject = subject.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        AuditEntry { time: time.clone(), action: PUSHED.to_owned(), subject }
    });
    entries.collect()
}

/// Writes into the audit log, in short transactions.
fn log(store: &Store, entries: Vec<AuditEntry>) -> Result<(), Problem> {
    for batch in entries.chunks(LOGGED_AT_ONCE) {
        let changes = batch.iter().cloned().map(Change::Audit).collect();
        store.catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
    }
    Ok(())
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Present => "present",
        Outcome::Uploaded => "uploaded",
        Outcome::Moved => "moved",
        Outcome::Conflict => "conflict",
        Outcome::Failed => "failed",
    }
}

fn totals(ledger: &Ledger) -> Totals {
    let mut totals = Totals::default();
    let mut counted = HashSet::new();
    for part in ledger.artifacts.iter().flat_map(|artifact| &artifact.parts) {
        if counted.insert((&part.repository, &part.digest)) {
            let total = totals.parts.entry(part.state.word().to_owned()).or_default();
            total.count += 1;
            total.bytes += part.size;
        }
    }
    for entry in &ledger.artifacts {
        *totals.artifacts.entry(outcome_word(entry.outcome).to_owned()).or_default() += 1;
    }
    for entry in &ledger.refs {
        *totals.refs.entry(outcome_word(entry.outcome).to_owned()).or_default() += 1;
    }
    totals
}

/// What a pushing ecosystem sees.
struct Inside {
    outside: Arc<Outside>,
    ecosystem: &'static str,
}

#[async_trait]
impl PushContext for Inside {
    fn machine(&self) -> &dyn CollectContext {
        &*self.outside
    }

    fn client(&self) -> &Client {
        self.outside.client()
    }

    async fn package(&self, repository: &str, name: &str) -> Result<(Vec<Linked>, Vec<LinkedRef>), Problem> {
        let (store, ecosystem) = (self.outside.store().clone(), self.ecosystem);
        let (repository, name) = (repository.to_owned(), name.to_owned());
        blocking(move || {
            let artifacts = store.catalogue.artifacts(ecosystem, Some(&repository), &name)?;
            Ok((artifacts, store.catalogue.refs(ecosystem, Some(&repository), &name, None)?))
        })
        .await
    }

    async fn all(&self) -> Result<Vec<Chosen>, Problem> {
        let (store, ecosystem) = (self.outside.store().clone(), self.ecosystem);
        blocking(move || select::chosen(&store, ecosystem, &[], "can be pushed")).await
    }

    async fn edition(&self, repository: &str) -> Result<EditionDocuments, Problem> {
        let (store, ecosystem) = (self.outside.store().clone(), self.ecosystem);
        let (events, cancel) = (self.outside.shared_events(), self.outside.cancel().clone());
        let repository = repository.to_owned();
        blocking(move || {
            editions::refresh(&store, &*events, &cancel)?;
            editions::documents(&store, ecosystem, &repository)
        })
        .await
    }

    async fn open(&self, key: &BlobKey) -> Result<Option<BlobFile>, Problem> {
        let (store, key) = (self.outside.store().clone(), *key);
        blocking(move || Ok(store.blobs.open(&key)?)).await
    }

    fn progress(&self) -> Arc<dyn Fn(u64) + Send + Sync> {
        let events = self.outside.shared_events();
        Arc::new(move |bytes| events.emit(Happening::ItemProgress { bytes }))
    }
}
