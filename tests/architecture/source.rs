//! Reads Rust source as the architecture test needs it: without tests, comments and the insides of strings, as the
//! paths it names.
//!
//! This is no parser. It knows what `cargo fmt` leaves behind, and errs towards seeing a path too many.

/// A source file, by its path below the repository.
pub(crate) struct Source {
    /// `src/ops/pack.rs`.
    pub(crate) path: String,
    /// How many lines it has, tests and all.
    pub(crate) lines: usize,
    /// Every path named outside tests, in full: `crate::ops::pack`, `std::fs::write`. Macros end in `!`.
    pub(crate) names: Vec<String>,
    /// Every cargo feature that is asked for outside tests.
    pub(crate) features: Vec<String>,
    /// The modules that are declared for tests alone.
    pub(crate) test_modules: Vec<String>,
}

impl Source {
    pub(crate) fn read(path: &str, text: &str) -> Source {
        let (tokens, test_modules) = without_tests(tokens(text));
        let features = tokens.windows(3).filter_map(|three| match three {
            [feature, equals, name] if feature == "feature" && equals == "=" => name.strip_prefix('"'),
            _ => None,
        });
        let features = features.map(str::to_owned).collect();
        let names = names(&tokens, &module_of(path));
        Source { path: path.to_owned(), lines: text.lines().count(), names, features, test_modules }
    }

    /// The module it is: `["ops", "pack"]`.
    pub(crate) fn module(&self) -> Vec<String> {
        module_of(&self.path)
    }
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(str::to_owned).collect()
}

/// Identifiers, `::`, string literals (as `"` and their content) and single punctuation.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let (mut tokens, mut here) = (Vec::new(), 0);
    while here < chars.len() {
        let start = here;
        match at(here) {
            '/' if at(here + 1) == '/' => {
                while here < chars.len() && at(here) != '\n' {
                    here += 1;
                }
            }
            'r' if at(here + 1) == '#' && at(here + 2) == '"' => {
                here += 3;
                let content = here;
                while here < chars.len() && !(at(here) == '"' && at(here + 1) == '#') {
                    here += 1;
                }
                tokens.push(format!("\"{}", chars[content..here].iter().collect::<String>()));
                here += 2;
            }
            '"' => {
                here += 1;
                while here < chars.len() && at(here) != '"' {
                    here += if at(here) == '\\' { 2 } else { 1 };
                }
                let end = here.min(chars.len());
                tokens.push(chars[start..end].iter().collect());
                here += 1;
            }
            // A character, not a lifetime.
            '\'' if at(here + 1) == '\\' => here += if at(here + 2) == 'u' { 5 } else { 4 },
            '\'' if at(here + 2) == '\'' => here += 3,
            ':' if at(here + 1) == ':' => {
                tokens.push("::".to_owned());
                here += 2;
            }
            c if c.is_alphanumeric() || c == '_' => {
                while at(here).is_alphanumeric() || at(here) == '_' {
                    here += 1;
                }
                tokens.push(chars[start..here].iter().collect());
            }
            c if c.is_whitespace() => here += 1,
            c => {
                tokens.push(c.to_string());
                here += 1;
            }
        }
    }
    tokens
}

/// Drops every item behind `#[cfg(test)]`, and names the modules among them.
fn without_tests(tokens: Vec<String>) -> (Vec<String>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut modules, mut here) = (Vec::new(), Vec::new(), 0);
    while here < tokens.len() {
        if !tokens[here..].iter().take(MARK.len()).eq(MARK.iter()) {
            kept.push(tokens[here].clone());
            here += 1;
            continue;
        }
        here += MARK.len();
        if let Some(place) = tokens[here..].iter().take(6).position(|token| token == "mod") {
            modules.extend(tokens.get(here + place + 1).cloned());
        }
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(here) {
            here += 1;
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(token.as_str(), ";" | "}") {
                break;
            }
        }
    }
    (kept, modules)
}

/// Every path, in full; `crate`, `self` and `super` are resolved, groups of a `use` are spread out.
fn names(tokens: &[String], module: &[String]) -> Vec<String> {
    let (mut names, mut here) = (Vec::new(), 0);
    while here < tokens.len() {
        here = path(tokens, here, Vec::new(), module, &mut names).max(here + 1);
    }
    // `use std::fs;` makes `fs::write` mean `std::fs::write`.
    let meant = names.iter().flat_map(|name| {
        let (first, rest) = name.split_once("::").unwrap_or((name, ""));
        let whole =
            names.iter().filter(move |other| other.rsplit_once("::").is_some_and(|(_, last)| last == first));
        whole.filter(move |_| !rest.is_empty()).map(move |whole| format!("{whole}::{rest}"))
    });
    let meant: Vec<_> = meant.collect();
    names.extend(meant);
    names.sort();
    names.dedup();
    names
}

/// Reads one path, or one group of them; returns where it ends.
fn path(
    tokens: &[String],
    mut here: usize,
    mut so_far: Vec<String>,
    module: &[String],
    names: &mut Vec<String>,
) -> usize {
    let token = |index: usize| tokens.get(index).map_or("", String::as_str);
    loop {
        match token(here) {
            "{" if !so_far.is_empty() => {
                here += 1;
                while !matches!(token(here), "}" | "") {
                    here = path(tokens, here, so_far.clone(), module, names).max(here + 1);
                    if token(here) == "as" {
                        here += 2;
                    }
                    if token(here) == "," {
                        here += 1;
                    }
                }
                return here + 1;
            }
            word if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                match word {
                    "crate" => so_far = vec!["crate".to_owned()],
                    "self" if so_far.is_empty() => so_far.extend(above(module, 0)),
                    "self" => {}
                    "super" if so_far.first().is_none_or(|first| first != "crate") => {
                        so_far = above(module, 1);
                    }
                    "super" => _ = so_far.pop(),
                    _ => so_far.push(word.to_owned()),
                }
                here += 1;
            }
            _ => break,
        }
        if token(here) != "::" {
            break;
        }
        here += 1;
    }
    if token(here) == "!" && so_far.len() == 1 {
        names.push(format!("{}!", so_far[0]));
    } else if so_far.len() > 1 {
        names.push(so_far.join("::"));
    }
    here
}

/// The module so many floors up, as a path.
fn above(module: &[String], floors: usize) -> Vec<String> {
    let kept = module.len().saturating_sub(floors);
    std::iter::once("crate".to_owned()).chain(module[..kept].iter().cloned()).collect()
}

#[test]
fn paths_are_seen_in_every_spelling() {
    let text = r##"
        use std::fs::{self, OpenOptions as Options};
        use super::{lock::Lock, super::net};
        use crate::{problem::Problem, store};
        // crate::comment::is_not_seen
        fn f(c: char) { let _ = ("crate::string::is_not_seen", 'x', '"'); self::g(); println!("said"); fs::write(); }
        #[cfg(feature = "npm")]
        fn g() {}
        #[cfg(test)]
        mod tests { use crate::cli; fn f() { x(); } }
        #[cfg(test)]
        pub(crate) mod fake;
        fn after(x: &sha2::Sha256) {}
    "##;
    let source = Source::read("src/ops/pack.rs", text);
    let expected = [
        "crate::net",
        "crate::ops::lock::Lock",
        "crate::ops::pack::g",
        "crate::problem::Problem",
        "crate::store",
        "fs::write",
        "println!",
        "sha2::Sha256",
        "std::fs",
        "std::fs::OpenOptions",
        "std::fs::write",
    ];
    assert_eq!(source.names, expected);
    assert_eq!(source.features, ["npm"]);
    assert_eq!(source.test_modules, ["tests", "fake"]);
}
