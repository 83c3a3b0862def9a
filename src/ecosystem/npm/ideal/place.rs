//! Putting a package into the tree, with all that it wants beside itself, and taking out what that makes needless.

use std::sync::Arc;

use super::builder::{Builder, Stop};
use super::check::{Can, Candidate, Check, Checker, Through};
use super::tree::{EdgeId, NodeId};

/// How deep what is wanted beside packages may lead.
pub(super) const DEEPEST: usize = 128;

/// What was put somewhere.
pub(super) struct Placed {
    /// The edge that it is for.
    pub(super) edge: EdgeId,
    pub(super) node: NodeId,
    /// What was done for it, leaving aside what it wants beside itself.
    pub(super) done: Can,
    /// Whose edges have to be looked at anew.
    pub(super) again: Vec<NodeId>,
}

impl Builder<'_> {
    /// Puts a package where an edge finds it, and what it wants beside itself. What was put somewhere is added to `all`,
    /// in the order in which it is followed further.
    pub(super) fn place(&mut self, edge: EdgeId, package: NodeId, all: &mut Vec<Placed>) -> Result<(), Stop> {
        self.place_with(Candidate { package, edge, through: None }, all, DEEPEST)
    }

    fn place_with(&mut self, candidate: Candidate, all: &mut Vec<Placed>, deeper: usize) -> Result<(), Stop> {
        let Candidate { package, edge, through } = candidate;
        if deeper == 0 {
            return Err(Stop::Endless);
        }
        if self.tree[edge].to.is_some() && self.tree.is_valid(edge) {
            return Ok(());
        }
        let edge_key = self.tree[edge].key.clone();
        let start = through.map_or(self.tree[edge].from, |through| through.deepest);
        let start = self.tree.deepest_place(start, &edge_key);
        let Some(check) = self.find_place(candidate, start, &edge_key)? else {
            self.give_up(edge);
            return Ok(());
        };
        let done = if check.can == Can::Conflict { check.alone } else { check.can };
        let place = check.place;
        if done == Can::Keep {
            if self.tree[edge].is_peer() && !self.tree.is_valid(edge) {
                self.give_up(edge);
            }
            self.drop_needless(place, true);
            return Ok(());
        }
        // Versions that need each other in turn would nest for ever: a link to the one above ends that.
        let above = self
            .tree
            .ancestry(place)
            .find(|above| !self.tree.is_top(*above) && self.tree.matches(*above, package));
        if let Some(above) = above {
            let (name, manifest) = (self.tree[package].name.clone(), self.tree[above].manifest.clone());
            let node = self.tree.create(&name, manifest, None);
            self.tree[node].link = Some(above);
            self.tree.attach(node, place);
            all.push(Placed { edge, node, done: check.alone, again: Vec::new() });
            return Ok(());
        }
        let made_for = self.tree[package].parent;
        let node = self.copy(package);
        let mut again = Vec::new();
        match self.tree[place].children.get(&edge_key).copied() {
            Some(old) => self.replace(old, node, place, &mut again),
            None => self.tree.attach(node, place),
        }
        self.place_target(node);
        if self.tree[edge].is_peer() && !self.tree.satisfies(node, &self.tree[edge]) {
            self.give_up(edge);
        }
        if let Some(to) = self.tree[edge].to.filter(|to| *to != node)
            && self.tree.is_valid(edge)
        {
            self.drop_needless(to, false);
        }
        let (root, name) = (self.tree[place].root, self.tree[node].name.clone());
        for same in self.tree.named(root, &name) {
            if self.tree[same].root != root
                || self.tree.is_top(same)
                || !self.tree.is_descendant_of(same, place)
            {
                continue;
            }
            self.drop_needless(same, false);
            if self.tree[same].root == root {
                for child in self.tree[same].children.values().copied().collect::<Vec<_>>() {
                    self.drop_needless(child, false);
                }
            }
        }
        all.push(Placed { edge, node, done: check.alone, again });
        let Some(made_for) = made_for else { return Ok(()) };
        let entry = through.map_or(edge, |through| through.entry);
        let through = Some(Through { entry, deepest: start });
        for beside in self.tree[node].edges.clone() {
            let wanted = &self.tree[beside];
            if !wanted.is_peer() || wanted.is_given_up || self.tree.is_valid(beside) {
                continue;
            }
            // What wasn't made with it is optional, and what doesn't fit was given up when it was made.
            let peer = self.tree[made_for].children.get(&wanted.key).copied();
            if let Some(package) = peer.filter(|peer| self.tree.satisfies(*peer, wanted)) {
                self.place_with(Candidate { package, edge: beside, through }, all, deeper - 1)?;
            }
        }
        Ok(())
    }

    /// The highest place that a package can be put at; `None` if it can be left out.
    fn find_place(
        &mut self,
        candidate: Candidate,
        start: NodeId,
        edge_key: &Arc<str>,
    ) -> Result<Option<Check>, Stop> {
        let (tree, edge) = (&self.tree, candidate.edge);
        let checker = Checker { tree, prefers_fewer: self.settings.prefers_fewer, effort: &self.effort };
        let (mut whole, mut alone, mut last): (Option<Check>, Option<Check>, Option<Check>) =
            (None, None, None);
        for place in tree.ancestry(start) {
            let wants_beside = tree.edge_named(place, edge_key).is_some_and(|edge| tree[edge].is_peer());
            if wants_beside && !tree.is_top(place) {
                continue;
            }
            let check = checker.check(candidate, place);
            last = Some(check.clone());
            if check.alone != Can::Conflict {
                alone = Some(check.clone());
            }
            if check.can == Can::Conflict {
                break;
            }
            whole = Some(check);
            if tree.is_failed(candidate.package) {
                break;
            }
        }
        if self.effort.get() == 0 {
            return Err(Stop::Endless);
        }
        if whole.is_some() {
            return Ok(whole);
        }
        let entry = candidate.through.map_or(edge, |through| through.entry);
        if self.settings.is_strict || self.is_projects_own(entry) {
            let conflicts = alone.or(last).map(|check| check.conflicts).unwrap_or_default();
            return Err(Stop::Conflict(self.explain_place(candidate, &conflicts)));
        }
        Ok(alone)
    }

    /// Whether it is the project itself that wants what an edge brings, so that a conflict isn't for others to settle.
    fn is_projects_own(&self, edge: EdgeId) -> bool {
        let tree = &self.tree;
        let from = tree[edge].from;
        if tree.is_of_project(from) {
            return true;
        }
        if !tree[edge].is_peer() {
            return false;
        }
        let is_own = |id: EdgeId| tree.is_of_project(tree[id].from);
        let (peers, others): (Vec<EdgeId>, Vec<EdgeId>) =
            tree[from].edges_in.iter().partition(|id| tree[**id].is_peer());
        others.into_iter().any(is_own)
            || !peers.is_empty() && tree.peer_entries(from).into_iter().any(|(entry, _)| is_own(entry))
    }

    /// A package as it is put into the tree.
    fn copy(&mut self, package: NodeId) -> NodeId {
        let (name, manifest) = (self.tree[package].name.clone(), self.tree[package].manifest.clone());
        let (rules, link) = (self.tree[package].rules, self.tree[package].link);
        let node = self.tree.create(&name, manifest, rules);
        self.tree[node].link = link;
        self.tree[node].is_workspace = self.tree[package].is_workspace;
        self.tree.load_edges(node);
        node
    }

    fn replace(&mut self, old: NodeId, new: NodeId, place: NodeId, again: &mut Vec<NodeId>) {
        let tree = &self.tree;
        let mut leftover = Vec::new();
        for edge in &tree[old].edges {
            if let Some(to) = tree[*edge].to
                && tree.edge_named(new, &tree[*edge].key).is_none()
            {
                leftover.extend(tree.gather(&[to], &|edge| tree[edge].to != Some(to)));
            }
        }
        // What was content with the old one and is not with the new one goes deeper, if it may.
        let (mut pushed, mut given_up) = (Vec::new(), Vec::new());
        for id in &tree[old].edges_in {
            let edge = &tree[*id];
            if tree.satisfies(new, edge)
                || !edge.is_peer()
                || tree[edge.from].parent != Some(place)
                || edge.is_given_up
            {
                continue;
            }
            for (entry, _) in tree.peer_entries(edge.from) {
                let Some(first) = tree[entry].to else { continue };
                if first != place && !tree.is_of_project(tree[entry].from) {
                    pushed.extend(
                        tree.gather(&[first], &|edge| {
                            tree[edge].to != Some(first) && !tree[edge].is_given_up
                        }),
                    );
                } else {
                    given_up.push(*id);
                }
            }
        }
        for edge in given_up {
            self.give_up(edge);
        }
        self.tree.replace(old, new);
        self.drop_leftover(new, &leftover);
        for node in pushed {
            again.extend(self.tree[node].edges_in.iter().map(|edge| self.tree[*edge].from));
            self.tree.detach(node);
        }
    }

    /// Takes out what only a replaced package needed.
    fn drop_leftover(&mut self, node: NodeId, leftover: &[NodeId]) {
        let tree = &self.tree;
        let out = tree[node].edges.iter().filter(|edge| !tree.is_valid(**edge));
        let mut needless: Vec<NodeId> = out.filter_map(|edge| tree[*edge].to).collect();
        for id in leftover {
            needless.extend(tree.gather(&[*id], &|edge| tree[edge].to != Some(*id) && tree.is_valid(edge)));
        }
        let counts =
            |edge: EdgeId| tree[edge].from != node && tree[edge].to != Some(node) && tree.is_valid(edge);
        for id in tree.gather(&needless, &counts) {
            self.tree.detach(id);
        }
    }

    /// Takes a node out if it is needless, with all that only it needs; `all_below`, and whatever stands in it.
    fn drop_needless(&mut self, start: NodeId, all_below: bool) {
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            let tree = &self.tree;
            if tree.can_dedupe(id, self.settings.prefers_fewer) {
                let needless = tree.gather(&[id], &|edge| tree[edge].to != Some(id) && tree.is_valid(edge));
                for id in needless {
                    self.tree.detach(id);
                }
            } else if all_below {
                let inside = tree[id].inside.iter().flat_map(|id| tree[*id].children.values());
                let mut below: Vec<NodeId> = tree[id].children.values().chain(inside).copied().collect();
                below.reverse();
                open.extend(below);
            }
        }
    }

    /// Leaves an edge as it is, though what it finds is not what it asks for.
    pub(super) fn give_up(&mut self, edge: EdgeId) {
        self.tree[edge].is_given_up = true;
        self.given_up.push(edge);
    }

    /// Places the directory that a link leads to.
    fn place_target(&mut self, link: NodeId) {
        let main = self.tree.main;
        if let Some(target) = self.tree[link].link
            && self.tree[target].root != main
            && self.tree[link].root == main
        {
            let above = self.directory_above(target);
            self.tree.lay_inside(target, above);
        }
    }

    /// The directory of the project that another lies in.
    fn directory_above(&self, target: NodeId) -> NodeId {
        let path = self.tree.location(target);
        let is_in = |other: &NodeId| {
            let outer = self.tree.location(*other);
            *other != target && path.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let placed = self.directories.values().filter(|id| self.tree[**id].root == self.tree.main);
        let above = placed.copied().filter(is_in);
        above.max_by_key(|id| self.tree.location(*id).len()).unwrap_or(self.tree.main)
    }
}
