//! Building the tree, node by node: the shallow ones first, for they decide what those further in find.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::check::Can;
use super::collation::Rank;
use super::known::{Known, Look, Needs};
use super::peers::Trials;
use super::place::{DEEPEST, Placed};
use super::project::Project;
use super::rules::Rules;
use super::tree::{EdgeId, NodeId, Tree};
use super::{LARGEST, Outcome, Settings};
use crate::ecosystem::npm::spec::Spec;
use crate::problem::Problem;

/// Why building stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something has to be known first.
    Unknown,
    /// Two wishes contradict each other: what npm would say, line by line.
    Conflict(Vec<String>),
    /// There is no end of it.
    Endless,
}

/// A tree that is being built.
pub(super) struct Builder<'a> {
    pub(super) tree: Tree,
    pub(super) known: &'a dyn Known,
    pub(super) settings: Settings,
    pub(super) needs: Needs,
    /// What was looked up and can't be done without.
    pub(super) looked_up: Needs,
    pub(super) effort: Cell<u64>,
    pub(super) trials: Trials,
    /// Of what came in with a set of peers: whose set that was.
    pub(super) brought_by: HashMap<NodeId, NodeId>,
    /// The directories of the project, by their paths.
    pub(super) directories: BTreeMap<Arc<str>, NodeId>,
    /// The edges that were left as they are, though what they find is not what they ask for.
    pub(super) given_up: Vec<EdgeId>,
    queue: BTreeSet<(usize, Rank, NodeId)>,
    seen: HashSet<NodeId>,
    links: BTreeSet<NodeId>,
}

impl<'a> Builder<'a> {
    /// A tree with nothing but the project.
    ///
    /// # Errors
    /// If its overrides cannot be followed.
    pub(super) fn new(
        project: &Project,
        known: &'a dyn Known,
        settings: Settings,
    ) -> Result<Builder<'a>, Problem> {
        let rules = Rules::read(&project.overrides, &project.manifest)?;
        let tree = Tree::new(project.manifest.clone(), rules, settings.ignores_peers);
        if !project.overrides_itself {
            let own = &tree[tree.main].edges;
            tree.rules.must_leave(own.iter().map(|edge| &tree[*edge]))?;
        }
        let effort = Cell::new(settings.effort);
        let mut builder = Builder {
            tree,
            known,
            settings,
            needs: Needs::new(),
            looked_up: Needs::new(),
            effort,
            trials: Trials::new(),
            brought_by: HashMap::new(),
            directories: BTreeMap::new(),
            given_up: Vec::new(),
            queue: BTreeSet::new(),
            seen: HashSet::new(),
            links: BTreeSet::new(),
        };
        for directory in &project.directories {
            let id = builder.tree.create(&directory.manifest.name, directory.manifest.clone(), None);
            builder.tree[id].is_workspace = directory.is_workspace;
            builder.tree.load_edges(id);
            builder.directories.insert(directory.path.clone(), id);
        }
        Ok(builder)
    }

    /// Builds the tree as far as enough is known.
    pub(super) fn build(mut self) -> Outcome {
        self.push(self.tree.main);
        match self.run() {
            Ok(()) => Outcome::Built(Box::new(self.finish())),
            Err(Stop::Conflict(lines)) => Outcome::Conflict(lines),
            Err(Stop::Endless) => Outcome::Endless,
            Err(Stop::Unknown) => {
                self.need_what_is_open();
                Outcome::Needs(self.needs)
            }
        }
    }

    fn run(&mut self) -> Result<(), Stop> {
        loop {
            while let Some((_, _, node)) = self.queue.pop_first() {
                if self.tree[node].root == self.tree.main && self.seen.insert(node) {
                    self.step(node)?;
                }
            }
            // The project's other directories come when all else is in its place.
            for link in std::mem::take(&mut self.links) {
                let target = self.tree[link].link.filter(|_| self.tree[link].root == self.tree.main);
                if let Some(target) = target
                    && self.tree[target].root == self.tree.main
                    && !self.seen.contains(&target)
                {
                    self.push(target);
                }
            }
            if self.queue.is_empty() {
                return Ok(());
            }
        }
    }

    /// Finds and places all that a node lacks.
    fn step(&mut self, node: NodeId) -> Result<(), Stop> {
        self.unwrap(node)?;
        let source = self.brought_by.get(&node).copied().unwrap_or(node);
        let mut tasks = Vec::new();
        for edge in self.open_edges(node) {
            if self.tree[edge].is_given_up {
                continue;
            }
            let is_peer = self.tree[edge].is_peer();
            let trial = self.trial(if is_peer { source } else { node }, true);
            let tried = self.tree.edge_named(trial, &self.tree[edge].key);
            let tried =
                tried.filter(|tried| self.tree.is_valid(*tried)).and_then(|tried| self.tree[tried].to);
            let mut found = tried.filter(|tried| self.tree.satisfies(*tried, &self.tree[edge]));
            if found.is_none() && self.tree.may_miss(edge) {
                let above = self.tree.resolve_parent(node).unwrap_or(node);
                found = self.find_below(above, edge);
            }
            let package = match found {
                Some(found) => found,
                None => {
                    let mut required = HashSet::from([node]);
                    let trial = is_peer.then_some(trial);
                    self.bring(edge, trial, None, &mut required, DEEPEST)?
                }
            };
            tasks.push((Rank::of(&self.tree[edge].name), edge, package));
        }
        tasks.sort_by(|one, other| one.0.cmp(&other.0));
        for (_, edge, package) in tasks {
            let mut all = Vec::new();
            self.place(edge, package, &mut all)?;
            for placed in all {
                self.follow(placed);
            }
        }
        for edge in &self.tree[node].edges {
            if let Some(to) = self.tree[*edge].to
                && self.tree[to].link.is_some()
            {
                self.links.insert(to);
            }
        }
        Ok(())
    }

    /// Puts what a package's own shrinkwrap lists into its `node_modules`. npm looks no further at what is there.
    fn unwrap(&mut self, node: NodeId) -> Result<(), Stop> {
        let manifest = self.tree[node].manifest.clone();
        let is_there = |child: &NodeId| self.tree[*child].shrinkwrapped.is_some();
        if self.tree[node].link.is_some() || self.tree[node].children.values().any(is_there) {
            return Ok(());
        }
        let mut places: HashMap<&str, NodeId> = HashMap::from([("", node)]);
        for one in &manifest.shrinkwrap {
            if self.tree.size() > LARGEST {
                return Err(Stop::Endless);
            }
            let Some((parent, name)) = one.path.rsplit_once("node_modules/") else { continue };
            let Some(parent) = places.get(parent.trim_end_matches('/')).copied() else { continue };
            let child = self.tree.create(&Arc::from(name), one.manifest.clone(), None);
            self.tree[child].shrinkwrapped = Some(one.clone());
            self.tree.attach(child, parent);
            self.tree.load_edges(child);
            places.insert(&one.path, child);
        }
        Ok(())
    }

    /// Queues what has to be looked at now that something stands at its place.
    fn follow(&mut self, placed: Placed) {
        let Placed { edge, node, done, again } = placed;
        let edges_in: Vec<EdgeId> = self.tree[node].edges_in.iter().copied().collect();
        for other in edges_in {
            let is_upset = other != edge && !self.tree[other].is_given_up && !self.tree.is_valid(other);
            if is_upset && matches!(done, Can::Add | Can::Replace) {
                self.look_again(self.tree[other].from);
            }
        }
        self.push(node);
        for node in again {
            self.look_again(node);
        }
    }

    fn look_again(&mut self, node: NodeId) {
        self.seen.remove(&node);
        self.push(node);
    }

    fn push(&mut self, node: NodeId) {
        let location = self.tree.location(node);
        self.queue.insert((self.tree.depth(node), Rank::of(&location), node));
    }

    /// The edges of a node that lack something.
    fn open_edges(&self, node: NodeId) -> Vec<EdgeId> {
        let is_open = |id: &EdgeId| match self.tree[*id].to {
            None => !self.tree.may_miss(*id),
            Some(to) => {
                let is_settled = self.tree.is_failed(to) || self.tree[to].shrinkwrapped.is_some();
                !is_settled && !self.tree.is_valid(*id)
            }
        };
        self.tree[node].edges.iter().copied().filter(is_open).collect()
    }

    /// Adds all that is open so far to what is needed: it can be had at once then.
    fn need_what_is_open(&mut self) {
        for node in self.tree.subtree(self.tree.main) {
            for edge in self.open_edges(node) {
                let (text, spec) = self.tree.rules.asked(&self.tree[edge]);
                let is_unknown = matches!(self.known.look(&self.tree[edge].name, text), Look::Unknown);
                if is_unknown && **spec != Spec::Local {
                    self.needs.insert((self.tree[edge].name.clone(), text.clone()));
                }
            }
        }
    }
}
