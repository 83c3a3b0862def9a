//! The tree that was built, as the lockfile that npm would write.

use std::collections::HashSet;

use super::Ideal;
use super::builder::Builder;
use super::known::Look;
use super::manifest::Origin;
use super::tree::{EdgeId, NodeId, Tree};
use crate::ecosystem::npm::lock::{EdgeKind, Flags, Lock, Written, WrittenEdge};
use crate::ecosystem::npm::spec::Spec;

/// Something needed that could not be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The name that it goes by.
    pub(crate) name: String,
    /// What is asked for.
    pub(crate) text: String,
    /// Who asks, for messages.
    pub(crate) needed_by: String,
}

impl Builder<'_> {
    /// What came of it.
    pub(super) fn finish(self) -> Ideal {
        let tree = &self.tree;
        let needed = tree.needed();
        let mut ideal = Ideal::default();
        let all = tree.subtree(tree.main);
        for id in all.iter().copied() {
            if tree.is_failed(id) {
                // What can be done without is missed again, and told, when the lockfile is followed.
                if !needed.contains(&id) {
                    continue;
                }
                ideal.failed.extend(tree[id].edges_in.iter().map(|edge| {
                    let (text, _) = tree.rules.asked(&tree[*edge]);
                    Failed {
                        name: tree[id].name.to_string(),
                        text: text.to_string(),
                        needed_by: format!("needed by {}", tree.show(tree[*edge].from)),
                    }
                }));
                continue;
            }
            tree.write(id, !needed.contains(&id), &mut ideal.lock);
        }
        ideal.lock.put_in_order();
        for (name, text) in &self.looked_up {
            let Look::Found(manifest) = self.known.look(name, text) else { continue };
            let spec = Spec::read(text);
            let (_, wanted) = spec.target(name);
            let is_there = |id: &NodeId| {
                let placed = &tree[*id].manifest;
                let version = placed.number.as_ref().filter(|_| placed.name == manifest.name);
                version.is_some_and(|version| wanted.admits(version))
            };
            if manifest.origin == Origin::Registry && !all.iter().any(is_there) {
                ideal.beside.insert((manifest.name.to_string(), manifest.version.to_string()));
            }
        }
        let stays = |edge: &EdgeId| tree[tree[*edge].from].root == tree.main && !tree.is_valid(*edge);
        for edge in self.given_up.iter().filter(|edge| stays(edge)) {
            if let Some(to) = tree[*edge].to {
                ideal.overruled.push((tree.show(tree[*edge].from), tree.explain_edge(*edge), tree.show(to)));
            }
        }
        ideal.overruled.sort();
        ideal.overruled.dedup();
        ideal
    }
}

impl Tree {
    /// What cannot be done without: what other than optional edges lead to.
    fn needed(&self) -> HashSet<NodeId> {
        let (mut all, mut open) = (HashSet::new(), vec![self.main]);
        while let Some(id) = open.pop() {
            if all.insert(id) {
                open.extend(self[id].link);
                let edges = self[id].edges.iter().filter(|edge| !self[**edge].is_optional());
                open.extend(edges.filter_map(|edge| self[*edge].to));
            }
        }
        all
    }

    fn write(&self, id: NodeId, optional: bool, lock: &mut Lock) {
        let node = &self[id];
        let path = self.location(id);
        let target = node.link.map(|target| self.location(target));
        let edges = node.edges.iter().map(|edge| &self[*edge]).filter(|edge| {
            // What could not be had is reported by itself.
            edge.to.is_none_or(|to| !self.is_failed(to)) || edge.kind == EdgeKind::Optional
        });
        let mut edges: Vec<WrittenEdge<'_>> = edges
            .map(|edge| WrittenEdge { name: &edge.name, range: &edge.text, kind: edge.kind, to: None })
            .collect();
        edges.sort_by_key(|edge| edge.name);
        let shrinkwrapped = node.shrinkwrapped.as_deref();
        let resolved = match (&target, &node.manifest.origin) {
            (Some(target), _) => Some(target.as_str()),
            _ if shrinkwrapped.is_some() => shrinkwrapped.and_then(|one| one.resolved.as_deref()),
            (None, Origin::Address(address)) => Some(address.as_str()),
            _ => None,
        };
        let is_plain = target.is_none() && !node.manifest.version.is_empty();
        lock.push(&Written {
            path: &path,
            name: (target.is_none() && node.manifest.name != node.name).then_some(&*node.manifest.name),
            version: is_plain.then_some(&*node.manifest.version),
            resolved,
            integrity: shrinkwrapped.and_then(|one| one.integrity.as_deref()),
            flags: Flags {
                link: target.is_some(),
                in_bundle: shrinkwrapped.is_some_and(|one| one.in_bundle),
                optional,
                ..Flags::default()
            },
            edges: if target.is_some() { Vec::new() } else { edges },
        });
    }
}
