//! What a distribution says of itself: `METADATA` of wheels, `PKG-INFO` of source distributions.

use super::name::Name;
use super::requirement::Requirement;
use super::specifier::Specifiers;
use super::unreadable::Unreadable;
use super::version::Version;

/// The most bytes of such a file that are read. Real ones have up to a megabyte, most of it the description.
pub(crate) const LARGEST: usize = 16 << 20;
/// The most requirements that a distribution may have.
const MOST_REQUIREMENTS: usize = 20_000;

/// What a distribution says of itself, as far as resolving needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The project, as it spells itself.
    pub(crate) spelled: String,
    /// The project.
    pub(crate) name: Name,
    /// The version.
    pub(crate) version: Version,
    /// What it requires, each with its marker.
    pub(crate) requires: Vec<Requirement>,
    /// The Pythons that it works with. What cannot be read limits nothing, as with pip.
    pub(crate) requires_python: Option<Specifiers>,
    /// The extras that it has.
    pub(crate) extras: Vec<Name>,
    /// An SPDX expression, or what people write.
    pub(crate) licence: Option<String>,
    /// Whether what it requires is the same for every wheel made from it (PEP 643); of a wheel's own it always is.
    pub(crate) is_static: bool,
}

impl Metadata {
    /// Reads the headers; what follows them is the description, which nobody needs here.
    ///
    /// # Errors
    /// If it is too large, says neither which project nor which version it is, or requires what cannot be read.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Metadata, Unreadable> {
        let fail = |text: &str, why: &str| Unreadable::new(text, "metadata of a distribution", why);
        if bytes.len() > LARGEST {
            return Err(fail("…", "it is larger than 16 MiB"));
        }
        let text = String::from_utf8_lossy(bytes);
        let (mut name, mut version, mut form, mut licence) = (None, None, None, None);
        let (mut requires, mut extras, mut requires_python) = (Vec::new(), Vec::new(), None);
        let mut dynamic = Vec::new();
        for (key, value) in headers(&text) {
            match key.to_ascii_lowercase().as_str() {
                "metadata-version" => form = Version::parse(value),
                "name" => name = Some(value),
                "version" => version = Some(value),
                "requires-python" => requires_python = Specifiers::parse(value).ok(),
                "requires-dist" if requires.len() == MOST_REQUIREMENTS => {
                    return Err(fail(value, "it has more than 20,000 requirements"));
                }
                "requires-dist" => requires.push(Requirement::parse(&joined(value))?),
                // An extra whose name is none can be asked for by nobody.
                "provides-extra" => extras.extend(Name::parse(value)),
                "license-expression" => licence = Some(value.to_owned()),
                // The older field often holds the whole text.
                "license" if licence.is_none() && !value.contains('\n') && value.len() < 100 => {
                    licence =
                        Some(value.to_owned()).filter(|licence| !licence.is_empty() && licence != "UNKNOWN");
                }
                "dynamic" => dynamic.push(value.to_ascii_lowercase()),
                _ => {}
            }
        }
        let spelled = name.ok_or_else(|| fail("…", "it does not say its name"))?;
        let version = version.ok_or_else(|| fail(spelled, "it does not say its version"))?;
        let static_from = Version::parse("2.2");
        let moving = ["requires-dist", "provides-extra", "requires-python"];
        Ok(Metadata {
            name: Name::parse(spelled)?,
            spelled: spelled.to_owned(),
            version: Version::parse(version).ok_or_else(|| fail(version, "its version is none"))?,
            requires,
            requires_python,
            extras,
            licence,
            is_static: form >= static_from && !dynamic.iter().any(|field| moving.contains(&field.as_str())),
        })
    }
}

/// Which project and version a document is about, and nothing else: what it requires may be what nobody can read.
///
/// # Errors
/// If it does not say it.
pub(crate) fn identity(bytes: &[u8]) -> Result<(Name, Version), Unreadable> {
    let fail = |text: &str, why: &str| Unreadable::new(text, "metadata of a distribution", why);
    let text = String::from_utf8_lossy(bytes);
    let field = |wanted: &str| {
        headers(&text).find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let name = field("name").ok_or_else(|| fail("…", "it does not say its name"))?;
    let version = field("version").ok_or_else(|| fail(name, "it does not say its version"))?;
    Ok((Name::parse(name)?, Version::parse(version).ok_or_else(|| fail(version, "its version is none"))?))
}

/// The headers of a document, each with its name and its value, whose continued lines are part of it.
pub(super) fn headers(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    std::iter::from_fn(move || {
        loop {
            let mut end = rest.find('\n').unwrap_or(rest.len());
            while rest.get(end + 1..).is_some_and(|next| next.starts_with([' ', '\t'])) {
                end += 1 + rest.get(end + 1..)?.find('\n').unwrap_or(rest.len() - end - 1);
            }
            let header = rest.get(..end)?;
            if header.trim().is_empty() {
                return None;
            }
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some((key, value)) = header.split_once(':') {
                return Some((key.trim(), value.trim()));
            }
        }
    })
}

/// A value without the line ends in it.
fn joined(value: &str) -> String {
    value.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Metadata-Version: 2.2\r\nName: Some.Project\nVersion: 1.0\nLicense: MIT\n\
        Requires-Python: >=3.8\nProvides-Extra: Test_It\nProvides-Extra: ???\nClassifier: x\n\
        requires-dist: a (>=1.0)\nRequires-Dist: b ;\n  extra == 'test-it'\n\
        Description: first\n        |second\n\nRequires-Dist: not-this\n";

    #[test]
    fn the_headers_say_what_resolving_needs() {
        let metadata = Metadata::parse(TEXT.as_bytes()).unwrap();
        assert_eq!((metadata.spelled.as_str(), metadata.name.as_str()), ("Some.Project", "some-project"));
        let requires: Vec<_> = metadata.requires.iter().map(ToString::to_string).collect();
        assert_eq!(requires, ["a>=1.0", "b ; extra == 'test-it'"]);
        assert_eq!(metadata.extras, [Name::parse("test-it").unwrap()]);
        assert!(metadata.is_static && metadata.licence.as_deref() == Some("MIT"));
        assert_eq!(metadata.requires_python, Specifiers::parse(">=3.8").ok());
    }

    #[test]
    fn requirements_that_builds_may_change_are_known_as_such() {
        for (from, to) in
            [("Metadata-Version: 2.2", "Metadata-Version: 2.1"), ("License: MIT", "Dynamic: Requires-Dist")]
        {
            assert!(!Metadata::parse(TEXT.replace(from, to).as_bytes()).unwrap().is_static);
        }
    }

    #[test]
    fn damaged_metadata_is_refused_and_named() {
        for (from, to, said) in [
            ("Name: Some.Project", "X: y", "does not say its name"),
            ("Version: 1.0", "X: y", "does not say its version"),
            ("Version: 1.0", "Version: one", "its version is none"),
            ("a (>=1.0)", "a (>=one)", "\"a (>=one)\" is no requirement"),
        ] {
            let error = Metadata::parse(
                TEXT.replacen(&format!("\n{from}"), &format!("\n{to}"), 1).replace(from, to).as_bytes(),
            );
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        // A Python that cannot be read limits nothing.
        let odd = TEXT.replace(">=3.8", "three");
        assert_eq!(Metadata::parse(odd.as_bytes()).unwrap().requires_python, None);
        assert!(Metadata::parse(&vec![b'x'; LARGEST + 1]).is_err());
        assert!(Metadata::parse(b"\xff\xfe: \n").is_err());
        let many = format!("Name: a\nVersion: 1\n{}", "Requires-Dist: b\n".repeat(MOST_REQUIREMENTS + 1));
        assert!(Metadata::parse(many.as_bytes()).is_err());
    }
}
