//! Ranges as npm reads them: `node-semver`'s grammar in loose mode, `latest`-less.
//!
//! npm's own reader rewrites the text step by step with regular expressions (hyphens, carets, tildes, x-ranges,
//! stars) and then drops every comparator it doesn't understand. What odd ranges mean follows from the order of
//! these steps, so they are the same ones here, each a function; `fixtures/npm/ranges.tsv`, made with npm's own
//! `semver`, holds them to it.

use super::version::{Parts, Version, are_identifiers, is_decoration, is_identifier_byte, is_space};

/// The longest range that is read, in bytes. npm has no such limit; real ranges are far shorter.
const LONGEST: usize = 8 * 1024;

/// A range: alternatives of which one has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    alternatives: Vec<Vec<Comparator>>,
}

/// A bound that a version is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Comparator {
    Any,
    Bound(Operator, Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    Greater,
    GreaterOrEqual,
}

impl Range {
    /// Reads a range; `None` if npm would call it invalid (it may then be a dist-tag).
    pub(crate) fn parse(text: &str) -> Option<Range> {
        if text.len() > LONGEST {
            return None;
        }
        let text = collapse(text);
        let mut alternatives = Vec::new();
        for alternative in text.split("||") {
            let comparators = comparators(alternative)?;
            if !comparators.is_empty() {
                alternatives.push(comparators);
            }
        }
        if alternatives.is_empty() {
            return None;
        }
        // A star swallows its siblings, and with them the prereleases that they would have allowed.
        if alternatives.iter().any(|comparators| *comparators == [Comparator::Any]) {
            alternatives = vec![vec![Comparator::Any]];
        }
        Some(Range { alternatives })
    }

    /// Whether a version is in the range. A prerelease is only if the range names one of the same three numbers.
    pub(crate) fn contains(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|comparators| {
            comparators.iter().all(|comparator| comparator.contains(version))
                && (!version.is_prerelease()
                    || comparators.iter().any(|comparator| comparator.allows_prerelease_of(version)))
        })
    }

    /// Whether some version could be in both.
    pub(crate) fn intersects(&self, other: &Range) -> bool {
        self.alternatives
            .iter()
            .any(|left| other.alternatives.iter().any(|right| is_satisfiable(left.iter().chain(right))))
    }
}

/// A bound, with whether it is itself inside; `None` where there is none.
type Limit<'a> = Option<(&'a Version, bool)>;

/// Whether bounds leave anything between them.
fn is_satisfiable<'a>(bounds: impl Iterator<Item = &'a Comparator>) -> bool {
    let (mut lower, mut upper): (Limit<'_>, Limit<'_>) = (None, None);
    for bound in bounds {
        let Comparator::Bound(operator, version) = bound else { continue };
        let inclusive = !matches!(operator, Operator::Less | Operator::Greater);
        if matches!(operator, Operator::Equal | Operator::Greater | Operator::GreaterOrEqual)
            && lower.is_none_or(|(held, held_inclusive)| (version, !inclusive) > (held, !held_inclusive))
        {
            lower = Some((version, inclusive));
        }
        if matches!(operator, Operator::Equal | Operator::Less | Operator::LessOrEqual)
            && upper.is_none_or(|(held, held_inclusive)| (version, inclusive) < (held, held_inclusive))
        {
            upper = Some((version, inclusive));
        }
    }
    match (lower, upper) {
        (Some((lower, with_lower)), Some((upper, with_upper))) => {
            lower < upper || lower == upper && with_lower && with_upper
        }
        _ => true,
    }
}

impl Range {
    /// Whether a version lies in the range, prereleases as well: what is said of a weakness is meant so.
    pub(crate) fn covers(&self, version: &Version) -> bool {
        let fits = |comparators: &Vec<Comparator>| comparators.iter().all(|one| one.contains(version));
        self.alternatives.iter().any(fits)
    }
}

impl Comparator {
    fn contains(&self, version: &Version) -> bool {
        match self {
            Comparator::Any => true,
            Comparator::Bound(operator, bound) => match operator {
                Operator::Less => version < bound,
                Operator::LessOrEqual => version <= bound,
                Operator::Equal => version == bound,
                Operator::Greater => version > bound,
                Operator::GreaterOrEqual => version >= bound,
            },
        }
    }

    fn allows_prerelease_of(&self, version: &Version) -> bool {
        match self {
            Comparator::Any => false,
            Comparator::Bound(_, bound) => {
                bound.is_prerelease()
                    && (bound.major, bound.minor, bound.patch)
                        == (version.major, version.minor, version.patch)
            }
        }
    }

    /// Whether nothing is in it: npm writes that as `<0.0.0-0`.
    fn is_empty(&self) -> bool {
        matches!(self, Comparator::Bound(Operator::Less, bound) if bound.to_string() == "0.0.0-0")
    }
}

/// The comparators of one alternative, all of which have to hold; empty if npm understands none of it, `None` if it
/// refuses the whole range for it.
fn comparators(text: &str) -> Option<Vec<Comparator>> {
    let text = without_build(&collapse(text));
    let text = hyphen(&text).unwrap_or(text);
    let text = join_operators(&text);
    let text = join_prefix(&join_prefix(&text, '~'), '^');
    let rewritten: Vec<String> = text.split(' ').map(comparator).collect();
    let rewritten = rewritten.join(" ");
    let mut found = Vec::new();
    // Empty pieces at either end stand for "any", those in between are lost: npm splits at runs of spaces.
    let mut pieces: Vec<&str> = rewritten.split(' ').filter(|piece| !piece.is_empty()).collect();
    if rewritten.is_empty() || rewritten.starts_with(' ') || rewritten.ends_with(' ') {
        pieces.push("");
    }
    for piece in pieces {
        if piece.is_empty() || piece == ">=0.0.0" {
            found.push(Comparator::Any);
            continue;
        }
        let (operator, rest) = split_operator(piece);
        let whole = rest.trim_start_matches(is_decoration);
        // In loose mode npm drops what is no comparator …
        if Parts::read(whole).is_none_or(|parts| !is_full(&parts)) {
            continue;
        }
        // … but refuses the range if the version in it is too long or too large.
        let version = Version::parse(rest)?;
        found.push(Comparator::Bound(operator_of(operator), version));
    }
    if let Some(empty) = found.iter().position(Comparator::is_empty) {
        return Some(vec![found.swap_remove(empty)]);
    }
    if found.iter().any(|comparator| *comparator != Comparator::Any) {
        found.retain(|comparator| *comparator != Comparator::Any);
    } else {
        found.truncate(1);
    }
    Some(found)
}

/// Single spaces instead of runs of white space, none at the ends.
fn collapse(text: &str) -> String {
    text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Build metadata decides nothing and goes first.
fn without_build(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('+') {
        kept.push_str(before);
        let mut length = after.bytes().take_while(|byte| is_identifier_byte(*byte)).count();
        if length == 0 {
            kept.push('+');
            rest = after;
            continue;
        }
        while let Some(more) = after.get(length..).and_then(|tail| tail.strip_prefix('.')) {
            let next = more.bytes().take_while(|byte| is_identifier_byte(*byte)).count();
            if next == 0 {
                break;
            }
            length += 1 + next;
        }
        rest = after.get(length..).unwrap_or_default();
        // One space stays where the build stood alone; at an end it stands for "any" later.
        if kept.ends_with(' ') && rest.starts_with(' ') {
            rest = rest.trim_start_matches(' ');
        }
    }
    kept.push_str(rest);
    kept
}

/// `1.2 - 3.4` as `>=1.2.0 <3.5.0-0`; `None` if this is no hyphen range.
fn hyphen(text: &str) -> Option<String> {
    let (from, to) = text.split_once(" - ")?;
    let (from, to) = (from.trim_start_matches(' '), to.trim_end_matches(' '));
    let lower = Parts::read(from.trim_start_matches(is_decoration))?;
    let upper = Parts::read(to.trim_start_matches(is_decoration))?;
    let from = match lower {
        Parts { major, .. } if is_x(Some(major)) => String::new(),
        Parts { major, minor, .. } if is_x(minor) => format!(">={major}.0.0"),
        Parts { major, minor: Some(minor), patch, .. } if is_x(patch) => format!(">={major}.{minor}.0"),
        _ => format!(">={from}"),
    };
    let to = match upper {
        Parts { major, .. } if is_x(Some(major)) => String::new(),
        Parts { major, minor, .. } if is_x(minor) => format!("<{}.0.0-0", successor(major)),
        Parts { major, minor: Some(minor), patch, .. } if is_x(patch) => {
            format!("<{major}.{}.0-0", successor(minor))
        }
        Parts { major, minor: Some(minor), patch: Some(patch), prerelease: Some(prerelease) } => {
            format!("<={major}.{minor}.{patch}-{prerelease}")
        }
        _ => format!("<={to}"),
    };
    Some(format!("{from} {to}").trim().to_owned())
}

/// `> 1.2.3` as `>1.2.3`: an operator is joined to the version that follows it.
fn join_operators(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let after_spaces = rest.trim_start_matches(' ');
        let (operator, after) = split_operator(after_spaces);
        let version = after.trim_start_matches(' ');
        let number = version.trim_start_matches(is_decoration);
        let is_version = number.starts_with(|c: char| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*'));
        // What was looked at: kept as it is, but for the spaces after the operator of a version.
        let seen = rest.len() - number.len();
        if is_version {
            joined.push_str(rest.get(..rest.len() - after.len()).unwrap_or_default());
            let decorated = if operator.is_empty() { after } else { version };
            joined.push_str(decorated.get(..decorated.len() - number.len()).unwrap_or_default());
        } else {
            joined.push_str(rest.get(..seen).unwrap_or_default());
        }
        let mut following = number.chars();
        if is_version || seen == 0 {
            joined.extend(following.next());
        }
        rest = following.as_str();
    }
    joined
}

/// `~ 1.2` and `~> 1.2` as `~1.2`, likewise for `^`.
fn join_prefix(text: &str, prefix: char) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(prefix) {
        joined.push_str(before);
        joined.push(prefix);
        let arrow = if prefix == '~' { after.strip_prefix('>') } else { None }.unwrap_or(after);
        rest = if arrow.starts_with(' ') { arrow.trim_start_matches(' ') } else { after };
    }
    joined.push_str(rest);
    joined
}

/// One comparator without carets, tildes, x-ranges and stars; may become two, or none.
fn comparator(text: &str) -> String {
    if let Some(rewritten) = text.strip_prefix('^').and_then(caret) {
        return rewritten;
    }
    let tilde_text = text.strip_prefix('~').map(|rest| rest.strip_prefix('>').unwrap_or(rest));
    if let Some(rewritten) = tilde_text.and_then(tilde) {
        return rewritten;
    }
    without_star(&x_range(text).unwrap_or_else(|| text.to_owned()))
}

fn caret(text: &str) -> Option<String> {
    let Parts { major, minor, patch, prerelease } = Parts::read(text.trim_start_matches(is_decoration))?;
    let (Some(minor), false) = (minor, is_x(Some(major)) || is_x(minor)) else {
        return Some(major_range(major));
    };
    let lower = lower_bound(major, minor, patch, prerelease);
    let upper = match patch {
        _ if major != "0" => format!("{}.0.0", successor(major)),
        Some(patch) if minor == "0" && !is_x(Some(patch)) => format!("{major}.{minor}.{}", successor(patch)),
        _ => format!("{major}.{}.0", successor(minor)),
    };
    Some(format!("{lower} <{upper}-0"))
}

fn tilde(text: &str) -> Option<String> {
    let Parts { major, minor, patch, prerelease } = Parts::read(text.trim_start_matches(is_decoration))?;
    let (Some(minor), false) = (minor, is_x(Some(major)) || is_x(minor)) else {
        return Some(major_range(major));
    };
    let lower = lower_bound(major, minor, patch, prerelease);
    Some(format!("{lower} <{major}.{}.0-0", successor(minor)))
}

/// All versions of a major number, or all there are.
fn major_range(major: &str) -> String {
    if is_x(Some(major)) { String::new() } else { format!(">={major}.0.0 <{}.0.0-0", successor(major)) }
}

fn lower_bound(major: &str, minor: &str, patch: Option<&str>, prerelease: Option<&str>) -> String {
    match (patch.filter(|patch| !is_x(Some(patch))), prerelease) {
        (None, _) => format!(">={major}.{minor}.0"),
        (Some(patch), None) => format!(">={major}.{minor}.{patch}"),
        (Some(patch), Some(prerelease)) => format!(">={major}.{minor}.{patch}-{prerelease}"),
    }
}

/// `>=1.x` as `>=1.0.0`; `None` where there is nothing to rewrite.
fn x_range(text: &str) -> Option<String> {
    let (operator, rest) = split_operator(text);
    let Parts { major, minor, patch, .. } = Parts::read(rest.trim_start_matches(is_decoration))?;
    let (any_major, any_minor) = (is_x(Some(major)), is_x(minor));
    if any_major && !any_minor || any_minor && patch.is_some() && !is_x(patch) {
        return None;
    }
    let any_minor = any_major || any_minor;
    if !any_minor && !is_x(patch) {
        return None;
    }
    let minor = minor.filter(|_| !any_minor);
    if any_major {
        // Nothing is below or above everything; the rest is a star.
        return Some(if matches!(operator, "<" | ">") { "<0.0.0-0" } else { "*" }.to_owned());
    }
    Some(match (operator, minor) {
        ("" | "=", None) => major_range(major),
        ("" | "=", Some(minor)) => format!(">={major}.{minor}.0 <{major}.{}.0-0", successor(minor)),
        (">", None) => format!(">={}.0.0", successor(major)),
        (">", Some(minor)) => format!(">={major}.{}.0", successor(minor)),
        ("<=", None) => format!("<{}.0.0-0", successor(major)),
        ("<=", Some(minor)) => format!("<{major}.{}.0-0", successor(minor)),
        ("<", minor) => format!("<{major}.{}.0-0", minor.unwrap_or("0")),
        (_, minor) => format!(">={major}.{}.0", minor.unwrap_or("0")),
    })
}

/// The first star goes, with an operator before it: it is as good as nothing.
fn without_star(text: &str) -> String {
    let Some((before, after)) = text.split_once('*') else { return text.to_owned() };
    let before = before.strip_suffix('=').unwrap_or(before);
    let before = before.strip_suffix(['<', '>']).unwrap_or(before);
    format!("{before}{after}")
}

/// The operator that a text begins with, and what follows.
fn split_operator(text: &str) -> (&str, &str) {
    let operator = ["<=", ">=", "<", ">", "="].into_iter().find(|operator| text.starts_with(operator));
    text.split_at_checked(operator.map_or(0, str::len)).unwrap_or(("", text))
}

fn operator_of(text: &str) -> Operator {
    match text {
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        _ => Operator::Equal,
    }
}

/// Whether a component is missing or stands for any number.
fn is_x(component: Option<&str>) -> bool {
    component.is_none_or(|text| matches!(text, "x" | "X" | "*"))
}

/// Whether all three numbers are there.
fn is_full(parts: &Parts<'_>) -> bool {
    !is_x(Some(parts.major))
        && !is_x(parts.minor)
        && !is_x(parts.patch)
        && parts.prerelease.is_none_or(are_identifiers)
}

/// The next number, as JavaScript writes it: beyond 10²¹ that is no version any more, and is dropped.
fn successor(digits: &str) -> String {
    match digits.parse::<u128>() {
        Ok(number) if number < 1_000_000_000_000_000_000_000 => (number + 1).to_string(),
        _ => "1e+21".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORACLE: &str = include_str!("../../../fixtures/npm/ranges.jsonl");

    #[test]
    fn ranges_mean_what_npm_means_by_them() {
        let mut lines = ORACLE.lines();
        let versions: Vec<(String, Option<String>)> = serde_json::from_str(lines.next().unwrap()).unwrap();
        let mut cases = 0;
        let mut wrong = Vec::new();
        for line in lines.skip(1) {
            let (text, expected): (String, Option<String>) = serde_json::from_str(line).unwrap();
            let found = Range::parse(&text).map(|range| -> String {
                let contains =
                    |text: &str| Version::parse(text).is_some_and(|version| range.contains(&version));
                versions.iter().map(|(text, _)| if contains(text) { '1' } else { '0' }).collect()
            });
            cases += versions.len();
            if found != expected {
                wrong.push(format!("{text:?}\n  npm  {expected:?}\n  ours {found:?}"));
            }
        }
        assert!(cases > 50_000, "{cases}");
        assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn a_range_without_end_is_refused_quickly() {
        assert_eq!(Range::parse(&"1 || ".repeat(1_000_000)), None);
        assert!(Range::parse(&"v=".repeat(LONGEST / 2)).is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}") {
            let _ = Range::parse(&text);
        }

        #[test]
        fn nothing_that_looks_like_a_range_panics(text in "[0-9xX*v=<>^~|. +a-]{0,40}") {
            let _ = Range::parse(&text);
        }
    }
}
