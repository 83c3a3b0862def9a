//! The fields by which packages speak of others: `Depends: libc6 (>= 2.36), python3:any | perl`.
//!
//! Read as apt reads them in indices and in dpkg's status, where neither lists of architectures nor build profiles occur.

use std::cmp::Ordering;

use super::version;

/// One alternative of one relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alternative<'a> {
    /// The name as it is written, with its architecture if it has one: `python3:any`.
    pub(super) name: &'a str,
    /// How the version has to compare; [`Operator::Any`] where none is asked for.
    pub(super) operator: Operator,
    /// The version to compare with; empty where none is asked for.
    pub(super) version: &'a str,
    /// Whether the next one would do as well.
    pub(super) or_next: bool,
}

/// How a version has to compare with the one that a relation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    /// Every version will do.
    Any,
    /// `<<`
    Earlier,
    /// `<=`, and the obsolete `<`
    AtMost,
    /// `=`
    Equal,
    /// `>=`, and the obsolete `>`
    AtLeast,
    /// `>>`
    Later,
    /// Any but that one. It is written nowhere: packages of several architectures that may be installed side by side
    /// break each other's other versions.
    Other,
}

impl Operator {
    /// Whether a version meets it. One that has no version (a virtual package's) only meets [`Operator::Any`].
    pub(super) fn allows(self, version: &str, wanted: &str) -> bool {
        if self == Operator::Any {
            return true;
        }
        if version.is_empty() {
            return false;
        }
        let order = if version == wanted { Ordering::Equal } else { version::compare(version, wanted) };
        match self {
            Operator::Any => true,
            Operator::Earlier => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::AtLeast => order.is_ge(),
            Operator::Later => order.is_gt(),
            Operator::Other => order.is_ne(),
        }
    }

    /// As apt prints it.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Operator::Any => "",
            Operator::Earlier => "<",
            Operator::AtMost => "<=",
            Operator::Equal => "=",
            Operator::AtLeast => ">=",
            Operator::Later => ">",
            Operator::Other => "!=",
        }
    }
}

/// The alternatives of a field, in order.
///
/// # Errors
/// Says what cannot be read, for a message that names the field.
pub(super) fn alternatives(field: &str) -> impl Iterator<Item = Result<Alternative<'_>, String>> {
    let mut rest = field.trim_ascii_start();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = alternative(rest);
        rest = match &read {
            Ok((_, after)) => after,
            Err(_) => "",
        };
        Some(read.map(|(alternative, _)| alternative))
    })
}

/// What ends a name.
fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"(),|[]<>".contains(&byte)
}

/// The first alternative, and what comes after it.
fn alternative(text: &str) -> Result<(Alternative<'_>, &str), String> {
    let fault = |what: &str| {
        let shown: String = text.chars().take(40).collect();
        format!("{what} at {:?}", shown)
    };
    let end = text.bytes().position(ends_name).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err(fault("there is no package's name"));
    }
    let rest = rest.trim_ascii_start();
    let (operator, version, rest) = match rest.strip_prefix('(') {
        None => (Operator::Any, "", rest),
        Some(inner) => {
            let (inner, after) = inner.split_once(')').ok_or_else(|| fault("a parenthesis is not closed"))?;
            let (operator, version) = operator(inner.trim_ascii());
            if version.is_empty() {
                return Err(fault("there is no version in the parentheses"));
            }
            (operator, version, after.trim_ascii_start())
        }
    };
    let (or_next, rest) = match rest.as_bytes().first() {
        None => (false, rest),
        Some(b',') => (false, &rest[1..]),
        Some(b'|') => (true, &rest[1..]),
        Some(_) => return Err(fault("a relation does not end with a comma or a bar")),
    };
    let rest = rest.trim_ascii_start();
    // A bar with nothing after it offers nothing more.
    let or_next = or_next && !rest.is_empty();
    Ok((Alternative { name, operator, version, or_next }, rest))
}

/// The operator at the beginning, and the version after it. Without one it is `=`, as apt has it.
fn operator(text: &str) -> (Operator, &str) {
    const SIGNS: &[(&str, Operator)] = &[
        ("<=", Operator::AtMost),
        ("<<", Operator::Earlier),
        ("<", Operator::AtMost),
        (">=", Operator::AtLeast),
        (">>", Operator::Later),
        (">", Operator::AtLeast),
        ("=", Operator::Equal),
    ];
    let found = SIGNS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)));
    let (operator, version) = found.unwrap_or((Operator::Equal, text));
    (operator, version.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Result<Vec<String>, String> {
        alternatives(field)
            .map(|one| {
                let one = one?;
                let bar = if one.or_next { " |" } else { "" };
                Ok(format!("{} {:?} {}{bar}", one.name, one.operator, one.version))
            })
            .collect()
    }

    #[test]
    fn relations_are_read_as_apt_reads_them() {
        let field = "libc6 (>= 2.36),python3:any|perl(<<5) ,\n foo:i386 (= 1:2-3), bar (> 1), baz (1)";
        assert_eq!(
            read(field).unwrap(),
            [
                "libc6 AtLeast 2.36",
                "python3:any Any  |",
                "perl Earlier 5",
                "foo:i386 Equal 1:2-3",
                "bar AtLeast 1",
                "baz Equal 1"
            ]
        );
        assert_eq!(read(" ").unwrap(), Vec::<String>::new());
        assert_eq!(read("a, ").unwrap(), ["a Any "]);
        assert_eq!(read("a |").unwrap(), ["a Any "]);
    }

    #[test]
    fn what_cannot_be_read_is_shown() {
        for (field, fault) in [
            ("a b", "does not end with a comma or a bar at \"a b\""),
            ("a, (>= 1)", "no package's name at \"(>= 1)\""),
            ("a (>= 1", "not closed"),
            ("a (>= )", "no version"),
            ("a [amd64]", "does not end"),
            ("a,,b", "no package's name at \",b\""),
        ] {
            let error = read(field).unwrap_err();
            assert!(error.contains(fault), "{field}: {error}");
        }
    }

    #[test]
    fn operators_compare_as_their_signs_say() {
        for (operator, allowed) in [
            (Operator::Any, [true, true, true]),
            (Operator::Earlier, [true, false, false]),
            (Operator::AtMost, [true, true, false]),
            (Operator::Equal, [false, true, false]),
            (Operator::AtLeast, [false, true, true]),
            (Operator::Later, [false, false, true]),
            (Operator::Other, [true, false, true]),
        ] {
            assert_eq!(
                ["1", "2-0", "10"].map(|version| operator.allows(version, "2")),
                allowed,
                "{operator:?}"
            );
            assert_eq!(operator.allows("", "2"), operator == Operator::Any);
        }
    }
}
