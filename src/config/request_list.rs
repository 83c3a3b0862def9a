//! Editing the requests of an `aftk.toml`: whatever else stands in it, its comments and its order stay as they are.

use std::collections::HashSet;
use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Value};

use super::project::Project;
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::units;

/// What becomes of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'a> {
    /// These are added at the end, as far as they are not there.
    Add(&'a [String]),
    /// These are taken out, as far as they are there.
    Remove(&'a [String]),
}

/// What became of the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    /// Those that were added, or taken out.
    pub changed: Vec<String>,
    /// Those that were there already, or were not there.
    pub unchanged: Vec<String>,
}

/// Edits the requests of an `aftk.toml`; with `dry_run`, only says what would become of them.
///
/// # Errors
/// A usage problem, if there is no such file, it is wrong, or no request would be left; if it cannot be written.
pub fn edit_requests(path: &Path, edit: Edit<'_>, dry_run: bool) -> Result<Edited, Problem> {
    // So that mistakes are named with their place, as everywhere.
    Project::read(path)?;
    let text = super::text(path)?.unwrap_or_default();
    let (text, edited) = edited(&text, edit)
        .map_err(|why| Problem::new(Kind::Usage, "config.invalid", why).at(path.display()))?;
    if text.len() as u64 > super::LIMIT {
        let message = format!(
            "with these requests it would be larger than the {} that are read",
            units::bytes(super::LIMIT)
        );
        return Err(Problem::new(Kind::Usage, "config.too-large", message).at(path.display()).hint(
            "split it into several projects, or let a lockfile or a list of images name what is wanted",
        ));
    }
    if !edited.changed.is_empty() && !dry_run {
        fsx::replace_file(path, text.as_bytes()).map_err(|error| {
            Problem::new(Kind::Failed, "config.unwritable", format!("cannot write {}", path.display()))
                .caused_by(&error)
        })?;
    }
    Ok(edited)
}

/// The text after an edit, and what became of the requests.
fn edited(text: &str, edit: Edit<'_>) -> Result<(String, Edited), String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let list = document
        .get_mut("requests")
        .and_then(Item::as_array_mut)
        .ok_or_else(|| "`requests` is no list".to_owned())?;
    let mut edited = Edited::default();
    match edit {
        Edit::Add(requests) => {
            let mut known: HashSet<String> =
                list.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
            for request in requests {
                let is_there = !known.insert(request.clone());
                if !is_there {
                    push(list, request);
                }
                if is_there { &mut edited.unchanged } else { &mut edited.changed }.push(request.clone());
            }
        }
        Edit::Remove(requests) => {
            for request in requests {
                let place = place(list, request);
                if let Some(place) = place {
                    take(list, place);
                }
                if place.is_some() { &mut edited.changed } else { &mut edited.unchanged }
                    .push(request.clone());
            }
            if list.is_empty() {
                return Err("no request would be left: there would be nothing to collect".to_owned());
            }
        }
    }
    Ok((document.to_string(), edited))
}

fn place(list: &Array, request: &str) -> Option<usize> {
    list.iter().position(|value| value.as_str() == Some(request))
}

/// Adds a request as the ones before it are written: on a line of its own, where they are.
fn push(list: &mut Array, request: &str) {
    let mut value = Value::from(request);
    let before = list
        .len()
        .checked_sub(1)
        .and_then(|last| list.get(last))
        .and_then(|last| last.decor().prefix()?.as_str())
        .map(str::to_owned);
    // What stands between the last request and the end, such as a comment, is about that request.
    let trailing = rest(list);
    match before {
        Some(before) if before.contains('\n') => {
            let indent = before.rsplit('\n').next().unwrap_or_default();
            let kept = trailing.rsplit_once('\n').map_or("", |(kept, _)| kept);
            value.decor_mut().set_prefix(format!("{kept}\n{indent}"));
            list.push_formatted(value);
            list.set_trailing("\n");
            list.set_trailing_comma(true);
        }
        Some(_) => list.push(value),
        None => list.push_formatted(value),
    }
}

/// What stands between the last request and the end of the list, whether or not a comma does.
fn rest(list: &mut Array) -> String {
    let trailing = list.trailing().as_str().unwrap_or_default().to_owned();
    let Some(last) = list.len().checked_sub(1).and_then(|last| list.get_mut(last)) else { return trailing };
    let suffix = last.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default().to_owned();
    last.decor_mut().set_suffix("");
    format!("{suffix}{trailing}")
}

/// Takes a request out with the comment beside it; a comment on lines of its own stays.
fn take(list: &mut Array, place: usize) {
    let trailing = rest(list);
    let removed = list.remove(place);
    list.set_trailing(trailing.as_str());
    let above = removed.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
    let is_first = place == 0;
    // What follows begins with the rest of the line of what was taken out.
    let rest_of = |text: &str| text.split_once('\n').map_or(String::new(), |(_, rest)| format!("\n{rest}"));
    // What was before begins with the rest of the line of the request before.
    let kept = match above.rsplit_once('\n') {
        Some((kept, _)) => kept.to_owned(),
        None => String::new(),
    };
    match list.get_mut(place) {
        Some(next) => {
            let prefix =
                next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            let prefix = if prefix.contains('\n') {
                format!("{kept}{}", rest_of(&prefix))
            } else if is_first {
                above
            } else {
                prefix
            };
            next.decor_mut().set_prefix(prefix);
        }
        None => list.set_trailing(format!("{kept}{}", rest_of(&trailing))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Ours.\nformat = 1   # the form\nrequests = [\n  # the web app\n  \"npm:./package-lock.json\", # by npm\n  \"file:b\",\n  # the last one\n  \"file:c\" # c\n]\n\n[[gap]]\nname = \"npm:x\"\nreason = \"y\" # z\n";

    fn add(text: &str, request: &str) -> String {
        edited(text, Edit::Add(&[request.to_owned()])).unwrap().0
    }

    fn remove(text: &str, request: &str) -> String {
        edited(text, Edit::Remove(&[request.to_owned()])).unwrap().0
    }

    #[test]
    fn comments_and_order_stay() {
        let added = add(FILE, "file:d");
        assert_eq!(added, FILE.replace("\"file:c\" # c\n", "\"file:c\", # c\n  \"file:d\",\n"));
        assert_eq!(add(&added, "file:d"), added, "it is there");
        assert_eq!(remove(&added, "file:d"), FILE.replace("\"file:c\" # c", "\"file:c\", # c"));
        let without_last = FILE.replace("\"file:b\",", "\"file:b\"").replace("  \"file:c\" # c\n", "");
        assert_eq!(remove(FILE, "file:c"), without_last);
        assert_eq!(remove(FILE, "file:b"), FILE.replace("  \"file:b\",\n", ""));
        assert_eq!(
            remove(FILE, "npm:./package-lock.json"),
            FILE.replace("  \"npm:./package-lock.json\", # by npm\n", "")
        );
    }

    #[test]
    fn lists_on_one_line_stay_there() {
        let one = "format = 1\nrequests = [\"file:a\"]\n";
        let two = "format = 1\nrequests = [\"file:a\", \"file:b\"]\n";
        assert_eq!(add(one, "file:b"), two);
        assert_eq!(remove(two, "file:b"), one);
        assert_eq!(remove(two, "file:a"), one.replace(":a", ":b"));
        assert!(edited(one, Edit::Remove(&["file:a".to_owned()])).is_err(), "none would be left");
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let directory = fsx::test_directory();
        let path = directory.path().join("aftk.toml");
        fsx::replace_file(&path, FILE.as_bytes()).unwrap();
        let many: Vec<String> = (0..70_000).map(|number| format!("file:{number}.txt")).collect();
        let problem = edit_requests(&path, Edit::Add(&many), false).unwrap_err();
        assert_eq!(problem.code, "config.too-large");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), FILE);
    }

    #[test]
    fn hostile_names_stay_names() {
        let odd = "file:a\"]\nformat = 2 #";
        let text = add(FILE, odd);
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["requests"].as_array().unwrap().last().unwrap().as_str(), Some(odd));
        assert_eq!(read["format"].as_integer(), Some(1));
    }
}
