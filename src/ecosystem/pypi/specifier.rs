//! Version specifiers of PEP 440, `>=1.2,!=1.3.*,<2`, as sets of versions.
//!
//! Projects of many years say them in forms that no rule allows. Those whose meaning is plain are read: a wildcard where
//! it has no place (`>=1.2.*`), a comma too many or one too few, quotes. `===1.0` also admits `1.0.0`, which is the same
//! version: sets know no spellings.

use std::fmt;

use pubgrub::Ranges;

use super::unreadable::Unreadable;
use super::version::Version;

/// The most clauses that one specifier may have.
const MOST_CLAUSES: usize = 128;

/// What versions are wanted: all that meet each clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Specifiers {
    clauses: Vec<Clause>,
    /// What they admit together: it is asked far more often than it is read.
    ranges: Ranges<Version>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    operator: Operator,
    /// `None` for what `===` asks for and no index can have, as it is no version.
    version: Option<Version>,
    /// As it was written, for people.
    text: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    EqualPrefix,
    NotEqual,
    NotEqualPrefix,
    Arbitrary,
    Compatible,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Specifiers {
    /// Reads clauses. Nothing at all asks for any version.
    ///
    /// # Errors
    /// If a clause has no operator or no version that could be meant.
    pub(crate) fn parse(text: &str) -> Result<Specifiers, Unreadable> {
        let fail = |why: &str| Unreadable::new(text, "version specifier", why);
        let mut clauses = Vec::new();
        let mut rest = text.trim_matches(is_padding);
        while !rest.is_empty() {
            let end = rest.find(|character| !"<>=!~".contains(character)).unwrap_or(rest.len());
            let (operator, after) = rest.split_at(end);
            let after = after.trim_start_matches(is_blank);
            let end = after.char_indices().find(|(at, character)| match character {
                // It may be an epoch's: `1!2.0`.
                '!' => after.get(at + 1..).is_some_and(|next| next.starts_with('=')),
                '<' | '>' | '=' | '~' => true,
                character => is_padding(*character),
            });
            let end = end.map(|(at, _)| at);
            let (version, after) = after.split_at(end.unwrap_or(after.len()));
            if clauses.len() == MOST_CLAUSES {
                return Err(fail("it has more than 128 clauses"));
            }
            clauses.push(Clause::read(operator, version).map_err(fail)?);
            rest = after.trim_start_matches(is_padding);
        }
        Ok(Specifiers::of(clauses))
    }

    fn of(clauses: Vec<Clause>) -> Specifiers {
        let ranges = clauses.iter().fold(Ranges::full(), |all, clause| all.intersection(&clause.ranges()));
        Specifiers { clauses, ranges }
    }

    /// The versions that meet every clause, prereleases too.
    pub(crate) fn ranges(&self) -> &Ranges<Version> {
        &self.ranges
    }

    /// Whether a version meets every clause.
    pub(crate) fn contains(&self, version: &Version) -> bool {
        self.ranges.contains(version)
    }

    /// Whether a prerelease is named, so that prereleases are welcome.
    pub(crate) fn names_prerelease(&self) -> bool {
        self.clauses.iter().any(|clause| {
            !matches!(clause.operator, Operator::NotEqual | Operator::NotEqualPrefix)
                && clause.version.as_ref().is_some_and(Version::is_prerelease)
        })
    }

    /// The versions that are named by `==` or `===`: they may be yanked.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = &Version> {
        let pins = self
            .clauses
            .iter()
            .filter(|clause| matches!(clause.operator, Operator::Equal | Operator::Arbitrary));
        pins.filter_map(|clause| clause.version.as_ref())
    }
}

impl Default for Specifiers {
    /// Any version.
    fn default() -> Specifiers {
        Specifiers::of(Vec::new())
    }
}

impl fmt::Display for Specifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.clauses.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { "," } else { "" }, clause.text)?;
        }
        Ok(())
    }
}

/// What stands around a version and means nothing: quotes, which some write.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\'' || character == '"'
}

/// What stands between clauses.
fn is_padding(character: char) -> bool {
    is_blank(character) || character == ','
}

impl Clause {
    fn read(operator: &str, text: &str) -> Result<Clause, &'static str> {
        let (written, text) = (operator, text.strip_suffix('.').unwrap_or(text));
        let (prefix, wildcard) = match text.strip_suffix(".*") {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let operator = match (operator, wildcard) {
            ("==", true) => Operator::EqualPrefix,
            ("==", false) => Operator::Equal,
            ("!=", true) => Operator::NotEqualPrefix,
            ("!=" | "!=~", false) => Operator::NotEqual,
            ("===", _) => Operator::Arbitrary,
            ("~=", _) => Operator::Compatible,
            ("<", _) => Operator::Less,
            ("<=" | "=<", _) => Operator::LessOrEqual,
            (">", _) => Operator::Greater,
            (">=" | "=>", _) => Operator::GreaterOrEqual,
            ("", _) => return Err("an operator such as == or >= is missing"),
            _ => return Err("it has an operator that does not exist"),
        };
        let version = Version::parse(if operator == Operator::Arbitrary { text } else { prefix });
        match &version {
            None if text.is_empty() => return Err("a version is missing"),
            None if operator != Operator::Arbitrary
                || !text.starts_with(|first: char| first.is_alphanumeric()) =>
            {
                return Err("it names something that is no version");
            }
            Some(version) if operator == Operator::Compatible && version.release().len() < 2 => {
                return Err("~= needs a version of two numbers at least");
            }
            Some(version) if wildcard && version.is_prerelease() => {
                return Err("a wildcard may stand behind a release alone");
            }
            _ => {}
        }
        Ok(Clause { operator, version, text: format!("{written}{text}").into() })
    }

    fn ranges(&self) -> Ranges<Version> {
        let Some(version) = &self.version else { return Ranges::empty() };
        let length = version.release().len();
        match self.operator {
            Operator::Arbitrary => Ranges::singleton(version.clone()),
            Operator::Equal => equal(version),
            Operator::NotEqual => equal(version).complement(),
            Operator::EqualPrefix => prefix(version, length),
            Operator::NotEqualPrefix => prefix(version, length).complement(),
            Operator::Compatible => Ranges::higher_than(version.clone())
                .intersection(&Ranges::strictly_lower_than(version.prefix_end(length - 1))),
            Operator::Less if version.is_prerelease() => Ranges::strictly_lower_than(version.clone()),
            Operator::Less => Ranges::strictly_lower_than(version.first_development()),
            Operator::LessOrEqual => Ranges::lower_than(version.after_locals()),
            Operator::Greater => Ranges::higher_than(version.after_this()),
            Operator::GreaterOrEqual => Ranges::higher_than(version.clone()),
        }
    }
}

/// A version with its local ones, unless it names a local one itself.
fn equal(version: &Version) -> Ranges<Version> {
    if version.is_local() {
        return Ranges::singleton(version.clone());
    }
    Ranges::higher_than(version.clone()).intersection(&Ranges::lower_than(version.after_locals()))
}

fn prefix(version: &Version, length: usize) -> Ranges<Version> {
    Ranges::higher_than(version.prefix_start(length))
        .intersection(&Ranges::strictly_lower_than(version.prefix_end(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(specifier: &str, text: &str) -> bool {
        Specifiers::parse(specifier).unwrap().contains(&Version::parse(text).unwrap())
    }

    #[test]
    fn clauses_admit_what_pep_440_admits() {
        for (specifier, admitted, refused) in [
            ("==2.5.1", "2.5.1 2.5.1.0 2.5.1+cu124", "2.5.1.post1 2.5.1rc1"),
            ("==2.5.1+cu124", "2.5.1+cu124", "2.5.1 2.5.1+cpu"),
            ("!=1.0", "1.0.post1 1.0a1", "1.0 1.0+x"),
            ("==1.2.*", "1.2 1.2.dev0 1.2.9.post1 1.2rc1", "1.3.dev0 1.20 1!1.2"),
            ("==1.2.0.*", "1.2", "1.2.1"),
            ("!=1.2.*", "1.3 1.1.9", "1.2 1.2.1"),
            ("~=2.2", "2.2 2.9 2.2.post3", "2.1 3.0 3.0.dev1 2.2rc1"),
            ("~=2.2.1", "2.2.1 2.2.9", "2.3"),
            ("~=2.2rc1", "2.2rc1 2.9", "3.0a1"),
            (">1.2", "1.2.1 1.3.dev1", "1.2 1.2+x 1.2.post1 1.2rc1"),
            (">1.2.post1", "1.2.post2 1.2.post2.dev0", "1.2.post1 1.2.post1+x"),
            (">1.2rc1", "1.2 1.2.post1 1.2rc2", "1.2rc1 1.2rc1.post1"),
            ("<1.2", "1.1.9 1.1.post1", "1.2 1.2rc1 1.2.dev0"),
            ("<1.2rc2", "1.2rc1 1.2a1", "1.2rc2 1.2"),
            ("<=1.2", "1.2 1.2+x 1.2rc1", "1.2.post1"),
            (">=1.2", "1.2 1.2+x 1.2.post1", "1.2rc1"),
            ("===1.0", "1.0", "1.0+x"),
            (">=1!1.0!=1!1.5,<1!2", "1!1.0 1!1.9", "1.5 1!1.5 1!2.0"),
            (">=1.0, <2 ,!=1.5", "1.0 1.9", "1.5 2.0"),
            ("", "1.0 1.0a1", ""),
        ] {
            for version in admitted.split_whitespace() {
                assert!(holds(specifier, version), "{specifier} admits {version}");
            }
            for version in refused.split_whitespace() {
                assert!(!holds(specifier, version), "{specifier} refuses {version}");
            }
        }
        assert!(Specifiers::parse("===someday").unwrap().ranges().is_empty());
    }

    #[test]
    fn forms_of_the_wild_are_read_as_they_were_meant() {
        for (wild, meant) in [
            (">=1.2.*", ">=1.2"),
            ("<1.8.*", "<1.8"),
            (">=3.6,", ">=3.6"),
            (",>=3.6,,<4", ">=3.6,<4"),
            (">=2.7,!=3.0.*,!=3.1.*,", ">=2.7,!=3.0.*,!=3.1.*"),
            (">=1.0<2", ">=1.0,<2"),
            (">= 1.0 < 2", ">=1.0,<2"),
            ("=>1.0", ">=1.0"),
            (">='3.6'", ">=3.6"),
            (">=3.6.", ">=3.6"),
            ("~=1.2.*", "~=1.2"),
        ] {
            let read = |text| Specifiers::parse(text).unwrap().ranges().clone();
            assert_eq!(read(wild), read(meant), "{wild}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["1.0", ">=", ">=x", "><1", "~=1", "==1.0rc1.*", "== ,", "latest", ">=1.0;", "=== !a"] {
            assert!(Specifiers::parse(text).is_err(), "{text:?}");
        }
        assert!(Specifiers::parse(&">=1,".repeat(1000)).is_err());
    }

    #[test]
    fn what_is_named_is_welcome() {
        let read = |text: &str| Specifiers::parse(text).unwrap();
        for (text, welcome) in [(">=1.0rc1", true), ("<2.dev0", true), ("!=1.0rc1", false), (">=1.0", false)]
        {
            assert_eq!(read(text).names_prerelease(), welcome, "{text}");
        }
        let pins = |text: &str| read(text).pinned().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(pins("==1.0,>=0.9,===2"), ["1.0", "2"]);
        assert!(pins("==1.0.*").is_empty());
        assert_eq!(read(">=1, <2").to_string(), ">=1,<2");
    }
}
