//! Versions as PEP 440 reads, orders and writes them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The longest version that is read, in bytes. Real ones have fewer than a hundred.
const LONGEST: usize = 512;

/// A version. Cloning it copies a pointer: resolving clones versions all the time.
#[derive(Clone)]
pub(crate) struct Version(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    epoch: u64,
    /// As written, with the zeros at its end, which do not count.
    release: Box<[u64]>,
    pre: Option<(Phase, u64)>,
    post: Option<u64>,
    dev: Option<u64>,
    local: Local,
}

/// The phases before a release, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Alpha,
    Beta,
    Candidate,
}

/// What stands behind the `+`, in its order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    None,
    Segments(Box<[Segment]>),
    /// After every local version: no version that is read, but the end of a range.
    Last,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Text(Box<str>),
    Number(u64),
}

impl Version {
    /// Reads a version, however it is spelled: `v1.0-RC1` is `1.0rc1`. `None`, if it is none, or if a number in it does not
    /// fit into 64 bits.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let text = text.trim_ascii();
        if text.len() > LONGEST {
            return None;
        }
        let mut reader = Reader { rest: text.as_bytes() };
        reader.takes_word(b"v");
        let mut first = reader.number()?;
        let mut epoch = 0;
        if reader.takes(b'!') {
            epoch = first;
            first = reader.number()?;
        }
        let release = reader.release(first)?;
        let pre = reader.phase()?;
        let post = reader.post()?;
        let dev = if reader.label(&[b"dev"]).is_some() { Some(reader.label_number()?) } else { None };
        let local = if reader.takes(b'+') { reader.local()? } else { Local::None };
        reader.rest.is_empty().then(|| Version(Arc::new(Parts { epoch, release, pre, post, dev, local })))
    }

    /// Whether it comes before a release: it has a phase, or is of development.
    pub(crate) fn is_prerelease(&self) -> bool {
        self.0.pre.is_some() || self.0.dev.is_some()
    }

    /// Whether something stands behind a `+`.
    pub(crate) fn is_local(&self) -> bool {
        self.0.local != Local::None
    }

    /// The numbers between the dots, as they were written.
    pub(crate) fn release(&self) -> &[u64] {
        &self.0.release
    }

    /// The end of all local versions of this one.
    pub(super) fn after_locals(&self) -> Version {
        self.with(|parts| parts.local = Local::Last)
    }

    /// The least version that `>` admits: those of one release belong together, its posts and its local versions.
    pub(super) fn after_this(&self) -> Version {
        self.with(|parts| {
            if let Some(dev) = parts.dev {
                parts.dev = Some(dev.saturating_add(1));
                parts.local = Local::None;
            } else if let Some(post) = parts.post {
                parts.post = Some(post.saturating_add(1));
                parts.dev = Some(0);
                parts.local = Local::None;
            } else {
                parts.post = Some(u64::MAX);
                parts.local = Local::Last;
            }
        })
    }

    /// The first of all that lead to this version: `1.2.dev0` of `1.2`.
    pub(super) fn first_development(&self) -> Version {
        self.with(|parts| {
            parts.dev = Some(0);
            parts.local = Local::None;
        })
    }

    /// The first version whose release begins with the first `length` numbers: `1.2.dev0`.
    pub(super) fn prefix_start(&self, length: usize) -> Version {
        self.with(|parts| {
            let release = parts.release.iter().copied().take(length).collect();
            *parts = Parts { release, pre: None, post: None, dev: Some(0), local: Local::None, ..*parts };
        })
    }

    /// The first version after all whose release begins with the first `length` numbers: `1.3.dev0` of `1.2`.
    pub(super) fn prefix_end(&self, length: usize) -> Version {
        self.prefix_start(length).with(|parts| {
            if let Some(last) = parts.release.last_mut() {
                *last = last.saturating_add(1);
            }
        })
    }

    /// The version before all others, for what has none.
    pub(super) fn zero() -> Version {
        let release = Box::new([0]);
        Version(Arc::new(Parts { epoch: 0, release, pre: None, post: None, dev: None, local: Local::None }))
    }

    /// Whether it is no version that is read, but the end of what belongs to one.
    pub(super) fn is_end(&self) -> bool {
        self.0.post == Some(u64::MAX) || self.0.local == Local::Last
    }

    /// The version whose end it is, for people.
    pub(super) fn without_end(&self) -> Version {
        self.with(|parts| {
            parts.post = parts.post.filter(|post| *post < u64::MAX);
            if parts.local == Local::Last {
                parts.local = Local::None;
            }
        })
    }

    /// The version that `.dev0` leads to, for people.
    pub(super) fn without_first_development(&self) -> Version {
        self.with(|parts| parts.dev = parts.dev.filter(|dev| *dev > 0))
    }

    fn with(&self, change: impl FnOnce(&mut Parts)) -> Version {
        let mut parts = Parts::clone(&self.0);
        change(&mut parts);
        Version(Arc::new(parts))
    }
}

impl Parts {
    /// The release without the zeros that do not count: `1.0` and `1` are one version.
    fn significant(&self) -> &[u64] {
        let end = self.release.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        self.release.get(..end).unwrap_or_default()
    }

    /// Where it stands among the phases: a version of development alone comes before all of them, a release after.
    fn phase_rank(&self) -> (u8, u64) {
        match self.pre {
            Some((phase, number)) => (1 + phase as u8, number),
            None if self.post.is_none() && self.dev.is_some() => (0, 0),
            None => (u8::MAX, 0),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let (one, other) = (&*self.0, &*other.0);
        one.epoch
            .cmp(&other.epoch)
            .then_with(|| one.significant().cmp(other.significant()))
            .then_with(|| one.phase_rank().cmp(&other.phase_rank()))
            .then_with(|| one.post.cmp(&other.post))
            .then_with(|| one.dev.unwrap_or(u64::MAX).cmp(&other.dev.unwrap_or(u64::MAX)))
            .then_with(|| one.local.cmp(&other.local))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.significant().hash(state);
        self.0.phase_rank().hash(state);
        (self.0.post, self.0.dev).hash(state);
    }
}

impl fmt::Display for Version {
    /// In the normal form of PEP 440.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
        if parts.epoch != 0 {
            write!(f, "{}!", parts.epoch)?;
        }
        for (index, number) in parts.release.iter().enumerate() {
            write!(f, "{}{number}", if index > 0 { "." } else { "" })?;
        }
        if let Some((phase, number)) = parts.pre {
            let phase = match phase {
                Phase::Alpha => "a",
                Phase::Beta => "b",
                Phase::Candidate => "rc",
            };
            write!(f, "{phase}{number}")?;
        }
        match parts.post {
            Some(u64::MAX) => f.write_str(".post…")?,
            Some(post) => write!(f, ".post{post}")?,
            None => {}
        }
        if let Some(dev) = parts.dev {
            write!(f, ".dev{dev}")?;
        }
        if let Local::Segments(segments) = &parts.local {
            for (index, segment) in segments.iter().enumerate() {
                f.write_str(if index > 0 { "." } else { "+" })?;
                match segment {
                    Segment::Text(text) => f.write_str(text)?,
                    Segment::Number(number) => write!(f, "{number}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Takes a version apart from its beginning. Each step fails (`None`) only where nothing could save what is read.
struct Reader<'a> {
    rest: &'a [u8],
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

impl Reader<'_> {
    fn advance(&mut self, by: usize) {
        self.rest = self.rest.get(by..).unwrap_or_default();
    }

    fn takes(&mut self, byte: u8) -> bool {
        let takes = self.rest.first() == Some(&byte);
        if takes {
            self.advance(1);
        }
        takes
    }

    fn takes_word(&mut self, word: &[u8]) -> bool {
        let takes = self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if takes {
            self.advance(word.len());
        }
        takes
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = number(self.rest.get(..digits)?)?;
        self.advance(digits);
        Some(number)
    }

    fn release(&mut self, first: u64) -> Option<Box<[u64]>> {
        let mut release = Vec::with_capacity(4);
        release.push(first);
        while let [b'.', b'0'..=b'9', ..] = self.rest {
            self.advance(1);
            release.push(self.number()?);
        }
        Some(release.into_boxed_slice())
    }

    /// One of these words, with a separator before it or without; which one.
    fn label(&mut self, words: &[&[u8]]) -> Option<usize> {
        let before = self.rest;
        if self.rest.first().is_some_and(|byte| is_separator(*byte)) {
            self.advance(1);
        }
        let found = words.iter().position(|word| self.takes_word(word));
        if found.is_none() {
            self.rest = before;
        }
        found
    }

    /// The number behind a word; 0, if there is none.
    fn label_number(&mut self) -> Option<u64> {
        if self.rest.first().is_some_and(|byte| is_separator(*byte)) {
            self.advance(1);
        }
        if self.rest.first().is_some_and(u8::is_ascii_digit) { self.number() } else { Some(0) }
    }

    fn phase(&mut self) -> Option<Option<(Phase, u64)>> {
        let words: [&[u8]; 8] = [b"alpha", b"a", b"beta", b"b", b"preview", b"pre", b"rc", b"c"];
        let phase = match self.label(&words) {
            None => return Some(None),
            Some(0 | 1) => Phase::Alpha,
            Some(2 | 3) => Phase::Beta,
            Some(_) => Phase::Candidate,
        };
        Some(Some((phase, self.label_number()?)))
    }

    fn post(&mut self) -> Option<Option<u64>> {
        if let [b'-', b'0'..=b'9', ..] = self.rest {
            self.advance(1);
            return self.number().map(Some);
        }
        match self.label(&[b"post", b"rev", b"r"]) {
            Some(_) => self.label_number().map(Some),
            None => Some(None),
        }
    }

    fn local(&mut self) -> Option<Local> {
        let mut segments = Vec::new();
        for segment in self.rest.split(|byte| is_separator(*byte)) {
            if segment.is_empty() || !segment.iter().all(u8::is_ascii_alphanumeric) {
                return None;
            }
            segments.push(match number(segment) {
                Some(number) => Segment::Number(number),
                None => Segment::Text(str::from_utf8(segment).ok()?.to_ascii_lowercase().into()),
            });
        }
        self.rest = &[];
        Some(Local::Segments(segments.into()))
    }
}

/// The number that digits make. The greatest of 64 bits is kept for the ends of ranges.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.filter(|number| *number < u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|| panic!("{text:?} is a version"))
    }

    #[test]
    fn versions_are_ordered_as_pep_440_has_them() {
        let in_order = [
            "1.dev0",
            "1.0.dev456",
            "1.0a1.dev1",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0+5.1",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
            "1!0.1",
        ];
        for pair in in_order.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert!(version("1.0+7") < version("1.0").after_locals());
        assert!(version("1.0").after_locals() < version("1.0.post0.dev0"));
        assert!(version("1.0.post99").after_locals() < version("1.0").after_this());
        assert!(version("1.0").after_this() < version("1.0.1.dev0"));
    }

    #[test]
    fn every_spelling_has_one_normal_form() {
        for (text, normal) in [
            ("1.0", "1.0"),
            (" v1.0 ", "1.0"),
            ("1.0ALPHA1", "1.0a1"),
            ("1.0-c.1", "1.0rc1"),
            ("1.0preview3", "1.0rc3"),
            ("1.0_pre", "1.0rc0"),
            ("1.0-1", "1.0.post1"),
            ("1.0r4", "1.0.post4"),
            ("1.0.rev-4", "1.0.post4"),
            ("1.0post", "1.0.post0"),
            ("1.0-dev", "1.0.dev0"),
            ("01.002", "1.2"),
            ("1.0+Ubuntu_1-01", "1.0+ubuntu.1.1"),
            ("2!1.0a1.post2.dev3+x", "2!1.0a1.post2.dev3+x"),
            ("1.0a-", "1.0a0"),
            ("2024.01.02", "2024.1.2"),
        ] {
            assert_eq!(version(text).to_string(), normal, "{text:?}");
            assert_eq!(version(normal), version(text));
        }
        assert_eq!(version("1.0.0"), version("1"));
        assert_ne!(version("1.0"), version("1!1.0"));
    }

    #[test]
    fn what_is_none_is_none() {
        for text in [
            "",
            "v",
            "1..0",
            "1.0+",
            "1.0+a..b",
            "1.0+a!",
            "a1",
            "1.0.x",
            "1.0 1",
            "!1",
            "1!",
            "1.0.dev1.dev2",
            "99999999999999999999",
            "18446744073709551615",
            "1.0.post18446744073709551614",
            "1.é",
            "1.0-",
            "-1",
        ] {
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
        assert!(Version::parse(&"1.".repeat(1000)).is_none());
    }
}
