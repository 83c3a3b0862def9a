//! Selectors: which artifacts of the store a verb is about. They mean the same everywhere.

use std::collections::BTreeSet;

use bundle_format::Artifact;

use super::carried::Carried;
use super::records::Named;
use crate::ecosystem::pattern::{self, Choice, Pattern};
use crate::ecosystem::{Chosen, registry};
use crate::problem::{Kind, Problem};
use crate::store::{Cursor, Linked, LinkedRef, Source, Store};

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
    /// `bundle:CHANNEL/SEQUENCE`.
    Bundle { channel: String, sequence: u64 },
    /// `pkg:…`, a package URL with `*` and `?` in it.
    Purl(String),
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
    /// Reads a selector: `channel:NAME`, `bundle:CHANNEL/SEQUENCE`, a package URL, or an ecosystem's name or word with
    /// what it makes of the rest. An ecosystem that this build does not know has patterns of names.
    ///
    /// # Errors
    /// Usage, if it is not one.
    pub fn parse(text: &str) -> Result<Selector, Problem> {
        let by = match text.split_once(':') {
            Some(("channel", name)) if !name.is_empty() => By::Channel(Source::Channel(name.to_owned())),
            Some(("bundle", name)) => {
                let parts = name.rsplit_once('/').filter(|(channel, _)| !channel.is_empty());
                let read = parts.and_then(|(channel, sequence)| Some((channel, sequence.parse().ok()?)));
                let Some((channel, sequence)) = read else { return Err(invalid(text)) };
                By::Bundle { channel: channel.to_owned(), sequence }
            }
            Some(("pkg", pattern)) if pattern.contains('/') => By::Purl(text.to_owned()),
            Some((word, pattern)) if !matches!(word, "" | "channel" | "pkg") && !pattern.is_empty() => {
                let by_word = || registry::of_word(word).filter(|found| found.words().first() == Some(&word));
                match registry::find(word).or_else(by_word) {
                    Some(found) => {
                        By::Pattern { ecosystem: found.name().to_owned(), pattern: found.pattern(pattern)? }
                    }
                    None => By::Pattern { ecosystem: word.to_owned(), pattern: pattern::names(pattern) },
                }
            }
            _ => return Err(invalid(text)),
        };
        Ok(Selector { text: text.to_owned(), by })
    }

    /// As the person wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it selects an artifact by what the artifact is called; `labelled` says whether a ref that matches a pattern
    /// leads to it. What selects by channels and bundles does not.
    ///
    /// # Errors
    /// Those of `labelled`.
    pub(super) fn names(
        &self,
        artifact: &Artifact,
        labelled: &dyn Fn(&str) -> Result<bool, Problem>,
    ) -> Result<bool, Problem> {
        match &self.by {
            By::Purl(pattern) => Ok(means(pattern, artifact)),
            By::Pattern { ecosystem, pattern } if *ecosystem == artifact.ecosystem => {
                match pattern.choose(artifact) {
                    Choice::No => Ok(false),
                    Choice::Yes => Ok(true),
                    Choice::ByLabel(pattern) => labelled(pattern),
                }
            }
            _ => Ok(false),
        }
    }

    /// What the bundle carried that it names, if it names one.
    fn carried(&self, store: &Store) -> Result<Option<Carried>, Problem> {
        let By::Bundle { channel, sequence } = &self.by else { return Ok(None) };
        Carried::read(store, channel, *sequence).map(Some)
    }
}

fn invalid(text: &str) -> Problem {
    Problem::new(Kind::Usage, "selector.invalid", "this is not a selector").at(text).hint(
        "write `npm:left-pad`, `npm:@org/*`, `docker:redis:7`, `channel:prod`, `bundle:prod/42` or `pkg:npm/left-pad`",
    )
}

/// Whether a pattern means an artifact's package URL, all of it or without its qualifiers or version.
fn means(pattern: &str, artifact: &Artifact) -> bool {
    let purl = Named::of(artifact).purl;
    let unqualified = purl.split('?').next().unwrap_or_default();
    // Of the name itself, an `@` is written %40.
    let unversioned = unqualified.split('@').next().unwrap_or_default();
    [&purl, unqualified, unversioned].iter().any(|text| pattern::matches(pattern, text))
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
    let carried: Vec<_> = selectors.iter().map(|one| one.carried(store)).collect::<Result<_, Problem>>()?;
    let mut refs = Refs { store, of: None, refs: Vec::new(), are_wanted: labels_of.is_some() };
    let mut cursor = labels_of.map(Cursor::before);
    loop {
        let page = store.catalogue.list(cursor.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(counts) };
        cursor = Some(last.cursor.clone());
        for listed in page {
            let linked = listed.linked;
            if labels_of.is_some_and(|ecosystem| linked.artifact.ecosystem != ecosystem) {
                return Ok(counts);
            }
            let mut labels = BTreeSet::new();
            let mut is_selected = selectors.is_empty();
            if is_selected {
                labels.extend(refs.all(&linked, false)?);
            }
            for ((selector, carried), count) in selectors.iter().zip(&carried).zip(&mut counts) {
                if let Some(found) = refs.selected(&linked, selector, carried.as_ref())? {
                    (is_selected, *count) = (true, *count + 1);
                    labels.extend(found);
                }
            }
            if is_selected {
                visit(Selected { linked, labels: labels.into_iter().collect() })?;
            }
        }
    }
}

/// What selectors select of an ecosystem, each artifact once, whichever sources show it; sorted. `use_for` says in messages
/// what it is to be good for.
///
/// # Errors
/// Incomplete (4), if a selector selects nothing of it; if the catalogue cannot be read.
pub fn chosen(
    store: &Store,
    ecosystem: &str,
    selectors: &[Selector],
    use_for: &str,
) -> Result<Vec<Chosen>, Problem> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let counts = each(store, Some(ecosystem), selectors, &mut |Selected { linked, labels }| {
        let artifact = linked.artifact;
        let (repository, name, version) = (artifact.repository, artifact.name, artifact.version);
        chosen.push(Chosen { repository, name, version, labels });
        Ok(())
    })?;
    if let Some((selector, _)) = selectors.iter().zip(counts).find(|(_, count)| *count == 0) {
        return Err(nothing(format!("{} selects nothing here that {use_for}", selector.text())));
    }
    chosen.sort();
    chosen.dedup_by(|later, first| {
        let is_same = (&later.repository, &later.name, &later.version)
            == (&first.repository, &first.name, &first.version);
        if is_same {
            first.labels.append(&mut later.labels);
            first.labels.sort();
            first.labels.dedup();
        }
        is_same
    });
    Ok(chosen)
}

/// Nothing is there to work on.
pub(super) fn nothing(message: String) -> Problem {
    Problem::new(Kind::Incomplete, "selector.nothing", message).hint("`aftk ls` lists what is here")
}

/// The refs of the package that was asked for last: artifacts come package by package.
struct Refs<'a> {
    store: &'a Store,
    of: Option<[String; 3]>,
    refs: Vec<LinkedRef>,
    /// Whether anybody asks for labels.
    are_wanted: bool,
}

impl Refs<'_> {
    /// The labels by which a selector selects an artifact; `None` if it does not.
    fn selected(
        &mut self,
        linked: &Linked,
        selector: &Selector,
        carried: Option<&Carried>,
    ) -> Result<Option<Vec<String>>, Problem> {
        Ok(match (&selector.by, carried) {
            (By::Channel(source), _) if linked.source == *source => Some(self.all(linked, true)?),
            (By::Bundle { .. }, Some(carried)) => carried.labels(linked).map(<[String]>::to_vec),
            (By::Purl(pattern), _) if means(pattern, &linked.artifact) => Some(self.all(linked, false)?),
            (By::Pattern { ecosystem, pattern }, _) if *ecosystem == linked.artifact.ecosystem => {
                match pattern.choose(&linked.artifact) {
                    Choice::No => None,
                    Choice::Yes => Some(self.all(linked, false)?),
                    Choice::ByLabel(pattern) => {
                        Some(self.labels(linked, pattern, false)?).filter(|found| !found.is_empty())
                    }
                }
            }
            _ => None,
        })
    }

    /// All labels that lead to an artifact, if anybody asks for them; as [`Refs::labels`].
    fn all(&mut self, linked: &Linked, is_own: bool) -> Result<Vec<String>, Problem> {
        if self.are_wanted { self.labels(linked, "*", is_own) } else { Ok(Vec::new()) }
    }

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
        let one = (vec![pair("2.0.0", "")], vec![1]);
        assert_eq!(selected(&["pkg:npm/a@2.*"]), one);
        assert_eq!(selected(&["pkg:npm/?", "pkg:npm/b*"]).1, vec![2, 0]);
    }

    #[test]
    fn selectors_are_read_strictly() {
        for good in ["channel:prod", "bundle:prod/1", "pkg:npm/a@1.0.0", "pkg:npm/*", "conda:*"] {
            assert_eq!(Selector::parse(good).unwrap().text(), good);
        }
        for bad in [
            "",
            "lodash",
            ":x",
            "npm:",
            "channel:",
            "bundle:",
            "bundle:prod",
            "bundle:/1",
            "bundle:a/x",
            "pkg:a",
        ] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }
}
