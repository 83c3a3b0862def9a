//! Canonical JSON: the one way to write a value, so that equal values have equal bytes.
//!
//! UTF-8 without white space; keys strictly ascending by their UTF-8 bytes; integers from −(2^53−1) to 2^53−1
//! and no other numbers; in strings only `"`, `\` and the characters below U+0020 are escaped, those in their
//! short form (`\b \t \n \f \r`) where there is one, else as `\u00xx` in lower case.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::readable;

/// The largest integer that every JSON reader keeps: 2^53−1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// How deep arrays and objects may stand in each other.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are not canonical JSON, or a value cannot be written as such.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes are not canonical JSON.
    #[error("not canonical JSON at byte {offset}: {reason}")]
    NotCanonical {
        /// Where in the document, from 0.
        offset: usize,
        /// What was met.
        reason: &'static str,
    },
    /// Canonical, but not of the expected shape: a field is missing, unknown or of another type.
    #[error("{0}")]
    Shape(String),
    /// The value holds what canonical JSON cannot say.
    #[error("cannot be written as canonical JSON: {0}")]
    Unwritable(String),
}

/// The canonical bytes of `value`.
///
/// Fails on numbers that are not integers of at most 2^53−1, and beyond [`MAX_DEPTH`].
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::Unwritable(e.to_string()))?;
    let mut out = Vec::with_capacity(256);
    write_value(&value, 0, &mut out)?;
    Ok(out)
}

/// Reads a value, and refuses every spelling of it but the one that [`to_bytes`] writes.
///
/// Canonical JSON is not enough for that: serde reads a struct from an array of its fields, an enum from the
/// number of its variant, and an absent field like a null one. So what was read is written again and compared.
pub fn from_bytes<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, CanonicalError> {
    check(bytes)?;
    let shape = |text: &str| CanonicalError::Shape(readable(text));
    let value: T = serde_json::from_slice(bytes).map_err(|e| shape(&e.to_string()))?;
    let written = to_bytes(&value).map_err(|e| shape(&e.to_string()))?;
    if written == bytes {
        return Ok(value);
    }
    let at = written.iter().zip(bytes).take_while(|(written, read)| written == read).count();
    Err(shape(&format!(
        "at byte {at}: read as what is spelled otherwise, such as a null for an absent field"
    )))
}

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

fn write_value(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    if depth > MAX_DEPTH {
        return Err(CanonicalError::Unwritable(format!("deeper than {MAX_DEPTH} levels")));
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let whole = number.as_i64().filter(|n| n.unsigned_abs() <= MAX_INTEGER).ok_or_else(|| {
                CanonicalError::Unwritable(format!("{number} is not an integer of at most 2^53-1"))
            })?;
            out.extend_from_slice(whole.to_string().as_bytes());
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // Sorted here: whether serde_json keeps its maps sorted depends on features of the whole build.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (index, (key, field)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write_value(field, depth + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Nearly all texts are one run of bytes that stand for themselves.
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (run, from) = rest.split_at(at);
        out.extend_from_slice(run);
        let Some((byte, after)) = from.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
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
                match previous.bytes().cmp(key.bytes()) {
                    std::cmp::Ordering::Less => {}
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
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..0x20) => return self.fail("a control character must be escaped"),
                Some(_) => self.at += 1,
                None => return self.fail("the text ends within a string"),
            }
        }
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Text { raw, escaped })
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

/// A key as it stands in the text; its escapes are undone only to compare.
struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        let mut raw = self.raw.iter().copied();
        let escaped = self.escaped;
        std::iter::from_fn(move || {
            let byte = raw.next()?;
            if !escaped || byte != b'\\' {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_accepted_and_it_is_the_one_that_is_written() {
        for good in [
            r#"{"a":[1,-2,true,null],"b":"é\n\u0001\"\\/","é":{}}"#,
            "9007199254740991",
            "-9007199254740991",
            r#""""#,
            r#"{"\n":1,"\u000b":2," ":3}"#,
            "{\"\u{ff5e}\":1,\"\u{1f600}\":2}",
        ] {
            let value: Value = from_bytes(good.as_bytes()).unwrap_or_else(|e| panic!("{good}: {e}"));
            assert_eq!(String::from_utf8(to_bytes(&value).unwrap()).unwrap(), good);
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        for bad in [
            "",
            " 1",
            "1 ",
            "01",
            "-0",
            "-",
            "1.0",
            "1e3",
            "9007199254740992",
            "99999999999999999999999999",
            r#"{"a":1,"a":1}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"\u000b":1,"\n":2}"#,
            r#"{"a": 1}"#,
            r#"{"a":1,}"#,
            "[1,]",
            "[1",
            r#""\u0041""#,
            r#""\u000A""#,
            r#""\u000a""#,
            r#""\u001F""#,
            r#""\/""#,
            r#""\ud800""#,
            "\"\t\"",
            "\"",
            "tru",
            "NaN",
            "[]x",
            "{1:2}",
            &deep,
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check(b"\"\xff\"").is_err());
        assert!(check(format!("{}1{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_ok());
    }

    #[test]
    fn what_it_cannot_say_is_not_written() {
        assert!(to_bytes(&1.5).is_err());
        assert!(to_bytes(&(MAX_INTEGER + 1)).is_err());
        assert!(to_bytes(&u64::MAX).is_err());
    }
}
