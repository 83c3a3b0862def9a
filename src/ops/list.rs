//! Listing what a store shows.

use serde::Serialize;

use super::records::Named;
use crate::problem::{Kind, Problem};
use crate::store::{Linked, Source, Store};

/// How many rows are read at once.
const PAGE: usize = 1000;

/// What a person selects artifacts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `ecosystem:name`, where `*` stands for any run of characters.
    Name {
        /// The ecosystem.
        ecosystem: String,
        /// The pattern of the name; `name@version` also matches the version.
        pattern: String,
    },
    /// `channel:NAME`.
    Channel(String),
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// Usage, if it is not one.
    pub fn parse(text: &str) -> Result<Selector, Problem> {
        match text.split_once(':') {
            Some(("channel", name)) if !name.is_empty() => Ok(Selector::Channel(name.to_owned())),
            Some((form @ ("bundle" | "pkg"), _)) => {
                let message = format!("selectors that begin with `{form}:` are not read by this version");
                Err(Problem::new(Kind::Usage, "selector.not-built", message)
                    .at(text)
                    .hint("write `npm:left-pad`, `npm:@org/*`, `npm:left-pad@1.3.0` or `channel:prod`"))
            }
            Some((ecosystem, pattern)) if !ecosystem.is_empty() && !pattern.is_empty() => {
                Ok(Selector::Name { ecosystem: ecosystem.to_owned(), pattern: pattern.to_owned() })
            }
            _ => Err(Problem::new(Kind::Usage, "selector.invalid", "this is not a selector")
                .at(text)
                .hint("write `npm:left-pad`, `npm:@org/*` or `channel:prod`")),
        }
    }

    /// Whether it selects an artifact.
    pub fn selects(&self, linked: &Linked) -> bool {
        match self {
            Selector::Channel(name) => linked.source == Source::Channel(name.clone()),
            Selector::Name { ecosystem, pattern } => {
                let artifact = &linked.artifact;
                *ecosystem == artifact.ecosystem
                    && (matches(pattern, &artifact.name)
                        || matches(pattern, &format!("{}@{}", artifact.name, artifact.version)))
            }
        }
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any run of characters. Linear in memory, and at most
/// quadratic in time whatever the pattern is.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            // Back to the last star, which takes one more character.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// An artifact as `ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it is called.
    #[serde(flatten)]
    pub named: Named,
    /// `channel:NAME` or `hosted`.
    pub source: String,
}

/// What a store shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// The artifacts, by ecosystem, name and version.
    pub artifacts: Vec<Shown>,
}

/// Lists what selectors select; all, if there is none.
pub fn list(store: &Store, selectors: &[Selector]) -> Result<ListReport, Problem> {
    let mut artifacts = Vec::new();
    each(store, selectors, &mut |shown| {
        artifacts.push(shown);
        Ok(())
    })?;
    Ok(ListReport { artifacts })
}

/// Walks what selectors select, by ecosystem, name and version as texts, flat in memory.
pub fn each(
    store: &Store,
    selectors: &[Selector],
    visit: &mut dyn FnMut(Shown) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut cursor = None;
    loop {
        let page = store.catalogue.list(cursor.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        cursor = Some(last.cursor.clone());
        for listed in &page {
            let linked = &listed.linked;
            if selectors.is_empty() || selectors.iter().any(|selector| selector.selects(linked)) {
                let source = match &linked.source {
                    Source::Channel(name) => format!("channel:{name}"),
                    Source::Hosted => "hosted".to_owned(),
                };
                visit(Shown { named: Named::of(&linked.artifact), source })?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("@org/*", "@org/x", true),
            ("@org/*", "@other/x", false),
            ("*lodash*", "my-lodash-es", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        // A naive matcher takes longer than anybody waits here.
        assert!(!matches(&format!("{}b", "a*".repeat(200)), &"a".repeat(2000)));
    }

    #[test]
    fn selectors_are_read_strictly() {
        assert_eq!(Selector::parse("channel:prod").unwrap(), Selector::Channel("prod".into()));
        for bad in ["", "lodash", ":x", "npm:", "channel:", "bundle:prod/1", "pkg:npm/a@1.0.0"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }
}
