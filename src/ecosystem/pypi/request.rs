//! Requests: a requirement (`attrs`, `dask[complete]>=2024`), or a document of a project, perhaps with extras and groups of it
//! (`./pyproject.toml[web]`, `./uv.lock:dev,docs`).

use super::name::Name;
use super::requirement::{Requirement, Source};
use super::unreadable::Unreadable;
use crate::problem::{Kind, Problem};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// A project.
    Requirement(Requirement),
    /// What a document says.
    Document(Document),
}

/// A document of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Its path, as it was written.
    pub(super) path: String,
    /// What it is.
    pub(super) form: Form,
    /// The extras of the project that are asked for.
    pub(super) extras: Vec<Name>,
    /// Its groups of dependencies that are asked for.
    pub(super) groups: Vec<Name>,
}

/// The documents that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Requirements,
    Pyproject,
    Pylock,
    Uv,
    Poetry,
    Pdm,
    Pipfile,
}

impl Form {
    /// What a file is by its name, if that is sure.
    pub(super) fn of_name(name: &str) -> Option<Form> {
        Some(match name {
            "pyproject.toml" => Form::Pyproject,
            "pylock.toml" => Form::Pylock,
            "uv.lock" => Form::Uv,
            "poetry.lock" => Form::Poetry,
            "pdm.lock" => Form::Pdm,
            "Pipfile.lock" => Form::Pipfile,
            _ if name.starts_with("pylock.") && name.ends_with(".toml") => Form::Pylock,
            _ if name.starts_with("requirements") && (name.ends_with(".txt") || name.ends_with(".in")) => {
                Form::Requirements
            }
            _ => return None,
        })
    }
}

/// Whether a file is one of those that are read, by its name.
pub(super) fn is_lockfile(file_name: &str) -> bool {
    Form::of_name(without_choice(file_name)).is_some()
}

/// A path without the extras and groups behind it.
fn without_choice(text: &str) -> &str {
    text.split(['[', ':']).next().unwrap_or_default()
}

impl Asked {
    /// Reads what stands after `pypi:`, or a path.
    ///
    /// # Errors
    /// Usage, if it is neither.
    pub(super) fn read(what: &str) -> Result<Asked, Problem> {
        let wrong = |why: String| {
            Problem::new(Kind::Usage, "pypi.request", format!("pypi:{what} cannot be asked for"))
                .because(why)
                .hint("pypi:NAME, pypi:NAME==VERSION, pypi:NAME[EXTRA]>=VERSION, or the path of a file: requirements.txt, pyproject.toml, pylock.toml, uv.lock, poetry.lock, pdm.lock, Pipfile.lock")
        };
        let path = without_choice(what);
        let file_name = path.rsplit('/').next().unwrap_or_default();
        let is_path = ["/", "./", "../"].iter().any(|start| what.starts_with(start));
        let form = Form::of_name(file_name).or_else(|| match is_path {
            // Whatever else it is called: pip reads any file as requirements.
            true if !file_name.ends_with(".toml") && !file_name.ends_with(".lock") => {
                Some(Form::Requirements)
            }
            _ => None,
        });
        let unreadable = |error: Unreadable| wrong(error.to_string());
        let Some(form) = form else {
            if is_path {
                return Err(wrong(format!(
                    "{file_name} is no file of dependencies that is known by its name"
                )));
            }
            let requirement = Requirement::parse(what).map_err(unreadable)?;
            if let Source::Url(url) = &requirement.source
                && !url.starts_with("https://")
                && !url.starts_with("http://")
            {
                return Err(wrong(format!("{url} is no address that files can be had from")));
            }
            return Ok(Asked::Requirement(requirement));
        };
        let rest = what.strip_prefix(path).unwrap_or_default();
        let (extras, groups) = match rest.split_once(':') {
            Some((extras, groups)) => (extras, groups),
            None => (rest, ""),
        };
        let extras = match (extras, extras.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))) {
            ("", _) => "",
            (_, Some(extras)) => extras,
            (_, None) => return Err(wrong("a bracket is not closed".to_owned())),
        };
        let names = |list: &str| {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(Name::parse).collect::<Result<Vec<_>, _>>().map_err(unreadable)
        };
        let (extras, groups) = (names(extras)?, names(groups)?);
        if form == Form::Requirements && (!extras.is_empty() || !groups.is_empty()) {
            return Err(wrong("a file of requirements has neither extras nor groups".to_owned()));
        }
        Ok(Asked::Document(Document { path: path.to_owned(), form, extras, groups }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Option<(String, Form, usize, usize)> {
        match Asked::read(text).unwrap() {
            Asked::Document(Document { path, form, extras, groups }) => {
                Some((path, form, extras.len(), groups.len()))
            }
            Asked::Requirement(_) => None,
        }
    }

    #[test]
    fn requests_are_requirements_or_documents() {
        for (text, path, form, extras, groups) in [
            ("requirements.txt", "requirements.txt", Form::Requirements, 0, 0),
            ("./deps.txt", "./deps.txt", Form::Requirements, 0, 0),
            ("app/requirements-dev.in", "app/requirements-dev.in", Form::Requirements, 0, 0),
            ("/a/pyproject.toml[web, db]", "/a/pyproject.toml", Form::Pyproject, 2, 0),
            ("uv.lock[web]:dev,docs", "uv.lock", Form::Uv, 1, 2),
            ("pdm.lock:dev", "pdm.lock", Form::Pdm, 0, 1),
            ("pylock.prod.toml", "pylock.prod.toml", Form::Pylock, 0, 0),
        ] {
            assert_eq!(document(text), Some((path.to_owned(), form, extras, groups)), "{text}");
        }
        for text in ["attrs", "dask[complete]>=2024,<2025", "a @ https://files.example.test/a-1.tar.gz"] {
            assert_eq!(document(text), None);
        }
        assert!(
            is_lockfile("Pipfile.lock")
                && is_lockfile("requirements.txt")
                && !is_lockfile("package-lock.json")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "a b",
            "attrs>=one",
            "./x.lock",
            "./x.toml",
            "uv.lock[web",
            "requirements.txt[a]",
            "a @ git+ssh://x/y",
            "uv.lock:-",
        ] {
            let problem = Asked::read(text).unwrap_err();
            assert_eq!((problem.kind, &*problem.code), (Kind::Usage, "pypi.request"), "{text}");
        }
    }
}
