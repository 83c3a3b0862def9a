//! Walks over JSON and refuses every byte that the canonical form would not have there.

use std::cmp::Ordering;

use super::{CanonicalError, MAX_DEPTH, MAX_INTEGER};

/// Whether `bytes` are exactly one canonical JSON value; allocates next to nothing.
pub fn check(bytes: &[u8]) -> Result<(), CanonicalError> {
    let text = std::str::from_utf8(bytes).map_err(|e| CanonicalError::NotCanonical {
        offset: e.valid_up_to(),
        reason: "the bytes are not UTF-8",
    })?;
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    scanner.value(0)?;
    if scanner.at == bytes.len() { Ok(()) } else { scanner.fail("something follows the value") }
}

/// Walks over a value once and stops at the first byte that the canonical form would not have there.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn fail<T>(&self, reason: &'static str) -> Result<T, CanonicalError> {
        Err(CanonicalError::NotCanonical { offset: self.at, reason })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, expected: u8, reason: &'static str) -> Result<(), CanonicalError> {
        if self.peek() != Some(expected) {
            return self.fail(reason);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), CanonicalError> {
        if depth > MAX_DEPTH {
            return self.fail("nested too deeply");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b' ' | b'\t' | b'\n' | b'\r') => self.fail("white space"),
            Some(_) => self.fail("no JSON value begins so"),
            None => self.fail("the text ends where a value is expected"),
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), CanonicalError> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.fail("expected true, false or null");
        }
        self.at += word.len();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.at += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fail("expected ',' or ']'"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut previous: Option<Text<'a>> = None;
        loop {
            let start = self.at;
            let key = self.string()?;
            if let Some(previous) = &previous {
                match previous.cmp(&key) {
                    Ordering::Less => {}
                    order => {
                        self.at = start;
                        return self.fail(if order.is_eq() {
                            "a key stands twice"
                        } else {
                            "keys not sorted"
                        });
                    }
                }
            }
            previous = Some(key);
            self.take(b':', "expected ':'")?;
            self.value(depth + 1)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fail("expected ',' or '}'"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), CanonicalError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let mut value: u64 = 0;
        let first = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            // Saturates far above the limit, so no number of digits gets past the comparison below.
            value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - first;
        let leading_zero = digits > 1 && self.bytes.get(first) == Some(&b'0');
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return self.fail("only integers are allowed");
        }
        if digits == 0 || leading_zero || (negative && value == 0) || value > MAX_INTEGER {
            self.at = start;
            return self.fail("not an integer of at most 2^53-1 in its shortest form");
        }
        Ok(())
    }

    /// Reads a string; what is returned is compared, never kept.
    fn string(&mut self) -> Result<Text<'a>, CanonicalError> {
        self.take(b'"', "expected a string")?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return self.fail("a control character must be escaped"),
                Some(_) => self.at += 1,
                None => return self.fail("the text ends within a string"),
            }
        }
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Text::new(raw))
    }

    fn escape(&mut self) -> Result<(), CanonicalError> {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        match rest {
            [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => self.at += 2,
            [b'u', b'0', b'0', high @ b'0'..=b'1', low, ..] => {
                let low = match low {
                    b'0'..=b'9' => low - b'0',
                    b'a'..=b'f' => low - b'a' + 10,
                    _ => return self.fail("this escape is not the canonical one"),
                };
                let short = matches!((high - b'0') << 4 | low, 0x08..=0x0a | 0x0c | 0x0d);
                if short {
                    return self.fail("this escape has a shorter form");
                }
                self.at += 6;
            }
            _ => return self.fail("this escape is not the canonical one"),
        }
        Ok(())
    }
}

/// A key as it stands in canonical JSON, without its quotes. Its order is that of what it says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Text<'a> {
        Text { raw }
    }

    /// What it says: its escapes are undone only to compare.
    fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        let mut raw = self.raw.iter().copied();
        std::iter::from_fn(move || {
            let byte = raw.next()?;
            if byte != b'\\' {
                return Some(byte);
            }
            // The scanner has passed the escape, so it is one of these.
            Some(match raw.next()? {
                b'b' => 0x08,
                b't' => b'\t',
                b'n' => b'\n',
                b'f' => 0x0c,
                b'r' => b'\r',
                b'u' => {
                    let high = raw.by_ref().nth(2)?;
                    let low = raw.next()?;
                    (high - b'0') << 4 | if low <= b'9' { low - b'0' } else { low - b'a' + 10 }
                }
                other => other,
            })
        })
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        if [self, other].iter().any(|text| text.raw.contains(&b'\\')) {
            self.bytes().cmp(other.bytes())
        } else {
            self.raw.cmp(other.raw)
        }
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
