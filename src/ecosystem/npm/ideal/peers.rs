//! Finding out what a package brings along that has to stand beside it: before it is put into the tree, the package is put
//! into one of its own, that of whoever asks for it with nothing in it yet, and its peers with it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::LARGEST;
use super::builder::{Builder, Stop};
use super::collation::Rank;
use super::known::Look;
use super::manifest::{Manifest, Origin};
use super::tree::{EdgeId, NodeId};
use crate::ecosystem::npm::spec::Spec;

impl Builder<'_> {
    /// A tree for what a node asks for, with nothing in it; the last one again, if `again`.
    pub(super) fn trial(&mut self, node: NodeId, again: bool) -> NodeId {
        if again && let Some(trial) = self.trials.get(&node) {
            return *trial;
        }
        let (name, manifest) = (self.tree[node].name.clone(), self.tree[node].manifest.clone());
        let rules = self.tree[node].rules;
        let trial = self.tree.create(&name, manifest, rules);
        self.tree[trial].stands_for = Some(node);
        self.tree.load_edges(trial);
        self.trials.insert(node, trial);
        trial
    }

    /// What an edge asks for, with its peers, in the tree `trial`, or in one that is made for it. `second` is an edge that
    /// would like to find the same. What cannot be done without is added to `required`.
    pub(super) fn bring(
        &mut self,
        edge: EdgeId,
        trial: Option<NodeId>,
        second: Option<EdgeId>,
        required: &mut HashSet<NodeId>,
        deeper: usize,
    ) -> Result<NodeId, Stop> {
        if deeper == 0 || self.tree.size() > LARGEST {
            return Err(Stop::Endless);
        }
        let parent = trial.unwrap_or_else(|| self.trial(self.tree[edge].from, false));
        let first = self.bring_alone(edge, parent)?;
        // Where the first is too much for the second, one that pleases both is looked for.
        let other = match second.filter(|second| !self.tree.is_valid(*second)) {
            Some(second) => Some(self.bring_alone(second, parent)?),
            None => None,
        };
        let node = other.filter(|_| self.tree.is_valid(edge)).unwrap_or(first);
        self.tree.attach(node, parent);
        let asks = |edge: EdgeId| required.contains(&self.tree[edge].from) && !self.tree.may_miss(edge);
        if asks(edge) || second.is_some_and(asks) {
            required.insert(node);
        }
        if let Some(source) = self.tree[parent].stands_for {
            self.brought_by.insert(node, source);
        }
        self.load_peers(node, required, deeper)?;
        Ok(node)
    }

    /// The package that an edge asks for, in a tree.
    fn bring_alone(&mut self, edge: EdgeId, parent: NodeId) -> Result<NodeId, Stop> {
        let name = self.tree[edge].name.clone();
        let (text, spec) = self.tree.rules.asked(&self.tree[edge]);
        let (text, spec) = (text.clone(), spec.clone());
        if *spec == Spec::Local {
            return Ok(self.bring_directory(edge, &text, parent));
        }
        let key = &self.tree[edge].key;
        let workspace = self.tree.edge_named(self.tree.main, key).and_then(|own| self.tree[own].to);
        if let Some(workspace) = workspace.filter(|id| self.tree[*id].is_workspace)
            && self.tree.satisfies(workspace, &self.tree[edge])
        {
            return Ok(self.link(&name, self.tree[workspace].link.unwrap_or(workspace), parent));
        }
        let manifest = match self.known.look(&name, &text) {
            Look::Found(manifest) => {
                if !self.tree.may_miss(edge) {
                    self.looked_up.insert((name.clone(), text));
                }
                manifest
            }
            Look::Absent => Arc::new(Manifest::nowhere(&name)),
            Look::Unknown => {
                self.needs.insert((name, text));
                return Err(Stop::Unknown);
            }
        };
        let node = self.tree.create(&name, manifest, None);
        self.tree.attach(node, parent);
        self.tree.load_edges(node);
        Ok(node)
    }

    /// A link to a directory of the project; for anything else of this machine, something that is no registry's.
    fn bring_directory(&mut self, edge: EdgeId, text: &str, parent: NodeId) -> NodeId {
        let (name, from) = (self.tree[edge].name.clone(), self.tree[edge].from);
        let asking = self.tree[from].stands_for.unwrap_or(from);
        let base = self.tree.location(self.tree[asking].link.unwrap_or(asking));
        let path = text.split_once(':').map_or(text, |(_, path)| path);
        let path = joined(&base, path);
        if let Some(target) = path.as_ref().and_then(|path| self.directories.get(path.as_str())).copied() {
            return self.link(&name, target, parent);
        }
        let manifest = Manifest::new(&name, "", Vec::new(), Origin::Address(text.to_owned()));
        let node = self.tree.create(&name, Arc::new(manifest), None);
        self.tree.attach(node, parent);
        node
    }

    fn link(&mut self, name: &Arc<str>, target: NodeId, parent: NodeId) -> NodeId {
        let manifest = self.tree[target].manifest.clone();
        let node = self.tree.create(name, manifest, None);
        self.tree[node].link = Some(target);
        self.tree[node].is_workspace = self.tree[target].is_workspace;
        self.tree.attach(node, parent);
        node
    }

    /// Puts what a node wants beside itself into its tree, the optional as well: it must not be in the way.
    fn load_peers(
        &mut self,
        node: NodeId,
        required: &mut HashSet<NodeId>,
        deeper: usize,
    ) -> Result<(), Stop> {
        let mut edges: Vec<EdgeId> = self.tree[node].edges.clone();
        edges.retain(|id| {
            self.tree[*id].is_peer() && !(self.tree[*id].to.is_some() && self.tree.is_valid(*id))
        });
        edges.sort_by_cached_key(|id| Rank::of(&self.tree[*id].name));
        for edge in edges {
            // It may have been replaced meanwhile by one that pleases more.
            let Some(parent) = self.tree[node].parent else { return Ok(()) };
            if self.tree[edge].to.is_some() && self.tree.is_valid(edge) {
                continue;
            }
            let parents = self.tree.edge_named(parent, &self.tree[edge].key);
            let source = self.tree[parent].stands_for.unwrap_or(parent);
            let may_conflict = !self.tree.is_of_project(source) && !self.settings.is_strict;
            let Some(current) = self.tree[edge].to else {
                let Some(parents) = parents else {
                    self.bring(edge, Some(parent), None, required, deeper - 1)?;
                    continue;
                };
                let found = self.bring(parents, Some(parent), Some(edge), required, deeper - 1)?;
                if self.tree.is_valid(edge) {
                    continue;
                }
                if may_conflict || !required.contains(&found) {
                    self.tree[edge].is_given_up = true;
                    continue;
                }
                if self.tree[node].parent.is_none() {
                    return Ok(());
                }
                return Err(Stop::Conflict(self.explain_peer(edge, Some(parents))));
            };
            let wanted = self.bring(edge, None, None, required, deeper - 1)?;
            if self.tree.can_replace(wanted, current, &HashSet::new()) {
                if let Some(parent) = self.tree[node].parent {
                    self.bring(edge, Some(parent), None, required, deeper - 1)?;
                }
            } else if !may_conflict && required.contains(&self.tree[edge].from) {
                return Err(Stop::Conflict(self.explain_peer(edge, parents)));
            }
        }
        Ok(())
    }

    /// What stands in the tree already that an edge would be content with, the nearest to a place first.
    pub(super) fn find_below(&self, place: NodeId, edge: EdgeId) -> Option<NodeId> {
        let mut open: Vec<NodeId> = self.tree[place].children.values().copied().collect();
        let mut next = 0;
        while let Some(id) = open.get(next).copied() {
            if self.tree.satisfies(id, &self.tree[edge]) {
                return Some(id);
            }
            open.extend(self.tree[id].children.values());
            next += 1;
        }
        None
    }
}

/// The trees that were made for what nodes ask for, and for whom what is in them was brought in.
pub(super) type Trials = BTreeMap<NodeId, NodeId>;

/// A path from a directory of the project, without `.` and `..`; `None` if it leads out of it.
pub(crate) fn joined(base: &str, path: &str) -> Option<String> {
    if path.starts_with(['/', '~']) {
        return None;
    }
    let mut all: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                all.pop()?;
            }
            part => all.push(part),
        }
    }
    Some(all.join("/"))
}
