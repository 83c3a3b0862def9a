//! `overrides`: what a project puts in the place of what packages ask for, everywhere or below certain packages alone.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::manifest::Manifest;
use super::tree::Edge;
use crate::ecosystem::npm::range::Range;
use crate::ecosystem::npm::spec::{Spec, split_range};
use crate::problem::{Kind, Problem};

/// How deep overrides may be nested.
const DEEPEST: usize = 32;
/// How many there may be.
const MOST: usize = 10_000;

/// An override's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RuleId(usize);

/// The overrides of a project.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The first one stands for the project itself, if there are any.
    all: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    above: Option<RuleId>,
    below: Vec<RuleId>,
    /// Of what is overridden; empty for the project.
    name: String,
    /// As the project writes it: the name with or without a range.
    key: String,
    /// What is overridden.
    of: Spec,
    /// What is put in its place; `None` leaves it, for what it needs is what is overridden.
    value: Option<(Arc<str>, Arc<Spec>)>,
}

impl Rules {
    /// Reads the `overrides` of a project, which may refer to what it needs itself by `$name`.
    ///
    /// # Errors
    /// If they are of another form, refer to what isn't there, or contradict what the project itself asks for.
    pub(super) fn read(overrides: &Map<String, Value>, project: &Manifest) -> Result<Rules, Problem> {
        let mut rules = Rules::default();
        if overrides.is_empty() {
            return Ok(rules);
        }
        rules.add(None, "", overrides, project, DEEPEST)?;
        Ok(rules)
    }

    fn add(
        &mut self,
        above: Option<RuleId>,
        key: &str,
        members: &Map<String, Value>,
        project: &Manifest,
        deeper: usize,
    ) -> Result<RuleId, Problem> {
        if deeper == 0 || self.all.len() >= MOST {
            return Err(wrong("they are nested too deep, or there are too many".to_owned()));
        }
        let id = RuleId(self.all.len());
        let (name, of) = split_range(key);
        if name.is_empty() && above.is_some() {
            return Err(wrong(format!("{key:?} names no package")));
        }
        let said = match members.get(".") {
            None => None,
            Some(Value::String(text)) => Some(text.as_str()),
            Some(_) => return Err(wrong(format!("what stands for {key:?} itself is no text"))),
        };
        let value = said.filter(|text| !text.is_empty()).or(above.and(Some(of))).unwrap_or_default();
        let value = match value.strip_prefix('$') {
            None => Arc::from(value),
            Some(referred) => {
                let found = project.dependencies.iter().find(|dependency| *dependency.name == *referred);
                let missing = || wrong(format!("${referred} refers to nothing that the project needs"));
                found.ok_or_else(missing)?.text.clone()
            }
        };
        let spec = Spec::read(&value);
        self.all.push(Rule {
            above,
            below: Vec::new(),
            name: name.to_owned(),
            key: key.to_owned(),
            of: Spec::read(of),
            value: (spec != Spec::Any).then(|| (value, Arc::new(spec))),
        });
        for (key, below) in members.iter().filter(|(key, _)| *key != ".") {
            let text;
            let below = match below {
                Value::Object(members) => members,
                Value::String(value) => {
                    text = Map::from_iter([(".".to_owned(), Value::String(value.clone()))]);
                    &text
                }
                _ => return Err(wrong(format!("what stands for {key:?} is neither a text nor an object"))),
            };
            let below = self.add(Some(id), key, below, project, deeper - 1)?;
            self.rule_mut(id).below.push(below);
        }
        Ok(id)
    }

    /// What holds for the project.
    pub(super) fn root(&self) -> Option<RuleId> {
        (!self.all.is_empty()).then_some(RuleId(0))
    }

    fn rule(&self, id: RuleId) -> &Rule {
        &self.all[id.0]
    }

    fn rule_mut(&mut self, id: RuleId) -> &mut Rule {
        &mut self.all[id.0]
    }

    fn ancestry(&self, id: RuleId) -> impl Iterator<Item = RuleId> {
        std::iter::successors(Some(id), |id| self.rule(*id).above)
    }

    /// The rules that hold where a rule does: those below it, itself, and those of the ones above it, each key once.
    fn that_hold(&self, id: RuleId) -> Vec<RuleId> {
        let mut all: Vec<RuleId> = Vec::new();
        let mut add = |rule: RuleId| {
            if !all.iter().any(|other| self.rule(*other).key == self.rule(rule).key) {
                all.push(rule);
            }
        };
        for place in self.ancestry(id) {
            self.rule(place).below.iter().copied().for_each(&mut add);
            if self.rule(place).above.is_some() {
                add(place);
            }
        }
        all
    }

    /// The rule for what an edge finds, where `set` holds for what it leads from.
    pub(super) fn of_edge(&self, set: RuleId, edge: &Edge) -> RuleId {
        let found = self.that_hold(set).into_iter().find(|id| {
            let rule = self.rule(*id);
            rule.name == *edge.name && meets(&edge.spec, &rule.of)
        });
        found.unwrap_or(set)
    }

    /// What an edge asks for, its override applied.
    pub(super) fn asked<'a>(&'a self, edge: &'a Edge) -> (&'a Arc<str>, &'a Arc<Spec>) {
        let rule = edge.rule.map(|id| self.rule(id)).filter(|rule| rule.name == *edge.name);
        match rule.and_then(|rule| rule.value.as_ref()) {
            Some((text, spec)) => (text, spec),
            None => (&edge.text, &edge.spec),
        }
    }

    /// What the rule of an edge overrides, if there is one but the project's.
    pub(super) fn overridden(&self, edge: &Edge) -> Option<&Spec> {
        let rule = edge.rule.map(|id| self.rule(id)).filter(|rule| rule.above.is_some())?;
        Some(&rule.of)
    }

    /// Whether a rule puts exactly this version in the place of a package of this name.
    pub(super) fn puts(&self, id: RuleId, name: &str, version: &str) -> bool {
        let rule = self.rule(id);
        rule.name == name && rule.value.as_ref().is_some_and(|(text, _)| **text == *version)
    }

    /// The more specific one of two; what both have in common, if neither is and they don't contradict each other.
    pub(super) fn more_specific(&self, first: RuleId, second: RuleId) -> Option<RuleId> {
        if self.ancestry(second).any(|rule| rule == first) {
            return Some(second);
        }
        if self.ancestry(first).any(|rule| rule == second) {
            return Some(first);
        }
        if self.contradict(first, second) {
            return None;
        }
        self.ancestry(second).find(|rule| self.ancestry(first).any(|other| other == *rule))
    }

    /// Whether what two rules put in the place of one package cannot be one version.
    pub(super) fn contradict(&self, first: RuleId, second: RuleId) -> bool {
        if self.ancestry(second).any(|rule| rule == first) || self.ancestry(first).any(|rule| rule == second)
        {
            return false;
        }
        let others = self.that_hold(second);
        self.that_hold(first).into_iter().any(|one| {
            let same_key = others.iter().find(|other| self.rule(**other).key == self.rule(one).key);
            let ranges = same_key.filter(|other| **other != one).and_then(|other| {
                let range = |id: RuleId| match self.rule(id).value.as_ref().map(|(_, spec)| &**spec) {
                    Some(Spec::Range(range)) => Some(range),
                    _ => None,
                };
                Some((range(one)?, range(*other)?))
            });
            ranges.is_some_and(|(one, other)| !one.intersects(other))
        })
    }

    /// Says no, if an override contradicts what the project itself asks for.
    ///
    /// # Errors
    /// With the name of what is contradicted.
    pub(super) fn must_leave<'a>(&self, edges: impl Iterator<Item = &'a Edge>) -> Result<(), Problem> {
        for edge in edges {
            let (text, _) = self.asked(edge);
            if *text != edge.text {
                return Err(wrong(format!(
                    "{} is to be {text} instead, and the project itself asks for {}",
                    edge.name, edge.text
                ))
                .hint(format!("write \"${}\" as the override, or make both the same", edge.name)));
            }
        }
        Ok(())
    }
}

/// Whether an override of `of` is one for what is asked for.
fn meets(asked: &Spec, of: &Spec) -> bool {
    let of: &Range = match of {
        Spec::Range(range) => range,
        _ => return true,
    };
    match asked {
        Spec::Range(range) => range.intersects(of),
        Spec::Alias(_, asked) => match &**asked {
            Spec::Range(range) => range.intersects(of),
            _ => true,
        },
        Spec::Git => false,
        _ => true,
    }
}

fn wrong(why: String) -> Problem {
    Problem::new(Kind::Usage, "npm.bad-overrides", "the project's overrides cannot be followed").because(why)
}
