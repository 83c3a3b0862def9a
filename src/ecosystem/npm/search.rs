//! `npm search` over the held names.

use bytes::Bytes;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::packument::{self, LATEST};
use super::{hosted, names};
use crate::ecosystem::ServeContext;
use crate::problem::Problem;

/// The most results of one answer; npm asks for 20.
const MOST_RESULTS: usize = 100;
/// The farthest result that can be paged to.
const FARTHEST: usize = 10_000;
/// Names looked through for one answer: enough for a large mirror, and an end for a hostile query.
const MOST_NAMES: usize = 200_000;
/// Names had from the store at a time.
const PAGE: usize = 1_000;

/// What a client searches.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    /// Lower-case words; a name must have all of them in it.
    words: Vec<String>,
    /// The first result to show.
    from: usize,
    /// How many to show.
    size: usize,
}

impl Query {
    fn read(query: &str) -> Query {
        let mut read = Query { words: Vec::new(), from: 0, size: 20 };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "text" => read.words = value.to_lowercase().split_whitespace().map(str::to_owned).collect(),
                "from" => read.from = value.parse().unwrap_or(0).min(FARTHEST),
                "size" => read.size = value.parse().unwrap_or(20).min(MOST_RESULTS),
                _ => {}
            }
        }
        read
    }

    fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.words.iter().all(|word| name.contains(word))
    }

    /// Whether the name is what was searched, and not merely has it in it.
    fn names(&self, name: &str) -> bool {
        matches!(self.words.as_slice(), [word] if *word == name.to_lowercase())
    }
}

/// The answer to `-/v1/search` with this raw query.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn answer(
    context: &dyn ServeContext,
    repository: Option<&str>,
    query: &str,
) -> Result<Bytes, Problem> {
    let query = Query::read(query);
    let (mut total, mut seen, mut after) = (0_usize, 0_usize, String::new());
    // Who types a whole name means that package: it comes first. Of the others as many are kept as can be shown.
    let (mut named, mut others) = (Vec::new(), Vec::new());
    while seen < MOST_NAMES {
        let names = context.names(repository, &after, PAGE)?;
        let Some(last) = names.last() else { break };
        after.clone_from(last);
        seen += names.len();
        for name in names {
            // Keys, advisories and addresses have names too, that are no packages.
            if names::is_valid(&name) && query.matches(&name) {
                total += 1;
                if query.names(&name) {
                    named.push(name);
                } else if others.len() < query.from + query.size {
                    others.push(name);
                }
            }
        }
    }
    let mut objects = Vec::new();
    for name in named.iter().chain(&others).skip(query.from).take(query.size) {
        objects.extend(hit(context, repository, name)?);
    }
    // Upstream tells the time as well, which no client looks at: without it the same answer has the same tag.
    let answer = json!({ "objects": objects, "total": total });
    Ok(Bytes::from(answer.to_string()))
}

/// Somebody as a search tells of them: registries have an object, and older documents `name <address>`.
fn person(said: Option<&Value>) -> Value {
    let text = |key: &str| said.and_then(|said| said.get(key)).and_then(Value::as_str).unwrap_or_default();
    let (name, email) = match said.and_then(Value::as_str) {
        Some(text) => {
            let (name, rest) = text.split_once('<').unwrap_or((text, ""));
            (name.trim(), rest.split('>').next().unwrap_or_default())
        }
        None => (text("name"), text("email")),
    };
    json!({ "username": name, "email": email })
}

/// One result, described by the version that `latest` is.
fn hit(context: &dyn ServeContext, repository: Option<&str>, name: &str) -> Result<Option<Value>, Problem> {
    let repository = hosted::home(context, repository, name)?;
    let held = packument::held(context, repository, name)?;
    let tags = packument::dist_tags(context, repository, name, &held)?;
    let latest = held.versions.iter().find(|held| tags.get(LATEST) == Some(&held.artifact.version.as_str()));
    let Some(artifact) = latest.map(|held| &held.artifact) else { return Ok(None) };
    let object = packument::version_object(context, artifact)?.fill("");
    let object: Value = serde_json::from_slice(&object).unwrap_or_default();
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let maintainers = object.get("maintainers").and_then(Value::as_array).into_iter().flatten();
    let maintainers: Vec<Value> = maintainers.map(|one| person(Some(one))).collect();
    let score = json!({ "final": 1, "detail": { "quality": 1, "popularity": 1, "maintenance": 1 } });
    // npm prints the publisher, the date and the maintainers without asking whether they are there.
    let mut package = json!({
        "name": name,
        "version": artifact.version,
        "description": text("description"),
        "keywords": object.get("keywords").filter(|keywords| keywords.is_array()).cloned().unwrap_or(json!([])),
        "license": text("license"),
        "publisher": person(object.get("_npmUser")),
        "maintainers": maintainers,
        "links": { "homepage": text("homepage") },
    });
    if let (Some(_), Some(time), Some(package)) =
        (packument::published(artifact), packument::time(artifact), package.as_object_mut())
    {
        package.insert("date".to_owned(), time.into());
    }
    Ok(Some(json!({ "package": package, "score": score, "searchScore": 1 })))
}
