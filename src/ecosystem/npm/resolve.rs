//! Resolving: from lockfiles to artifacts.
//!
//! A lockfile lists nearly all that is wanted. What npm leaves out of it, optional packages of other platforms, is
//! found in the metadata of the listed ones and followed until nothing new turns up.

use std::path::Path;
use std::sync::Arc;

use super::advisories;
use super::closure::Closure;
use super::fetch::Fetcher;
use super::found::Found;
use super::lock::{self, Overrides};
use super::origin::Routes;
use super::platform::Platform;
use super::request;
use super::signers::Signers;
use super::wanted::Wants;
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Request, RequestBody, Resolution};
use crate::problem::{Kind, Problem};

/// Resolves lockfiles for platforms; for all, if none is named.
pub(super) async fn resolve(
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let platforms: Vec<Platform> =
        platforms.iter().map(|text| Platform::read(text)).collect::<Result<_, _>>()?;
    let mut found = Found::new(context.scratch());
    let signers = Signers::load(context).await?;
    let mut ways = advisories::Ways::new();
    for (number, request) in requests.iter().enumerate() {
        let RequestBody::Document { path, digest } = &request.body else {
            return Err(request::not_built(&request.text));
        };
        let lockfile = match lock::load(path, path, context).await? {
            Some(read) if read.digest == *digest => read,
            _ => {
                let message = "the lockfile changed while it was being collected";
                let problem = Problem::new(Kind::Failed, "npm.lockfile-changed", message);
                return Err(problem.at(path.display()).hint("try again once nobody writes it any more"));
            }
        };
        let overrides = request::overrides(path, context).await?;
        let mut overrides = overrides.as_ref().map(Overrides::read).unwrap_or_default();
        overrides.extend(lockfile.overridden);
        let platforms = if lockfile.is_of_yarn_1 { &[] } else { &platforms[..] };
        let lock = lockfile.lock;
        let project = context.directory().join(path.parent().unwrap_or(Path::new("")));
        let mut routes = Routes::load(context, &project).await?;
        if lockfile.is_of_yarn_1 {
            routes.learn_from_yarn(context).await;
        }
        let routes = Arc::new(routes);
        routes.warn(context);
        let (shared, shown) = (routes.clone(), path.display().to_string());
        let scratch = context.scratch().to_owned();
        let mut wants = blocking(move || Wants::of(&lock, &overrides, &shared, &shown, &scratch)).await?;
        found.requests.push(request.text.clone());
        found.gaps.append(&mut wants.gaps);
        found.notes.append(&mut wants.notes);
        let fetcher = Fetcher { routes: &routes, platforms, bent: &wants.bent, signers: &signers, context };
        Closure::new(fetcher, number, &mut found).follow(&wants).await?;
        ways.extend(signers.sources().into_iter().map(|source| (source, routes.clone())));
    }
    let wish = signers.conclude(&mut found)?;
    let resolution = blocking(move || found.settle()).await?;
    advisories::add(resolution, &wish, &ways, context).await
}
