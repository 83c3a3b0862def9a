//! A project that tells uv where its packages are from: what that means for what is resolved.

use std::collections::BTreeSet;
use std::path::Path;

use super::group::{Group, Part, Wants, gap};
use super::indexes::{Indexes, Link};
use super::inputs::uv_settings::{From, UvIndex, UvSettings, UvSource};
use super::marker::Marker;
use super::requirement::{Requirement, Source};
use super::resolve::Wanted;
use crate::ecosystem::Gap;
use crate::problem::{Kind, Problem};

/// The group of a project, and what of it is of this machine alone.
///
/// # Errors
/// Usage, if an index or source is none, or nobody names an index.
pub(super) fn group(
    (name, requests): (String, Vec<String>),
    mut wanted: Wanted,
    uv: UvSettings,
    document: &Path,
    indexes: &mut Indexes,
) -> Result<(Group, Vec<Gap>), Problem> {
    name_indexes(&uv, indexes)?;
    let mut order = Vec::new();
    for index in uv.indexes.iter().filter(|index| !index.is_explicit && !index.is_default) {
        order.push(number(index, indexes)?);
    }
    match uv.indexes.iter().find(|index| index.is_default) {
        Some(index) => order.push(number(index, indexes)?),
        None if uv.no_index => {}
        None if !uv.find_links.is_empty() => order.extend(indexes.usual().unwrap_or_default()),
        None => order.extend(indexes.usual()?),
    }
    let beside = |text: &str| document.parent().unwrap_or(Path::new("")).join(text);
    let links: BTreeSet<Link> = uv.find_links.iter().map(|text| Link::read(text, beside)).collect();
    let mut order = indexes.with_links(order, &links);
    let (mut sources, asked) = (Vec::new(), order.len());
    for (project, all) in &uv.sources {
        for source in all {
            let From::Index(named) = &source.from else { continue };
            let index = uv.indexes.iter().find(|index| index.name.as_ref() == Some(named));
            let index = index.ok_or_else(|| unknown(named, document))?;
            let number = number(index, indexes)?;
            let known = order.iter().position(|known| indexes.without_links(*known) == number);
            let place = known.unwrap_or_else(|| {
                order.push(number);
                order.len() - 1
            });
            sources.push((project.clone(), source.marker.clone(), place));
        }
    }
    let (requirements, gaps) = elsewhere(std::mem::take(&mut wanted.requirements), &uv);
    wanted.requirements = requirements;
    wanted.constraints.extend(uv.constraints);
    let mut group = Group::new(name, requests, Wants::Resolved(wanted), order, Part::Document);
    // Those behind are for their sources alone.
    if let Wants::Resolved(wanted) = &mut group.wants {
        wanted.indexes = asked;
    }
    Ok((Group { sources, ..group }, gaps))
}

/// Lets indexes be known by the names that a project gives them, so that their accounts are found and their repositories are
/// called so.
///
/// # Errors
/// Usage, if one is none.
pub(super) fn name_indexes(uv: &UvSettings, indexes: &mut Indexes) -> Result<(), Problem> {
    uv.indexes.iter().try_for_each(|index| number(index, indexes).map(drop))
}

/// The number of an index, which is known by its name from now on.
///
/// # Errors
/// Usage, if its address is none.
pub(super) fn number(index: &UvIndex, indexes: &mut Indexes) -> Result<usize, Problem> {
    let name = index.name.as_deref().map(str::to_ascii_lowercase);
    let name = name.filter(|name| bundle_format::document::is_name(name));
    indexes.number(&index.url, name.as_deref())
}

/// Requirements with the addresses that their sources name instead of an index; what is of this machine is left out.
fn elsewhere(requirements: Vec<Requirement>, uv: &UvSettings) -> (Vec<Requirement>, Vec<Gap>) {
    let (mut all, mut gaps) = (Vec::new(), Vec::new());
    for requirement in requirements {
        let sources = uv.sources.get(&requirement.name).map(Vec::as_slice).unwrap_or_default();
        // Where no marker holds, and where it is an index that is named, it stays what it was.
        if sources.iter().all(|source| matches!(source.from, From::Index(_))) {
            all.push(requirement);
            continue;
        }
        let is_url = |source: &UvSource| matches!(source.from, From::Url(_));
        // Where the marker of an address does not hold, it is had from an index; where it does, the address goes first.
        if sources.iter().all(|source| is_url(source) && source.marker.is_some()) {
            all.push(requirement.clone());
        }
        for UvSource { from, marker } in sources {
            let both = requirement.marker.iter().chain(marker).cloned().collect::<Vec<_>>();
            let marker = (!both.is_empty()).then_some(Marker::All(both));
            match from {
                From::Index(_) => all.push(Requirement { marker, ..requirement.clone() }),
                From::Url(url) => {
                    let source = Source::Url(url.as_str().into());
                    all.push(Requirement { marker, source, ..requirement.clone() });
                }
                From::Local(what) => {
                    let detail = format!("{what} is of this machine, and no index has it");
                    gaps.push(gap(requirement.name.as_str(), "", "local", detail));
                }
            }
        }
    }
    (all, gaps)
}

fn unknown(name: &str, document: &Path) -> Problem {
    let message = format!("a source names the index {name}, and nothing says which that is");
    Problem::new(Kind::Usage, "pypi.unknown-index", message)
        .at(document.display())
        .hint("name it in [[tool.uv.index]], or in uv.toml beside the project")
}
