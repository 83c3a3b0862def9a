//! Who made what is carried, by attestations of Sigstore: whom a project or a site believes, what is noted of those who were
//! verified, and how it is told.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CollectContext;
use crate::problem::{Kind, Problem};
use crate::protocol::sigstore::{Fault, Roots, Signer};

/// The largest file of roots that is read, in bytes.
const LARGEST_ROOT: u64 = 16 << 20;

/// Who made something, as it was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Attested {
    /// Whom the certificate names: the address of a workflow, or somebody's mail. Or the name of the key.
    pub(super) by: String,
    /// Who vouched for that; empty for a key.
    pub(super) issuer: String,
    /// When that was logged (RFC 3339).
    pub(super) logged: String,
    /// What kind of thing is stated.
    pub(super) kind: String,
    /// The repository that it was built from, and its commit, where the certificate says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) repository: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) commit: String,
}

impl Attested {
    /// By whom a certificate names.
    pub(super) fn by_signer(signer: Signer, kind: String) -> Attested {
        let Signer { identity, issuer, repository, commit, logged } = signer;
        Attested { by: identity, issuer, logged: logged.to_string(), kind, repository, commit }
    }

    /// All that it says.
    pub(super) fn texts(&self) -> [&String; 6] {
        [&self.by, &self.issuer, &self.logged, &self.kind, &self.repository, &self.commit]
    }

    /// What they did, for people.
    fn told(&self) -> String {
        let mut told = match self.kind.starts_with("https://slsa.dev/provenance/") {
            true => format!("built by {}", self.by),
            false => format!("published by {}", self.by),
        };
        // A workflow's address begins with its repository's, unless it is one that several use.
        let is_known = self.by.strip_prefix(&self.repository).is_some_and(|rest| rest.starts_with('/'));
        if !self.repository.is_empty() && !is_known {
            told += &format!(" from {}", self.repository);
        }
        if !self.commit.is_empty() {
            told += &format!(" at {}", self.commit);
        }
        if !self.issuer.is_empty() {
            told += &format!(", for whom {} vouched", self.issuer);
        }
        told
    }
}

/// Who made something, each once.
pub(super) fn said<'a>(attested: impl IntoIterator<Item = &'a Attested>) -> String {
    let mut all: BTreeMap<String, &str> = BTreeMap::new();
    for one in attested {
        all.entry(one.told()).or_insert(&one.logged);
    }
    let says = all.into_iter().map(|(told, logged)| format!("{told}, logged {logged}"));
    says.collect::<Vec<_>>().join("; ")
}

/// Whom a project believes: what these files name. `code` is that of the problem with one of them.
///
/// # Errors
/// Usage, if a file is missing, or is none of roots.
pub(super) async fn project_roots(
    paths: &[String],
    code: &'static str,
    context: &dyn CollectContext,
) -> Result<Roots, Problem> {
    let mut roots = Roots::default();
    for path in paths {
        let path = Path::new(path);
        let bytes = context.read(path, LARGEST_ROOT).await?;
        let bytes = bytes.ok_or_else(|| {
            Problem::new(Kind::Usage, code, "there is no such trusted root").at(path.display())
        })?;
        roots.extend(Roots::read(&bytes).map_err(|fault| unreadable(path, code, &fault))?);
    }
    Ok(roots)
}

/// Says what is wrong with a file of roots.
pub(super) fn unreadable(path: &Path, code: &'static str, fault: &Fault) -> Problem {
    Problem::new(Kind::Usage, code, "a trusted root cannot be read")
        .at(path.display())
        .because(fault.to_string())
        .hint("it is a trusted_root.json, as clients of Sigstore have it")
}
