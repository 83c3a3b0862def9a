//! Whether registries signed what is carried of them.
//!
//! Each is asked once for its keys. Whoever pins them in `[[npm]]` is not asked; else those of the first time are believed,
//! and stand in the lock from then on. A registry that lists other keys later is not believed until a person has looked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::KEYS;
use super::attestations::{self, Attestations};
use super::cuttings::Cutting;
use super::fetch::Fetcher;
use super::found::{Found, Sighting};
use super::keys::{self, Keys};
use super::options::{Advisories, Options};
use super::origin::Source;
use super::signature;
use crate::ecosystem::attested::{Attested, project_roots};
use crate::ecosystem::{CollectContext, MetadataRequest, Note};
use crate::problem::{Kind, Problem};
use crate::protocol::sigstore::Roots;

/// The attribute of a version that has the names of the keys which signed it.
pub(super) const ATTRIBUTE: &str = "signed_by";
/// So many versions without signature are named.
const NAMED: usize = 20;

/// The keys of all registries that turn up.
#[derive(Default)]
pub(crate) struct Signers {
    options: Options,
    /// Whom the project believes of who made a version; nobody, where it does not say.
    roots: Roots,
    /// By repository: what the lock has that this resolution may replace.
    locked: BTreeMap<String, Keys>,
    registries: Mutex<BTreeMap<Source, Arc<Registry>>>,
}

/// What is known of a registry.
#[derive(Default)]
struct Registry {
    /// Its keys, once somebody asked; none, if it has none.
    keys: OnceCell<Believed>,
    tally: Mutex<Tally>,
}

/// Keys, and what a person should know of them.
#[derive(Default)]
struct Believed {
    keys: Option<Keys>,
    note: Option<(&'static str, String)>,
}

#[derive(Default)]
struct Tally {
    signed: u64,
    unsigned: u64,
    /// The first of those in the order of their names, so that every run names the same ones.
    named: std::collections::BTreeSet<String>,
}

impl Signers {
    /// Reads what the project and the lock say.
    ///
    /// # Errors
    /// Usage, if the project says something that cannot be; if the lock cannot be read.
    pub(super) async fn load(context: &dyn CollectContext) -> Result<Signers, Problem> {
        let options = Options::load(context).await?;
        let roots = project_roots(&options.trusted_roots, attestations::ROOT, context).await?;
        let mut signers = Signers { options, roots, ..Signers::default() };
        for planned in context.locked(KEYS).await? {
            let keys = Keys::of(&planned.attributes).map_err(|why| {
                let message = "the keys of a registry cannot be read from the lock";
                Problem::new(Kind::Usage, "npm.keys", message).at(&planned.repository).because(why)
            })?;
            signers.locked.entry(planned.repository).or_default().extend(keys);
        }
        Ok(signers)
    }

    /// Verifies what a registry signed of a version; gives the names of the keys. None, if it signed nothing, or nobody
    /// knows its keys.
    ///
    /// # Errors
    /// Untrusted, if a signature is wrong; if the registry's keys are others than before, or cannot be had.
    pub(super) async fn verify(
        &self,
        fetcher: Fetcher<'_>,
        source: &Source,
        name: &str,
        cutting: &Cutting,
    ) -> Result<Vec<String>, Problem> {
        let registry = {
            let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
            registries.entry(source.clone()).or_default().clone()
        };
        let believed = registry.keys.get_or_try_init(|| self.believed(fetcher, source)).await?;
        let Some(keys) = &believed.keys else { return Ok(Vec::new()) };
        let version = &cutting.version;
        let published = cutting.time.as_deref().and_then(|time| time.parse().ok());
        let signed_by = signature::verify(&cutting.object, (name, version), published, keys);
        let signed_by = signed_by.map_err(|fault| {
            let message = format!("{name}@{version} is not what its registry signed");
            Problem::new(Kind::Untrusted, "npm.signature", message)
                .at(&source.base)
                .caused_by(&fault)
                .because(format!("the registry {}", keys.described()))
                .hint("find out who changed it on the way; nothing of it was kept")
                .hint(format!(
                    "if the registry has new keys, look at its {} and pin them in aftk.toml: [[npm]] keys = \"FILE\"",
                    keys::PLACE
                ))
        })?;
        let mut tally = registry.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if signed_by.is_empty() {
            tally.unsigned += 1;
            tally.named.insert(format!("{name}@{version}"));
            if tally.named.len() > NAMED {
                tally.named.pop_last();
            }
        } else {
            tally.signed += 1;
        }
        Ok(signed_by)
    }

    /// Who made a version of a registry, whose keys are known by now. Nobody, where the project believes nobody.
    ///
    /// # Errors
    /// Why an attestation is not by whom it says.
    pub(super) fn attest(
        &self,
        source: &Source,
        attestations: Attestations,
    ) -> Result<Vec<Attested>, String> {
        if self.roots.is_empty() {
            return Ok(Vec::new());
        }
        let registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = registries.get(source).cloned().unwrap_or_default();
        drop(registries);
        let keys = registry.keys.get().and_then(|believed| believed.keys.as_ref());
        let verified = attestations.verify(&self.roots, keys.as_slice())?;
        match verified.unknown.first().filter(|_| keys.is_some()) {
            Some(name) => Err(format!(
                "one is signed with the key {name}, which is none of the registry's that are believed"
            )),
            None => Ok(verified.attested),
        }
    }

    /// Which keys of a registry are believed.
    async fn believed(&self, fetcher: Fetcher<'_>, source: &Source) -> Result<Believed, Problem> {
        if let Some((keys, _)) = self.options.keys_of(source) {
            return Ok(Believed { keys: Some(keys.clone()), note: None });
        }
        let listed = listed(fetcher, source).await?;
        let locked = self.locked.get(&source.repository);
        Ok(match (listed, locked) {
            (Some(listed), Some(locked)) => {
                let new = listed.not_in(locked);
                if !new.is_empty() {
                    return Err(changed(source, &new, locked));
                }
                Believed { keys: Some(listed), note: None }
            }
            (Some(listed), None) => {
                let message = format!(
                    "its registry {}; believed because it said so first, and kept in the lock",
                    listed.described()
                );
                Believed { keys: Some(listed), note: Some(("npm.first-keys", message)) }
            }
            (None, Some(locked)) => Believed { keys: Some(locked.clone()), note: None },
            (None, None) => {
                let message = format!(
                    "{} lists no keys, so that no signature can be verified; what stands between may leave them out",
                    source.base
                );
                Believed { keys: None, note: Some(("npm.no-keys", message)) }
            }
        })
    }

    /// The registries that turned up so far.
    pub(super) fn sources(&self) -> Vec<Source> {
        self.registries.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Adds the keys to what was found, so that they are carried, and what a person should know. Says which advisories the
    /// project wants.
    ///
    /// # Errors
    /// If the disk is full.
    pub(super) fn conclude(self, found: &mut Found) -> Result<Advisories, Problem> {
        let registries = self.registries.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (source, registry) in registries {
            let Some(Believed { keys, note }) = registry.keys.get() else { continue };
            let subject = source.repository.clone();
            let mut tell = |code: &str, message: String| {
                found.notes.push(Note { code: code.to_owned(), subject: subject.clone(), message });
            };
            if let Some((code, message)) = note {
                tell(code, message.clone());
            }
            let Some(keys) = keys else { continue };
            let tally = registry.tally.lock().unwrap_or_else(PoisonError::into_inner);
            if tally.unsigned > 0 {
                let named = tally.named.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = tally.unsigned.saturating_sub(tally.named.len() as u64);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let others = if tally.signed > 0 { "as others are" } else { "and nothing else is" };
                tell("npm.unsigned", format!("not signed by its registry, {others}: {named}{more}"));
            }
            let planned = keys.planned(&source.repository);
            found.artifacts.push(Sighting { lockfile: 0, base: source.base.to_string(), planned })?;
        }
        Ok(self.options.advisories)
    }
}

/// The keys that a registry lists. `None`, if it has nothing there, or what is no list: what stands before registries
/// answers in many ways what it does not know.
async fn listed(fetcher: Fetcher<'_>, source: &Source) -> Result<Option<Keys>, Problem> {
    let access = fetcher.routes.beside(source, keys::PLACE)?;
    let place = access.url.to_string();
    let request = MetadataRequest { access, accept: "application/json", limit: keys::LARGEST, fresh: false };
    let document = match fetcher.context.metadata(&request).await {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(None),
        Err(problem) if is_an_answer(&problem) => return Ok(None),
        Err(problem) => return Err(problem),
    };
    Keys::read(&document.bytes).map_err(|why| {
        Problem::new(Kind::Untrusted, "npm.keys", "a registry lists a key that is none")
            .at(place)
            .because(why)
            .hint("if you know its keys, pin them in aftk.toml: [[npm]] keys = \"FILE\"")
    })
}

/// Whether a server said that it has no such thing, in whatever words.
pub(super) fn is_an_answer(problem: &Problem) -> bool {
    matches!(problem.code.as_ref(), "net.status" | "net.forbidden" | "net.unauthorized" | "net.too-large")
}

fn changed(source: &Source, new: &[&str], locked: &Keys) -> Problem {
    let message =
        format!("the registry of {} signs with keys that the lock does not have", source.repository);
    Problem::new(Kind::Untrusted, "npm.keys-changed", message)
        .at(&source.base)
        .because(format!("it lists {}", new.join(", ")))
        .because(format!("until now it {}", locked.described()))
        .hint(format!(
            "if its operator announced that, save its {} to a file and pin it in aftk.toml: [[npm]] keys = \"FILE\"",
            keys::PLACE
        ))
}
