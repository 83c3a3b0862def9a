//! The tree while it is being built: nodes, what leads from one to another, and how both move.
//!
//! Nodes and edges are never taken away, only detached, so their numbers stay good. A tree stands beside the others that
//! were made to find out how peers go together: whatever has no parent is a root.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use super::manifest::{Manifest, Origin, Shrinkwrapped, key};
use super::rules::{RuleId, Rules};
use crate::ecosystem::npm::lock::EdgeKind;
use crate::ecosystem::npm::spec::Spec;

/// A node's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(u32);

/// An edge's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EdgeId(u32);

/// A package at its place.
#[derive(Debug)]
pub(super) struct Node {
    /// The name of its directory: an alias, if it has one.
    pub(super) name: Arc<str>,
    pub(super) manifest: Arc<Manifest>,
    pub(super) root: NodeId,
    /// In whose `node_modules` it stands.
    pub(super) parent: Option<NodeId>,
    /// Of a directory of the project: the one that it lies in.
    pub(super) above: Option<NodeId>,
    /// What stands in its `node_modules`.
    pub(super) children: BTreeMap<Arc<str>, NodeId>,
    /// The directories of the project that lie in it.
    pub(super) inside: Vec<NodeId>,
    pub(super) edges: Vec<EdgeId>,
    pub(super) edges_in: BTreeSet<EdgeId>,
    /// What it stands for, if it was made to find out how the peers of that go together.
    pub(super) stands_for: Option<NodeId>,
    /// Where it leads, if it is a link.
    pub(super) link: Option<NodeId>,
    /// Whether it is a workspace of the project, or the link to one.
    pub(super) is_workspace: bool,
    /// The overrides that hold for what it needs.
    pub(super) rules: Option<RuleId>,
    /// What the shrinkwrap of the package that it stands in says of it, if it stands there because of that.
    pub(super) shrinkwrapped: Option<Arc<Shrinkwrapped>>,
}

/// What leads from a package to one that it needs.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: NodeId,
    pub(super) name: Arc<str>,
    pub(super) key: Arc<str>,
    /// What is asked for, as written.
    pub(super) text: Arc<str>,
    pub(super) spec: Arc<Spec>,
    pub(super) kind: EdgeKind,
    /// What it finds.
    pub(super) to: Option<NodeId>,
    /// Whether it was given up: something else stands where it would look.
    pub(super) is_given_up: bool,
    /// The override that holds for it.
    pub(super) rule: Option<RuleId>,
}

/// All nodes and edges.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    pub(super) rules: Rules,
    by_name: HashMap<Arc<str>, Vec<NodeId>>,
    /// The project's.
    pub(super) main: NodeId,
    /// Whether nothing is wanted beside anything, as with npm's `legacy-peer-deps`.
    ignores_peers: bool,
}

impl Edge {
    pub(super) fn is_peer(&self) -> bool {
        matches!(self.kind, EdgeKind::Peer | EdgeKind::OptionalPeer)
    }

    pub(super) fn is_optional(&self) -> bool {
        matches!(self.kind, EdgeKind::Optional | EdgeKind::OptionalPeer)
    }
}

impl Tree {
    /// A tree with nothing but the project.
    pub(super) fn new(project: Arc<Manifest>, rules: Rules, ignores_peers: bool) -> Tree {
        let root_rule = rules.root();
        let main = NodeId(0);
        let mut tree = Tree {
            nodes: Vec::new(),
            edges: Vec::new(),
            rules,
            by_name: HashMap::new(),
            main,
            ignores_peers,
        };
        let name = project.name.clone();
        tree.create(&name, project, root_rule);
        tree.load_edges(main);
        tree
    }

    /// How many nodes and edges were made so far.
    pub(super) fn size(&self) -> usize {
        self.nodes.len() + self.edges.len()
    }

    /// A node that stands nowhere yet and has no edges.
    pub(super) fn create(
        &mut self,
        name: &Arc<str>,
        manifest: Arc<Manifest>,
        rules: Option<RuleId>,
    ) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node {
            name: name.clone(),
            manifest,
            root: id,
            parent: None,
            above: None,
            children: BTreeMap::new(),
            inside: Vec::new(),
            edges: Vec::new(),
            edges_in: BTreeSet::new(),
            stands_for: None,
            link: None,
            is_workspace: false,
            rules,
            shrinkwrapped: None,
        });
        self.by_name.entry(name.clone()).or_default().push(id);
        id
    }

    /// Gives a node the edges that its manifest has. A link has none: what it leads to has.
    pub(super) fn load_edges(&mut self, id: NodeId) {
        if self[id].link.is_some() {
            return;
        }
        let manifest = self[id].manifest.clone();
        for needed in &manifest.dependencies {
            if self.ignores_peers && matches!(needed.kind, EdgeKind::Peer | EdgeKind::OptionalPeer) {
                continue;
            }
            let edge = EdgeId(u32::try_from(self.edges.len()).unwrap_or(u32::MAX));
            self.edges.push(Edge {
                from: id,
                name: needed.name.clone(),
                key: key(&needed.name),
                text: needed.text.clone(),
                spec: needed.spec.clone(),
                kind: needed.kind,
                to: None,
                is_given_up: false,
                rule: None,
            });
            self[id].edges.push(edge);
            self.reload(edge);
        }
    }

    /// All nodes of that name that are in a tree.
    pub(super) fn named(&self, root: NodeId, name: &str) -> Vec<NodeId> {
        let all = self.by_name.get(name).into_iter().flatten().copied();
        all.filter(|id| self[*id].root == root).collect()
    }

    /// The edge of a node with that key.
    pub(super) fn edge_named(&self, id: NodeId, key: &str) -> Option<EdgeId> {
        self[id].edges.iter().copied().find(|edge| *self[*edge].key == *key)
    }

    /// Where a node looks next for what it doesn't have itself.
    pub(super) fn resolve_parent(&self, id: NodeId) -> Option<NodeId> {
        self[id].parent.or(self[id].above)
    }

    /// A node and all that it can see the packages of, from the nearest to the root.
    pub(super) fn ancestry(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(id), |id| self.resolve_parent(*id))
    }

    /// What a node finds under a key.
    pub(super) fn resolve(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.ancestry(id).find_map(|place| self[place].children.get(key).copied())
    }

    pub(super) fn is_top(&self, id: NodeId) -> bool {
        self[id].parent.is_none()
    }

    pub(super) fn is_root(&self, id: NodeId) -> bool {
        self[id].root == id
    }

    pub(super) fn depth(&self, id: NodeId) -> usize {
        std::iter::successors(self[id].parent, |id| self[*id].parent).count()
    }

    pub(super) fn is_descendant_of(&self, id: NodeId, of: NodeId) -> bool {
        self.ancestry(id).any(|place| place == of)
    }

    /// Where a node stands below its root, as in a lockfile.
    pub(super) fn location(&self, id: NodeId) -> String {
        let mut parts: Vec<&str> = Vec::new();
        let mut place = id;
        loop {
            if let Origin::Directory(path) = &self[place].manifest.origin
                && self[place].link.is_none()
            {
                parts.extend((!path.is_empty()).then_some(&**path));
                break;
            }
            let Some(parent) = self[place].parent else { break };
            parts.extend([&*self[place].name, "node_modules"]);
            place = parent;
        }
        parts.reverse();
        parts.join("/")
    }

    /// A node with all that stands or lies in it.
    pub(super) fn subtree(&self, id: NodeId) -> Vec<NodeId> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(id) = all.get(next).copied() {
            all.extend(self[id].children.values());
            all.extend(&self[id].inside);
            next += 1;
        }
        all
    }

    /// Puts a node into another's `node_modules`, in the place of whatever stood there.
    pub(super) fn attach(&mut self, id: NodeId, parent: NodeId) {
        if self[id].parent == Some(parent) {
            return;
        }
        let key = key(&self[id].name);
        if let Some(old) = self[id].parent.take() {
            self[old].children.remove(&key);
        }
        if let Some(there) = self[parent].children.get(&key).copied() {
            self.detach(there);
        }
        self[parent].children.insert(key.clone(), id);
        self[id].parent = Some(parent);
        let root = self[parent].root;
        for node in self.subtree(parent) {
            if let Some(edge) = self.edge_named(node, &key) {
                self.reload(edge);
            }
        }
        self.moved(id, root);
    }

    /// Takes a node out of its tree, with all that stands in it.
    pub(super) fn detach(&mut self, id: NodeId) {
        if let Some(parent) = self[id].parent.take() {
            let key = key(&self[id].name);
            if self[parent].children.get(&key) == Some(&id) {
                self[parent].children.remove(&key);
            }
        }
        self[id].above = None;
        self.moved(id, id);
    }

    /// Puts a node in the place of another, which goes; what stood in that one's `node_modules` stays.
    pub(super) fn replace(&mut self, old: NodeId, new: NodeId) {
        let Some(parent) = self[old].parent else { return };
        let children: Vec<NodeId> = self[old].children.values().copied().collect();
        self.attach(new, parent);
        for child in children {
            self.attach(child, new);
        }
    }

    /// Places a directory of the project in it.
    pub(super) fn lay_inside(&mut self, id: NodeId, above: NodeId) {
        self[id].above = Some(above);
        self[above].inside.push(id);
        let root = self[above].root;
        self.moved(id, root);
    }

    /// What has to be looked at anew when a node came into another tree.
    fn moved(&mut self, id: NodeId, root: NodeId) {
        let family = self.subtree(id);
        for node in &family {
            self[*node].root = root;
        }
        for node in family {
            let edges_in: Vec<EdgeId> = self[node].edges_in.iter().copied().collect();
            for edge in edges_in {
                if self[self[edge].from].root != root {
                    self.reload(edge);
                }
            }
            for edge in self[node].edges.clone() {
                if self[edge].to.is_none_or(|to| self[to].root != root) {
                    self.reload(edge);
                }
            }
        }
    }

    /// Finds out anew which override holds for an edge, and what it finds.
    pub(super) fn reload(&mut self, edge: EdgeId) {
        let (from, before, rule_before) = (self[edge].from, self[edge].to, self[edge].rule);
        let rule = self[from].rules.map(|set| self.rules.of_edge(set, &self[edge]));
        self[edge].rule = rule;
        let to = self.resolve(from, &self[edge].key);
        if to == before {
            if rule != rule_before
                && let Some(to) = to
            {
                self.rules_left(to, rule_before);
                self.rules_came(to, rule);
            }
            return;
        }
        self[edge].to = to;
        if let Some(before) = before {
            self[before].edges_in.remove(&edge);
            self.rules_left(before, rule_before);
        }
        if let Some(to) = to {
            self.rules_came(to, rule);
            self[to].edges_in.insert(edge);
        }
    }

    /// An edge that leads to a node brings overrides: the more specific ones hold.
    fn rules_came(&mut self, id: NodeId, came: Option<RuleId>) {
        let mut open = vec![(id, came)];
        while let Some((id, came)) = open.pop() {
            let Some(came) = came else { continue };
            let holds = match self[id].rules {
                None => Some(came),
                Some(held) => self.rules.more_specific(held, came),
            };
            let Some(holds) = holds.filter(|holds| self[id].rules != Some(*holds)) else { continue };
            self[id].rules = Some(holds);
            self.hand_on_rules(id, &mut open);
        }
    }

    /// An edge that no longer leads to a node takes its overrides with it.
    fn rules_left(&mut self, id: NodeId, left: Option<RuleId>) {
        if left.is_none() || self[id].rules != left {
            return;
        }
        let mut holds: Option<RuleId> = None;
        for edge in &self[id].edges_in {
            let rule = self[*edge].rule;
            holds = match (holds, rule) {
                (Some(held), Some(rule)) => self.rules.more_specific(rule, held),
                _ => rule,
            };
        }
        if self[id].rules == holds {
            return;
        }
        self[id].rules = holds;
        if holds.is_some() {
            let mut open = Vec::new();
            self.hand_on_rules(id, &mut open);
            for (to, rule) in open {
                self.rules_came(to, rule);
            }
        }
    }

    /// Hands the overrides of a node on to what its edges find.
    fn hand_on_rules(&mut self, id: NodeId, open: &mut Vec<(NodeId, Option<RuleId>)>) {
        for edge in self[id].edges.clone() {
            let rule = self[id].rules.map(|set| self.rules.of_edge(set, &self[edge]));
            self[edge].rule = rule;
            if let Some(to) = self[edge].to {
                open.push((to, rule));
            }
        }
        if let Some(target) = self[id].link {
            open.push((target, self[id].rules));
        }
    }
}

// Numbers are given by the tree alone, and nothing is ever taken out of its lists.
impl Index<NodeId> for Tree {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

impl IndexMut<NodeId> for Tree {
    fn index_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }
}

impl Index<EdgeId> for Tree {
    type Output = Edge;

    fn index(&self, id: EdgeId) -> &Edge {
        &self.edges[id.0 as usize]
    }
}

impl IndexMut<EdgeId> for Tree {
    fn index_mut(&mut self, id: EdgeId) -> &mut Edge {
        &mut self.edges[id.0 as usize]
    }
}
