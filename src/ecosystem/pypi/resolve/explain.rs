//! Why there is no solution: who wants what, in words.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use pubgrub::{DerivationTree, External, NoSolutionError, Ranges};

use super::package::Package;
use super::provider::{Provider, newest_first};
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::version::Version;

/// The most lines that a person is shown.
const MOST_LINES: usize = 20;
/// The most reasons for not taking versions of one project.
const MOST_REASONS: usize = 3;

/// How a line begins that says what was asked for.
const ASKED: &str = "you ask for";

type Tree<'a> = NoSolutionError<Provider<'a>>;

/// Each thing that, together with the others, cannot be.
pub(super) fn explain(tree: &Tree<'_>, provider: &Provider<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for external in externals(tree) {
        let told = match external {
            External::NotRoot(..) => Vec::new(),
            External::NoVersions(package, range) => missing(package, range, provider),
            External::Custom(package, range, why) => {
                vec![format!("{}: {why}", these(package, range, provider))]
            }
            External::FromDependencyOf(of, versions, package, range) => {
                wish(of, versions, package, range, provider)
            }
        };
        for line in told {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    // What a person can change comes first.
    lines.sort_by_key(|line| !line.starts_with(ASKED));
    if lines.len() > MOST_LINES {
        let more = lines.len() - MOST_LINES;
        lines.truncate(MOST_LINES);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The causes at the ends of a tree, in its order. Trees share branches, so each is entered once.
fn externals<'t, 'a>(tree: &'t Tree<'a>) -> Vec<&'t External<Package, Ranges<Version>, String>> {
    let mut found = Vec::new();
    let mut entered = HashSet::new();
    let mut waiting = vec![tree];
    while let Some(tree) = waiting.pop() {
        match tree {
            DerivationTree::External(external) => found.push(external),
            DerivationTree::Derived(derived) => {
                for cause in [&derived.cause2, &derived.cause1] {
                    if entered.insert(Arc::as_ptr(cause)) {
                        waiting.push(cause);
                    }
                }
            }
        }
    }
    found
}

/// What one package wants of another.
fn wish(
    of: &Package,
    versions: &Ranges<Version>,
    package: &Package,
    range: &Ranges<Version>,
    provider: &Provider<'_>,
) -> Vec<String> {
    let Some(name) = package.project() else { return Vec::new() };
    match of {
        // That an extra is of its project's version needs no words.
        Package::Extra(owner, _) if owner == name => Vec::new(),
        Package::Root => {
            let asked = provider.wanted.requirements.iter().filter(|requirement| requirement.name == *name);
            let mut lines: Vec<_> = asked.map(|requirement| format!("{ASKED} {requirement}")).collect();
            lines.extend(constraints(name, provider));
            lines
        }
        _ => {
            let wanted = format!("{} needs {package}{}", these(of, versions, provider), written(range));
            [wanted].into_iter().chain(constraints(name, provider)).collect()
        }
    }
}

fn constraints(name: &Name, provider: &Provider<'_>) -> Vec<String> {
    let constraints = provider.wanted.constraints.iter().filter(|constraint| constraint.name == *name);
    constraints.map(|constraint| format!("a constraint says {constraint}")).collect()
}

/// Why nothing of a set can be taken.
fn missing(package: &Package, range: &Ranges<Version>, provider: &Provider<'_>) -> Vec<String> {
    let Some(name) = package.project() else { return Vec::new() };
    if let Some(url) = provider.url(name) {
        return vec![format!("{name} is to be had from {url}, which has no version that will do")];
    }
    let Ok((_, releases)) = provider.releases(name) else { return Vec::new() };
    let Some(newest) = releases.last() else {
        return vec![format!("no index has a project {name}")];
    };
    let within = newest_first(releases, range);
    let reasons: Vec<_> =
        within.filter_map(|release| provider.why_not(name, release)).take(MOST_REASONS).collect();
    let beyond = match range.bounding_range() {
        Some((Bound::Included(low), _)) => *low > newest.version,
        _ => false,
    };
    if reasons.is_empty() && beyond {
        return vec![format!("the newest {name} is {}", newest.version)];
    }
    reasons
}

/// A package in some versions: `a 1.0`, `a 1.0 to 1.4`, `every a`.
fn these(package: &Package, range: &Ranges<Version>, provider: &Provider<'_>) -> String {
    let releases =
        package.project().and_then(|name| provider.releases(name).ok()).map(|(_, releases)| releases);
    let Some(releases) = releases.filter(|releases| !releases.is_empty()) else { return package.to_string() };
    let mut within = newest_first(releases, range);
    let Some(newest) = within.next() else { return format!("{package}{}", written(range)) };
    match within.last() {
        None => format!("{package} {}", newest.version),
        Some(_) if *range == Ranges::full() => format!("every {package}"),
        Some(oldest) => format!("{package} {} to {}", oldest.version, newest.version),
    }
}

/// A set as specifiers write it.
fn written(range: &Ranges<Version>) -> String {
    if range.is_empty() {
        return " in no version".to_owned();
    }
    let segments = range.iter().map(|(low, high)| {
        if let (Bound::Included(low), Bound::Included(high)) = (low, high)
            && (low == high || low.after_locals() == *high)
        {
            return format!("=={low}");
        }
        let low = match low {
            Bound::Included(low) if low.is_end() => Some(format!(">{}", low.without_end())),
            Bound::Included(low) => Some(format!(">={}", low.without_first_development())),
            Bound::Excluded(low) => Some(format!(">{}", low.without_end())),
            Bound::Unbounded => None,
        };
        let high = match high {
            Bound::Included(high) => Some(format!("<={}", high.without_end())),
            Bound::Excluded(high) => Some(format!("<{}", high.without_first_development())),
            Bound::Unbounded => None,
        };
        low.into_iter().chain(high).collect::<Vec<_>>().join(",")
    });
    segments.collect::<Vec<_>>().join(" or ")
}
