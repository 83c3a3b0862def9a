//! Addresses by the word of a server that does not know what it is called: behind a proxy it may name another host, a port
//! twice (sonatype/nexus-public#611), another scheme, or `null` (sonatype/nexus-public#580). What stands behind the host
//! is right all the same.

use url::Url;

/// The path and query of an address, at the origin of `own`; `None` if it has none. It may be none that can be read as a
/// whole.
pub(super) fn at_own_host(text: &str, own: &Url) -> Option<Url> {
    let below = match text.split_once("://") {
        Some((_, rest)) => rest.get(rest.find(['/', '?', '#']).unwrap_or(rest.len())..)?.to_owned(),
        None => {
            let url = own.join(text).ok().filter(|url| !url.cannot_be_a_base())?;
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
        }
    };
    let below = below.split('#').next().unwrap_or_default();
    let (path, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
    // Set rather than joined: what begins with two slashes would be another host.
    let mut url = own.clone();
    url.set_path(path);
    url.set_query(query);
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_host_is_named_the_own_one_is_meant() {
        let own = Url::parse("https://registry.example.test:5001/v2/app/blobs/uploads/?x=y#z").unwrap();
        for (text, below) in [
            ("https://registry.example.test:5001:5001/v2/token?service=a", "/v2/token?service=a"),
            ("null://registry.example.test/v2/token", "/v2/token"),
            ("http://registry.example.test:5001/v2/token", "/v2/token"),
            ("https://a.example.test, b.example.test/v2/token", "/v2/token"),
            ("https://a.example.test?digest=b#c", "/?digest=b"),
            ("https://a.example.test", "/"),
            ("https://a.example.test//b.example.test/c", "//b.example.test/c"),
            ("//b.example.test/c?d", "/c?d"),
            ("/v2/x?_state=a%2Fb", "/v2/x?_state=a%2Fb"),
            ("s0", "/v2/app/blobs/uploads/s0"),
        ] {
            let url = at_own_host(text, &own).unwrap();
            assert_eq!(url.as_str(), format!("https://registry.example.test:5001{below}"), "{text}");
        }
        assert_eq!(at_own_host("mailto:me", &own), None);
    }
}
