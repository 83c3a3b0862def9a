//! The offline proof of a lock: whatever was moved in it since it was resolved, every system gets what it was asked for from
//! what is carried alone.
//!
//! What is carried takes the place of the archives' indices, and the same questions are asked once more. Where all alternatives
//! are carried, they are asked as apt inside will ask them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use serde_json::Value;

use super::choose::{Chosen, Outcome, Rules};
use super::solve::Engine;
use super::source::SourceKind;
use super::suites::{SuiteIndex, Suites};
use super::task::Task;
use super::unpacked::Texts;
use super::{EVIDENCE, SCHEMA};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Gathered, Planned, Request};
use crate::problem::Problem;
use crate::spill::Sorted;

/// Proves what was gathered for requests.
///
/// # Errors
/// Incomplete, with apt's reasons, if a system would not get what it was asked for.
pub(super) async fn prove(
    gathered: &Gathered<'_>,
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<(), Problem> {
    let task = Task::load(requests, platforms, context).await?;
    if task.is_all_wanted() {
        return Ok(());
    }
    let outcomes = inside(&Arc::new(task), gathered.artifacts, context).await;
    outcomes.map(drop).map_err(|problem| {
        let message = format!("of what would be carried, {}", problem.message);
        let mut lacking = Problem::new(problem.kind, "apt.closure", message);
        lacking.causes = problem.causes;
        lacking.hint(
            "`aftk lock --upgrade` resolves all of it anew; moved alone, a package may lack what it needs",
        )
    })
}

/// What apt would do on each system that sees nothing but what is carried, in the order of the systems' groups.
///
/// # Errors
/// As [`prove`].
pub(super) async fn inside(
    task: &Arc<Task>,
    artifacts: &Sorted<Planned>,
    context: &dyn CollectContext,
) -> Result<Vec<Vec<Outcome>>, Problem> {
    let all = artifacts.clone();
    let evidence = blocking(move || {
        let all = all.iter().filter(|one| one.as_ref().map_or(true, |one| one.schema == EVIDENCE));
        all.collect::<Result<Vec<_>, _>>()
    });
    let suites = Arc::new(Suites::carried(task, &evidence.await?, context).await?);
    let mut outcomes = Vec::new();
    for systems in task.of_same_architectures() {
        let (task, suites, artifacts) = (task.clone(), suites.clone(), artifacts.clone());
        let group = blocking(move || {
            let mut texts = carried(&suites, &artifacts)?;
            let rules = Rules { engine: Engine::Exact, ..task.rules.clone() };
            task.choose(&systems, &rules, (&suites, &mut texts), &mut Chosen::default())
        });
        outcomes.push(group.await?);
    }
    Ok(outcomes)
}

/// What is carried of each index, as it will be found inside.
fn carried(suites: &Suites, artifacts: &Sorted<Planned>) -> Result<Texts, Problem> {
    let mut texts: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for artifact in artifacts.iter() {
        let artifact = artifact?;
        let text = |name: &str| artifact.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
        if artifact.schema != SCHEMA {
            continue;
        }
        let is_its = |index: &SuiteIndex| {
            let source = &suites.suites[index.suite].source;
            let is_for = index.component.is_empty()
                || text("architecture") == index.architecture
                || text("architecture") == "all" && index.architecture != "all";
            index.kind == SourceKind::Binary
                && (&*source.repository, &*source.suite, &*index.component)
                    == (&*artifact.repository, text("suite"), text("component"))
                && is_for
        };
        for (place, _) in suites.indices.iter().enumerate().filter(|(_, index)| is_its(index)) {
            let into = texts.entry(place).or_default();
            into.extend_from_slice(text("control").as_bytes());
            into.extend_from_slice(b"\n\n");
        }
    }
    let reader = |place: usize| -> Box<dyn Read + Send> {
        Box::new(Cursor::new(texts.remove(&place).unwrap_or_default()))
    };
    Ok((0..suites.indices.len()).map(reader).map(Some).collect())
}
