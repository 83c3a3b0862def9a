//! What a client likes how much: the weighted lists of `Accept` and `Accept-Encoding` (RFC 9110 section 12.4.2).

use http::HeaderMap;
use http::header::HeaderName;

/// The words of such a header, in their order, each with its weight in thousandths. A malformed weight counts as none at all.
pub fn weighted(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, u16)> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(weighed)
}

fn weighed(one: &str) -> (&str, u16) {
    let mut parts = one.split(';').map(str::trim);
    let word = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (word, weight.map_or(1000, |text| thousandths(text).unwrap_or(0)))
}

fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}
