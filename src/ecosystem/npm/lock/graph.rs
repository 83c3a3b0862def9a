//! What a lockfile's tree says about its edges: where each leads, and which ones the project bent.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::Requirement;

use super::{EdgeKind, Lock, Node};
use crate::ecosystem::npm::spec::{Spec, split_range};
use crate::ecosystem::npm::version::Version;

/// An edge of the tree.
#[derive(Clone, Copy)]
pub(crate) struct Edge<'a> {
    /// What it leads from.
    pub(crate) from: Node<'a>,
    /// The name that it asks for.
    pub(crate) name: &'a str,
    /// What it asks for, as written.
    pub(crate) range: &'a str,
    /// What kind it is.
    pub(crate) kind: EdgeKind,
    /// What it finds, if it finds anything.
    pub(crate) to: Option<Node<'a>>,
    /// Whether the lockfile says itself where it leads.
    is_said: bool,
}

/// The names for which a project's `package.json` has `overrides`, at whatever depth.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    names: BTreeSet<String>,
}

/// What stands at a path, as an edge sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// A registry's package: its real name and version.
    Package(&'a str, &'a str),
    /// A package from git or an address, a link, or a directory of the project.
    Elsewhere,
}

impl Overrides {
    /// Reads the `overrides` of a `package.json`.
    pub(crate) fn read(overrides: &serde_json::Value) -> Overrides {
        let mut names = BTreeSet::new();
        let mut open = vec![overrides];
        while let Some(object) = open.pop().map(serde_json::Value::as_object) {
            for (key, value) in object.into_iter().flatten() {
                names.insert(split_range(key).0.to_owned());
                open.push(value);
            }
        }
        Overrides { names }
    }

    /// Adds names.
    pub(crate) fn extend(&mut self, names: impl IntoIterator<Item = String>) {
        self.names.extend(names);
    }
}

impl Lock {
    /// Every edge of the tree. Those of bundled packages are left out: they are met inside a tarball.
    pub(crate) fn edges(&self) -> impl Iterator<Item = Edge<'_>> {
        let own = self.nodes().filter(|node| !node.flags().in_bundle && !node.flags().link);
        own.flat_map(move |from| {
            from.edges().map(move |edge| {
                let to = match edge.to {
                    Some(path) => self.at(path),
                    None => self.find(from.path(), edge.name),
                };
                Edge {
                    from,
                    name: edge.name,
                    range: edge.range,
                    kind: edge.kind,
                    to,
                    is_said: edge.to.is_some(),
                }
            })
        })
    }

    /// What a package at the path `from` gets when it asks for `name`: the nearest `node_modules` that has it.
    pub(crate) fn find(&self, from: &str, name: &str) -> Option<Node<'_>> {
        let mut directory = from;
        let mut candidate = String::new();
        loop {
            candidate.clear();
            candidate.push_str(directory);
            candidate.push_str(if directory.is_empty() { "node_modules/" } else { "/node_modules/" });
            candidate.push_str(name);
            if let Some(found) = self.at(&candidate) {
                return Some(found);
            }
            if directory.is_empty() {
                return None;
            }
            directory = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
            // A package beside `node_modules` is looked for once, not a second time inside it.
            directory = directory
                .strip_suffix("node_modules")
                .map_or(directory, |parent| parent.trim_end_matches('/'));
        }
    }

    /// Of each entry, by its number, whether the project needs it: others than optional edges lead to it.
    pub(super) fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.len()];
        let mut edges: Vec<Vec<usize>> = vec![Vec::new(); self.len()];
        let strong = |edge: &Edge<'_>| !matches!(edge.kind, EdgeKind::Optional | EdgeKind::OptionalPeer);
        for edge in self.edges().filter(strong) {
            if let (Some(to), Some(from)) = (edge.to, edges.get_mut(edge.from.number())) {
                from.push(to.number());
            }
        }
        let projects = self.nodes().filter(|node| node.installed_name().is_none()).map(Node::number);
        let mut open: Vec<usize> = projects.collect();
        while let Some(number) = open.pop() {
            if needed.get_mut(number).is_some_and(|known| !std::mem::replace(known, true)) {
                open.extend(edges.get(number).into_iter().flatten());
            }
        }
        needed
    }

    /// The edges of registry packages that the project bends: by an override, or by putting something of its own in
    /// the place. By the package's real name and version: what its edges get instead, as edges of kind `override`.
    pub(crate) fn bent_edges(
        &self,
        overrides: &Overrides,
    ) -> BTreeMap<(String, String), BTreeSet<Requirement>> {
        let mut bent: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for edge in self.edges() {
            let (Place::Package(name, version), Some(to)) = (place(edge.from), edge.to) else {
                continue;
            };
            let range = match place(to) {
                Place::Elsewhere if Spec::read(edge.range).is_registry() => "workspace:*".to_owned(),
                Place::Package(real, found) => {
                    // A tree may hold what doesn't fit for other reasons. A lockfile that says where an edge leads means
                    // it; of what is overridden it doesn't say what the package itself asks for.
                    let overridden = overrides.names.contains(edge.name);
                    let is_bent = match edge.is_said {
                        true => overridden || !is_met(&edge, real, found),
                        false => overridden && !is_met(&edge, real, found),
                    };
                    if !is_bent {
                        continue;
                    }
                    if real == edge.name { found.to_owned() } else { format!("npm:{real}@{found}") }
                }
                Place::Elsewhere => continue,
            };
            let requirement = Requirement { name: edge.name.to_owned(), range, kind: "override".to_owned() };
            bent.entry((name.to_owned(), version.to_owned())).or_default().insert(requirement);
        }
        bent
    }

    /// The edges of the project and its workspaces that the tree doesn't meet: the lockfile is behind `package.json`.
    /// Optional ones aren't counted; npm leaves those of other platforms out.
    pub(crate) fn unmet_by_project(&self, overrides: &Overrides) -> Vec<Edge<'_>> {
        let of_project = |edge: &Edge<'_>| edge.from.installed_name().is_none();
        let needed = self.edges().filter(of_project).filter(|edge| edge.kind == EdgeKind::Runtime);
        needed
            .filter(|edge| match edge.to.map(place) {
                None => true,
                Some(_) if edge.is_said => false,
                Some(Place::Elsewhere) => false,
                Some(Place::Package(real, found)) => {
                    !overrides.names.contains(edge.name) && !is_met(edge, real, found)
                }
            })
            .collect()
    }

    /// The numbers of what a dependency names by a tarball's address.
    pub(crate) fn asked_for_by_address(&self) -> BTreeSet<usize> {
        let by_address = self.edges().filter(|edge| edge.kind != EdgeKind::OptionalPeer);
        let by_address = by_address.filter(|edge| Spec::read(edge.range) == Spec::Url);
        let called_so = self.nodes().filter(|node| node.flags().by_address).map(Node::number);
        by_address.filter_map(|edge| edge.to.map(Node::number)).chain(called_so).collect()
    }
}

/// What stands at an entry's path.
pub(crate) fn place(node: Node<'_>) -> Place<'_> {
    if node.flags().link || node.installed_name().is_none() || !is_from_registry(node) {
        return Place::Elsewhere;
    }
    match (node.name(), node.version()) {
        (Some(name), Some(version)) => Place::Package(name, version),
        _ => Place::Elsewhere,
    }
}

/// Whether the package that an edge finds is one that it asks for.
fn is_met(edge: &Edge<'_>, real: &str, version: &str) -> bool {
    let spec = Spec::read(edge.range);
    let (name, range) = spec.target(edge.name);
    // An address is met by whatever came from there.
    !spec.is_registry()
        || name == real && Version::parse(version).is_some_and(|version| range.admits(&version))
}

/// Whether an entry's own words say that it comes from a registry.
pub(crate) fn is_from_registry(node: Node<'_>) -> bool {
    let resolved = node.resolved();
    match Spec::read(resolved.as_deref().or(node.version()).unwrap_or_default()) {
        Spec::Git | Spec::Local => false,
        _ => node.version().is_some_and(|version| Version::parse(version).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::npm::lock::package_lock;

    fn lock(entries: &str) -> Lock {
        let text = format!("{{\"lockfileVersion\":3,\"packages\":{{{entries}}}}}");
        package_lock::read(text.as_bytes()).unwrap().0
    }

    #[test]
    fn an_edge_finds_the_nearest_node_modules() {
        let lock = lock(
            r#""packages/w":{}, "packages/w/node_modules/a":{"version":"3.0.0"}, "node_modules/a":{"version":"1.0.0"},
            "node_modules/@s/b":{"version":"1.0.0"}, "node_modules/@s/b/node_modules/a":{"version":"2.0.0"},
            "node_modules/@s/b/node_modules/c":{"version":"1.0.0"}"#,
        );
        for (from, name, found) in [
            ("", "a", Some("node_modules/a")),
            ("packages/w", "a", Some("packages/w/node_modules/a")),
            ("packages/w", "@s/b", Some("node_modules/@s/b")),
            ("node_modules/@s/b/node_modules/c", "a", Some("node_modules/@s/b/node_modules/a")),
            ("node_modules/a", "c", None),
            ("../outside", "a", Some("node_modules/a")),
        ] {
            assert_eq!(lock.find(from, name).map(Node::path), found, "{from} {name}");
        }
    }

    #[test]
    fn what_a_project_bends_is_told() {
        let lock = lock(
            r#""":{"dependencies":{"a":"^1","gone":"1","behind":"^2"},"optionalDependencies":{"mac":"1"}},
            "node_modules/a":{"version":"1.0.0","dependencies":{"o":"^1","kept":"^1","w":"^1","al":"^1"}},
            "node_modules/o":{"version":"2.0.0"}, "node_modules/kept":{"version":"1.5.0"},
            "node_modules/al":{"name":"other","version":"1.0.0"}, "node_modules/behind":{"version":"1.0.0"},
            "node_modules/w":{"link":true,"resolved":"packages/w"}, "packages/w":{"version":"9.0.0"}"#,
        );
        let overrides = Overrides::read(&serde_json::json!({"a": {"o@1": "2.0.0", "al": "npm:other@1"}}));
        let bent = lock.bent_edges(&overrides);
        let edges: Vec<_> = bent[&("a".to_owned(), "1.0.0".to_owned())]
            .iter()
            .map(|requirement| (requirement.name.as_str(), requirement.range.as_str()))
            .collect();
        assert_eq!(edges, [("al", "npm:other@1.0.0"), ("o", "2.0.0"), ("w", "workspace:*")]);
        let unmet: Vec<_> = lock.unmet_by_project(&overrides).iter().map(|edge| edge.name).collect();
        assert_eq!(unmet, ["behind", "gone"]);
    }

    /// Written by npm 11 for a project with a workspace, an alias, optional packages, peers and an override; only the
    /// hosts were changed.
    #[test]
    fn a_lockfile_that_npm_wrote_is_met_in_every_edge() {
        let text = include_bytes!("../../../../fixtures/npm/package-lock.json");
        let lock = package_lock::read(text.as_slice()).unwrap().0;
        let overrides = Overrides::read(&serde_json::json!({"string-width": {"strip-ansi": "6.0.1"}}));
        assert_eq!(lock.unmet_by_project(&overrides).len(), 0);
        let runtime: Vec<_> = lock.edges().filter(|edge| edge.kind == EdgeKind::Runtime).collect();
        assert_eq!(runtime.len(), 53);
        let bent = lock.bent_edges(&overrides);
        for edge in runtime {
            let (from, name) = (edge.from.path(), edge.name);
            let Some(to) = edge.to else { panic!("{from} {name}") };
            let met = match (place(edge.from), place(to)) {
                (_, Place::Elsewhere) => true,
                (from, Place::Package(real, found)) => {
                    let is_bent =
                        |name: &str, version: &str| bent.contains_key(&(name.to_owned(), version.to_owned()));
                    is_met(&edge, real, found)
                        || matches!(from, Place::Package(name, version) if is_bent(name, version))
                }
            };
            assert!(met, "{from} {name}");
        }
        let bent: Vec<_> = bent
            .iter()
            .map(|((name, version), edges)| (name.as_str(), version.as_str(), edges.len()))
            .collect();
        assert_eq!(bent, [("string-width", "5.1.2", 1)]);
        let at = |path: &str| place(lock.at(path).unwrap());
        assert_eq!(at("node_modules/string-width-cjs"), Place::Package("string-width", "4.2.3"));
        assert_eq!(at("node_modules/w"), Place::Elsewhere);
    }
}
