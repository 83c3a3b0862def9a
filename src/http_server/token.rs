//! `/-/token`: where clients of images exchange a password for a token ("Token Authentication Specification" and "OAuth2
//! Token Authentication" of the distribution project).
//!
//! A token says who somebody is, and nothing of what they may do, which is asked with each request. Nobody is given a
//! token too where reading is open, since these clients ask for nothing without one once they were told how.
//!
//! Docker shows its own registry's account to whatever mirrors that registry, and takes an account that is refused for a
//! mirror that is down. So where reading is open, wrong credentials are nobody's rather than wrong for whoever asks to
//! pull alone; signing in names no scope, and is told the truth.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::accounts::{Credentials, Denied, Shown, TOKEN_LIFE};
use super::gate::Access;
use super::reply::Reply;
use crate::access::Read;

/// Where it stands, on every host.
pub(super) const PATH: &str = "/-/token";

/// What it answers.
pub(super) const METHODS: &str = "GET, HEAD, POST";

/// Answers a request with these headers and this query; `form` is the body of a POST.
///
/// # Errors
/// If the credentials are wrong, or there are none and nobody may read.
pub(super) async fn answer(
    access: &Access,
    headers: &HeaderMap,
    query: &str,
    form: Option<&Bytes>,
) -> Result<Reply, Denied> {
    let Some(accounts) = &access.accounts else { return Err(Denied::Wrong) };
    let (credentials, parameters) = match form {
        None => match Shown::read(headers)? {
            Shown::Nothing => (None, query.as_bytes()),
            Shown::Password(credentials) => (Some(credentials), query.as_bytes()),
            // A token that gave another one would last for ever.
            Shown::Token(_) => return Err(Denied::Wrong),
        },
        Some(form) => match granted(form) {
            Ok(credentials) => (Some(credentials), &form[..]),
            Err((error, why)) => {
                return Ok(Reply::secret(StatusCode::BAD_REQUEST, oauth_error(error, why)));
            }
        },
    };
    let list = accounts.list().await?;
    let account = match credentials {
        Some(credentials) => match accounts.sign_in(&list, credentials).await {
            Ok(name) => Some(name),
            Err(Denied::Wrong) if access.read == Read::Open && only_pulls(parameters) => None,
            Err(denied) => return Err(denied),
        },
        None if access.read == Read::Accounts => return Err(Denied::Needed),
        None => None,
    };
    let token = accounts.token(&list, account.as_deref());
    // No `issued_at`: clients would reckon by their own clock from ours, and behind an air gap the two may well differ.
    let body = json!({ "token": token, "access_token": token, "expires_in": TOKEN_LIFE.as_secs() });
    Ok(Reply::secret(StatusCode::OK, Bytes::from(body.to_string())))
}

/// What a client is told whose credentials are refused. `details` is what docker shows.
pub(super) fn refusal(status: u16, message: &str) -> Bytes {
    let error = if status == 401 { "invalid_grant" } else { "temporarily_unavailable" };
    Bytes::from(json!({ "error": error, "error_description": message, "details": message }).to_string())
}

/// An error as RFC 6749, section 5.2, has it.
fn oauth_error(error: &str, why: &str) -> Bytes {
    Bytes::from(json!({ "error": error, "error_description": why }).to_string())
}

/// Whether a token is asked for pulling from somewhere and for nothing else: `repository:team/app:pull`.
fn only_pulls(parameters: &[u8]) -> bool {
    let scopes = form_urlencoded::parse(parameters).filter(|(key, _)| key == "scope");
    let scopes: Vec<_> = scopes.map(|(_, value)| value).collect();
    let mut each = scopes.iter().flat_map(|scopes| scopes.split_ascii_whitespace()).peekable();
    each.peek().is_some() && each.all(|scope| scope.rsplit(':').next() == Some("pull"))
}

/// The credentials in a form, or what is wrong with it.
fn granted(form: &[u8]) -> Result<Credentials, (&'static str, &'static str)> {
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(form);
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    match field("grant_type").as_deref() {
        Some("password") => {}
        Some(_) => return Err(("unsupported_grant_type", "only grant_type=password is known here")),
        None => return Err(("invalid_request", "there is no grant_type")),
    }
    match (field("username"), field("password").map(Zeroizing::new)) {
        (Some(name), Some(password)) => Ok(Credentials { name, password }),
        _ => Err(("invalid_request", "username and password are needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_to_pull_only_pulls() {
        for query in [
            "scope=repository:a/b:pull",
            "account=x&scope=repository%3Aa%3Apull&scope=repository:b:pull",
            "scope=repository:a:pull+repository:b:pull",
        ] {
            assert!(only_pulls(query.as_bytes()), "{query}");
        }
        for query in [
            "",
            "scope=",
            "account=x&offline_token=true",
            "scope=repository:a:pull,push",
            "scope=repository:a:pull+repository:b:push",
            "scope=repository:a:pull&scope=registry:catalog:*",
            "scope=repository:a:*",
        ] {
            assert!(!only_pulls(query.as_bytes()), "{query}");
        }
    }
}
