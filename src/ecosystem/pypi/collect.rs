//! Collecting Python packages, as the seam wants it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::Repository;
use url::Url;

use super::closure::close;
use super::fetch::Fetcher;
use super::group::{self, Groups};
use super::indexes::Indexes;
use super::options::Options;
use super::request::Asked;
use super::{prove, publishers, record};
use crate::blocking::blocking;
use crate::ecosystem::{
    Collect, CollectContext, Gathered, Proof, Request, RequestBody, Resolution, Upstreams, attested,
    settings_identity,
};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;

/// Collects packages.
pub(super) struct PypiCollect;

#[async_trait]
impl Collect for PypiCollect {
    fn check(&self, _word: &str, what: &str) -> Result<(), Problem> {
        Asked::read(what).map(drop)
    }

    async fn parse(&self, _word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
        let asked = Asked::read(what)?;
        let options = Options::load(context)?;
        let identity = group::identity(&asked, &options, context).await?;
        let identity = format!("pypi:{identity}{}", settings_identity("pypi", context));
        let body = match &asked {
            Asked::Requirement(_) => RequestBody::Words(what.to_owned()),
            Asked::Document(document) => {
                let path = PathBuf::from(&document.path);
                let digest = bundle_format::BlobKey::of(identity.as_bytes());
                RequestBody::Document { path, digest }
            }
        };
        Ok(Request { ecosystem: "pypi", text: what.to_owned(), identity, body })
    }

    async fn resolve(
        &self,
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Resolution, Problem> {
        let options = Options::load(context)?;
        let targets = options.targets(platforms, context).await?;
        let mut indexes = Indexes::load(&options, context).await?;
        let groups = Groups::of(requests, &options, &mut indexes, context).await?;
        let indexes = Arc::new(indexes);
        let roots = attested::project_roots(&options.trusted_roots, publishers::ROOT, context).await?;
        let fetcher = Fetcher::new(&indexes, context, roots);
        let closed = close(groups, targets.clone(), &options, indexes.clone(), &fetcher).await?;
        let scratch = context.scratch().to_owned();
        blocking(move || {
            let (mut artifacts, mut evidence) = (Sorter::new(&scratch), Sorter::new(&scratch));
            let (mut repositories, mut gaps) = (Vec::new(), closed.gaps);
            for release in closed.carried.releases() {
                match record::planned(release, &closed.known, &closed.groups, &targets) {
                    Ok(planned) => artifacts.push(planned)?,
                    Err(gap) => gaps.push(gap),
                }
                if let Some(page) = record::evidence(release, &closed.known) {
                    evidence.push(page)?;
                }
                let origin = indexes.origin(&release.repository);
                repositories.push(Repository {
                    ecosystem: "pypi".to_owned(),
                    name: release.repository.clone(),
                    origin: origin.unwrap_or_default(),
                });
            }
            repositories.dedup();
            Ok(Resolution {
                repositories,
                artifacts: artifacts.finish()?,
                follow_ups: closed.follow_ups,
                gaps,
                notes: closed.notes,
                evidence: evidence.finish()?.distinct(&scratch)?,
                ..Resolution::default()
            })
        })
        .await
    }

    async fn upstreams(
        &self,
        requests: &[Request],
        context: &dyn CollectContext,
    ) -> Result<Box<dyn Upstreams>, Problem> {
        let options = Options::load(context)?;
        let mut indexes = Indexes::load(&options, context).await?;
        // Requests may name indexes of their own, with who is let in there.
        Groups::of(requests, &options, &mut indexes, context).await?;
        Ok(Box::new(PypiUpstreams(indexes)))
    }

    fn prove(&self, gathered: &Gathered<'_>) -> Result<Proof, Problem> {
        prove::prove(gathered)
    }
}

/// The indexes by the names of their repositories.
struct PypiUpstreams(Indexes);

#[async_trait]
impl Upstreams for PypiUpstreams {
    async fn access(
        &self,
        repository: &str,
        origin: &str,
        _context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let url = Url::parse(origin).map_err(|error| {
            Problem::new(Kind::Untrusted, "pypi.bad-origin", format!("{origin:?} is no address of a file"))
                .caused_by(&error)
        })?;
        Ok(self.0.let_in(url, Some(repository)))
    }
}
