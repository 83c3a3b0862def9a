//! Whether a package can be put at a place together with all that it wants beside itself. Nothing is changed here.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use super::tree::{EdgeId, NodeId, Tree};

/// What may be done at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Can {
    /// Put it there: nothing stands there.
    Add,
    /// Put it there in the place of another.
    Replace,
    /// Keep what stands there: it will do.
    Keep,
    /// Nothing.
    Conflict,
}

/// What is to be put somewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// The package, in the tree that was made for it and what it wants beside itself.
    pub(super) package: NodeId,
    /// The edge that it is for.
    pub(super) edge: EdgeId,
    /// The one through which it comes in, if it is only wanted beside another, and the deepest place of that.
    pub(super) through: Option<Through>,
}

/// Through what a package comes in that is wanted beside another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Through {
    pub(super) entry: EdgeId,
    pub(super) deepest: NodeId,
}

/// The answer for one place.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) place: NodeId,
    /// With all that is wanted beside it.
    pub(super) can: Can,
    /// Leaving that aside.
    pub(super) alone: Can,
    /// What stands in the way of what is wanted beside it: the one that stands there, the one wanted, and its edge.
    pub(super) conflicts: Vec<(Option<NodeId>, NodeId, EdgeId)>,
}

/// Asks whether packages can be put at places.
pub(super) struct Checker<'a> {
    pub(super) tree: &'a Tree,
    pub(super) prefers_fewer: bool,
    /// How many questions may still be asked: sets of peers can be made that lead to more than there is time for.
    pub(super) effort: &'a Cell<u64>,
}

/// A question that is being answered.
struct Asking<'a, 'b> {
    checker: &'a Checker<'b>,
    candidate: Candidate,
    place: NodeId,
    prefers_fewer: bool,
    current: Option<NodeId>,
    key: Arc<str>,
    deepest: NodeId,
    /// Those that this is asked for, from the first one.
    path: Vec<NodeId>,
    alone: Option<Can>,
    with_peers: Option<Can>,
    conflicts: Vec<(Option<NodeId>, NodeId, EdgeId)>,
}

impl Checker<'_> {
    /// Whether a package can be put at a place.
    pub(super) fn check(&self, candidate: Candidate, place: NodeId) -> Check {
        self.ask(candidate, place, self.prefers_fewer, Vec::new())
    }

    fn ask(&self, candidate: Candidate, place: NodeId, prefers_fewer: bool, path: Vec<NodeId>) -> Check {
        let edge = &self.tree[candidate.edge];
        let left = self.effort.get().saturating_sub(1);
        self.effort.set(left);
        if left == 0 {
            return Check { place, can: Can::Conflict, alone: Can::Conflict, conflicts: Vec::new() };
        }
        let start = candidate.through.map_or(edge.from, |through| through.deepest);
        let mut asking = Asking {
            checker: self,
            candidate,
            place,
            // What is wanted beside another tries harder to be there once.
            prefers_fewer: prefers_fewer || edge.is_peer(),
            current: self.tree[place].children.get(&edge.key).copied(),
            deepest: self.tree.deepest_place(start, &edge.key),
            key: edge.key.clone(),
            path,
            alone: None,
            with_peers: None,
            conflicts: Vec::new(),
        };
        let can = asking.answer();
        Check { place, can, alone: asking.alone.unwrap_or(can), conflicts: asking.conflicts }
    }
}

impl Asking<'_, '_> {
    fn tree(&self) -> &Tree {
        self.checker.tree
    }

    fn answer(&mut self) -> Can {
        let (tree, package) = (self.checker.tree, self.candidate.package);
        if tree.is_failed(package) {
            return if self.current.is_some() { Can::Replace } else { Can::Add };
        }
        let own_edge = tree.edge_named(self.place, &self.key);
        if own_edge.is_some_and(|edge| tree[edge].is_peer()) && !tree.is_top(self.place) {
            return Can::Conflict;
        }
        match self.current {
            Some(current) => self.where_one_stands(current),
            None => {
                let is_unwelcome = own_edge
                    .is_some_and(|edge| edge != self.candidate.edge && !tree.satisfies(package, &tree[edge]));
                if is_unwelcome { Can::Conflict } else { self.where_none_stands() }
            }
        }
    }

    fn where_one_stands(&mut self, current: NodeId) -> Can {
        let (tree, package) = (self.checker.tree, self.candidate.package);
        let edge = &tree[self.candidate.edge];
        if tree.matches(package, current) && (tree.satisfies(current, edge) || !tree.satisfies(package, edge))
        {
            return Can::Keep;
        }
        let number = |id: NodeId| tree[tree[id].link.unwrap_or(id)].manifest.number.as_ref();
        let is_newer = matches!((number(package), number(current)), (Some(new), Some(old)) if new >= old);
        let can_replace = tree.can_replace(package, current, &HashSet::new());
        if is_newer && can_replace {
            let can = self.with_peers(Can::Replace);
            if can != Can::Conflict {
                return can;
            }
        }
        if tree.satisfies(current, edge) {
            return Can::Keep;
        }
        if self.prefers_fewer && !is_newer && can_replace {
            let can = self.with_peers(Can::Replace);
            if can != Can::Conflict {
                return can;
            }
        }
        // It could be put deeper, so what stands here stays.
        if self.place != self.deepest {
            return Can::Conflict;
        }
        // It has to be here, in the very package that asks for it.
        if !edge.is_peer() && self.place == edge.from {
            return self.with_peers(Can::Replace);
        }
        if self.candidate.through.is_none() && !edge.is_peer() {
            return Can::Conflict;
        }
        if self.can_push_away(current) { self.with_peers(Can::Replace) } else { Can::Conflict }
    }

    /// Whether all sets of peers that a package belongs to can be replaced as a whole, or be put deeper.
    fn can_push_away(&self, current: NodeId) -> bool {
        let (tree, package) = (self.tree(), self.candidate.package);
        let Some(made_for) = tree[package].parent else { return true };
        let others: HashSet<Arc<str>> =
            tree[made_for].children.values().map(|id| tree[*id].name.clone()).collect();
        let replacement = |key: &str| tree[made_for].children.get(key).copied();
        let mut can_push = true;
        for (entry, peers) in tree.peer_entries(current) {
            if entry == self.candidate.edge
                || self.candidate.through.is_some_and(|through| through.entry == entry)
            {
                continue;
            }
            let Some(first) = tree[entry].to else { continue };
            match replacement(&tree[entry].key) {
                Some(new) if tree.can_replace(new, first, &others) => continue,
                Some(_) => {}
                None if self.is_content(first, &replacement) => continue,
                None => {}
            }
            for peer in peers {
                let deep = tree.deepest_place(tree[entry].from, &super::manifest::key(&tree[peer].name));
                if deep == self.place || tree.is_descendant_of(self.place, deep) {
                    can_push = false;
                    break;
                }
            }
        }
        can_push
    }

    /// Whether a set of peers that begins with a node is content with what replaces some of them.
    fn is_content(&self, first: NodeId, replacement: &dyn Fn(&str) -> Option<NodeId>) -> bool {
        let tree = self.tree();
        let mut walk = vec![first];
        let mut next = 0;
        while let Some(peer) = walk.get(next).copied() {
            next += 1;
            for id in tree[peer].edges.iter().filter(|id| tree[**id].is_peer() && tree.is_valid(**id)) {
                match replacement(&tree[*id].key) {
                    None => walk.extend(tree[*id].to.filter(|to| !walk.contains(to))),
                    Some(new) if tree.satisfies(new, &tree[*id]) => {}
                    Some(_) => return false,
                }
            }
        }
        true
    }

    fn where_none_stands(&mut self) -> Can {
        let (tree, package) = (self.checker.tree, self.candidate.package);
        let entry = self.candidate.through.map_or(self.candidate.edge, |through| through.entry);
        if self.place != tree[entry].from
            && let Some(found) = tree.resolve(self.place, &self.key)
        {
            // Whoever looks past this place for the one above must be content with this one.
            let is_shadowed = tree[found].edges_in.iter().any(|id| {
                tree.is_descendant_of(tree[*id].from, self.place)
                    && tree.is_valid(*id)
                    && !tree.satisfies(package, &tree[*id])
            });
            if is_shadowed {
                return Can::Conflict;
            }
        }
        self.with_peers(Can::Add)
    }

    /// The answer `can`, if what is wanted beside the package finds its place as well.
    fn with_peers(&mut self, can: Can) -> Can {
        self.alone = Some(can);
        if let Some(known) = self.with_peers {
            return known;
        }
        let tree = self.checker.tree;
        let package = self.candidate.package;
        let mut path = self.path.clone();
        path.push(package);
        let entry = self.candidate.through.map_or(self.candidate.edge, |through| through.entry);
        let through = Some(Through { entry, deepest: self.deepest });
        let mut found = can;
        for id in &tree[package].edges {
            let edge = &tree[*id];
            let Some(peer) = edge.to.filter(|to| edge.is_peer() && !path.contains(to)) else { continue };
            let place = tree.deepest_place(self.place, &edge.key);
            let candidate = Candidate { package: peer, edge: *id, through };
            let check = self.checker.ask(candidate, place, true, path.clone());
            if check.can == Can::Conflict {
                let stands = tree[place].children.get(&edge.key).copied();
                self.conflicts.push((stands, peer, *id));
                found = Can::Conflict;
            }
            self.conflicts.extend(check.conflicts);
        }
        self.with_peers = Some(found);
        found
    }
}
