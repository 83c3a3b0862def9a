//! The images that YAML documents name: compose files, and whatever Kubernetes takes.
//!
//! An image stands under the key `image`, wherever that is: Kubernetes' own resources have it in many places, those of
//! others in more. A volume of an image has it one deeper, under `reference`. What compose builds itself is not had from
//! a registry.

use saphyr_parser::{Event, Parser};

use super::image_list::Listed;

/// How deep documents may be.
const DEEPEST: usize = 100;

/// What is being read.
enum Open {
    Mapping {
        /// The key whose value comes next.
        key: Option<String>,
        /// The key in the mapping around that this one is the value of.
        of: Option<String>,
        /// What may be an image of this mapping.
        images: Vec<Listed>,
        builds: bool,
    },
    Sequence,
}

/// Finds the images of all documents of a file. `variable` knows the variables that compose puts in.
///
/// # Errors
/// If it is not YAML, or a variable that has to be set isn't.
pub(super) fn images(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Listed>, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut found = Vec::new();
    let mut of_document = Vec::new();
    let mut is_compose = false;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| format!("it is not YAML: {error}"))?;
        match event {
            Event::DocumentStart(_) => is_compose = false,
            Event::DocumentEnd => {
                for Listed { line, text } in of_document.drain(..) {
                    let text = if is_compose {
                        interpolate(text, variable).map_err(|why| format!("line {line}: {why}"))?
                    } else {
                        text
                    };
                    found.push(Listed { line, text });
                }
            }
            Event::MappingStart(..) => {
                let of = value_begins(&mut open);
                open.push(Open::Mapping { key: None, of, images: Vec::new(), builds: false });
            }
            Event::SequenceStart(..) => {
                value_begins(&mut open);
                open.push(Open::Sequence);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Open::Mapping { images, builds: false, .. }) = open.pop() {
                    of_document.extend(images);
                }
            }
            Event::Alias(_) => drop(value_begins(&mut open)),
            Event::Scalar(value, ..) => {
                let is_top = open.len() == 1;
                let Some(Open::Mapping { key, of, images, builds }) = open.last_mut() else { continue };
                let Some(key) = key.take() else {
                    is_compose |= is_top && value == "services";
                    *builds |= value == "build";
                    *key = Some(value.into_owned());
                    continue;
                };
                let is_image = key == "image" || key == "reference" && of.as_deref() == Some("image");
                if is_image && !value.is_empty() && value != "~" {
                    images.push(Listed { line: span.start.line(), text: value.into_owned() });
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
        }
        if open.len() > DEEPEST {
            return Err(format!("it is deeper than {DEEPEST} levels"));
        }
    }
    Ok(found)
}

/// A value that is no scalar begins (or a key, which nobody here has): the key that it is of.
fn value_begins(open: &mut [Open]) -> Option<String> {
    match open.last_mut() {
        Some(Open::Mapping { key, .. }) => match key.take() {
            Some(key) => Some(key),
            None => {
                *key = Some(String::new());
                None
            }
        },
        _ => None,
    }
}

/// Puts in variables as compose does (compose specification, "Interpolation"): `$NAME`, `${NAME}`, with `:-` or `-` and
/// a default, with `:+` or `+` and what stands for one that is set, with `:?` or `?` and why it must be set; `$$` is a
/// dollar.
fn interpolate(text: String, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text);
    }
    let mut made = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            made.push('$');
            rest = after;
            continue;
        }
        if let Some(inner) = after.strip_prefix('{') {
            let end =
                matching_brace(inner).ok_or_else(|| format!("{text:?} has a brace that is never closed"))?;
            let (inner, after) = inner.split_at(end);
            made.push_str(&expand(inner, variable)?);
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        if name.is_empty() {
            return Err(format!("{text:?} has a dollar that begins no variable"));
        }
        made.push_str(&variable(name).ok_or_else(|| unset(name))?);
        rest = after;
    }
    made.push_str(rest);
    Ok(made)
}

fn unset(name: &str) -> String {
    format!("the variable {name} is not set, neither in the environment nor in .env")
}

fn matching_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What stands between braces.
fn expand(inner: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let (rest, or_empty) = match rest.strip_prefix(':') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let value = variable(name).filter(|value| !or_empty || !value.is_empty());
    let other = || interpolate(rest.get(1..).unwrap_or_default().to_owned(), variable);
    match (rest.chars().next(), value) {
        (None, Some(value)) | (Some('-' | '?'), Some(value)) => Ok(value),
        (Some('-'), None) | (Some('+'), Some(_)) => other(),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("{}: {}", unset(name), other()?)),
        (None, None) => Err(unset(name)),
        (Some(_), _) => Err(format!("${{{inner}}} is no variable of compose")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let variable = |name: &str| match name {
            "TAG" => Some("7".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        images(text, &variable).unwrap().into_iter().map(|listed| (listed.line, listed.text)).collect()
    }

    fn names(text: &str) -> Vec<String> {
        found(text).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn compose_files_name_what_they_do_not_build() {
        let text = "x-common: &common\n  image: common:1\nservices:\n  cache:\n    image: redis:${TAG}\n  \
                    web:\n    <<: *common\n    ports: ['80:80']\n  own:\n    build: .\n    image: own:1\n  \
                    other:\n    image: \"${REGISTRY:-registry.example.test}/other:${EMPTY:-$TAG}\"\n";
        assert_eq!(
            found(text),
            [
                (2, "common:1".to_owned()),
                (5, "redis:7".to_owned()),
                (13, "registry.example.test/other:7".to_owned())
            ]
        );
    }

    #[test]
    fn kubernetes_names_images_in_many_places() {
        let text = "apiVersion: v1\nkind: Pod\nspec:\n  initContainers:\n  - {name: a, image: first:1}\n  \
                    containers:\n  - name: b\n    image: second:1\n    imagePullPolicy: Always\n  volumes:\n  \
                    - name: c\n    image:\n      reference: third:1\n      pullPolicy: Always\n---\n\
                    kind: Prometheus\nspec:\n  image: fourth:1\n  other: {reference: none}\n---\n# nothing\n";
        assert_eq!(names(text), ["first:1", "second:1", "third:1", "fourth:1"]);
    }

    #[test]
    fn variables_are_put_in_as_compose_does() {
        let variable = |name: &str| match name {
            "SET" => Some("set".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let made = |text: &str| interpolate(text.to_owned(), &variable);
        for (text, expected) in [
            ("a", "a"),
            ("$SET-x", "set-x"),
            ("${SET}x", "setx"),
            ("$$SET", "$SET"),
            ("${NONE:-a${SET}}", "aset"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${SET:+y}", "y"),
            ("${NONE+y}", ""),
            ("${SET?must}", "set"),
        ] {
            assert_eq!(made(text).as_deref(), Ok(expected), "{text}");
        }
        for bad in ["$NONE", "${NONE}", "${NONE:?must}", "${SET", "$-", "${SET!}"] {
            assert!(made(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_refused() {
        let none = |_: &str| None;
        assert!(images("a: [", &none).is_err());
        assert!(images("a: b: c", &none).is_err());
        assert!(images(&"[".repeat(5_000), &none).is_err());
        assert!(images(&"- ".repeat(5_000), &none).is_err());
        assert_eq!(images("? {image: x}\n: image\n", &none).unwrap().len(), 1);
    }
}
