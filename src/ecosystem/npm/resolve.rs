//! Resolving: from requests to artifacts.
//!
//! Whatever is asked for becomes a lockfile: one that stands there already, or the one that npm would write. It
//! lists nearly all that is wanted. What npm leaves out of its own, optional packages of other platforms, is found in the
//! metadata of the listed ones and followed until nothing new turns up.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::advisories;
use super::closure::Closure;
use super::documents::Documents;
use super::fetch::Fetcher;
use super::found::Found;
use super::ideal::Ideal;
use super::lock::{self, Lock, Overrides};
use super::origin::Routes;
use super::package_json;
use super::platform::Platform;
use super::remote::Remotes;
use super::request;
use super::signers::Signers;
use super::solve::{Solver, Together, words};
use super::wanted::{Elsewhere, Wants, gap};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Note, Request, RequestBody, Resolution};
use crate::problem::{Kind, Problem};

/// Resolves requests for platforms; for all, if none is named.
pub(super) async fn resolve(
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let platforms: Vec<Platform> =
        platforms.iter().map(|text| Platform::read(text)).collect::<Result<_, _>>()?;
    let mut found = Found::new(context.scratch());
    let signers = Signers::load(context).await?;
    let documents = Documents::new(context);
    let remotes = Remotes::load(context).await?;
    let mut ways = advisories::Ways::new();
    for request in requests {
        let RequestBody::Document { path, digest } = &request.body else { continue };
        let project = context.directory().join(path.parent().unwrap_or(Path::new("")));
        let mut routes = Routes::load(context, &project).await?;
        let (requests, shown) = (vec![request.text.clone()], path.display().to_string());
        if request::is_package_json(path) {
            let read = package_json::load(path, context).await?.filter(|read| read.digest == *digest);
            let package_json::PackageJson { project, engines, .. } = read.ok_or_else(|| changed(path))?;
            let overrides = Overrides::read(&Value::Object(project.overrides.clone()));
            let solver = Solver::new(&routes, &documents, &remotes, context).await;
            solver.must_run(&engines, &shown)?;
            let ideal = solver.solve(project).await?;
            let (lock, beside) = report(ideal, &mut found);
            let listed = Listed { requests, lock, beside, overrides, shown, is_of_npm: true };
            let asked = (&documents, &remotes, &signers);
            ways.extend(follow(listed, routes, &platforms, asked, context, &mut found).await?);
            continue;
        }
        let lockfile = lock::load(path, path, context).await?.filter(|read| read.digest == *digest);
        let lockfile = lockfile.ok_or_else(|| changed(path))?;
        let overrides = request::overrides(path, context).await?;
        let mut overrides = overrides.as_ref().map(Overrides::read).unwrap_or_default();
        overrides.extend(lockfile.overridden);
        if lockfile.is_of_yarn_1 {
            routes.learn_from_yarn(context).await;
        }
        let platforms = if lockfile.is_of_yarn_1 { &[] } else { &platforms[..] };
        let (lock, beside, is_of_npm) = (lockfile.lock, BTreeSet::new(), lockfile.is_of_npm);
        let listed = Listed { requests, lock, beside, overrides, shown, is_of_npm };
        let passing = Documents::passing(context);
        let asked = (&passing, &remotes, &signers);
        ways.extend(follow(listed, routes, platforms, asked, context, &mut found).await?);
    }
    for Together { requests, words } in words(requests)? {
        let routes = Routes::load(context, context.directory()).await?;
        let mut solver = Solver::new(&routes, &documents, &remotes, context).await;
        let project = solver.project_of(&words).await?;
        let (lock, beside) = report(solver.solve(project).await?, &mut found);
        let shown = requests.join(" ");
        let overrides = Overrides::default();
        let listed = Listed { requests, lock, beside, overrides, shown, is_of_npm: true };
        let asked = (&documents, &remotes, &signers);
        ways.extend(follow(listed, routes, &platforms, asked, context, &mut found).await?);
    }
    let wish = signers.conclude(&mut found)?;
    let resolution = blocking(move || found.settle()).await?;
    advisories::add(resolution, &wish, &ways, context).await
}

fn changed(path: &Path) -> Problem {
    let message = format!("{} changed while it was being collected", path.display());
    let problem = Problem::new(Kind::Failed, "npm.document-changed", message);
    problem.hint("try again once nobody writes it any more")
}

/// A lockfile, and what it stands for.
struct Listed {
    requests: Vec<String>,
    lock: Lock,
    /// What clients have to know besides, by name and version.
    beside: BTreeSet<(String, String)>,
    overrides: Overrides,
    /// Where it is from, for messages.
    shown: String,
    /// Whether npm wrote it, or would.
    is_of_npm: bool,
}

/// Finds all that a lockfile lists and leads to, and says how the registries were reached.
async fn follow(
    listed: Listed,
    routes: Routes,
    platforms: &[Platform],
    (documents, remotes, signers): (&Documents<'_>, &Remotes<'_>, &Signers),
    context: &dyn CollectContext,
    found: &mut Found,
) -> Result<advisories::Ways, Problem> {
    let Listed { requests, lock, beside, overrides, shown, is_of_npm } = listed;
    let routes = Arc::new(routes);
    routes.warn(context);
    let (shared, scratch) = (routes.clone(), context.scratch().to_owned());
    let elsewhere = Elsewhere { allowed: remotes.allowed.clone(), is_of_npm };
    let wants =
        blocking(move || Wants::of((&lock, &beside), &overrides, (&shared, &elsewhere), &shown, &scratch));
    let mut wants = wants.await?;
    let number = found.requests.len();
    found.requests.push(requests);
    found.gaps.append(&mut wants.gaps);
    found.notes.append(&mut wants.notes);
    let fetcher = Fetcher { routes: &routes, platforms, bent: &wants.bent, documents, signers, context };
    let mut closure = Closure::new(fetcher, number, found);
    closure.take_remotes(remotes, std::mem::take(&mut wants.remotes)).await?;
    closure.follow(&wants).await?;
    Ok(signers.sources().into_iter().map(|source| (source, routes.clone())).collect())
}

/// Notes down what a tree leaves to be wished for, and gives its lockfile, with what clients have to know besides.
fn report(ideal: Ideal, found: &mut Found) -> (Lock, BTreeSet<(String, String)>) {
    for failed in ideal.failed {
        let detail = format!("no registry has a version of it that fits; {}", failed.needed_by);
        found.gaps.push(gap(&failed.name, &failed.text, "not-found", detail));
    }
    for (subject, edge, there) in ideal.overruled {
        let message = format!("{edge} gets {there} instead, as npm would have it");
        found.notes.push(Note { code: "npm.overruled-peer".to_owned(), subject, message });
    }
    (ideal.lock, ideal.beside)
}
