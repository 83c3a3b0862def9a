//! What a site says of its archives: the `[[apt]]` tables of `site.toml`.

use jiff::SignedDuration;
use serde::Deserialize;

use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::units;

/// Whoever serves signs again each day, if need be; so much room has to be left for a weekend without a server.
const LEAST_DAYS: i64 = 3;

/// How a repository's suites are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// Upstream's own documents are published, where all is here that they list.
    pub(super) verbatim: bool,
    /// How long what we sign is valid; none: without end.
    pub(super) valid_for: Option<SignedDuration>,
}

/// The rules of all repositories.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<(Option<String>, Table)>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The repository that is meant; all of them, where none is named.
    repository: Option<String>,
    verbatim: Option<bool>,
    /// A span of days: `14d`.
    valid_until: Option<String>,
    #[serde(skip)]
    valid_for: Option<SignedDuration>,
}

impl Rules {
    /// Reads them.
    ///
    /// # Errors
    /// Usage, with the place of what is wrong.
    pub(super) fn read(settings: &[Settings]) -> Result<Rules, Problem> {
        let mut rules = Rules::default();
        for settings in settings {
            let mut table: Table = settings.read()?;
            if let Some(text) = &table.valid_until {
                let wrong = || {
                    let message = format!(
                        "valid_until is {text:?}, which is no span of at least {LEAST_DAYS} days: write 14d, 6w or 6m"
                    );
                    Problem::new(Kind::Usage, "config.invalid", message).at(&settings.place)
                };
                let span = units::parse_days(text).and_then(|span| SignedDuration::try_from(span).ok());
                let least = SignedDuration::from_hours(24 * LEAST_DAYS);
                table.valid_for = Some(span.filter(|span| *span >= least).ok_or_else(wrong)?);
            }
            rules.0.push((table.repository.take(), table));
        }
        Ok(rules)
    }

    /// What holds for a repository: what is said of it by its name beats what is said of all.
    pub(super) fn of(&self, repository: &str) -> Rule {
        let of_all = self.0.iter().filter(|(name, _)| name.is_none());
        let its_own = self.0.iter().filter(|(name, _)| name.as_deref() == Some(repository));
        of_all.chain(its_own).fold(Rule::default(), |rule, (_, table)| Rule {
            verbatim: table.verbatim.unwrap_or(rule.verbatim),
            valid_for: table.valid_for.or(rule.valid_for),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(tables: &[&str]) -> Result<Rules, Problem> {
        let settings = tables.iter().map(|text| Settings {
            ecosystem: "apt".to_owned(),
            place: "site.toml:3:1".to_owned(),
            values: serde_json::from_str(text).unwrap(),
        });
        Rules::read(&settings.collect::<Vec<_>>())
    }

    #[test]
    fn what_is_said_of_one_repository_beats_what_is_said_of_all() {
        let rules = rules(&[
            r#"{"repository": "debian", "verbatim": true}"#,
            r#"{"valid_until": "2w", "verbatim": false}"#,
        ])
        .unwrap();
        let weeks = Some(SignedDuration::from_hours(14 * 24));
        assert_eq!(rules.of("debian"), Rule { verbatim: true, valid_for: weeks });
        assert_eq!(rules.of("other"), Rule { verbatim: false, valid_for: weeks });
        assert_eq!(Rules::default().of("debian"), Rule::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for text in [r#"{"valid_until": "2d"}"#, r#"{"valid_until": "soon"}"#, r#"{"verbatm": true}"#] {
            let problem = rules(&[text]).unwrap_err();
            assert_eq!(
                (problem.kind, problem.place.as_deref()),
                (Kind::Usage, Some("site.toml:3:1")),
                "{text}"
            );
        }
    }
}
