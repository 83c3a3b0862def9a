//! Where a redirect may lead.

use http::{HeaderMap, StatusCode, header};
use url::Url;

use super::error::Fault;
use super::redact;
use super::settings::{Settings, is_loopback};

/// Redirects that are followed in a row.
pub(super) const MOST: usize = 10;

/// Where an answer sends us on to; `Ok(None)` if it is no redirect. With `plain_http`, what is asked for in plain HTTP may
/// be had so from elsewhere too.
///
/// # Errors
/// If it leads where nobody should be led: to plain HTTP that is not allowed for that host, or from elsewhere
/// to this machine's own services, or nowhere.
pub(super) fn target(
    from: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    (settings, plain_http): (&Settings, bool),
) -> Result<Option<Url>, Fault> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = headers.get(header::LOCATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let location = location.ok_or(Fault::Protocol("a redirect without a readable Location"))?;
    let to = from.join(location).map_err(|_| Fault::Protocol("a redirect whose Location is no address"))?;
    let to = without_user(to);
    let refuse = |why| Err(Fault::Redirect { to: redact(&to).to_string(), why });
    match to.scheme() {
        "https" => {}
        "http" if settings.allows_insecure(&to) => {}
        "http" if plain_http && from.scheme() == "http" => {}
        "http" => return refuse("it is plain HTTP"),
        _ => return refuse("it is neither https nor http"),
    }
    if is_loopback(&to) && !is_loopback(from) {
        return refuse("it leads from elsewhere to this machine's own services");
    }
    Ok(Some(to))
}

/// A user and password in an address would be sent to wherever it points.
pub(super) fn without_user(mut url: Url) -> Url {
    // Fails only for addresses that cannot have any.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str) -> Result<Option<String>, String> {
        follow_with(from, location, false)
    }

    fn follow_with(from: &str, location: &str, plain_http: bool) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        let settings =
            Settings { insecure_hosts: vec!["old.example.test".to_owned()], ..Settings::default() };
        let from = Url::parse(from).unwrap();
        let found = target(&from, StatusCode::FOUND, &headers, (&settings, plain_http));
        found.map(|to| to.map(String::from)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn good_ways_are_followed() {
        let from = "https://a.example.test/x/y?z";
        let led = |location| follow(from, location).unwrap().unwrap();
        assert_eq!(led("../w"), "https://a.example.test/w");
        assert_eq!(led("//b.example.test/"), "https://b.example.test/");
        assert_eq!(led("http://old.example.test/"), "http://old.example.test/");
        assert_eq!(led("https://me:secret@b.example.test/"), "https://b.example.test/");
        assert_eq!(
            follow("http://127.0.0.1:1/", "http://localhost:2/").unwrap().unwrap(),
            "http://localhost:2/"
        );
    }

    #[test]
    fn what_is_signed_may_come_in_plain_http_but_not_instead_of_https() {
        let to = "http://b.example.test/x";
        assert!(follow("http://a.example.test/", to).is_err());
        assert_eq!(follow_with("http://a.example.test/", to, true).unwrap().unwrap(), to);
        assert!(follow_with("https://a.example.test/", to, true).is_err());
        assert!(follow_with("http://a.example.test/", "http://127.0.0.1/", true).is_err());
    }

    #[test]
    fn bad_ways_are_not() {
        for location in [
            "http://a.example.test/x",
            "ftp://a.example.test/",
            "file:///etc/passwd",
            "http://127.0.0.1/",
            "https://localhost/",
            "https://0.0.0.0/",
            "https://[::ffff:127.0.0.1]/",
            "https://",
        ] {
            assert!(follow("https://a.example.test/", location).is_err(), "{location}");
        }
        let told = follow("https://a.example.test/", "http://b.example.test/?token=sesame").unwrap_err();
        assert!(told.contains("b.example.test") && !told.contains("sesame"), "{told}");
    }

    #[test]
    fn other_answers_are_no_redirects() {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, "/elsewhere".parse().unwrap());
        let from = Url::parse("https://a.example.test/").unwrap();
        for status in [200, 201, 300, 304, 305, 404] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(
                matches!(target(&from, status, &headers, (&Settings::default(), false)), Ok(None)),
                "{status}"
            );
        }
    }
}
