//! The seam for pushing: artifacts of the store become uploads in a server's own protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::BlobKey;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::{Chosen, CollectContext};
use crate::net::{Client, Upload};
use crate::problem::{Kind, Problem};
use crate::store::{BlobFile, EditionDocuments, Linked, LinkedRef};

/// What a person wants to be pushed, and where.
#[derive(Debug, Clone, Default)]
pub struct PushOrder {
    /// The target, without the word before its colon: `//registry.example.test/team`.
    pub target: String,
    /// What goes where: `PATTERN=NAME`. The first that matches counts.
    pub map: Vec<String>,
    /// Whether the name of the source's server stays part of the names.
    pub keep_host: bool,
    /// The label for what is pushed, in place of its own ones.
    pub label: Option<String>,
    /// Whether labels of the target that stand for something else are moved.
    pub moves_labels: bool,
    /// Whether an upload goes on at the host where it began, whatever host the server names.
    pub same_host: bool,
    /// Where tokens are asked for, whatever the server names.
    pub realm: Option<String>,
    /// What the target is.
    pub product: Product,
    /// Whether a project that is missing there is made, where the product has projects.
    pub creates_projects: bool,
    /// With which key of its own the target signs what it publishes, if it signs.
    pub signing_key: Option<String>,
    /// Only looks at what is there.
    pub dry_run: bool,
}

impl PushOrder {
    /// Refuses a key to sign with, where the target signs nothing.
    ///
    /// # Errors
    /// Usage.
    pub fn must_sign_nothing(&self) -> Result<(), Problem> {
        match self.signing_key {
            None => Ok(()),
            Some(_) => Err(Problem::new(Kind::Usage, "push.options", "--signing-key is for --product aptly")),
        }
    }
}

/// Products whose ways differ from what all registries have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Product {
    /// Any registry.
    #[default]
    Generic,
    /// Harbor, which has projects.
    Harbor,
    /// Nexus Repository, which often does not know what it is called.
    Nexus,
    /// aptly, by its REST interface.
    Aptly,
}

/// What ops hand to a pushing ecosystem.
#[async_trait]
pub trait PushContext: Send + Sync {
    /// What it sees of this machine.
    fn machine(&self) -> &dyn CollectContext;
    /// The one HTTP client.
    fn client(&self) -> &Client;
    /// The artifacts and refs of one package, in the order of precedence.
    async fn package(&self, repository: &str, name: &str) -> Result<(Vec<Linked>, Vec<LinkedRef>), Problem>;
    /// All that the ecosystem shows here.
    async fn all(&self) -> Result<Vec<Chosen>, Problem> {
        Ok(Vec::new())
    }
    /// The documents of a repository's edition, made now if it is not the newest.
    async fn edition(&self, _repository: &str) -> Result<EditionDocuments, Problem> {
        Ok(EditionDocuments::new())
    }
    /// Opens a blob; `None` if it is not held.
    async fn open(&self, key: &BlobKey) -> Result<Option<BlobFile>, Problem>;
    /// Tells those who listen of bytes that went out.
    fn progress(&self) -> Arc<dyn Fn(u64) + Send + Sync>;
}

/// Pushing into servers of an ecosystem's own protocol.
#[async_trait]
pub trait Push: Send + Sync {
    /// Whether an order is one that can be carried out, by its words alone: no network.
    ///
    /// # Errors
    /// Usage, if not.
    fn check(&self, order: &PushOrder) -> Result<(), Problem>;
    /// Pushes what was chosen, with all that belongs to it. What fails for one package stops no other, and stands in the
    /// ledger.
    ///
    /// # Errors
    /// If the order is wrong, or the target cannot be used at all.
    async fn push(
        &self,
        order: &PushOrder,
        chosen: &[Chosen],
        context: &dyn PushContext,
    ) -> Result<Ledger, Problem>;
}

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was there already.
    Present,
    /// It is there now; in a dry run: it would be uploaded.
    Uploaded,
    /// A label stood for something else and was moved; in a dry run: would be.
    Moved,
    /// The target has something else there, and that stays.
    Conflict,
    /// It is not there, and the ledger says why.
    Failed,
}

/// What became of a part of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartState {
    /// It was there already.
    Exists,
    /// The target took it from another of its own repositories.
    Mounted,
    /// It was uploaded.
    Pushed,
    /// It would be uploaded.
    Missing,
}

impl PartState {
    /// The state in one word, as reports and events have it.
    pub fn word(self) -> &'static str {
        match self {
            PartState::Exists => "exists",
            PartState::Mounted => "mounted",
            PartState::Pushed => "pushed",
            PartState::Missing => "missing",
        }
    }
}

/// A part of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The repository of the target that it went to.
    pub repository: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// What became of it.
    pub state: PartState,
}

/// An artifact that was pushed, or a label that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What it is here: `REPOSITORY/NAME@VERSION`, or `REPOSITORY/NAME:LABEL`. The audit log keeps it.
    pub source: String,
    /// What it is there.
    pub target: String,
    /// The digest, or version, that it stands for.
    pub version: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What a label stood for before, if that was something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The parts of an artifact. What several have in one repository stands in each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A package that could not be pushed whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What it is here.
    pub source: String,
    /// What it would have been there.
    pub target: String,
    /// Why.
    pub problem: Problem,
}

/// What was pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Artifacts.
    pub artifacts: Vec<Entry>,
    /// Labels.
    pub refs: Vec<Entry>,
    /// Projects that were made; in a dry run: would be.
    pub projects: Vec<String>,
    /// What failed.
    pub failures: Vec<Failure>,
}

impl Ledger {
    /// Adds what another one says.
    pub fn extend(&mut self, other: Ledger) {
        self.artifacts.extend(other.artifacts);
        self.refs.extend(other.refs);
        self.projects.extend(other.projects);
        self.failures.extend(other.failures);
    }
}

/// That an order says nothing that is for images alone. `what` are pushed as they are called.
///
/// # Errors
/// Usage, if it does.
pub fn must_not_rename(order: &PushOrder, what: &str) -> Result<(), Problem> {
    let is_of_images = !order.map.is_empty() || order.label.is_some() || order.keep_host;
    if is_of_images || order.creates_projects || order.realm.is_some() {
        let message = format!(
            "{what} are pushed as they are called: --map, --tag, --keep-host, --create-projects and --realm-override are \
             for images"
        );
        return Err(Problem::new(Kind::Usage, "push.options", message));
    }
    Ok(())
}

/// The versions that were chosen of each package, by its repository and name.
pub fn by_package(chosen: &[Chosen]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut packages: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for one in chosen {
        let package = (one.repository.clone(), one.name.clone());
        packages.entry(package).or_default().insert(one.version.clone());
    }
    packages
}

/// The address of a server that a target names, ending in a slash. `example` is how one is written, and `account` says where
/// an account belongs.
///
/// # Errors
/// Usage, if it is none, or says more than where the server is.
pub fn address(target: &str, example: &str, account: &str) -> Result<Url, Problem> {
    let wrong = |why: &str| {
        Problem::new(
            Kind::Usage,
            "push.target",
            format!("{target:?} is no address that something is pushed to"),
        )
        .because(why)
        .hint(format!("write {example}"))
    };
    let mut url = Url::parse(target).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("it is neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(&format!("an account does not belong into it; say it in {account}")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Sends something until it is taken, as often as trying again helps. `server` is what people call it.
///
/// # Errors
/// If it is not taken, with what the server says of that.
pub async fn deliver(client: &Client, upload: &Upload<'_>, server: &str) -> Result<(), Problem> {
    let mut attempts = client.attempts();
    while let Err(unsent) = client.send(upload, &TAKEN).await {
        let said = said(unsent.words());
        if let Err(last) = attempts.again(unsent).await {
            let problem = Problem::from(last);
            return Err(match said {
                Some(said) => problem.because(format!("the {server} says: {said}")),
                None => problem,
            });
        }
    }
    Ok(())
}

/// The answers that say that something was taken.
const TAKEN: [u16; 4] = [200, 201, 202, 204];
/// The most characters of what a server says that are passed on.
const LONGEST_WORDS: usize = 500;

/// What a server says of a refusal, if it is for people: as text, or in the usual members of a JSON object.
fn said(words: &[u8]) -> Option<String> {
    let text = match serde_json::from_slice::<Value>(words) {
        Ok(body) => {
            let members = ["error", "message", "reason"];
            members.iter().find_map(|key| body.get(key).and_then(Value::as_str))?.to_owned()
        }
        Err(_) => String::from_utf8_lossy(words).into_owned(),
    };
    let text: String = text.trim().chars().take(LONGEST_WORDS).collect();
    let is_plain = !text.is_empty() && !text.contains('<') && !text.chars().any(char::is_control);
    is_plain.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_passed_on_if_it_is_for_people() {
        for (words, expected) in [
            ("no room", Some("no room")),
            ("{\"error\": \"forbidden: no\"}", Some("forbidden: no")),
            ("{\"ok\": false, \"message\": \"no\"}", Some("no")),
            ("{\"ok\": false}", None),
            ("<html>", None),
            ("a\u{1b}[2J", None),
            (" ", None),
        ] {
            assert_eq!(said(words.as_bytes()).as_deref(), expected, "{words}");
        }
        assert_eq!(said(&[b'a'; 10_000]).map(|text| text.len()), Some(LONGEST_WORDS));
    }
}
