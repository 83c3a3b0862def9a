//! The registry that is pushed to, and one of its repositories.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Quick, PoisonError};

use bundle_format::Digest;
use http::{HeaderMap, Method};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::super::reference::Name;
use super::super::registries::Registries;
use crate::ecosystem::push::{PushContext, PushOrder};
use crate::net::{Access, Payload, Sent, Unsent, Upload};
use crate::problem::{Kind, Problem};

/// Which repository of the target is known to have a blob. Held while it is uploaded, so that others who need it wait.
pub(super) type Place = Arc<Mutex<Option<String>>>;

/// The registry that is pushed to.
pub(super) struct Target<'a> {
    pub(super) order: &'a PushOrder,
    pub(super) context: &'a dyn PushContext,
    pub(super) registries: Registries,
    /// The projects that were looked for, and whether each is still to be made.
    pub(super) projects: Mutex<HashMap<String, bool>>,
    places: Quick<HashMap<Digest, Place>>,
}

/// A repository of it.
pub(super) struct Repository<'a> {
    pub(super) target: &'a Target<'a>,
    pub(super) name: Name,
    /// In a dry run: whether it would be in a project that is still to be made, so that nothing is asked of it.
    pub(super) is_to_come: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(
        order: &'a PushOrder,
        registries: Registries,
        context: &'a dyn PushContext,
    ) -> Target<'a> {
        let (projects, places) = (Mutex::default(), Quick::default());
        Target { order, context, registries, projects, places }
    }

    /// Where a blob is known to be.
    pub(super) fn place(&self, digest: &Digest) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(digest.clone()).or_default().clone()
    }

    /// Whether there is a registry at all: said once, and not of each repository.
    ///
    /// # Errors
    /// If nobody answers.
    pub(super) async fn reach(&self, registry: &str) -> Result<(), Problem> {
        let name = Name { registry: registry.to_owned(), path: String::new() };
        let mut access = self.registries.access_for(&name, "", String::new(), self.context.machine()).await?;
        access.url.set_path("/v2/");
        // Whoever wants to know who asks is there.
        let accepted: Vec<u16> = (200..500).filter(|status| *status != 429).collect();
        let mut attempts = self.context.client().attempts();
        loop {
            let ask = Upload {
                method: Method::GET,
                access: &Access { sign_in: None, ..access.clone() },
                headers: HeaderMap::new(),
                payload: Payload::Nothing,
            };
            match self.context.client().send(&ask, &accepted).await {
                Ok(_) => return Ok(()),
                Err(unsent) => attempts.again(unsent).await?,
            }
        }
    }
}

impl Repository<'_> {
    /// What lets one push at a path of the repository.
    ///
    /// # Errors
    /// If an account cannot be had.
    pub(super) async fn access(&self, below: &str) -> Result<Access, Problem> {
        self.access_also(below, None).await
    }

    /// The same, where another repository is read, too.
    pub(super) async fn access_also(&self, below: &str, other: Option<&str>) -> Result<Access, Problem> {
        let mut scope = format!("repository:{}:pull,push", self.name.path);
        if let Some(other) = other {
            scope.push_str(&format!(" repository:{other}:pull"));
        }
        self.target.registries.access_for(&self.name, below, scope, self.target.context.machine()).await
    }

    /// Makes one request.
    pub(super) async fn send(
        &self,
        method: Method,
        access: &Access,
        headers: &[(http::HeaderName, String)],
        payload: Payload,
        accepted: &[u16],
    ) -> Result<Sent, Unsent> {
        let valid = headers.iter().filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?)));
        let headers = HeaderMap::from_iter(valid);
        self.target.context.client().send(&Upload { method, access, headers, payload }, accepted).await
    }

    /// Where an upload goes on, as its answer says.
    pub(super) fn location(&self, sent: &Sent) -> Result<Option<Url>, Unsent> {
        sent.location(self.target.order.same_host)
    }

    /// What a refusal means to a person.
    pub(super) fn explain(&self, unsent: Unsent, what: &str) -> Problem {
        let codes = codes(unsent.words());
        let status = unsent.status();
        let mut problem = Problem::from(unsent);
        let Some(status) = status else {
            return Problem { message: format!("{what} cannot be pushed: {}", problem.message), ..problem };
        };
        problem.message = format!("the registry refuses {what}: {}", problem.message);
        for (code, message) in &codes {
            problem.causes.push(format!("it says {code}: {message}"));
        }
        let says = |wanted: &str| codes.iter().any(|(code, _)| code == wanted);
        if says("DIGEST_INVALID") {
            problem = problem.hint(
                "what arrived is not what its digest says: something on the way changes uploads, or `aftk check` finds the blob damaged here",
            );
        } else if matches!(status, 401 | 403) {
            problem = problem.hint(format!(
                "the account has to be allowed to push to {}; some registries also say so where a project is missing, which has to be made there first",
                self.name
            ));
        } else if status == 404 && says("NAME_UNKNOWN") {
            problem = problem.hint(format!("make the repository or project for {} there first", self.name));
        } else if status == 413 {
            problem =
                problem.hint("the registry, or the proxy before it, takes nothing so large: raise its limit");
        }
        if (400..500).contains(&status) && !matches!(status, 408 | 425 | 429) {
            // Asking again would be answered in the same way.
            problem.kind = Kind::Refused;
        }
        problem
    }
}

/// The errors that a registry names (distribution specification, "Error Codes"): a few, cut short.
fn codes(words: &[u8]) -> Vec<(String, String)> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let cut = |text: String| text.chars().take(200).collect::<String>();
    let said: Option<Said> = serde_json::from_slice(words).ok();
    let errors = said.map(|said| said.errors).unwrap_or_default();
    errors.into_iter().take(3).map(|one| (cut(one.code), cut(one.message))).collect()
}
