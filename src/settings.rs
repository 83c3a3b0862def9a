//! Settings of an ecosystem's own, as a person wrote them: configuration hands them on, the ecosystem understands them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::{Kind, Problem};

/// A table of settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whose they are.
    pub ecosystem: String,
    /// Where they are written: `aftk.toml:12:1`.
    pub place: String,
    /// What is written.
    pub values: Map<String, Value>,
}

impl Settings {
    /// Reads them as what the ecosystem knows.
    ///
    /// # Errors
    /// Usage, with their place, if something is not known or of the wrong kind.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_value(Value::Object(self.values.clone())).map_err(|error| {
            Problem::new(Kind::Usage, "config.invalid", format!("[[{}]]: {error}", self.ecosystem))
                .at(&self.place)
        })
    }
}

/// Words of which one may stand without brackets.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// `"one"`.
    One(String),
    /// `["one", "two"]`.
    More(Vec<String>),
}

impl OneOrMore {
    /// All of them.
    #[must_use]
    pub fn list(self) -> Vec<String> {
        match self {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_named_with_its_place() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Known {
            depth: u8,
        }
        let settings = |text: &str| Settings {
            ecosystem: "apt".to_owned(),
            place: "aftk.toml:3:1".to_owned(),
            values: serde_json::from_str(text).unwrap(),
        };
        assert_eq!(settings(r#"{"depth": 3}"#).read::<Known>().unwrap().depth, 3);
        for wrong in [r#"{"depht": 3}"#, r#"{"depth": "3"}"#] {
            let problem = settings(wrong).read::<Known>().unwrap_err();
            assert_eq!(problem.place.as_deref(), Some("aftk.toml:3:1"));
            assert!(problem.message.starts_with("[[apt]]: "), "{problem}");
        }
    }
}
