//! Requirements (PEP 508): a project, its extras, which versions or which address, and when.

use std::fmt;

use super::marker::{Chosen, Environment, Marker};
use super::name::Name;
use super::specifier::Specifiers;
use super::unreadable::Unreadable;

/// The longest requirement, in bytes.
const LONGEST: usize = 64 << 10;

/// What is required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// The project.
    pub(crate) name: Name,
    /// The extras of it, each once, in order.
    pub(crate) extras: Vec<Name>,
    /// Where from, and what.
    pub(crate) source: Source,
    /// Only where this holds.
    pub(crate) marker: Option<Marker>,
}

/// Where a requirement is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// From an index, in these versions.
    Index(Specifiers),
    /// From this address alone: a file, an archive, a repository of sources.
    Url(Box<str>),
}

impl Requirement {
    /// Reads a requirement.
    ///
    /// # Errors
    /// If it does not follow the grammar, but for what is plainly meant (`name (>=1)`, an extra comma).
    pub(crate) fn parse(text: &str) -> Result<Requirement, Unreadable> {
        let fail = |why: &str| Unreadable::new(text, "requirement", why);
        if text.len() > LONGEST {
            return Err(fail("it is longer than 64 KiB"));
        }
        let whole = text.trim();
        let end = whole.find(|next: char| !(next.is_ascii_alphanumeric() || "-_.".contains(next)));
        let (name, rest) = whole.split_at(end.unwrap_or(whole.len()));
        let name = Name::parse(name).map_err(|error| fail(&error.to_string()))?;
        let (extras, rest) = read_extras(rest.trim_start()).map_err(|why| fail(&why))?;
        let (source, marker) = match rest.trim_start().strip_prefix('@') {
            Some(address) => {
                let address = address.trim_start();
                // An address may have a `;` in it, but not behind a blank.
                let end = address.find(char::is_whitespace).unwrap_or(address.len());
                let (url, after) = address.split_at(end);
                if url.is_empty() {
                    return Err(fail("an address is missing behind @"));
                }
                let marker = match (after.trim_start().strip_prefix(';'), after.trim().is_empty()) {
                    (Some(marker), _) => Some(marker),
                    (None, true) => None,
                    (None, false) => return Err(fail("something stands behind the address")),
                };
                (Source::Url(url.into()), marker)
            }
            None => {
                let (versions, marker) = match rest.split_once(';') {
                    Some((versions, marker)) => (versions, Some(marker)),
                    None => (rest, None),
                };
                let versions = versions.trim();
                let inner = versions.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
                let versions =
                    Specifiers::parse(inner.unwrap_or(versions)).map_err(|error| fail(&error.to_string()))?;
                (Source::Index(versions), marker)
            }
        };
        let marker = marker.map(str::trim).filter(|marker| !marker.is_empty()).map(Marker::parse);
        let marker = marker.transpose().map_err(|error| fail(&error.to_string()))?;
        Ok(Requirement { name, extras, source, marker })
    }

    /// The same, where an extra is wanted alone.
    pub(crate) fn only_for_extra(mut self, extra: &Name) -> Option<Requirement> {
        let condition = match &self.marker {
            None => format!("extra == '{extra}'"),
            Some(marker) => format!("({marker}) and extra == '{extra}'"),
        };
        self.marker = Some(Marker::parse(&condition).ok()?);
        Some(self)
    }

    /// Whether it counts in an environment.
    pub(crate) fn counts(&self, environment: &Environment, chosen: Chosen<'_>) -> bool {
        self.marker.as_ref().is_none_or(|marker| marker.holds(environment, chosen))
    }
}

/// `[a, b]` at the beginning, and the rest.
fn read_extras(text: &str) -> Result<(Vec<Name>, &str), String> {
    let Some(inner) = text.strip_prefix('[') else { return Ok((Vec::new(), text)) };
    let (inner, rest) = inner.split_once(']').ok_or("a bracket is not closed")?;
    let names = inner.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut extras =
        names.map(Name::parse).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    extras.sort();
    extras.dedup();
    Ok((extras, rest))
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (index, extra) in self.extras.iter().enumerate() {
            write!(f, "{}{extra}", if index > 0 { "," } else { "[" })?;
        }
        f.write_str(if self.extras.is_empty() { "" } else { "]" })?;
        match &self.source {
            Source::Index(specifiers) => write!(f, "{specifiers}")?,
            Source::Url(url) => write!(f, " @ {url}")?,
        }
        match &self.marker {
            Some(marker) => write!(f, " ; {marker}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_and_written() {
        for (text, written) in [
            ("A.b", "a-b"),
            ("a[Y, x ,y]>=1,<2;os_name=='nt'", "a[x,y]>=1,<2 ; os_name == 'nt'"),
            ("a (>=1.0,<2.0)", "a>=1.0,<2.0"),
            ("a (>=1.0) ; extra == 'x'", "a>=1.0 ; extra == 'x'"),
            ("a[]", "a"),
            (
                "a @ https://files.example.test/a-1.0.tar.gz;x#sha256=00",
                "a @ https://files.example.test/a-1.0.tar.gz;x#sha256=00",
            ),
            (
                "a[x]@https://files.example.test/a.whl ; python_version < '4'",
                "a[x] @ https://files.example.test/a.whl ; python_version < '4'",
            ),
            ("a>=1.2.*", "a>=1.2.*"),
            ("a==1.0 ;", "a==1.0"),
        ] {
            let requirement = Requirement::parse(text).unwrap();
            assert_eq!(requirement.to_string(), written);
            assert_eq!(Requirement::parse(written).unwrap(), requirement);
        }
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "-a",
            "a[x",
            "a[!]",
            "a @",
            "a @ https://x y",
            "a 1.0",
            "a>=1 ; x",
            "a>",
            "./a",
            "a=1",
            "a b",
        ] {
            let error = Requirement::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no requirement: ")), "{error}");
        }
    }
}
