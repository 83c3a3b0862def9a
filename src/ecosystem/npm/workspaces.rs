//! Where the workspaces of a project are, by the patterns in its `package.json`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::ecosystem::CollectContext;
use crate::problem::Problem;

/// The most directories that patterns are compared with.
const MOST: usize = 20_000;
/// How deep `**` leads.
const DEEPEST: usize = 8;

/// The directories that patterns mean, as paths from the project's; those without a `package.json` are among them.
///
/// # Errors
/// If a directory cannot be read.
pub(super) async fn find(
    root: &Path,
    workspaces: Option<&Value>,
    context: &dyn CollectContext,
) -> Result<BTreeSet<String>, Problem> {
    let list = match workspaces {
        Some(Value::Object(members)) => members.get("packages"),
        other => other,
    };
    let patterns = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut found = BTreeSet::new();
    for pattern in patterns {
        let (pattern, is_denial) = match pattern.strip_prefix('!') {
            Some(denied) => (denied, true),
            None => (pattern, false),
        };
        let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            continue;
        }
        if is_denial {
            found.retain(|path: &String| !matches(&parts, &path.split('/').collect::<Vec<_>>()));
        } else {
            expand(root, &parts, &mut found, context).await?;
        }
    }
    Ok(found)
}

/// Adds the directories that a pattern means.
async fn expand(
    root: &Path,
    pattern: &[&str],
    found: &mut BTreeSet<String>,
    context: &dyn CollectContext,
) -> Result<(), Problem> {
    let mut open: Vec<(String, usize)> = vec![(String::new(), 0)];
    let mut looked = 0;
    while let Some((path, at)) = open.pop() {
        looked += 1;
        let Some(part) = pattern.get(at) else {
            found.extend((!path.is_empty()).then_some(path));
            continue;
        };
        if looked > MOST {
            return Ok(());
        }
        if !part.contains(['*', '?', '[', '{']) {
            open.push((join(&path, part), at + 1));
            continue;
        }
        if *part == "**" {
            open.push((path.clone(), at + 1));
        }
        if *part == "**" && path.split('/').count() > DEEPEST {
            continue;
        }
        for entry in context.list(&root.join(&path)).await? {
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
            if name == "node_modules" || name.starts_with('.') {
                continue;
            }
            match *part {
                "**" => open.push((join(&path, name), at)),
                part if fits(part, name) => open.push((join(&path, name), at + 1)),
                _ => {}
            }
        }
    }
    Ok(())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// Whether a path is one that a pattern means.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) if matches(rest, path) => true,
        (Some((&"**", _)), Some((_, below))) => matches(pattern, below),
        (Some((part, rest)), Some((name, below))) => fits(part, name) && matches(rest, below),
        _ => false,
    }
}

/// Whether a name fits a part of a pattern, with `*`, `?` and `{a,b}` in it.
fn fits(part: &str, name: &str) -> bool {
    if let Some((before, rest)) = part.split_once('{')
        && let Some((choices, after)) = rest.split_once('}')
    {
        return choices.split(',').any(|choice| fits(&format!("{before}{choice}{after}"), name));
    }
    let (part, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
    // Where the last star stands, and how much of the name it has taken.
    let (mut at, mut in_name, mut star) = (0, 0, None);
    while in_name < name.len() {
        match part.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(sign) if *sign == '?' || Some(sign) == name.get(in_name) => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                (at, in_name) = (place + 1, taken + 1);
            }
        }
    }
    part.iter().skip(at).all(|sign| *sign == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ecosystem::npm::fake::Fake;

    #[tokio::test]
    async fn patterns_mean_directories() {
        let mut fake = Fake::default();
        for path in [
            "a",
            "packages/b",
            "packages/c",
            "packages/c/node_modules/n",
            "packages/c/deep/d",
            "web-x",
            "old",
        ] {
            fake.file(&format!("/project/{path}/package.json"), "{}");
        }
        for (patterns, expected) in [
            (json!(["packages/*"]), vec!["packages/b", "packages/c"]),
            (json!({"packages": ["./a/", "web-*"]}), vec!["a", "web-x"]),
            (
                json!(["packages/**", "!packages/{b,x}", "../out"]),
                vec!["packages", "packages/c", "packages/c/deep", "packages/c/deep/d"],
            ),
            (json!(["?", "nowhere"]), vec!["a", "nowhere"]),
            (json!("packages/*"), vec![]),
        ] {
            let found = find(Path::new("/project"), Some(&patterns), &fake).await.unwrap();
            let found: Vec<_> =
                found.iter().map(String::as_str).filter(|path| !path.ends_with(".json")).collect();
            assert_eq!(found, expected, "{patterns}");
        }
    }

    #[test]
    fn stars_take_as_much_as_they_must() {
        for (part, name, expected) in [
            ("*", "a", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b", "ac", false),
            ("{a,b*}-c", "bx-c", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(part, name), expected, "{part} {name}");
        }
    }
}
