//! Canonical JSON: the one way to write a value, so that equal values have equal bytes.
//!
//! UTF-8 without white space; keys strictly ascending by their UTF-8 bytes; integers from −(2^53−1) to 2^53−1
//! and no other numbers; in strings only `"`, `\` and the characters below U+0020 are escaped, those in their
//! short form (`\b \t \n \f \r`) where there is one, else as `\u00xx` in lower case.

mod scanner;
mod writer;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::readable;
pub use scanner::check;
pub use writer::to_bytes;

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

/// Reads a value, and refuses every spelling of it but the one that [`to_bytes`] writes.
///
/// Canonical JSON is not enough for that: serde reads a struct from an array of its fields, an enum from the
/// number of its variant, and an absent field like a null one. So what was read is written again and compared,
/// which holds for canonical JSON, too; [`check`] is asked only to say what is wrong.
pub fn from_bytes<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let read = serde_json::from_slice::<T>(bytes).map_err(|e| e.to_string());
    let written = read.and_then(|value| Ok((to_bytes(&value).map_err(|e| e.to_string())?, value)));
    let met = match written {
        Ok((written, value)) if written == bytes => return Ok(value),
        Ok((written, _)) => {
            let at = written.iter().zip(bytes).take_while(|(written, read)| written == read).count();
            format!("at byte {at}: read as what is spelled otherwise, such as a null for an absent field")
        }
        Err(met) => met,
    };
    check(bytes)?;
    Err(CanonicalError::Shape(readable(&met)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
        assert!(to_bytes(&i64::MIN).is_err());
        let deep = |levels: usize| (0..levels).fold(Value::Null, |inner, _| Value::from(vec![inner]));
        assert!(to_bytes(&deep(MAX_DEPTH)).is_ok());
        let error = to_bytes(&deep(MAX_DEPTH + 1)).unwrap_err().to_string();
        assert_eq!(error, "cannot be written as canonical JSON: deeper than 64 levels");
    }
}
