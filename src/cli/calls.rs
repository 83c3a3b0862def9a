//! Calls of this program in what people read: completed, so that they work as they are printed.

use std::path::Path;

use super::Global;
use crate::problem::Problem;

/// Verbs that do not look into a home.
const WITHOUT_HOME: [&str; 5] = ["init", "setup", "completion", "demo", "version"];
/// How a call begins in a text. One for the other side of the air gap stands without backticks.
const CALL: &str = "`aftk ";

/// What the calls of this run need besides their own words.
pub(super) struct Calls {
    home: String,
    directory: String,
}

impl Calls {
    /// For what the person chose; a home that nobody chose is found again without being named.
    pub(super) fn new(global: &Global) -> Calls {
        let option = |name: &str, path: &Option<std::path::PathBuf>| {
            path.as_ref().map(|path| format!("{name} {} ", quoted(path))).unwrap_or_default()
        };
        Calls { home: option("--home", &global.home), directory: option("-C", &global.directory) }
    }

    /// The text with every call in backticks completed.
    pub(super) fn complete(&self, text: &str) -> String {
        let mut parts = text.split(CALL);
        let mut completed = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            completed.push_str(CALL);
            let verb: &str = part.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
            if !verb.is_empty() {
                completed.push_str(if WITHOUT_HOME.contains(&verb) { "" } else { &self.home });
                completed.push_str(&self.directory);
            }
            completed.push_str(part);
        }
        completed
    }

    /// The problem with the calls in its hints completed.
    pub(super) fn complete_hints(&self, mut problem: Problem) -> Problem {
        for hint in &mut problem.hints {
            *hint = self.complete(hint);
        }
        problem
    }
}

/// A path as one word for a shell.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.into_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_name_the_home_and_the_directory_that_were_chosen() {
        let calls = Calls { home: "--home /h ".to_owned(), directory: "-C d ".to_owned() };
        for (text, completed) in [
            (
                "run `aftk check`, then `aftk key list`",
                "run `aftk --home /h -C d check`, then `aftk --home /h -C d key list`",
            ),
            ("`aftk init` writes one", "`aftk -C d init` writes one"),
            ("`aftk VERB --help`, `aftk --help`", "`aftk VERB --help`, `aftk --help`"),
            ("there: aftk key show", "there: aftk key show"),
            ("", ""),
        ] {
            assert_eq!(calls.complete(text), completed);
        }
    }

    #[test]
    fn paths_are_one_word() {
        for (path, word) in [("/a/b-1", "/a/b-1"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''")] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
