//! Selectors: which artifacts of the store a verb is about. They mean the same everywhere.

use std::collections::BTreeSet;

use crate::ecosystem::pattern::{self, Choice, Pattern};
use crate::ecosystem::registry;
use crate::problem::{Kind, Problem};
use crate::store::{Linked, LinkedRef, Source, Store};

/// How many rows are read at once.
const PAGE: usize = 1000;

/// What a person selects artifacts by.
pub struct Selector {
    text: String,
    by: By,
}

enum By {
    /// `channel:NAME`.
    Channel(Source),
    /// `ecosystem:…`, in the ecosystem's own grammar.
    Pattern { ecosystem: String, pattern: Box<dyn Pattern> },
}

/// An artifact that was selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The artifact. It is there once for each source that shows it and is selected.
    pub linked: Linked,
    /// The labels of the refs that lead to it, as far as they are selected; sorted. Only where they were asked for.
    pub labels: Vec<String>,
}

impl Selector {
    /// Reads a selector: `channel:NAME`, or an ecosystem's name or word with what it makes of the rest. An ecosystem that
    /// this build does not know has patterns of names.
    ///
    /// # Errors
    /// Usage, if it is not one.
    pub fn parse(text: &str) -> Result<Selector, Problem> {
        let by = match text.split_once(':') {
            Some(("channel", name)) if !name.is_empty() => By::Channel(Source::Channel(name.to_owned())),
            Some((form @ ("bundle" | "pkg"), _)) => {
                let message = format!("selectors that begin with `{form}:` are not read by this version");
                return Err(Problem::new(Kind::Usage, "selector.not-built", message)
                    .at(text)
                    .hint("write `npm:left-pad`, `npm:@org/*`, `npm:left-pad@1.3.0` or `channel:prod`"));
            }
            Some((word, pattern)) if !word.is_empty() && !pattern.is_empty() => {
                let by_word = || registry::of_word(word).filter(|found| found.words().first() == Some(&word));
                match registry::find(word).or_else(by_word) {
                    Some(found) => {
                        By::Pattern { ecosystem: found.name().to_owned(), pattern: found.pattern(pattern)? }
                    }
                    None => By::Pattern { ecosystem: word.to_owned(), pattern: pattern::names(pattern) },
                }
            }
            _ => {
                return Err(Problem::new(Kind::Usage, "selector.invalid", "this is not a selector")
                    .at(text)
                    .hint("write `npm:left-pad`, `npm:@org/*`, `docker:redis:7` or `channel:prod`"));
            }
        };
        Ok(Selector { text: text.to_owned(), by })
    }

    /// As the person wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says of an artifact, and whether only the refs of the artifact's own source count.
    fn choose(&self, linked: &Linked) -> (Choice<'_>, bool) {
        match &self.by {
            By::Channel(source) if linked.source == *source => (Choice::Yes, true),
            By::Pattern { ecosystem, pattern } if *ecosystem == linked.artifact.ecosystem => {
                (pattern.choose(&linked.artifact), false)
            }
            _ => (Choice::No, false),
        }
    }
}

/// Walks what selectors select (all, if there is none), by ecosystem, name and version as texts, flat in memory. With
/// `labels_of`, only artifacts of that ecosystem, with the labels that lead to them. Returns how many artifacts each selector
/// selected.
///
/// # Errors
/// If the catalogue cannot be read, or `visit` fails.
pub fn each(
    store: &Store,
    labels_of: Option<&str>,
    selectors: &[Selector],
    visit: &mut dyn FnMut(Selected) -> Result<(), Problem>,
) -> Result<Vec<u64>, Problem> {
    let mut counts = vec![0; selectors.len()];
    let mut refs = Refs { store, of: None, refs: Vec::new() };
    let mut cursor = None;
    loop {
        let page = store.catalogue.list(cursor.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(counts) };
        cursor = Some(last.cursor.clone());
        for listed in page {
            let linked = listed.linked;
            if labels_of.is_some_and(|ecosystem| linked.artifact.ecosystem != ecosystem) {
                continue;
            }
            let mut labels = BTreeSet::new();
            let mut is_selected = selectors.is_empty();
            if is_selected && labels_of.is_some() {
                labels.extend(refs.labels(&linked, "*", false)?);
            }
            for (selector, count) in selectors.iter().zip(&mut counts) {
                let (chosen, is_own) = selector.choose(&linked);
                let (found, needs_one) = match chosen {
                    Choice::No => continue,
                    Choice::Yes if labels_of.is_none() => (Vec::new(), false),
                    Choice::Yes => (refs.labels(&linked, "*", is_own)?, false),
                    Choice::ByLabel(pattern) => (refs.labels(&linked, pattern, is_own)?, true),
                };
                if !(needs_one && found.is_empty()) {
                    (is_selected, *count) = (true, *count + 1);
                }
                labels.extend(found);
            }
            if is_selected {
                visit(Selected { linked, labels: labels.into_iter().collect() })?;
            }
        }
    }
}

/// The refs of the package that was asked for last: artifacts come package by package.
struct Refs<'a> {
    store: &'a Store,
    of: Option<[String; 3]>,
    refs: Vec<LinkedRef>,
}

impl Refs<'_> {
    /// The labels that match a pattern and lead to an artifact. Of several sources that set one, the first has precedence;
    /// with `is_own`, no other than the artifact's own counts.
    fn labels(&mut self, linked: &Linked, pattern: &str, is_own: bool) -> Result<Vec<String>, Problem> {
        let artifact = &linked.artifact;
        let of = [&artifact.ecosystem, &artifact.repository, &artifact.name].map(Clone::clone);
        if self.of.as_ref() != Some(&of) {
            let [ecosystem, repository, name] = &of;
            self.refs = self.store.catalogue.refs(ecosystem, Some(repository), name, None)?;
            self.of = Some(of);
        }
        let mut seen = BTreeSet::new();
        let counting = self.refs.iter().filter(|one| !is_own || one.source == linked.source);
        let first = counting.map(|one| &one.reference).filter(|one| seen.insert(&one.label));
        let leading =
            first.filter(|one| one.version == artifact.version && pattern::matches(pattern, &one.label));
        Ok(leading.map(|one| one.label.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::{Record, Ref};

    use super::*;
    use crate::ops::testing::{artifact, import};

    #[test]
    fn a_label_leads_where_the_channel_with_precedence_says_or_the_one_that_was_selected() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for (channel, version) in [("first", "1.0.0"), ("second", "2.0.0")] {
            let latest = Ref {
                ecosystem: "npm".into(),
                repository: "registry.example.test".into(),
                name: "a".into(),
                label: "latest".into(),
                version: version.into(),
            };
            import(&store, channel, &[artifact("a", version, &[version]), Record::Ref(latest)]);
        }
        let selected = |selectors: &[&str]| {
            let selectors: Vec<_> = selectors.iter().map(|text| Selector::parse(text).unwrap()).collect();
            let mut found = Vec::new();
            let counts = each(&store, Some("npm"), &selectors, &mut |selected| {
                found.push((selected.linked.artifact.version, selected.labels.join(" ")));
                Ok(())
            });
            (found, counts.unwrap())
        };
        let pair = |version: &str, labels: &str| (version.to_owned(), labels.to_owned());
        let both = vec![pair("1.0.0", "latest"), pair("2.0.0", "")];
        assert_eq!(selected(&[]), (both.clone(), vec![]));
        assert_eq!(selected(&["npm:a", "npm:b"]), (both, vec![2, 0]));
        assert_eq!(selected(&["channel:second"]), (vec![pair("2.0.0", "latest")], vec![1]));
        assert_eq!(selected(&["file:a"]), (vec![], vec![0]));
    }

    #[test]
    fn selectors_are_read_strictly() {
        assert_eq!(Selector::parse("channel:prod").unwrap().text(), "channel:prod");
        for bad in ["", "lodash", ":x", "npm:", "channel:", "bundle:prod/1", "pkg:npm/a@1.0.0"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }
}
