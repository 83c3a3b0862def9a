//! Lists of images that people already have: text files, compose files, Kubernetes manifests, Dockerfiles.

use std::path::Path;

use super::reference::Reference;
use super::{dockerfile, image_yaml};
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest list that is read, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;
/// The most images that one list may name.
const MOST: usize = 20_000;

/// An image as a list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// The line that names it, from 1.
    pub(super) line: usize,
    /// Its name there.
    pub(super) text: String,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Dockerfile,
    Yaml,
    Text,
}

/// What a file is, by its name.
fn form(file_name: &str) -> Form {
    let lower = file_name.to_ascii_lowercase();
    let is = |word: &str| {
        lower == word || lower.starts_with(&format!("{word}.")) || lower.ends_with(&format!(".{word}"))
    };
    if is("dockerfile") || is("containerfile") {
        Form::Dockerfile
    } else if lower.ends_with(".yaml") || lower.ends_with(".yml") {
        Form::Yaml
    } else {
        Form::Text
    }
}

/// Whether a file is a list of images by its name, so that it needs no word before it.
pub(super) fn is_list(file_name: &str) -> bool {
    matches!(
        file_name,
        "compose.yaml"
            | "compose.yml"
            | "docker-compose.yaml"
            | "docker-compose.yml"
            | "Dockerfile"
            | "Containerfile"
    )
}

/// Whether a request names a file instead of an image.
pub(super) fn is_path(what: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| what.starts_with(start) && !what.starts_with("//")) || is_list(what)
}

/// Reads the images that a file lists, each once, sorted.
///
/// # Errors
/// If there is no such file, it cannot be read, or names something that is no image.
pub(super) async fn read(what: &str, context: &dyn CollectContext) -> Result<Vec<Reference>, Problem> {
    let path = Path::new(what);
    let bytes = context.read(path, LARGEST).await?.ok_or_else(|| {
        Problem::new(Kind::Usage, "oci.no-list", "there is no such list of images").at(what)
    })?;
    let wrong = |why: String| {
        Problem::new(Kind::Usage, "oci.bad-list", "the list of images cannot be read").at(what).because(why)
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let listed = match form(path.file_name().and_then(|name| name.to_str()).unwrap_or_default()) {
        Form::Dockerfile => dockerfile::images(text),
        Form::Yaml => {
            let beside = context.read(&path.with_file_name(".env"), LARGEST).await?;
            let beside = beside.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let variable = |name: &str| context.environment(name).or_else(|| in_env_file(&beside, name));
            image_yaml::images(text, &variable)
        }
        Form::Text => Ok(lines(text)),
    };
    let listed = listed.map_err(wrong)?;
    if listed.len() > MOST {
        return Err(wrong(format!("it names {} images, and more than {MOST} are not read", listed.len())));
    }
    let mut references = Vec::with_capacity(listed.len());
    for Listed { line, text } in listed {
        references
            .push(super::request::read(&text).map_err(|problem| problem.at(format_args!("{what}:{line}")))?);
    }
    references.sort();
    references.dedup();
    if references.is_empty() {
        return Err(wrong("it names no image".to_owned()));
    }
    Ok(references)
}

/// One image a line; `#` begins a comment.
fn lines(text: &str) -> Vec<Listed> {
    let lines = text.lines().enumerate().map(|(number, line)| {
        // A hash within a name belongs to it: `app:1.*#newest=3`.
        let line = line.trim();
        let end = if line.starts_with('#') { 0 } else { line.find(" #").unwrap_or(line.len()) };
        let name = line.get(..end).unwrap_or_default().trim();
        Listed { line: number + 1, text: name.strip_prefix("docker:").unwrap_or(name).to_owned() }
    });
    lines.filter(|listed| !listed.text.is_empty()).collect()
}

/// A variable of the file `.env` that compose reads beside its own.
fn in_env_file(text: &str, name: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        let key = key.trim().strip_prefix("export ").unwrap_or(key.trim());
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        (key == name).then(|| quoted.unwrap_or(value).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name() {
        for (name, expected) in [
            ("Dockerfile", Form::Dockerfile),
            ("Dockerfile.prod", Form::Dockerfile),
            ("app.Dockerfile", Form::Dockerfile),
            ("Containerfile", Form::Dockerfile),
            ("compose.yaml", Form::Yaml),
            ("deployment.YML", Form::Yaml),
            ("images.txt", Form::Text),
            ("images", Form::Text),
        ] {
            assert_eq!(form(name), expected, "{name}");
        }
        assert!(
            is_path("./images.txt") && is_path("/images") && is_path("compose.yaml") && !is_path("//redis")
        );
    }

    #[test]
    fn text_files_have_one_image_a_line() {
        let text = "# ours\nredis:7\n\n  docker:app:1.*#newest=3   # three\ndocker://x/y\n";
        let found: Vec<_> = lines(text).into_iter().map(|listed| (listed.line, listed.text)).collect();
        let expected = [(2, "redis:7"), (4, "app:1.*#newest=3"), (5, "//x/y")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn variables_beside_a_compose_file_are_found() {
        let text = "A=1\nexport B = \"two\"\nA='3'\n#C=4\n";
        let found = |name| in_env_file(text, name);
        assert_eq!(
            (found("A"), found("B"), found("C")),
            (Some("3".to_owned()), Some("two".to_owned()), None)
        );
    }
}
