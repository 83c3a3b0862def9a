//! Collecting from archives, as the seam wants it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use bundle_format::BlobKey;
use url::Url;

use super::credentials::Ways;
use super::machine::Machine;
use super::options::Options;
use super::release::joined;
use super::request::{Asked, read_list};
use super::{prove, resolve, systems};
use crate::ecosystem::{
    Collect, CollectContext, Gathered, Proof, Request, RequestBody, Resolution, Upstreams,
};
use crate::net::Access;
use crate::problem::{Kind, Problem};

/// The largest list of packages that is read, in bytes.
const LARGEST_LIST: u64 = 16 << 20;

/// Collects packages.
pub(super) struct AptCollect;

#[async_trait]
impl Collect for AptCollect {
    fn check(&self, _word: &str, what: &str) -> Result<(), Problem> {
        Asked::read(what).map(drop)
    }

    async fn parse(&self, _word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
        let (asked, body) = match Asked::read(what)? {
            Asked::List(path) => {
                let path = PathBuf::from(path);
                let bytes = context.read(&path, LARGEST_LIST).await?.ok_or_else(|| {
                    Problem::new(Kind::Usage, "apt.list", "there is no such list of packages").at(what)
                })?;
                let text = std::str::from_utf8(&bytes).map_err(|error| {
                    Problem::new(Kind::Usage, "apt.list", "a list of packages has to be UTF-8")
                        .at(what)
                        .caused_by(&error)
                })?;
                read_list(text, what)?;
                let digest = BlobKey::of(&bytes);
                (format!("list {digest}"), RequestBody::Document { path, digest })
            }
            _ => (what.to_owned(), RequestBody::Words(what.to_owned())),
        };
        let identity = format!("apt:{asked}{}", circumstances(context).await?);
        Ok(Request { ecosystem: "apt", text: format!("apt:{what}"), identity, body })
    }

    async fn resolve(
        &self,
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Resolution, Problem> {
        resolve::resolve(requests, platforms, context).await
    }

    async fn upstreams(
        &self,
        _requests: &[Request],
        context: &dyn CollectContext,
    ) -> Result<Box<dyn Upstreams>, Problem> {
        let machine = Machine::ask(context).await;
        let options = Options::load(&machine, context).await?;
        let ways = Ways::load(&machine, &options.sources, context).await?;
        let archives = options.sources.into_iter().map(|source| (source.repository, source.base));
        Ok(Box::new(Archives { archives: archives.collect(), ways }))
    }

    /// What a package needs depends on what is there already: all of it is proved for requests.
    fn prove(&self, _gathered: &Gathered<'_>) -> Result<Proof, Problem> {
        Ok(Proof::default())
    }

    async fn prove_requests(
        &self,
        gathered: &Gathered<'_>,
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<(), Problem> {
        prove::prove(gathered, requests, platforms, context).await
    }
}

/// What else than the request decides what it stands for, as a part of its identity: what the project says, and what was
/// captured of machines.
async fn circumstances(context: &dyn CollectContext) -> Result<String, Problem> {
    let settings = context.settings("apt");
    if settings.is_empty() {
        return Ok(String::new());
    }
    let machine = Machine::ask(context).await;
    let options = Options::load(&machine, context).await?;
    let mut all: Vec<String> =
        settings.iter().map(|table| serde_json::Value::Object(table.values.clone()).to_string()).collect();
    all.extend(systems::digests(&options, &machine, context).await?);
    let digest: String = BlobKey::of(all.join("\n").as_bytes()).hex().chars().take(16).collect();
    Ok(format!(" [{digest}]"))
}

/// The archives by the names of their repositories.
struct Archives {
    archives: BTreeMap<String, Url>,
    ways: Ways,
}

#[async_trait]
impl Upstreams for Archives {
    async fn access(
        &self,
        repository: &str,
        origin: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let base = self.archives.get(repository).ok_or_else(|| {
            let message = format!("no source is configured any more for {repository}");
            Problem::new(Kind::Usage, "apt.no-sources", message)
                .hint("write it into aftk.toml again, or run `aftk lock --upgrade`")
        })?;
        self.ways.access(joined(base, origin)?, context).await
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
