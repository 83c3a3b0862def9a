//! What fits what: whether a node will do for an edge, and whether one may take another's place.

use std::collections::HashSet;
use std::sync::Arc;

use super::manifest::Origin;
use super::tree::{Edge, EdgeId, NodeId, Tree};
use crate::ecosystem::npm::lock::EdgeKind;
use crate::ecosystem::npm::spec::Spec;

/// What is wrong with an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It finds nothing.
    Missing,
    /// It finds what will not do.
    Invalid,
    /// It is for what has to stand beside the package, and that stands in it.
    PeerInside,
}

impl Tree {
    /// What is wrong with an edge, if anything.
    pub(super) fn wrong(&self, id: EdgeId) -> Option<Wrong> {
        let edge = &self[id];
        let Some(to) = edge.to else {
            return (!edge.is_optional()).then_some(Wrong::Missing);
        };
        if edge.is_peer() && self[to].parent == Some(edge.from) && !self.is_top(edge.from) {
            return Some(Wrong::PeerInside);
        }
        if !self.satisfies(to, edge) {
            return Some(Wrong::Invalid);
        }
        match (edge.rule, self[to].rules) {
            (Some(rule), Some(rules)) if !self[to].edges.is_empty() && self.rules.contradict(rule, rules) => {
                Some(Wrong::Invalid)
            }
            _ => None,
        }
    }

    pub(super) fn is_valid(&self, id: EdgeId) -> bool {
        self.wrong(id).is_none()
    }

    /// Whether a node will do for an edge. With an override, what is put in the place will do, and whatever the override
    /// isn't meant for.
    pub(super) fn satisfies(&self, node: NodeId, edge: &Edge) -> bool {
        if self[node].name != edge.name {
            return false;
        }
        let (_, asked) = self.rules.asked(edge);
        if self.will_do(node, asked) {
            return true;
        }
        match self.rules.overridden(edge) {
            Some(overridden) => self.will_do(node, &edge.spec) && !self.will_do(node, overridden),
            None => false,
        }
    }

    /// Whether a node is what is asked for, leaving names aside.
    fn will_do(&self, node: NodeId, asked: &Spec) -> bool {
        let target = self[node].link.unwrap_or(node);
        let manifest = &self[target].manifest;
        match asked {
            Spec::Any => true,
            Spec::Range(range) => manifest.number.as_ref().is_some_and(|version| range.contains(version)),
            Spec::Tag(_) => manifest.origin == Origin::Registry,
            Spec::Alias(_, asked) => self.will_do(node, asked),
            Spec::Url | Spec::Git => matches!(manifest.origin, Origin::Address(_)),
            Spec::Local => matches!(manifest.origin, Origin::Directory(_) | Origin::Address(_)),
        }
    }

    /// Whether a node is another project's version of the same thing.
    pub(super) fn matches(&self, one: NodeId, other: NodeId) -> bool {
        if one == other {
            return true;
        }
        if self[one].name != self[other].name {
            return false;
        }
        match (self[one].link, self[other].link) {
            (Some(one), Some(other)) => return one == other,
            (None, None) => {}
            _ => return false,
        }
        let (one, other) = (&self[one].manifest, &self[other].manifest);
        Arc::ptr_eq(one, other)
            || one.name == other.name
                && one.version == other.version
                && one.origin == other.origin
                && !one.version.is_empty()
    }

    /// Whether a node may take another's place: nobody who has that one would be worse off, but those whose names are
    /// in `ignored` and stand beside it, for they are replaced as well.
    pub(super) fn can_replace(&self, new: NodeId, old: NodeId, ignored: &HashSet<Arc<str>>) -> bool {
        if self[new].name != self[old].name || self[new].manifest.name != self[old].manifest.name {
            return false;
        }
        if !self[old].edges.is_empty() && self[new].rules != self[old].rules {
            return false;
        }
        let own = self.gather(&[old], &|edge| self[edge].to != Some(old) && self.is_valid(edge));
        self[old].edges_in.iter().all(|id| {
            let edge = &self[*id];
            let goes_too = !self.is_top(old)
                && self[edge.from].parent == self[old].parent
                && edge.is_peer()
                && ignored.contains(&self[edge.from].name);
            goes_too || own.contains(&edge.from) || self.satisfies(new, edge)
        })
    }

    /// Whether a node is needless: what would be found without it will do.
    pub(super) fn can_dedupe(&self, id: NodeId, prefers_fewer: bool) -> bool {
        let above = self.resolve_parent(id).and_then(|parent| self.resolve_parent(parent));
        let Some(above) = above.filter(|_| self[id].shrinkwrapped.is_none()) else { return false };
        if self[id].edges_in.is_empty() {
            return true;
        }
        let Some(other) = self.resolve(above, &super::manifest::key(&self[id].name)) else { return false };
        if self.matches(other, id) {
            return true;
        }
        if !self.can_replace(other, id, &HashSet::new()) {
            return false;
        }
        let number = |id: NodeId| self[self[id].link.unwrap_or(id)].manifest.number.as_ref();
        prefers_fewer || number(other) == number(id) || !self.is_overridden(id) && number(other) > number(id)
    }

    /// Whether it is there because of an override.
    fn is_overridden(&self, id: NodeId) -> bool {
        let node = &self[id];
        node.edges_in.iter().any(|edge| {
            let edge = &self[*edge];
            let puts = |rule| self.rules.puts(rule, &node.name, &node.manifest.version);
            edge.rule.is_some_and(puts) && edge.rule != self[edge.from].rules
        })
    }

    /// Nodes, and what only they and each other need, going along the edges that `counts` says.
    pub(super) fn gather(&self, start: &[NodeId], counts: &dyn Fn(EdgeId) -> bool) -> Vec<NodeId> {
        let mut all: Vec<NodeId> = Vec::new();
        let mut seen: HashSet<NodeId> = HashSet::new();
        for id in start {
            if seen.insert(*id) {
                all.push(*id);
            }
        }
        let mut next = 0;
        while let Some(id) = all.get(next).copied() {
            next += 1;
            for edge in &self[id].edges {
                if let Some(to) = self[*edge].to
                    && !seen.contains(&to)
                    && counts(*edge)
                {
                    seen.insert(to);
                    all.push(to);
                }
            }
        }
        // Whoever is needed from outside stays, and what is needed by that one then is as well.
        loop {
            let before = all.len();
            all.retain(|id| {
                let is_needed =
                    self[*id].edges_in.iter().any(|edge| !seen.contains(&self[*edge].from) && counts(*edge));
                if is_needed {
                    seen.remove(id);
                }
                !is_needed
            });
            if all.len() == before {
                return all;
            }
        }
    }

    /// The deepest place, from a node upwards, where something of that name may be put: not into a package that wants it
    /// beside itself.
    pub(super) fn deepest_place(&self, start: NodeId, key: &str) -> NodeId {
        let mut last = start;
        for place in self.ancestry(start) {
            last = place;
            let is_last = self.is_root(place) || self.resolve_parent(place).is_none();
            let wants_beside = self.edge_named(place, key).is_some_and(|edge| self[edge].is_peer());
            if is_last || !wants_beside {
                break;
            }
        }
        last
    }

    /// The edges through which sets of peers with that node in them come in, each with its set.
    pub(super) fn peer_entries(&self, id: NodeId) -> Vec<(EdgeId, Vec<NodeId>)> {
        let counts = |edge: EdgeId| self[edge].is_peer() && self.is_valid(edge);
        let mut all = vec![id];
        let mut next = 0;
        while let Some(id) = all.get(next).copied() {
            next += 1;
            let out = self[id].edges.iter().filter(|edge| counts(**edge)).filter_map(|edge| self[*edge].to);
            let back = self[id].edges_in.iter().filter(|edge| counts(**edge)).map(|edge| self[*edge].from);
            for other in out.chain(back).collect::<Vec<_>>() {
                if !all.contains(&other) {
                    all.push(other);
                }
            }
        }
        let mut entries = Vec::new();
        for peer in all {
            for edge in self[peer].edges_in.iter().copied().filter(|edge| self.is_valid(*edge)) {
                if self[edge].is_peer() && !self.is_top(self[edge].from) {
                    continue;
                }
                let mut set = vec![peer];
                let mut next = 0;
                while let Some(id) = set.get(next).copied() {
                    next += 1;
                    for edge in self[id].edges.iter().filter(|edge| counts(**edge)) {
                        if let Some(to) = self[*edge].to.filter(|to| !set.contains(to)) {
                            set.push(to);
                        }
                    }
                }
                if set.contains(&id) {
                    entries.push((edge, set));
                }
            }
        }
        entries
    }

    /// Whether an edge comes from the project itself or one of its workspaces.
    pub(super) fn is_of_project(&self, id: NodeId) -> bool {
        self.is_root(id) || self[id].is_workspace
    }

    /// Whether nothing could be had in the place of this one.
    pub(super) fn is_failed(&self, id: NodeId) -> bool {
        self[id].link.is_none() && self[id].manifest.origin == Origin::Nowhere
    }

    /// Whether an edge may stay without an end.
    pub(super) fn may_miss(&self, id: EdgeId) -> bool {
        self[id].kind == EdgeKind::OptionalPeer
    }
}
