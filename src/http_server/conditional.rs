//! Preconditions, RFC 9110 section 13: on strong entity tags, and on dates where an answer has one.
//!
//! A date is no more than another name of what a path had from then on, so a client has to name that very one: what has an
//! earlier date here is not older than what a client has with a later one, if a clock went back in between.

use http::HeaderMap;
use http::header::{HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE};

/// Whether the client already holds the representation with this tag (`"…"`) and date: the answer is 304.
pub(super) fn is_held(headers: &HeaderMap, tag: &str, modified: Option<&HeaderValue>) -> bool {
    if !headers.contains_key(IF_NONE_MATCH) {
        return modified.is_some() && headers.get(IF_MODIFIED_SINCE) == modified;
    }
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        // Our tags have neither commas nor quotes inside, so a list may be split plainly: a foreign tag with a comma
        // falls into pieces that equal none of ours.
        value.split(',').map(|one| one.trim_matches([' ', '\t'])).any(|one| {
            // If-None-Match compares weakly.
            one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
        })
    })
}

/// Whether a range may be answered: there is no If-Range, or it names exactly this representation.
pub(super) fn range_applies(headers: &HeaderMap, tag: &str, modified: Option<&HeaderValue>) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes() || Some(value) == modified)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            assert_eq!(is_held(&headers, tag, None), held, "{value}");
            assert_eq!(range_applies(&headers, tag, None), range, "{value}");
        }
        assert!(!is_held(&HeaderMap::new(), tag, None) && range_applies(&HeaderMap::new(), tag, None));
    }

    #[test]
    fn a_date_is_the_name_of_what_has_it_and_counts_where_there_is_no_tag() {
        let (tag, date) = ("\"sha256:ab\"", HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"));
        for (asked, held) in [
            ("Wed, 21 Oct 2015 07:28:00 GMT", true),
            ("Wed, 21 Oct 2015 07:28:01 GMT", false),
            ("Wed, 21 Oct 2015 07:27:59 GMT", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MODIFIED_SINCE, HeaderValue::from_static(asked));
            headers.insert(IF_RANGE, HeaderValue::from_static(asked));
            assert_eq!(is_held(&headers, tag, Some(&date)), held, "{asked}");
            assert_eq!(range_applies(&headers, tag, Some(&date)), held, "{asked}");
            assert!(!is_held(&headers, tag, None) && !range_applies(&headers, tag, None));
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
            assert!(!is_held(&headers, tag, Some(&date)), "a tag says it better");
        }
    }
}
