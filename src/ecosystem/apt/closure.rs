//! The offline proof: a target that has only what a bundle carries gets all that was wanted.

use std::collections::HashSet;

use super::solve::{Answer, Engine, Question, Unsolvable, solve};
use super::universe::Universe;

/// Solves a question as the target will: with apt's own choices, from what is carried alone. `carried` are the carried
/// stanzas, with those of what is inside already, under the suites that the target will see; `outside` is the answer that
/// they were carried for, from the whole universe.
///
/// Gives back what the target would choose though the answer outside had not: as apt names files. That works as well, and
/// happens where apt prefers what it met last, and meets less.
///
/// # Errors
/// Says as apt would what cannot be had, for the wants together or, where all alternatives are carried, for each by itself.
pub(super) fn prove(
    carried: &Universe,
    question: &Question<'_>,
    outside: (&Universe, &Answer),
) -> Result<Vec<String>, Unsolvable> {
    let exact = Question { engine: Engine::Exact, ..question.clone() };
    match question.engine {
        Engine::Exact => {
            let inside = solve(carried, &exact)?;
            let (universe, answer) = outside;
            let expected: HashSet<String> =
                answer.install.iter().map(|version| universe.file_name(*version)).collect();
            let chosen = inside.install.iter().map(|version| carried.file_name(*version));
            Ok(chosen.filter(|file| !expected.contains(file)).collect())
        }
        Engine::Superset => {
            let mut reasons = Vec::new();
            for want in &question.wanted {
                let alone = Question { wanted: vec![want.clone()], ..exact.clone() };
                if let Err(unsolvable) = solve(carried, &alone) {
                    reasons.extend(unsolvable.reasons);
                }
            }
            if reasons.is_empty() { Ok(Vec::new()) } else { Err(Unsolvable { reasons }) }
        }
    }
}
