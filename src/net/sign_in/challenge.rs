//! What a server wants to see before it lets one in: the challenges of a 401 (RFC 9110, section 11.6.1).

use http::{HeaderMap, header};

/// Headers with challenges that are read; and how long each may be, in bytes.
const MOST_HEADERS: usize = 16;
const LONGEST_HEADER: usize = 8 * 1024;

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password (RFC 7617).
    Basic,
    /// A token, to be had elsewhere.
    Bearer {
        /// Where: an address, by the server's word.
        realm: String,
        /// What the server calls itself there.
        service: Option<String>,
    },
}

impl Challenge {
    /// The one to answer: a token comes before a password, which it spares. `None` if there is none that we know.
    pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().take(MOST_HEADERS);
        let texts = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        let all: Vec<_> = texts.filter(|text| text.len() <= LONGEST_HEADER).flat_map(read).collect();
        let bearer = |said: &Said| {
            let realm = said.parameter("realm").filter(|_| said.is("Bearer"))?.to_owned();
            Some(Challenge::Bearer { realm, service: said.parameter("service").map(str::to_owned) })
        };
        let basic = || all.iter().any(|said| said.is("Basic")).then_some(Challenge::Basic);
        all.iter().find_map(bearer).or_else(basic)
    }
}

/// A challenge as it was said.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    scheme: &'a str,
    /// Names and values, in order.
    parameters: Vec<(&'a str, String)>,
}

impl Said<'_> {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The first one of a name: none may be there twice.
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads a header. Commas stand between challenges and between the parameters of one: what begins like `name=value`
/// belongs to the challenge before it, and anything else begins another. What cannot be read is passed over.
fn read(text: &str) -> Vec<Said<'_>> {
    let mut all: Vec<Said<'_>> = Vec::new();
    for element in elements(text) {
        if let Some(parameter) = parameter(element) {
            if let Some(last) = all.last_mut() {
                last.parameters.push(parameter);
            }
            continue;
        }
        let (scheme, rest) = token(element);
        if !scheme.is_empty() && (rest.is_empty() || rest.starts_with(is_space)) {
            // What follows a scheme may also be a token68, which the schemes that we know do not have.
            let parameters = parameter(rest.trim_start_matches(is_space)).into_iter().collect();
            all.push(Said { scheme, parameters });
        }
    }
    all
}

/// The parts between commas, but for commas within quotes.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let is_end = move |character: char| {
        let is_end = character == ',' && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && quoted && !escaped;
        is_end
    };
    text.split(is_end).map(|element| element.trim_matches(is_space))
}

/// `name=value` or `name="value"`, and nothing else.
fn parameter(text: &str) -> Option<(&str, String)> {
    let (name, rest) = token(text);
    let value = rest.trim_start_matches(is_space).strip_prefix('=')?.trim_start_matches(is_space);
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => Some(value).filter(|value| !value.is_empty() && token(value).1.is_empty())?.to_owned(),
    };
    (!name.is_empty()).then_some((name, value))
}

/// What stands between quotes, from behind the first one; `None` if that is not all.
fn unquoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(value),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

/// The token that a text begins with (RFC 9110, section 5.6.2), and the rest.
fn token(text: &str) -> (&str, &str) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    text.split_at(text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len()))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn chosen(headers: &[&str]) -> Option<Challenge> {
        let mut map = HeaderMap::new();
        for text in headers {
            map.append(header::WWW_AUTHENTICATE, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        }
        Challenge::of(&map)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    fn schemes(text: &str) -> Vec<(&str, usize)> {
        read(text).iter().map(|said| (said.scheme, said.parameters.len())).collect()
    }

    #[test]
    fn the_example_of_the_standard_is_two_challenges() {
        let text = r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#;
        assert_eq!(schemes(text), [("Basic", 1), ("Newauth", 3)]);
        assert_eq!(read(text)[1].parameter("TITLE"), Some(r#"Login to "apps""#));
    }

    #[test]
    fn a_token_comes_before_a_password_wherever_it_stands() {
        let token =
            r#"Bearer realm="https://auth.example.test/token",service="a, b",scope="repository:a:pull,push""#;
        let expected = bearer("https://auth.example.test/token", Some("a, b"));
        assert_eq!(chosen(&[token]), expected);
        assert_eq!(chosen(&["Basic realm=x", token]), expected);
        assert_eq!(
            chosen(&[&format!("Negotiate, NTLM TlRMTVNTUAAB==, {token}, Basic realm=\"x\"")]),
            expected
        );
        assert_eq!(chosen(&[&format!(" , ,{token} ,")]), expected);
        assert_eq!(chosen(&["bearer  REALM = https%3a , Service\t=\"s\""]), bearer("https%3a", Some("s")));
        assert_eq!(chosen(&[r#"BASIC realm="Bearer realm=x, Bearer""#]), Some(Challenge::Basic));
        assert_eq!(chosen(&["Basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let good = r#"Bearer realm="r""#;
        for broken in
            ["@@", "=", "a=b", "Digest realm=\"x\" y", "Digest =", "\u{fc}, \u{fc}=1", "a/b c", "Basic\"x\""]
        {
            assert_eq!(chosen(&[&format!("{broken}, {good}")]), bearer("r", None), "{broken}");
        }
        for none in [
            "",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"r",
            "Bearer realm=\"r\\",
            "Bearer realm=\"r\"x",
        ] {
            assert_eq!(chosen(&[none]), None, "{none}");
        }
        // An unfinished quote swallows what follows it, as it should: it may be of its text.
        assert_eq!(chosen(&[r#"Digest realm="x, Bearer realm=r"#]), None);
        let long = format!("{good}, x=\"{}\"", "y".repeat(LONGEST_HEADER));
        assert_eq!(chosen(&[&long, "Basic"]), Some(Challenge::Basic));
        assert_eq!(chosen(&[&["Digest"; MOST_HEADERS][..], &[good]].concat()), None);
        assert_eq!(chosen(&[r#"Bearer realm="first", realm="second""#]), bearer("first", None));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-zA-Z=\", \\\\\t\u{e9}]{0,60}") {
            let _ = chosen(&[&text]);
        }

        #[test]
        fn what_is_quoted_comes_back(realm in "[ -~]{0,30}", service in "[ -~]{0,30}") {
            let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let text = format!("Basic realm=a, Bearer service={}, realm={}", quote(&service), quote(&realm));
            prop_assert_eq!(chosen(&[&text]), bearer(&realm, Some(&service)));
        }
    }
}
