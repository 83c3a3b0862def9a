//! Addresses as they may be printed.

use std::fmt;

use url::Url;

/// Prints a URL without its secrets: user, password, secret-looking query values and the fragment are left
/// out. Every address in a message, an event or a lock goes through here.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(&'a Url);

/// A URL as it may be printed.
pub fn redact(url: &Url) -> Redacted<'_> {
    Redacted(url)
}

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A query parameter whose name contains one of these is taken for a secret. Signed addresses of object
/// stores are secrets as well: who has one can read what it points at.
const SECRET_NAMES: [&str; 12] =
    ["token", "secret", "passw", "pwd", "sig", "key", "auth", "cred", "session", "jwt", "policy", "code"];

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        write!(f, "{}:", url.scheme())?;
        if let Some(host) = url.host_str() {
            f.write_str("//")?;
            if !url.username().is_empty() || url.password().is_some() {
                write!(f, "{HIDDEN}@")?;
            }
            f.write_str(host)?;
            if let Some(port) = url.port() {
                write!(f, ":{port}")?;
            }
        }
        f.write_str(url.path())?;
        // Raw pairs, so that what is printed is what was sent.
        for (number, pair) in url.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
            f.write_str(if number == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if looks_secret(name) => write!(f, "{name}={HIDDEN}")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn looks_secret(name: &str) -> bool {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn prints(url: &str, expected: &str) {
        assert_eq!(redact(&Url::parse(url).unwrap()).to_string(), expected);
    }

    #[test]
    fn what_is_no_secret_is_printed() {
        prints("https://example.test:8443/a%2fb?x=1&y", "https://example.test:8443/a%2fb?x=1&y");
        prints("http://[::1]:80/", "http://[::1]/");
        prints("file:///srv/a", "file:/srv/a");
    }

    #[test]
    fn secrets_are_not() {
        prints("https://me:sesame@example.test/", "https://***@example.test/");
        prints("https://:sesame@example.test/", "https://***@example.test/");
        prints("https://sesame@example.test/", "https://***@example.test/");
        prints("https://example.test/?a=1&access_token=sesame", "https://example.test/?a=1&access_token=***");
        prints(
            "https://example.test/?X-Amz-Signature=sesame&z=2",
            "https://example.test/?X-Amz-Signature=***&z=2",
        );
        prints("https://example.test/?%74oken=sesame", "https://example.test/?%74oken=***");
        prints("https://example.test/#sesame", "https://example.test/");
    }
}
