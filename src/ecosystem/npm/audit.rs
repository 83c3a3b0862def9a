//! What `npm audit` and its like are answered: the advisories that were brought here, on the versions that a client has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use serde_json::{Map, Value, json};

use super::ADVISORIES;
use super::advisory::{self, Advisory};
use crate::clock;
use crate::ecosystem::{ClientRequest, ServeContext};
use crate::problem::Problem;

/// The largest question that is read once it is unpacked, in bytes: a project of 50,000 packages asks in 4 MiB.
const LARGEST: u64 = 16 << 20;
/// The most packages of one question.
const MOST: usize = 100_000;
/// How deep trees of dependencies are looked into.
const DEEPEST: usize = 256;
/// The most places of one version that are told.
const MOST_PATHS: usize = 10;
/// Names had from the store at a time.
const PAGE: usize = 1000;
/// Advisories that are older are told of with a warning, in days.
const OLD: i64 = 30;

/// What a client has: of each package the versions, each with where it stands in the tree, if that is said.
type Installed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The advisories on its packages, each with the versions that have it.
type Found = BTreeMap<String, Vec<(Advisory, Vec<String>)>>;

/// As of when advisories are told here: `null`, if none were brought. Whoever collects from a mirror asks for it, as clients are
/// answered in any case.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn day(context: &dyn ServeContext, repository: Option<&str>) -> Result<Value, Problem> {
    let days = context.artifacts(repository, advisory::PLACE)?;
    let made = days.iter().filter_map(|day| advisory::made(&day.artifact)).max();
    Ok(json!({ advisory::MADE: made }))
}

/// The advisories that the packages of a question have, by name: the answer to `advisories/bulk`.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn bulk(
    request: &ClientRequest,
    context: &dyn ServeContext,
    repository: Option<&str>,
) -> Result<Value, Problem> {
    let question: BTreeMap<String, Value> = question(request).unwrap_or_default();
    let mut installed = Installed::new();
    for (name, versions) in question.into_iter().take(MOST) {
        let versions = versions.as_array().into_iter().flatten().filter_map(Value::as_str);
        let versions = versions.map(|version| (version.to_owned(), BTreeSet::new())).collect();
        installed.insert(name, versions);
    }
    let found = found(&installed, context, repository)?;
    let told = |list: Vec<(Advisory, _)>| list.iter().map(|(one, _)| one.told()).collect::<Vec<_>>();
    Ok(json!(found.into_iter().map(|(name, list)| (name, told(list))).collect::<BTreeMap<_, _>>()))
}

/// The report on a tree of dependencies: the answer to `audits` and `audits/quick`, which older clients ask.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn report(
    request: &ClientRequest,
    context: &dyn ServeContext,
    repository: Option<&str>,
) -> Result<Value, Problem> {
    let tree: Map<String, Value> = question(request).unwrap_or_default();
    let mut installed = Installed::new();
    let mut count = 0_usize;
    let mut open: Vec<(&Map<String, Value>, String, usize)> = Vec::new();
    let children = |tree| -> Option<&Map<String, Value>> { Map::get(tree, "dependencies")?.as_object() };
    open.extend(children(&tree).map(|tree| (tree, String::new(), 0)));
    while let Some((level, above, depth)) = open.pop() {
        for (name, package) in level {
            count += 1;
            if count > MOST {
                break;
            }
            let path = if above.is_empty() { name.clone() } else { format!("{above}>{name}") };
            if let Some(version) = package.get("version").and_then(Value::as_str) {
                let versions = installed.entry(name.clone()).or_default();
                let paths = versions.entry(version.to_owned()).or_default();
                if paths.len() < MOST_PATHS {
                    paths.insert(path.clone());
                }
            }
            if depth < DEEPEST
                && let Some(below) = package.as_object().and_then(children)
            {
                open.push((below, path, depth + 1));
            }
        }
    }
    let (mut advisories, mut counts) = (Map::new(), BTreeMap::<&str, usize>::new());
    for severity in ["info", "low", "moderate", "high", "critical"] {
        counts.insert(severity, 0);
    }
    let found = found(&installed, context, repository)?;
    for (name, list) in &found {
        for (advisory, versions) in list {
            let places = installed.get(name);
            let finding = |version: &String| {
                let paths = places.and_then(|places| places.get(version));
                json!({ "version": version, "paths": paths })
            };
            if let Some(count) = counts.get_mut(advisory.severity.as_str()) {
                *count += 1;
            }
            let mut told = advisory.told();
            if let Value::Object(told) = &mut told {
                let findings: Vec<Value> = versions.iter().map(finding).collect();
                told.insert("findings".to_owned(), findings.into());
                told.insert("module_name".to_owned(), name.as_str().into());
                // Clients print these without looking whether they are there.
                for (key, value) in [("overview", ""), ("recommendation", ""), ("patched_versions", "<0.0.0")]
                {
                    told.insert(key.to_owned(), value.into());
                }
                told.insert("cves".to_owned(), json!([]));
                let id = format!("AFTK-{}", advisory.id);
                let id =
                    advisory.url.rsplit('/').next().filter(|name| name.starts_with("GHSA-")).unwrap_or(&id);
                told.insert("github_advisory_id".to_owned(), id.into());
            }
            advisories.insert(advisory.id.to_string(), told);
        }
    }
    let total = count.min(MOST);
    Ok(json!({
        "actions": [],
        "advisories": advisories,
        "muted": [],
        "metadata": {
            "vulnerabilities": counts,
            "dependencies": total,
            "devDependencies": 0,
            "optionalDependencies": 0,
            "totalDependencies": total,
        },
    }))
}

/// The advisories on what a client has, each with the versions that have it. Says loudly where none were brought, and where
/// they are old: an empty answer reads as if nothing were wrong.
fn found(
    installed: &Installed,
    context: &dyn ServeContext,
    repository: Option<&str>,
) -> Result<Found, Problem> {
    let days = context.artifacts(repository, advisory::PLACE)?;
    let Some(made) = days.iter().filter_map(|day| advisory::made(&day.artifact)).max() else {
        context.warn_once(
            "serve.no-advisories",
            "a client asks for known weaknesses of npm packages (npm audit), and no advisories were brought here: it is \
             told of none, which means nothing; collect them outside",
        );
        return Ok(BTreeMap::new());
    };
    let age =
        clock::seconds(made).zip(clock::seconds(&clock::now_text())).map_or(0, |(made, now)| now - made);
    let age = age / 86_400;
    if age > OLD {
        let message =
            format!("clients are told of known weaknesses of npm packages as of {made}, {age} days ago");
        context.warn_once("serve.old-advisories", &message);
    }
    let mut all = BTreeMap::new();
    for name in names(context, repository)? {
        let Some(versions) = installed.get(&name) else { continue };
        let mut list: BTreeMap<(u64, String), (Advisory, Vec<String>)> = BTreeMap::new();
        for linked in context.artifacts(repository, &format!("{}/{name}", advisory::PLACE))? {
            let told = if linked.artifact.schema == ADVISORIES {
                advisory::carried(&linked.artifact)
            } else {
                continue;
            };
            for advisory in told.unwrap_or_default() {
                let having: Vec<String> =
                    versions.keys().filter(|version| advisory.is_of(version)).cloned().collect();
                if !having.is_empty() || versions.is_empty() {
                    list.entry((advisory.id, advisory.range.clone())).or_insert((advisory, having));
                }
            }
        }
        if !list.is_empty() {
            all.insert(name, list.into_values().collect());
        }
    }
    Ok(all)
}

/// The packages that have advisories here.
fn names(context: &dyn ServeContext, repository: Option<&str>) -> Result<Vec<String>, Problem> {
    let start = format!("{}/", advisory::PLACE);
    let (mut all, mut after) = (Vec::new(), start.clone());
    while all.len() < MOST {
        let page = context.names(repository, &after, PAGE)?;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        let before = all.len();
        let count = page.len();
        all.extend(page.into_iter().filter_map(|name| name.strip_prefix(&start).map(str::to_owned)));
        if all.len() - before < count {
            break;
        }
    }
    Ok(all)
}

/// The document of a question, which clients pack; nothing, if it is none or too large.
fn question<T: serde::de::DeserializeOwned>(request: &ClientRequest) -> Option<T> {
    let is_packed = request.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() == b"gzip");
    let body = if is_packed { unpacked(&request.body)? } else { request.body.clone() };
    serde_json::from_slice(&body).ok()
}

fn unpacked(packed: &[u8]) -> Option<Bytes> {
    let mut body = Vec::new();
    GzDecoder::new(packed).take(LARGEST + 1).read_to_end(&mut body).ok()?;
    (body.len() as u64 <= LARGEST).then(|| Bytes::from(body))
}
