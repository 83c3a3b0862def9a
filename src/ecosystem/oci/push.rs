//! Pushing images into a registry.
//!
//! [`mapping`] says what is pushed and what it is called there, [`plan`] in which order. Of each repository the blobs
//! come first ([`blob`]), then manifests, each after those that it names, then what people find them by: lists of what
//! refers to them where the registry keeps none itself ([`referrers`]), and last the tags ([`manifest`]). So whoever
//! pulls a tag at any time finds a whole image, and whatever was stopped goes on with what is missing.

mod blob;
mod harbor;
mod manifest;
mod mapping;
mod nexus;
mod plan;
mod referrers;
mod registry;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::Digest;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::Oci;
use super::export::packages;
use super::reference::{Name, check_tag};
use super::registries::Registries;
use crate::ecosystem::Chosen;
use crate::ecosystem::push::{Entry, Failure, Ledger, Outcome, Part, Product, Push, PushContext, PushOrder};
use crate::events::Happening;
use crate::problem::{Kind, Problem};
use mapping::Mapping;
use plan::{Image, Plan};
use registry::{Repository, Target};

/// How many repositories at once: what several of them have is uploaded once and mounted by the others.
const REPOSITORIES: usize = 4;
/// How many requests of one repository at once; the client has its own limit for each host.
const AT_ONCE: usize = 8;

#[async_trait]
impl Push for Oci {
    fn check(&self, order: &PushOrder) -> Result<(), Problem> {
        if let Some(tag) = &order.label {
            check_tag(tag).map_err(|why| Problem::new(Kind::Usage, "push.tag", why))?;
        }
        nexus::realm(order)?;
        order.must_sign_nothing()?;
        if order.product == Product::Aptly {
            return Err(Problem::new(Kind::Usage, "push.product", "aptly takes no images"));
        }
        Mapping::read(order).map(drop)
    }

    async fn push(
        &self,
        order: &PushOrder,
        chosen: &[Chosen],
        context: &dyn PushContext,
    ) -> Result<Ledger, Problem> {
        let mapping = Mapping::read(order)?;
        let jobs = repositories(&mapping, chosen)?;
        let is_nexus = order.product == Product::Nexus;
        let registries =
            Registries::load(context.machine()).await?.signing_in(nexus::realm(order)?, is_nexus);
        let target = Target::new(order, registries, context);
        let target = &target;
        target.reach(&mapping.registry).await?;
        let stage = Happening::Stage { name: "push".to_owned(), items: None, bytes: None };
        context.machine().events().emit(stage);
        let mut pushes = Vec::new();
        for Job { from, to, chosen } in jobs {
            pushes.push(async move {
                let (source, named) = (from.to_string(), to.to_string());
                let mut ledger = Ledger::default();
                let repository = Repository { target, name: to, is_to_come: false };
                match one(repository, &from, chosen, &mut ledger).await {
                    Ok(()) => {}
                    Err(problem) if is_nobody_there(&problem) => return Err(problem),
                    Err(problem) => ledger.failures.push(Failure { source, target: named, problem }),
                }
                Ok(ledger)
            });
        }
        let mut pushes = pin!(futures_util::stream::iter(pushes).buffered(REPOSITORIES));
        let mut whole = Ledger::default();
        while let Some(ledger) = pushes.try_next().await? {
            whole.extend(ledger);
        }
        Ok(whole)
    }
}

/// Whether nobody answers there, so that nobody would answer what comes next.
fn is_nobody_there(problem: &Problem) -> bool {
    matches!(problem.code.as_ref(), "net.connect" | "net.tls")
}

/// A repository that is pushed.
struct Job<'a> {
    from: Name,
    /// What it becomes.
    to: Name,
    /// What of it was chosen.
    chosen: &'a [Chosen],
}

/// What is pushed, repository by repository.
fn repositories<'a>(mapping: &Mapping, chosen: &'a [Chosen]) -> Result<Vec<Job<'a>>, Problem> {
    let mut jobs = Vec::new();
    let mut taken: HashMap<Name, Name> = HashMap::new();
    for chosen in packages(chosen) {
        let Some(first) = chosen.first() else { continue };
        let from = Name { registry: first.repository.clone(), path: first.name.clone() };
        let to = mapping.target(&from)?;
        if let Some(other) = taken.insert(to.clone(), from.clone()) {
            let message = format!("{other} and {from} would both become {to}");
            return Err(Problem::new(Kind::Refused, "push.same-name", message)
                .hint("keep them apart with --keep-host, or say what each becomes with --map"));
        }
        jobs.push(Job { from, to, chosen });
    }
    Ok(jobs)
}

/// Pushes one repository.
async fn one(
    mut repository: Repository<'_>,
    from: &Name,
    chosen: &[Chosen],
    ledger: &mut Ledger,
) -> Result<(), Problem> {
    let target = repository.target;
    let Some(mut plan) = plan::plan(from, chosen, target.context).await? else { return Ok(()) };
    if let Some(label) = &target.order.label {
        relabel(&mut plan, label, from)?;
    }
    if target.order.product == Product::Harbor {
        repository.is_to_come = target.ensure_project(&repository.name, ledger).await?;
    }
    let (repository, to) = (&repository, &repository.name);
    let Plan { blobs, steps, tags } = plan;
    let uploads = blobs.into_iter().map(|blob| async move {
        let state = repository.push_blob(&blob).await?;
        let (repository, digest) = (to.to_string(), blob.digest.to_string());
        Ok::<_, Problem>((blob.digest, Part { repository, digest, size: blob.size, state }))
    });
    let parts: HashMap<Digest, Part> =
        futures_util::stream::iter(uploads).buffered(AT_ONCE).try_collect().await?;
    let mut lost = HashSet::new();
    for step in &steps {
        let uploads = step.clone().into_iter().map(|image| async move {
            let outcome = repository.push_manifest(&image).await;
            (image, outcome)
        });
        let mut uploads = pin!(futures_util::stream::iter(uploads).buffered(AT_ONCE));
        while let Some((image, outcome)) = uploads.next().await {
            let digest = &image.digest;
            let (source, target) = (format!("{from}@{digest}"), format!("{to}@{digest}"));
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(problem) if is_nobody_there(&problem) => return Err(problem),
                // The images that have nothing to do with it go on.
                Err(problem) => {
                    ledger.failures.push(Failure { source: source.clone(), target: target.clone(), problem });
                    lost.insert(digest.clone());
                    Outcome::Failed
                }
            };
            let parts = image.parts.iter().filter_map(|part| parts.get(part).cloned()).collect();
            let version = digest.to_string();
            ledger.artifacts.push(Entry { source, target, version, outcome, was: None, parts });
        }
    }
    let there = steps.iter().flatten().filter(|image| !lost.contains(&image.digest));
    let images: BTreeMap<&Digest, &Arc<Image>> = there.map(|image| (&image.digest, image)).collect();
    let listed = repository.list_referrers(&images).await?;
    for (tag, digest) in &tags {
        let (outcome, was) = match images.get(digest) {
            None => (Outcome::Failed, None),
            // Such a tag was just made there, of what it had and what came.
            Some(_) if listed.contains(tag) => (Outcome::Present, None),
            Some(image) => repository.push_tag(image, tag).await?,
        };
        ledger.refs.push(Entry {
            source: format!("{from}:{tag}"),
            target: format!("{to}:{tag}"),
            version: digest.to_string(),
            outcome,
            was,
            parts: Vec::new(),
        });
    }
    Ok(())
}

/// Gives what is pushed another tag, in place of its own.
fn relabel(plan: &mut Plan, label: &str, from: &Name) -> Result<(), Problem> {
    let (speaking, own): (Vec<_>, Vec<_>) =
        std::mem::take(&mut plan.tags).into_iter().partition(|(tag, _)| plan::speaks_of(tag).is_some());
    plan.tags.extend(speaking);
    let mut digests: Vec<Digest> = own.into_iter().map(|(_, digest)| digest).collect();
    digests.sort();
    digests.dedup();
    let mut roots = plan.steps.iter().flatten().filter(|image| image.subject.is_none());
    let digest = match &digests[..] {
        [one] => one.clone(),
        // An image without tags: what names the others comes last.
        [] => match roots.next_back() {
            Some(image) => image.digest.clone(),
            None => return Ok(()),
        },
        _ => {
            let message = format!("{} images of {from} cannot have one tag", digests.len());
            return Err(Problem::new(Kind::Usage, "push.tag", message)
                .hint(format!("select one of them: docker:{from}:TAG")));
        }
    };
    plan.tags.insert(label.to_owned(), digest);
    Ok(())
}
