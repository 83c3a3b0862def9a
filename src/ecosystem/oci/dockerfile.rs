//! The images that a Dockerfile is built from: `FROM`, `COPY --from`, mounts, and the frontend that reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::image_list::Listed;

/// Finds the images that a build pulls.
///
/// # Errors
/// If a name has an argument in it that has no default.
pub(super) fn images(text: &str) -> Result<Vec<Listed>, String> {
    let mut found = Vec::new();
    let escape = escape_and_syntax(text, &mut found);
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: BTreeSet<String> = BTreeSet::new();
    let mut begun = false;
    for (line, instruction) in instructions(text, escape) {
        let mut words = instruction.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            // Only those before the first stage can stand in names of images.
            "ARG" if !begun => {
                for word in words {
                    if let Some((name, value)) = word.split_once('=') {
                        let value = substitute(value.trim_matches(['"', '\'']), &arguments);
                        arguments.insert(name.to_owned(), value.unwrap_or_default());
                    }
                }
            }
            "FROM" => {
                begun = true;
                let mut words = words.skip_while(|word| word.starts_with("--"));
                let name = words.next().unwrap_or_default();
                let name = substitute(name, &arguments).map_err(|why| format!("line {line}: {why}"))?;
                if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as"))
                    && let Some(stage) = words.next()
                {
                    from(&mut found, &stages, line, &name);
                    stages.insert(stage.to_ascii_lowercase());
                } else {
                    from(&mut found, &stages, line, &name);
                }
            }
            "COPY" | "ADD" => {
                let from_flag = words
                    .take_while(|word| word.starts_with("--"))
                    .find_map(|word| word.strip_prefix("--from="));
                from(&mut found, &stages, line, from_flag.unwrap_or_default());
            }
            "RUN" => {
                let mounts = words
                    .take_while(|word| word.starts_with("--"))
                    .filter_map(|word| word.strip_prefix("--mount="));
                for part in mounts.flat_map(|mount| mount.split(',')) {
                    from(&mut found, &stages, line, part.strip_prefix("from=").unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Notes down an image, unless it is a stage of the same file, by name or number, or the empty image.
fn from(found: &mut Vec<Listed>, stages: &BTreeSet<String>, line: usize, name: &str) {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number && name != "scratch" && !stages.contains(&name.to_ascii_lowercase()) {
        found.push(Listed { line, text: name.to_owned() });
    }
}

/// The directives at the top: the escape character, and the frontend, which is an image as well.
fn escape_and_syntax(text: &str, found: &mut Vec<Listed>) -> char {
    let mut escape = '\\';
    for (number, line) in text.lines().enumerate() {
        let Some((key, value)) = line.trim().strip_prefix('#').and_then(|line| line.split_once('=')) else {
            break;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "escape" => escape = value.trim().chars().next().unwrap_or(escape),
            "syntax" => found.push(Listed { line: number + 1, text: value.trim().to_owned() }),
            _ => {}
        }
    }
    escape
}

/// The instructions with the lines that they begin on, continued lines joined, without comments and here-documents.
fn instructions(text: &str, escape: char) -> Vec<(usize, String)> {
    let mut instructions: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    let mut until: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(end) = until.first() {
            if line.trim_start_matches('\t') == end {
                until.remove(0);
            }
            continue;
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix(escape) {
            Some(part) => (part, true),
            None => (line, false),
        };
        match instructions.last_mut() {
            Some((_, whole)) if continued => {
                whole.push(' ');
                whole.push_str(part);
            }
            _ => instructions.push((number + 1, part.to_owned())),
        }
        continued = goes_on;
        if !goes_on && let Some((_, whole)) = instructions.last() {
            until = here_documents(whole);
        }
    }
    instructions
}

/// The words that end the here-documents of an instruction: `RUN <<END`.
fn here_documents(instruction: &str) -> Vec<String> {
    let keyword = instruction.split_whitespace().next().unwrap_or_default();
    if !["RUN", "COPY", "ADD"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    let words = instruction.split_whitespace().filter_map(|word| word.split_once("<<").map(|(_, end)| end));
    let ends = words.map(|end| end.trim_start_matches('-').trim_matches(['"', '\'']).to_owned());
    ends.filter(|end| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect()
}

/// Puts in arguments: `$NAME`, `${NAME}`, `${NAME:-default}`.
fn substitute(text: &str, arguments: &BTreeMap<String, String>) -> Result<String, String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        let (inner, after) = match after.strip_prefix('{') {
            Some(inner) => {
                inner.split_once('}').ok_or_else(|| format!("{text:?} has a brace that is never closed"))?
            }
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        let (name, default) =
            inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        let value = arguments.get(name).map(String::as_str).filter(|value| !value.is_empty()).or(default);
        made.push_str(value.ok_or_else(|| {
            format!("the argument {name} has no default, so which image is meant is only known to whoever builds it")
        })?);
        rest = after;
    }
    made.push_str(rest);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        images(text).unwrap().into_iter().map(|listed| listed.text).collect()
    }

    #[test]
    fn what_a_build_pulls_is_found() {
        let text = "# syntax=docker/dockerfile:1\n# escape=\\\nARG TAG=3.20\nARG BASE=alpine:${TAG}\n\
                    FROM --platform=$BUILDPLATFORM golang:1.25 AS Build\nARG TAG=other\n\
                    RUN --mount=type=bind,from=tools:2,target=/t make \\\n  # a comment\n  all\n\
                    FROM ${BASE} as base\nFROM base\nCOPY --from=build /a /a\nCOPY --chown=1 --from=extra/files:1 /b /b\n\
                    COPY --from=0 /c /c\nRUN <<END\nFROM fake:1\nEND\nFROM scratch\nfrom last\n";
        assert_eq!(
            names(text),
            ["docker/dockerfile:1", "golang:1.25", "tools:2", "alpine:3.20", "extra/files:1", "last"]
        );
    }

    #[test]
    fn an_argument_without_default_is_said() {
        let problem = images("ARG TAG\nFROM redis:$TAG\n").unwrap_err();
        assert!(problem.contains("line 2") && problem.contains("TAG"), "{problem}");
        assert_eq!(names("ARG TAG\nFROM redis:${TAG:-7}\n"), ["redis:7"]);
        assert!(images("FROM a${B\n").is_err());
    }
}
