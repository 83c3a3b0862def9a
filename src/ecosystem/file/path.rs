//! The names of files and of the repositories they stand in.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// What stands in a purl and in a URL's path as it is; everything else is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Checks a file's name, which is a path of segments separated by `/`.
///
/// # Errors
/// Why it is none, in words that go on after "the file's name".
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.len() > 4096 {
        return Err("is longer than 4,096 bytes");
    }
    for segment in name.split('/') {
        if segment.is_empty() {
            return Err("is empty, or has an empty segment");
        }
        if segment.len() > 255 {
            return Err("has a segment of more than 255 bytes");
        }
        if matches!(segment, "." | "..") {
            return Err("has `.` or `..` in it");
        }
        if segment.chars().any(|c| c.is_control() || c == '\\' || is_deceptive(c)) {
            return Err("has a character in it that nobody could read or type");
        }
    }
    Ok(())
}

/// Characters that turn the direction of what stands around them, or that cannot be seen.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Checks a repository's name: `local`, or a host, with a port as `host_5000`.
///
/// # Errors
/// Why it is none, in words that go on after "the repository's name".
pub(super) fn check_repository(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err("is neither `local` nor a host");
    }
    // `all` is the virtual repository over all others.
    if name == "all" { Err("is reserved") } else { Ok(()) }
}

/// The name with everything escaped that means something in a URL or a purl.
pub(super) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// The repository that an address belongs to. A colon cannot stand in a repository's name, so a port follows an
/// underscore and an IPv6 address is written with hyphens.
///
/// # Errors
/// Why there is none, in words that go on after "the address".
pub(super) fn repository_of(url: &Url) -> Result<String, &'static str> {
    let host = url.host_str().ok_or("has no host")?.trim_matches(['[', ']']).replace(':', "-");
    let repository = match url.port() {
        Some(port) => format!("{host}_{port}"),
        None => host,
    };
    match check_repository(&repository) {
        Ok(()) if repository != super::LOCAL => Ok(repository),
        _ => Err("has a host whose name cannot be a repository's"),
    }
}

/// The name that a file of this address gets: its path, unescaped once.
///
/// # Errors
/// Why there is none, in words that go on after "the address".
pub(super) fn name_of(url: &Url) -> Result<String, &'static str> {
    let mut segments = Vec::new();
    for segment in url.path_segments().ok_or("has no path")? {
        let segment =
            percent_decode_str(segment).decode_utf8().map_err(|_| "has a path that is not UTF-8")?;
        if segment.contains('/') {
            return Err("has an escaped slash in its path");
        }
        segments.push(segment);
    }
    let name = segments.join("/");
    match check(&name) {
        Ok(()) => Ok(name),
        Err(_) => Err("has a path that cannot be a file's name"),
    }
}

/// Checks an address that files may come from.
///
/// # Errors
/// Why it isn't one, in words that go on after "the address".
pub(super) fn check_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password in it, which would be recorded");
    }
    // Queries are where signed addresses keep their secret, and two of them could not be told apart by path.
    if url.query().is_some() {
        return Err("has a query, which may hold a secret and would be recorded");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_that_go_down() {
        for good in ["a", "a/b.tgz", "ä b", "...", "a..b", ".hidden", "a@b:c"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let (long, deep) = ("a".repeat(256), "a/".repeat(2048) + "a");
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a\\b",
            "a\n",
            "a\0",
            "\u{202e}gpj",
            &long,
            &deep,
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_have_a_repository_and_a_name() {
        for (url, repository, name) in [
            ("https://files.example.test/a/b%20c.tgz", "files.example.test", "a/b c.tgz"),
            ("http://Files.example.test:5000/x", "files.example.test_5000", "x"),
            ("https://files.example.test:443/a/../b", "files.example.test", "b"),
            ("http://[::1]:80/x", "--1", "x"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(
                (repository_of(&url), name_of(&url)),
                (Ok(repository.to_owned()), Ok(name.to_owned()))
            );
        }
        for url in [
            "https://files.example.test/",
            "https://files.example.test/a/",
            "https://files.example.test//a",
            "https://files.example.test/a%2fb",
            "https://files.example.test/%ff",
            "https://files.example.test/a%00",
            "https://files.example.test/a%5c..%5cb",
        ] {
            assert!(name_of(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        for url in ["http://local/a", "http://all/a"] {
            assert!(repository_of(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
    }
}
