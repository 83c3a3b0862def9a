//! Preconditions on strong entity tags, RFC 9110 section 13. There are no dates: a file's time says nothing here.

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE};

/// Whether the client already holds the representation with this tag (`"…"`): the answer is 304.
pub(super) fn is_held(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        // Our tags have neither commas nor quotes inside, so a list may be split plainly: a foreign tag with a comma
        // falls into pieces that equal none of ours.
        value.split(',').map(|one| one.trim_matches([' ', '\t'])).any(|one| {
            // If-None-Match compares weakly.
            one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
        })
    })
}

/// Whether a range may be answered: there is no If-Range, or it names exactly this representation. A date in it names
/// none of ours.
pub(super) fn range_applies(headers: &HeaderMap, tag: &str) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn tags_are_compared_as_the_rfc_says() {
        let tag = "\"sha256:ab\"";
        for (value, held, range) in [
            ("\"sha256:ab\"", true, true),
            ("W/\"sha256:ab\"", true, false),
            ("\"x\", \"sha256:ab\"", true, false),
            ("*", true, false),
            ("\"sha256:a\"", false, false),
            ("\"sha256:ab-gzip\"", false, false),
            ("sha256:ab", false, false),
            ("", false, false),
            ("Wed, 21 Oct 2015 07:28:00 GMT", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            headers.insert(IF_RANGE, HeaderValue::from_static(value));
            assert_eq!(is_held(&headers, tag), held, "{value}");
            assert_eq!(range_applies(&headers, tag), range, "{value}");
        }
        assert!(!is_held(&HeaderMap::new(), tag) && range_applies(&HeaderMap::new(), tag));
    }
}
