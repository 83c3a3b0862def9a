//! Lists that clients page through: the tags of a repository, and all repositories.

use bytes::Bytes;
use http::header::LINK;
use serde_json::json;

use super::address;
use super::reference::Name;
use super::refusal::{Code, JSON, refuse};
use super::serve::{Asked, document};
use crate::ecosystem::Answer;
use crate::problem::Problem;

/// The most entries of one page, also where the client wants all.
const MOST: usize = 10_000;

/// Which part of a list is asked for.
struct Page {
    /// How many entries.
    limit: usize,
    /// The entry that they come after; empty for the first page.
    after: String,
}

impl Page {
    /// Reads `n` and `last`; `None` if `n` is no number.
    fn read(asked: &Asked<'_>) -> Option<Page> {
        let limit = match asked.parameter("n") {
            Some(n) => n.parse::<usize>().ok()?.min(MOST),
            None => MOST,
        };
        Some(Page { limit, after: asked.parameter("last").unwrap_or_default() })
    }

    /// Answers with what stands in `entries`, which may be more than fit, under `key`.
    fn answer(
        self,
        asked: &Asked<'_>,
        path: &str,
        mut list: serde_json::Map<String, serde_json::Value>,
        key: &str,
        mut entries: Vec<String>,
    ) -> Answer {
        let is_more = entries.len() > self.limit;
        entries.truncate(self.limit);
        let limit = self.limit.to_string();
        let next = entries.last().filter(|_| is_more);
        let next = next.and_then(|last| asked.next(path, &[("n", &limit), ("last", last)]));
        list.insert(key.to_owned(), json!(entries));
        let mut answer = document(JSON, Bytes::from(serde_json::Value::from(list).to_string()));
        if let Some(next) = next {
            answer.headers.insert(LINK, next);
        }
        answer
    }
}

fn no_number() -> Answer {
    refuse(Code::PaginationNumberInvalid, "n is not a number of entries")
}

/// `tags/list`: the tags of a repository in byte order. `written` is its name as the client wrote it.
pub(super) fn tags(asked: &Asked<'_>, name: &Name, written: &str) -> Result<Answer, Problem> {
    let Some(page) = Page::read(asked) else { return Ok(no_number()) };
    let refs = asked.context.refs(Some(&name.registry), &name.path, None)?;
    if refs.is_empty() && !asked.holds(name)? {
        return Ok(refuse(Code::NameUnknown, &format!("there is nothing of {name} here")));
    }
    let mut tags: Vec<String> = refs.into_iter().map(|linked| linked.reference.label).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.drain(..tags.partition_point(|tag| *tag <= page.after));
    let list = [("name".to_owned(), json!(written))].into_iter().collect();
    Ok(page.answer(asked, &format!("{written}/tags/list"), list, "tags", tags))
}

/// `_catalog`: all repositories in byte order, as their paths below `/v2/` are written; of one registry, if one is named.
pub(super) fn catalogue(asked: &Asked<'_>) -> Result<Answer, Problem> {
    let Some(page) = Page::read(asked) else { return Ok(no_number()) };
    // One more than fits says whether there is another page.
    let wanted = if page.limit == 0 { 0 } else { page.limit + 1 };
    let mut found: Vec<String> = Vec::new();
    match &asked.namespace {
        Some(registry) => found = asked.context.names(Some(registry), &page.after, wanted)?,
        None => {
            let mut registries = asked.context.repositories()?;
            let prefix = |registry: &String| format!("{}/", address::segment(registry));
            registries.sort_by_cached_key(prefix);
            for registry in registries {
                let prefix = prefix(&registry);
                let after = match page.after.strip_prefix(&prefix) {
                    Some(name) => name,
                    None if page.after > prefix => continue,
                    None => "",
                };
                let names = asked.context.names(Some(&registry), after, wanted - found.len())?;
                found.extend(names.into_iter().map(|name| format!("{prefix}{name}")));
                if found.len() >= wanted {
                    break;
                }
            }
        }
    }
    Ok(page.answer(asked, "_catalog", serde_json::Map::new(), "repositories", found))
}
