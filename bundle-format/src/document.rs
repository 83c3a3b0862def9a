//! What all signed documents have in common: their format, and how they are read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{self, CanonicalError};
use crate::error::{Damage, FormatError, Place, Unsupported};
use crate::limits::{MAX_CHANNEL, MAX_DOCUMENT, MAX_NAME};

/// Which format a document follows, and what a reader must know besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// Readers refuse another major version than theirs.
    pub major: u64,
    /// While `major` is 0, readers refuse another minor version, too.
    pub minor: u64,
    /// Features without which the document would be misread, sorted; a reader refuses those it does not know.
    pub must_understand: Vec<String>,
}

impl Format {
    /// The version that this crate writes and reads: 0.1.
    pub fn current() -> Format {
        Format { major: 0, minor: 1, must_understand: Vec::new() }
    }
}

/// A document type: its fields that are reserved, and its rules beyond the fields' types.
pub(crate) trait Document: Serialize + DeserializeOwned {
    /// Fields of later versions, refused by name, each with what it will be.
    const RESERVED: &'static [(&'static str, &'static str)];

    /// What the document wants of a later version although its fields are known; said in words.
    fn beyond(&self) -> Option<String> {
        None
    }

    /// Checks every rule that the types do not express.
    fn validate(&self) -> Result<(), String>;
}

/// Reads a document whose signatures were verified; `place` is its start.
pub(crate) fn parse<T: Document>(bytes: &[u8], place: Place) -> Result<T, FormatError> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        let met = format!("{} bytes, the limit is {MAX_DOCUMENT}", bytes.len());
        return Err(FormatError::damaged(Damage::TooLarge, place, met));
    }
    let value: Value = canonical::from_bytes(bytes).map_err(|error| match error {
        CanonicalError::NotCanonical { .. } => {
            FormatError::damaged(Damage::Json, place.clone(), error.to_string())
        }
        _ => FormatError::damaged(Damage::Document, place.clone(), error.to_string()),
    })?;
    check_format(&value, &place)?;
    for (field, meaning) in T::RESERVED {
        if value.get(field).is_some() {
            let met =
                format!("the field {field:?} is reserved for {meaning}, which this version does not read");
            return Err(FormatError::unsupported(Unsupported::Reserved, place, met));
        }
    }
    let broken = |met: String| FormatError::damaged(Damage::Document, place.clone(), met);
    let document: T = canonical::from_bytes(bytes).map_err(|e| broken(e.to_string()))?;
    if let Some(met) = document.beyond() {
        return Err(FormatError::unsupported(Unsupported::Reserved, place, met));
    }
    document.validate().map_err(broken)?;
    Ok(document)
}

/// The canonical bytes of a valid document.
pub(crate) fn to_bytes<T: Document>(document: &T) -> Result<Vec<u8>, CanonicalError> {
    document.validate().map_err(CanonicalError::Unwritable)?;
    let bytes = canonical::to_bytes(document)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        let met = format!("{} bytes, the limit is {MAX_DOCUMENT}", bytes.len());
        return Err(CanonicalError::Unwritable(met));
    }
    Ok(bytes)
}

/// The version comes before everything else, so that a newer document is called newer and not broken.
fn check_format(value: &Value, place: &Place) -> Result<(), FormatError> {
    let format = value.get("format").ok_or("the field \"format\" is missing".to_owned());
    let format = format
        .and_then(|format| Format::deserialize(format).map_err(|e| format!("\"format\": {e}")))
        .map_err(|met| FormatError::damaged(Damage::Document, place.clone(), met))?;
    let current = Format::current();
    if (format.major, format.minor) != (current.major, current.minor) {
        let met = format!(
            "format {}.{}, this version reads {}.{}",
            format.major, format.minor, current.major, current.minor
        );
        return Err(FormatError::unsupported(Unsupported::Version, place.clone(), met));
    }
    if let Some(feature) = format.must_understand.first() {
        let met = format!("needs the feature {feature:?}, which this version does not know");
        return Err(FormatError::unsupported(Unsupported::MustUnderstand, place.clone(), met));
    }
    Ok(())
}

/// Whether `name` may name a channel: [`is_name`], and at most 32 characters.
pub fn is_channel(name: &str) -> bool {
    is_name(name) && name.len() <= MAX_CHANNEL
}

/// Whether `name` may name a site: `[a-z0-9]([a-z0-9._-]*[a-z0-9])?`, at most 64 characters.
///
/// Such a name is safe as a file name everywhere.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.first().is_some_and(|first| plain(*first))
        && bytes.last().is_some_and(|last| plain(*last))
        && bytes.iter().all(|byte| plain(*byte) || b"._-".contains(byte))
}

/// Whether `time` is a UTC time of RFC 3339 in whole seconds, `2026-11-21T08:38:55Z`, from 1970 on.
pub fn is_time(time: &str) -> bool {
    let shape = b"dddd-dd-ddTdd:dd:ddZ";
    let bytes = time.as_bytes();
    let fits = |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    if bytes.len() != shape.len() || !bytes.iter().zip(shape).all(fits) {
        return false;
    }
    let number = |range: std::ops::Range<usize>| time.get(range).and_then(|text| text.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11..13), number(14..16), number(17..19)) else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year >= 1970 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60
}

/// Refuses lists that are not strictly ascending: one order, nothing twice.
pub(crate) fn strictly_ascending<T: PartialOrd>(items: impl IntoIterator<Item = T>) -> bool {
    items.into_iter().is_sorted_by(|a, b| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere() {
        for good in ["a", "prod", "team-a.x_1", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a-", "a.", "A", "a:b", "a/b", "é", "a b", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_channel(&"a".repeat(32)) && !is_channel(&"a".repeat(33)));
    }

    #[test]
    fn times_exist_in_the_calendar() {
        for good in ["2026-11-21T08:38:55Z", "2024-02-29T00:00:00Z", "1970-01-01T00:00:00Z"] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21T08:38:55",
            "2026-11-21T08:38:55+00:00",
            "2026-11-21t08:38:55z",
            "2026-11-21T08:38:60Z",
            "2026-11-21T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
