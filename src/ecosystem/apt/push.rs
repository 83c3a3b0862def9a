//! Pushing archives: into servers that keep files as they are (`raw`), and into aptly, which makes archives of packages.
//!
//! A repository is pushed whole, because its indices list all of it.

mod aptly;
mod aptly_interface;
mod raw;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use self::aptly::Aptly;
use self::raw::Raw;
use super::Apt;
use super::credentials::Ways;
use super::machine::Machine;
use super::source::base_of;
use crate::ecosystem::push::{
    Failure, Ledger, Outcome, Product, Push, PushContext, PushOrder, must_not_rename,
};
use crate::events::Happening;
use crate::net::{Access, Route};
use crate::problem::{Kind, Problem};

/// How many files at once; the client has its own limit for each host.
const AT_ONCE: usize = 8;

#[async_trait]
impl Push for Apt {
    fn check(&self, order: &PushOrder) -> Result<(), Problem> {
        must_not_rename(order, "archives")?;
        if order.product != Product::Aptly {
            order.must_sign_nothing()?;
        }
        if order.product == Product::Harbor {
            return Err(Problem::new(Kind::Usage, "push.product", "Harbor takes no archives of packages"));
        }
        base(order).map(drop)
    }

    async fn push(
        &self,
        order: &PushOrder,
        chosen: &[crate::ecosystem::Chosen],
        context: &dyn PushContext,
    ) -> Result<Ledger, Problem> {
        let machine = Machine::ask(context.machine()).await;
        let ways = Ways::load(&machine, &[], context.machine()).await?;
        let (base, dry_run) = (base(order)?, order.dry_run);
        let target = match order.product {
            Product::Aptly => Target::Aptly(Aptly::new(base, ways, context, order)?),
            _ => Target::Raw(Raw { base, ways, context, dry_run }),
        };
        let stage = Happening::Stage { name: "push".to_owned(), items: None, bytes: None };
        context.machine().events().emit(stage);
        let all = context.all().await?;
        let repositories: BTreeSet<&str> = chosen.iter().map(|one| one.repository.as_str()).collect();
        let mut ledger = Ledger::default();
        for repository in repositories {
            let names = all.iter().filter(|one| one.repository == repository).map(|one| one.name.as_str());
            let names = names.collect();
            let pushed = match &target {
                Target::Raw(raw) => raw.repository(repository, &names, &mut ledger).await,
                Target::Aptly(aptly) => aptly.repository(repository, &names, &mut ledger).await,
            };
            match pushed {
                Ok(()) => {}
                Err(problem) if is_unreachable(&problem) => return Err(problem),
                Err(problem) => {
                    let base = match &target {
                        Target::Raw(raw) => &raw.base,
                        Target::Aptly(aptly) => aptly.base(),
                    };
                    let (source, target) = (repository.to_owned(), format!("{base}{repository}/"));
                    ledger.failures.push(Failure { source, target, problem });
                }
            }
        }
        Ok(ledger)
    }
}

/// Where archives go: `https://nexus.example.test/repository/raw`.
fn base(order: &PushOrder) -> Result<Url, Problem> {
    base_of(&order.target, "the target").map_err(|problem| {
        problem.hint("write apt:https://HOST/PATH: each archive comes to stand in a folder below, under its repository's name")
    })
}

/// A server and the place in it.
enum Target<'a> {
    Raw(Raw<'a>),
    Aptly(Aptly<'a>),
}

/// How a place is written to: with the accounts of apt's `auth.conf`. What is read without TLS is held to signatures; what
/// is written is not.
async fn access_to_write(ways: &Ways, url: Url, context: &dyn PushContext) -> Result<Access, Problem> {
    let mut access = ways.access(url, context.machine()).await?;
    access.route = Arc::new(Route { plain_http: false, ..Route::clone(&access.route) });
    Ok(access)
}

/// Whether nothing else can be pushed there either.
fn is_unreachable(problem: &Problem) -> bool {
    matches!(problem.code.as_ref(), "net.connect" | "net.tls")
}

fn outcome_of(problem: &Problem) -> Outcome {
    if problem.kind == Kind::Refused { Outcome::Conflict } else { Outcome::Failed }
}
