//! The tags of a repository, and which of them a pattern means.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Deserialize;

use super::asking::unless_it_fails;
use super::reference::{Name, check_tag};
use super::registries::Registries;
use crate::ecosystem::pattern::matches;
use crate::ecosystem::{CollectContext, MetadataRequest};
use crate::net::Access;
use crate::problem::{Kind, Problem};

/// How many tags are asked for at once.
const PAGE: usize = 1000;
/// The largest page in bytes: some registries send all tags in one.
const LARGEST_PAGE: u64 = 32 * 1024 * 1024;
/// The most tags of one repository.
const MOST: usize = 500_000;

#[derive(Deserialize)]
struct TagList {
    /// Some registries say `null` where there is none.
    tags: Option<Vec<String>>,
}

/// All tags of a repository; `None` if the registry has no such repository.
///
/// # Errors
/// If the registry cannot be reached or does not show its tags, or there is no end of them.
pub(super) async fn list(
    name: &Name,
    registries: &Registries,
    context: &dyn CollectContext,
) -> Result<Option<BTreeSet<String>>, Problem> {
    let below = format!("tags/list?n={PAGE}");
    let mut is_answered = false;
    for access in registries.mirrors(name, &below, context).await? {
        match unless_it_fails(list_at(access, name, context).await)? {
            Some(Some(tags)) => return Ok(Some(tags)),
            Some(None) => is_answered = true,
            None => {}
        }
    }
    let own = async { list_at(registries.access(name, &below, context).await?, name, context).await };
    if is_answered { registries.unless_silent(name, own.await) } else { own.await }
}

async fn list_at(
    mut access: Access,
    name: &Name,
    context: &dyn CollectContext,
) -> Result<Option<BTreeSet<String>>, Problem> {
    let mut tags = BTreeSet::new();
    loop {
        let place = access.url.to_string();
        let request = MetadataRequest {
            access: access.clone(),
            accept: "application/json",
            limit: LARGEST_PAGE,
            fresh: true,
        };
        let Some(page) = context.page(&request).await? else {
            return Ok(if tags.is_empty() { None } else { Some(tags) });
        };
        let list: TagList = serde_json::from_slice(&page.bytes).map_err(|error| {
            let message = "the registry's list of tags cannot be read";
            Problem::new(Kind::Unavailable, "oci.bad-tag-list", message).at(&place).caused_by(&error)
        })?;
        let before = tags.len();
        // What is no tag cannot be asked for.
        tags.extend(list.tags.unwrap_or_default().into_iter().filter(|tag| check_tag(tag).is_ok()));
        if tags.len() > MOST {
            let message = format!("the registry lists more than {MOST} tags of {name}");
            return Err(Problem::new(Kind::Failed, "oci.too-many-tags", message).at(place));
        }
        match page.next {
            // A page that brings nothing new would be followed by others like it.
            Some(next) if tags.len() > before => access = Access { url: next, ..access },
            _ => return Ok(Some(tags)),
        }
    }
}

/// The tags that a pattern means: `*` stands for any characters, `?` for one. With `newest`, only so many of the
/// highest versions.
pub(super) fn matching<'a>(tags: &'a BTreeSet<String>, pattern: &str, newest: Option<usize>) -> Vec<&'a str> {
    let mut found: Vec<&str> = tags.iter().map(String::as_str).filter(|tag| matches(pattern, tag)).collect();
    if let Some(newest) = newest {
        found.sort_by(|a, b| by_version(b, a));
        found.truncate(newest);
    }
    found
}

/// The order of tags as versions: runs of digits count as numbers, and what goes on after a dash comes before what
/// doesn't, as `1.2-rc1` comes before `1.2`.
fn by_version(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (Some(more), None) => {
                return if more == Part::Text("-") { Ordering::Less } else { Ordering::Greater };
            }
            (None, Some(more)) => {
                return if more == Part::Text("-") { Ordering::Greater } else { Ordering::Less };
            }
            (Some(a), Some(b)) => a.cmp(&b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Text(&'a str),
    /// Its length without leading zeros, and its digits.
    Number(usize, &'a str),
}

fn parts(tag: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let class = |c: char| (c.is_ascii_digit(), c == '-');
        let end = rest.find(|c| class(c) != class(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(if first == '-' { 1 } else { end });
        rest = after;
        let digits = part.trim_start_matches('0');
        Some(if first.is_ascii_digit() { Part::Number(digits.len(), digits) } else { Part::Text(part) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_the_highest_versions() {
        let tags: BTreeSet<String> =
            ["1.9", "1.10", "1.10-rc2", "1.2.3", "latest", "1.10.1", "v2", "010"].map(str::to_owned).into();
        assert_eq!(matching(&tags, "1.*", Some(3)), ["1.10.1", "1.10", "1.10-rc2"]);
        assert_eq!(matching(&tags, "1.*", None), ["1.10", "1.10-rc2", "1.10.1", "1.2.3", "1.9"]);
    }
}
