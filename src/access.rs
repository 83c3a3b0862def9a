//! Who may read and write at a site, in words of the house: `site.toml` says it, the listener holds clients to it, and
//! ecosystems ask it before they take what a client brings.

use serde::{Deserialize, Deserializer, de};

/// Whether whoever asks is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// Everybody is.
    #[default]
    Open,
    /// Only who has an account is.
    Accounts,
}

/// A repository that clients write into.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosted {
    /// Whose clients.
    pub ecosystem: String,
    /// Its name: as [`is_repository_name`] wants it.
    #[serde(deserialize_with = "repository_name")]
    pub name: String,
    /// The accounts that may write; `*` is every account.
    #[serde(deserialize_with = "writers")]
    pub write: Vec<String>,
    /// The names of packages that are nobody else's here; a `*` at the end of one stands for any rest: `@team/*`. Empty: it
    /// takes packages of any name.
    #[serde(default, deserialize_with = "packages")]
    pub packages: Vec<String>,
    /// How many bytes its blobs may have together; `None`: as many as the disk has.
    #[serde(default, deserialize_with = "size")]
    pub quota: Option<u64>,
}

impl Hosted {
    /// Whether an account may write into it.
    pub fn may_write(&self, account: &str) -> bool {
        self.write.iter().any(|writer| writer == EVERY_ACCOUNT || writer == account)
    }

    /// Whether the site says that packages of this name are this repository's alone.
    pub fn owns(&self, package: &str) -> bool {
        self.packages.iter().any(|owned| match owned.strip_suffix('*') {
            Some(beginning) => package.starts_with(beginning),
            None => owned == package,
        })
    }

    /// Why a package of this name may not be in it, if so.
    ///
    /// # Errors
    /// If it may not.
    pub fn takes(&self, package: &str) -> Result<(), String> {
        if self.packages.is_empty() || self.owns(package) {
            return Ok(());
        }
        Err(format!("{} takes {} only, and {package} is something else", self.name, self.packages.join(", ")))
    }
}

/// How every account is written where accounts are listed.
const EVERY_ACCOUNT: &str = "*";

/// Names that stand for something else in the addresses that clients use.
const RESERVED: &[&str] = &["all", "library", "local", "localhost", "uploads"];

/// The longest name of a repository or an account in bytes.
const LONGEST_NAME: usize = 64;

/// Whether a text can name a hosted repository: words of lower-case letters and digits with one `-` or `_` between any
/// two. Such a name looks neither like a host (no dot, no colon, no number after a `_`, which is how a port is written)
/// nor like an address of ours, and every client takes it.
pub fn is_repository_name(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let ends_in_port =
        text.rsplit_once('_').is_some_and(|(_, end)| end.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= LONGEST_NAME
        && text.split(['-', '_']).all(is_word)
        && !ends_in_port
        && !RESERVED.contains(&text)
}

/// Whether a text can name an account: letters, digits, `.`, `_`, `-`, `@` and `+`, of which a letter or digit comes
/// first.
pub fn is_account_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte))
}

fn repository_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if is_repository_name(&name) {
        return Ok(name);
    }
    Err(de::Error::custom(format!(
        "{name:?} cannot name a hosted repository: words of lower-case letters and digits with one `-` or `_` between \
         two, at most {LONGEST_NAME} bytes, no number after a `_`, and none of {}",
        RESERVED.join(", ")
    )))
}

fn writers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let writers = Vec::<String>::deserialize(deserializer)?;
    match writers.iter().find(|writer| *writer != EVERY_ACCOUNT && !is_account_name(writer)) {
        None => Ok(writers),
        Some(other) => Err(de::Error::custom(format!(
            "{other:?} cannot name an account; write names, or `{EVERY_ACCOUNT}` alone for every account"
        ))),
    }
}

fn packages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let packages = Vec::<String>::deserialize(deserializer)?;
    let is_good = |text: &&String| {
        let name = text.strip_suffix('*').unwrap_or(text);
        !name.is_empty() && !name.contains(|one: char| one == '*' || one.is_whitespace() || one.is_control())
    };
    match packages.iter().find(|text| !is_good(text)) {
        None => Ok(packages),
        Some(other) => Err(de::Error::custom(format!(
            "{other:?} cannot name packages; write whole names, or how they begin with a `*` behind it: \"@team/*\""
        ))),
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::units::parse_bytes(&text).map(Some).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is not a size; write a whole number with its unit, such as \"50GiB\""
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosted_repository_looks_like_nothing_else() {
        for good in ["team", "a", "7", "team-a", "team_a", "a1-b2_c3", "team-5000", &"a".repeat(64)] {
            assert!(is_repository_name(good), "{good}");
        }
        for bad in [
            "",
            "Team",
            "a.b",
            "a:1",
            "a/b",
            "a b",
            "-",
            "-a",
            "a-",
            "_a",
            "a__b",
            "a-_b",
            "team_5000",
            "host_1",
            "all",
            "local",
            "localhost",
            "uploads",
            "_catalog",
            "ä",
            "a%2f",
            "*",
            &"a".repeat(65),
        ] {
            assert!(!is_repository_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_account_has_a_name_that_fits_into_credentials() {
        for good in ["ci", "Ada.Lovelace", "ada@example.test", "robot+1", "7"] {
            assert!(is_account_name(good), "{good}");
        }
        for bad in ["", "*", ".a", "-a", "a:b", "a b", "a\n", "a/b", "ä", &"a".repeat(65)] {
            assert!(!is_account_name(bad), "{bad}");
        }
    }

    #[test]
    fn only_those_who_are_named_may_write() {
        let hosted = |write: &[&str]| Hosted {
            ecosystem: "oci".to_owned(),
            name: "team".to_owned(),
            write: write.iter().map(|one| (*one).to_owned()).collect(),
            packages: Vec::new(),
            quota: None,
        };
        assert!(hosted(&["ada", "ci"]).may_write("ci") && !hosted(&["ada"]).may_write("ci"));
        assert!(hosted(&["*"]).may_write("ci") && !hosted(&[]).may_write("ci"));
    }

    #[test]
    fn a_repository_takes_the_packages_that_it_owns() {
        let hosted = |packages: &str| -> Result<Hosted, toml::de::Error> {
            toml::from_str(&format!(
                "ecosystem = \"npm\"\nname = \"team\"\nwrite = []\npackages = {packages}"
            ))
        };
        let team = hosted("[\"@team/*\", \"tool\"]").unwrap();
        for (package, is_owned) in
            [("@team/a", true), ("tool", true), ("tools", false), ("@teams/a", false), ("a", false)]
        {
            assert_eq!((team.owns(package), team.takes(package).is_ok()), (is_owned, is_owned), "{package}");
        }
        let any = hosted("[]").unwrap();
        assert!(any.takes("a").is_ok() && !any.owns("a"));
        for wrong in ["[\"\"]", "[\"*\"]", "[\"a*b\"]", "[\"a b\"]"] {
            assert!(hosted(wrong).is_err(), "{wrong}");
        }
    }
}
