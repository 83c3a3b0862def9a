//! What stands in whose way, in npm's words.

use std::collections::HashSet;

use super::builder::Builder;
use super::check::Candidate;
use super::tree::{EdgeId, NodeId, Tree};

/// How many of those who want something are named.
const NAMED: usize = 3;

impl Builder<'_> {
    /// Why an edge to what a package wants beside itself cannot have what it asks for.
    pub(super) fn explain_peer(&self, edge: EdgeId, parents: Option<EdgeId>) -> Vec<String> {
        let tree = &self.tree;
        let current = tree.resolve(tree[edge].from, &tree[edge].key);
        let found = match (current, parents) {
            (Some(current), _) => tree.explain_node(current),
            (None, Some(parents)) => tree.explain_edge(parents),
            (None, None) => "nothing".to_owned(),
        };
        vec![format!("found: {found}"), format!("could not resolve: {}", tree.explain_chain(edge))]
    }

    /// Why a package cannot be placed anywhere.
    pub(super) fn explain_place(
        &self,
        candidate: Candidate,
        conflicts: &[(Option<NodeId>, NodeId, EdgeId)],
    ) -> Vec<String> {
        let tree = &self.tree;
        let entry = candidate.through.map_or(candidate.edge, |through| through.entry);
        let in_the_way = conflicts.iter().find_map(|(stands, peer, edge)| Some(((*stands)?, *peer, *edge)));
        let current = tree.resolve(tree[entry].from, &tree[entry].key);
        let found = in_the_way.map(|(stands, ..)| stands).or(current);
        let mut lines = Vec::new();
        lines.extend(found.map(|found| format!("found: {}", tree.explain_node(found))));
        lines.push(format!("could not resolve: {}", tree.explain_chain(entry)));
        if let Some((_, peer, edge)) = in_the_way {
            let (name, wanted) = (tree.show(peer), tree.explain_chain(edge));
            lines.push(format!("conflicting peer dependency: {name}, for {wanted}"));
        }
        lines
    }
}

impl Tree {
    /// A node's name and version.
    pub(super) fn show(&self, id: NodeId) -> String {
        let stands_for = self[id].stands_for.unwrap_or(id);
        if stands_for == self.main {
            return "the root project".to_owned();
        }
        let node = &self[stands_for];
        match &*node.manifest.version {
            "" => node.name.to_string(),
            version if node.manifest.name == node.name => format!("{}@{version}", node.name),
            version => format!("{}@npm:{}@{version}", node.name, node.manifest.name),
        }
    }

    /// A node, and who wants it.
    fn explain_node(&self, id: NodeId) -> String {
        let wanted = self[id].edges_in.iter().filter(|edge| self.is_valid(**edge));
        let wanted: Vec<String> = wanted.take(NAMED).map(|edge| self.explain_edge(*edge)).collect();
        match wanted.is_empty() {
            true => self.show(id),
            false => format!("{}, for {}", self.show(id), wanted.join(" and ")),
        }
    }

    /// An edge and those that lead to it, up to the project.
    fn explain_chain(&self, id: EdgeId) -> String {
        let mut text = self.explain_edge(id);
        let (mut at, mut seen) = (self[id].from, HashSet::new());
        while seen.insert(at)
            && seen.len() <= NAMED
            && let Some(edge) = self[at].edges_in.iter().find(|edge| self.is_valid(**edge))
        {
            text.push_str(", which is for ");
            text.push_str(&self.explain_edge(*edge));
            at = self[*edge].from;
        }
        text
    }

    /// An edge: `peer react@"^18" from react-dom@18.3.1`.
    pub(super) fn explain_edge(&self, id: EdgeId) -> String {
        let edge = &self[id];
        let peer = if edge.is_peer() { "peer " } else { "" };
        let (text, _) = self.rules.asked(edge);
        format!("{peer}{}@\"{text}\" from {}", edge.name, self.show(edge.from))
    }
}
