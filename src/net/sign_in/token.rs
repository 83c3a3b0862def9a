//! Asking a token server: the token flow of the distribution project, and its OAuth 2 form for identity tokens.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use tokio::time::timeout;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{Account, SignIn};
use crate::net::access::Access;
use crate::net::body::Answer;
use crate::net::client::{Client, hop};
use crate::net::document;
use crate::net::error::{Fault, NetError};
use crate::net::payload::Payload;
use crate::net::redact;

/// The largest answer that is read, in bytes: tokens take a few KiB.
const LARGEST: u64 = 1 << 20;
/// How long a token is good for if its server does not say, or says less, as the specification has it.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// How long at most, whatever its server says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A token, and how long it is good for.
pub(super) struct Token {
    pub(super) text: Zeroizing<String>,
    pub(super) life: Duration,
}

/// A question to a token server.
pub(super) struct Question<'a> {
    pub(super) sign_in: &'a Arc<SignIn>,
    /// The token server's address, and the way there.
    pub(super) realm: Access,
    /// What the server that wants the token calls itself.
    pub(super) service: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// A question to `realm`, an address that may be trusted, on behalf of `access`.
    pub(super) fn new(
        client: &Client,
        access: &Access,
        sign_in: &'a Arc<SignIn>,
        realm: Url,
        service: Option<&'a str>,
    ) -> Question<'a> {
        // A certificate of our own is shown to nobody but whom it is meant for.
        let is_same_origin = realm.origin() == access.url.origin();
        let may_be_insecure = client.settings().allows_insecure(&realm);
        let route = Arc::new(hop(&access.route, is_same_origin, may_be_insecure).into_owned());
        Question { sign_in, realm: Access { route, ..Access::open(realm) }, service }
    }

    /// Gets a token.
    ///
    /// # Errors
    /// If the token server cannot be reached or refuses, or its answer is no token.
    pub(super) async fn ask(&self, client: &Client) -> Result<Token, NetError> {
        let posted = match &self.sign_in.account {
            Some(Account::IdentityToken { token, .. }) => Some(self.post(client, token).await?),
            _ => None,
        };
        // Older token servers know but the other form.
        let knows_post = |answer: &Answer| !matches!(answer.status().as_u16(), 404 | 405);
        let answer = match posted.filter(knows_post) {
            Some(answer) => answer,
            None => self.get(client).await?,
        };
        match answer.status().as_u16() {
            200 => {}
            // It is not the file that is missing.
            404 | 410 => {
                let realm = redact(&self.realm.url).to_string();
                return Err(answer.error(Fault::Realm { realm, why: "there is nothing at that address" }));
            }
            _ => return Err(Answer { sign_in: Some(self.sign_in.clone()), ..answer }.refused()),
        }
        let url = answer.url.clone();
        let after = client.settings().timeouts.response;
        let late = |_| NetError::new(&url, Fault::TimedOut { what: "reading the token", after });
        let document = timeout(after, document::read(answer, LARGEST)).await.map_err(late)??;
        read(&document.bytes).map_err(|why| NetError::new(&url, Fault::Protocol(why)))
    }

    async fn get(&self, client: &Client) -> Result<Answer, NetError> {
        let mut access = self.realm.clone();
        // Here each scope is a parameter of its own; in the form, one parameter has them all.
        let scopes = self.sign_in.scope.split_whitespace().map(|scope| ("scope", scope));
        let parameters: Vec<_> = self.service().chain(scopes).collect();
        if !parameters.is_empty() {
            access.url.query_pairs_mut().extend_pairs(parameters);
        }
        access.credential = self.sign_in.basic(&access.url);
        let credential = access.credential.as_ref();
        client.follow(Method::GET, &access, credential, &accept(), &Payload::Nothing).await
    }

    /// A redirect is not followed: what is sent would be sent on.
    async fn post(&self, client: &Client, token: &str) -> Result<Answer, NetError> {
        let mut headers = accept();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (url, route) = (self.realm.url.clone(), &self.realm.route);
        let form = Payload::Bytes(self.form(token).as_bytes().to_vec().into());
        client.exchange(Method::POST, url, headers, &form, route).await
    }

    fn form(&self, token: &str) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "aftk");
        let scope = Some(self.sign_in.scope.as_str()).filter(|scope| !scope.is_empty());
        form.extend_pairs(self.service().chain(scope.map(|scope| ("scope", scope))));
        form.append_pair("refresh_token", token);
        Zeroizing::new(form.finish())
    }

    /// Whom the token is to be shown to.
    fn service(&self) -> impl Iterator<Item = (&str, &str)> {
        self.service.map(|service| ("service", service)).into_iter()
    }
}

fn accept() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

/// Reads a token server's answer.
fn read(bytes: &[u8]) -> Result<Token, &'static str> {
    #[derive(Deserialize)]
    struct Said {
        token: Option<Zeroizing<String>>,
        access_token: Option<Zeroizing<String>>,
        // Some say it as text, and nothing hangs on it.
        expires_in: Option<serde_json::Value>,
    }
    let said: Said = serde_json::from_slice(bytes).map_err(|_| "the token server's answer is no token")?;
    let is_there = |text: &Zeroizing<String>| !text.is_empty();
    let text = said.token.filter(is_there).or(said.access_token.filter(is_there));
    let text = text.ok_or("the token server's answer has no token in it")?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token server's token has characters that no token has");
    }
    let seconds = said.expires_in.and_then(|value| value.as_u64()).unwrap_or(0);
    let life = Duration::from_secs(seconds).clamp(SHORTEST_LIFE, LONGEST_LIFE);
    Ok(Token { text, life })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_servers_write_them() {
        for (answer, text, seconds) in [
            (r#"{"token":"t"}"#, "t", 60),
            (r#"{"access_token":"a","expires_in":300,"issued_at":"2026-11-21T00:00:00Z"}"#, "a", 300),
            (r#"{"token":"t","access_token":"a","expires_in":1}"#, "t", 60),
            (r#"{"token":"","access_token":"a","expires_in":"soon"}"#, "a", 60),
            (r#"{"token":"t","expires_in":-5}"#, "t", 60),
            (r#"{"token":"t","expires_in":1e300}"#, "t", 60),
            (r#"{"token":"t","expires_in":18446744073709551615}"#, "t", 86_400),
            (r#"{"token":"t","access_token":null,"more":[{}]}"#, "t", 60),
        ] {
            let token = read(answer.as_bytes()).unwrap();
            assert_eq!((token.text.as_str(), token.life.as_secs()), (text, seconds), "{answer}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for answer in
            ["", "[]", "{}", "<html>", r#"{"token":7}"#, r#"{"token":"a b"}"#, r#"{"token":"a\r\nb"}"#]
        {
            assert!(read(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
