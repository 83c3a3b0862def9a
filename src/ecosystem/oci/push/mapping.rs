//! What images are called at the target.

use super::super::reference::{Name, check_path, check_registry, is_host};
use crate::ecosystem::pattern::matches;
use crate::ecosystem::push::PushOrder;
use crate::problem::{Kind, Problem};

/// What names become at a target.
pub(super) struct Mapping {
    /// The target's host.
    pub(super) registry: String,
    /// What all names there begin with; empty for nothing.
    prefix: String,
    keep_host: bool,
    /// Patterns of whole names, and what they become below the prefix.
    rules: Vec<(String, String)>,
}

fn usage(code: &'static str, message: String) -> Problem {
    Problem::new(Kind::Usage, code, message)
}

impl Mapping {
    /// Reads the target `//HOST/PREFIX` and the rules of an order.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(order: &PushOrder) -> Result<Mapping, Problem> {
        let text = order.target.trim_start_matches('/').trim_end_matches('/');
        let (registry, prefix) = text.split_once('/').unwrap_or((text, ""));
        let wrong = |why: String| {
            usage("push.target", format!("{:?} is no registry to push to", order.target))
                .because(why)
                .hint("write docker://HOST/PREFIX, for example docker://registry.example.test/mirror")
        };
        check_registry(registry).map_err(wrong)?;
        if !prefix.is_empty() {
            check_path(prefix).map_err(wrong)?;
        }
        let rule = |text: &String| {
            let (pattern, name) = text.split_once('=').unwrap_or((text, ""));
            let count = |text: &str| text.matches('*').count();
            if pattern.is_empty() || name.is_empty() || count(name) > count(pattern) {
                let message = format!("{text:?} does not say what becomes what");
                return Err(usage("push.map", message).hint(
                    "write --map 'docker.io/library/*=base/*': each star stands for the same on both sides",
                ));
            }
            Ok((pattern.to_owned(), name.to_owned()))
        };
        Ok(Mapping {
            registry: registry.to_owned(),
            prefix: prefix.to_owned(),
            keep_host: order.keep_host,
            rules: order.map.iter().map(rule).collect::<Result<_, _>>()?,
        })
    }

    /// What a repository is called at the target.
    ///
    /// # Errors
    /// If that is no name.
    pub(super) fn target(&self, source: &Name) -> Result<Name, Problem> {
        let whole = source.to_string();
        let mapped = self.rules.iter().find_map(|(pattern, name)| replaced(pattern, name, &whole));
        let own = match mapped {
            Some(mapped) => mapped,
            // No name of a host has an underscore, and no name of a repository a colon. What this site hosts has no host.
            None if self.keep_host || !is_host(&source.registry) => whole.replacen(':', "_", 1),
            None => source.path.clone(),
        };
        let path = if self.prefix.is_empty() { own } else { format!("{}/{own}", self.prefix) };
        check_path(&path).map_err(|why| {
            usage("push.name", format!("{source} cannot be called {path} at {}", self.registry))
                .because(why)
                .hint(format!("say what it becomes: --map '{source}=NAME'"))
        })?;
        Ok(Name { registry: self.registry.clone(), path })
    }
}

/// `name` with its stars in place of what those of the pattern stand for, if it matches the text; each takes as little
/// as it can.
fn replaced(pattern: &str, name: &str, text: &str) -> Option<String> {
    if !matches(pattern, text) {
        return None;
    }
    let mut found = Vec::new();
    let mut literals = pattern.split('*');
    let mut rest = text.strip_prefix(literals.next()?)?;
    let mut literals = literals.peekable();
    while let Some(literal) = literals.next() {
        let at = if literals.peek().is_none() {
            rest.len().checked_sub(literal.len())?
        } else {
            rest.find(literal)?
        };
        let (star, after) = (rest.get(..at)?, rest.get(at + literal.len()..)?);
        found.push(star);
        rest = after;
    }
    let mut parts = name.split('*');
    let mut result = parts.next()?.to_owned();
    for (part, star) in parts.zip(found) {
        result.push_str(star);
        result.push_str(part);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(target: &str, map: &[&str], keep_host: bool) -> Result<Mapping, Problem> {
        let map = map.iter().map(|text| (*text).to_owned()).collect();
        Mapping::read(&PushOrder { target: target.to_owned(), map, keep_host, ..PushOrder::default() })
    }

    fn mapped(mapping: &Mapping, name: &str) -> Result<String, Problem> {
        mapping.target(&Name::read(name).unwrap()).map(|name| name.to_string())
    }

    #[test]
    fn names_lose_their_host_or_keep_it_and_patterns_win() {
        let plain = mapping("//registry.example.test/mirror/", &[], false).unwrap();
        assert_eq!(mapped(&plain, "redis").unwrap(), "registry.example.test/mirror/library/redis");
        let kept = mapping("//registry.example.test:5000", &[], true).unwrap();
        assert_eq!(mapped(&kept, "host:5000/a/b").unwrap(), "registry.example.test:5000/host_5000/a/b");
        let hosted = Name::hosted("team", "app").unwrap();
        for (mapping, target) in [
            (&plain, "registry.example.test/mirror/team/app"),
            (&kept, "registry.example.test:5000/team/app"),
        ] {
            assert_eq!(mapping.target(&hosted).unwrap().to_string(), target);
        }
        assert_eq!(mapped(&kept, "[::1]:5000/a").unwrap_err().code, "push.name");
        let rules = ["docker.io/library/*=base/*", "*/team/*=all/*-*", "quay.example.test/x=y"];
        let map = mapping("registry.example.test", &rules, false).unwrap();
        for (source, target) in [
            ("redis", "base/redis"),
            ("quay.example.test/x", "y"),
            ("host:1/team/app", "all/host:1-app"),
            ("other.example.test/a/b", "a/b"),
        ] {
            let found = mapped(&map, source);
            let expected = format!("registry.example.test/{target}");
            // What the stars bring in may be no name.
            assert_eq!(found.ok(), (!target.contains(':')).then_some(expected), "{source}");
        }
    }

    #[test]
    fn what_is_no_target_or_rule_is_refused() {
        for (target, map) in [
            ("//", ""),
            ("//Host/UPPER", ""),
            ("//ho_st", ""),
            ("//h.test", "a"),
            ("//h.test", "a=b*"),
            ("//h.test", "=b"),
        ] {
            let map: Vec<&str> = Some(map).filter(|map| !map.is_empty()).into_iter().collect();
            assert!(mapping(target, &map, false).is_err(), "{target} {map:?}");
        }
    }
}
