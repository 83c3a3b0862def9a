//! `/-/token`: where clients of images exchange a password for a token ("Token Authentication Specification" and "OAuth2
//! Token Authentication" of the distribution project).
//!
//! A token says who somebody is, and nothing of what they may do, which is asked with each request: so `scope` and
//! `service` are not looked at. Nobody is given a token too where reading is open, since these clients ask for nothing
//! without one once they were told how.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::accounts::{Credentials, Denied, Shown, TOKEN_LIFE};
use super::gate::Access;
use super::reply::Reply;
use crate::access::Read;
use crate::clock;

/// Where it stands, on every host.
pub(super) const PATH: &str = "/-/token";

/// What it answers.
pub(super) const METHODS: &str = "GET, HEAD, POST";

/// Answers a request with these headers; `form` is the body of a POST.
///
/// # Errors
/// If the credentials are wrong, or there are none and nobody may read.
pub(super) async fn answer(
    access: &Access,
    headers: &HeaderMap,
    form: Option<&Bytes>,
) -> Result<Reply, Denied> {
    let Some(accounts) = &access.accounts else { return Err(Denied::Wrong) };
    let credentials = match form {
        None => match Shown::read(headers)? {
            Shown::Nothing => None,
            Shown::Password(credentials) => Some(credentials),
            // A token that gave another one would last for ever.
            Shown::Token(_) => return Err(Denied::Wrong),
        },
        Some(form) => match granted(form) {
            Ok(credentials) => Some(credentials),
            Err((error, why)) => {
                let body = json!({ "error": error, "error_description": why });
                return Ok(Reply::secret(StatusCode::BAD_REQUEST, body.to_string()));
            }
        },
    };
    let list = accounts.list().await?;
    let account = match credentials {
        Some(credentials) => Some(accounts.sign_in(&list, credentials).await?),
        None if access.read == Read::Accounts => return Err(Denied::Needed),
        None => None,
    };
    let token = accounts.token(&list, account.as_deref());
    let body = json!({
        "token": token,
        "access_token": token,
        "expires_in": TOKEN_LIFE.as_secs(),
        "issued_at": clock::now_text(),
    });
    Ok(Reply::secret(StatusCode::OK, body.to_string()))
}

/// The credentials in a form, or the error as RFC 6749, section 5.2, has it.
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
