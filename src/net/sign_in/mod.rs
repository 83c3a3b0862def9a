//! Signing in where a server asks for it: a 401 is answered, and the request made once more.
//!
//! The server names what it wants to see ([`challenge`]): a user and a password, or a token that is to be had from a
//! token server, which it names as well; [`realm`] says whom it may name, and [`token`] asks there. What was got is
//! remembered in memory alone, and shown from the first request on to the origin that wanted it; a token until shortly
//! before it expires.

mod challenge;
mod realm;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use url::{Origin, Url};
use zeroize::Zeroizing;

use super::access::{Access, Credential};
use super::body::Answer;
use super::client::Client;
use super::error::{Fault, NetError, host_of};
use super::own_host::at_own_host;
use super::payload::Payload;
use challenge::Challenge;

/// What is remembered of that many origins, accounts and scopes, before what nobody uses at the moment is forgotten.
const REMEMBERED: usize = 1024;
/// A token is not shown in its last seconds: it would be refused while the request is on its way.
const LAST_SECONDS: Duration = Duration::from_secs(10);

/// How to sign in where a server asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIn {
    /// Who does; `None` for anybody: many registries give everybody a token, and want to see it.
    pub account: Option<Account>,
    /// What a token is to be good for, such as `repository:library/alpine:pull`; several are separated by spaces; empty for
    /// nothing in particular. It is for us to say: what a server names in its challenge is not asked for.
    pub scope: String,
    /// What a person calls to be let in, for hints: `docker login registry.example.test`.
    pub remedy: String,
    /// Where tokens are asked for.
    pub realm: Realm,
    /// Whether a user and a password are shown from the first request on, asked for or not.
    pub shows_first: bool,
}

/// Where tokens are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Realm {
    /// Where the server says, if that may be trusted.
    #[default]
    Named,
    /// At the server itself, with the path that it says: some do not know what they are called.
    OwnHost,
    /// Where the user says.
    At(Url),
}

impl SignIn {
    /// What shows the account to the origin of `url` as a user and a password, if there is one.
    fn basic(&self, url: &Url) -> Option<Credential> {
        let (Account::Password { user, password: secret } | Account::IdentityToken { user, token: secret }) =
            self.account.as_ref()?;
        Some(Credential::basic(url, user, secret))
    }

    /// What helps against a status that a server answered, if signing in does.
    pub(super) fn advice(&self, status: StatusCode) -> Option<String> {
        let remedy = &self.remedy;
        match (status.as_u16(), &self.account) {
            (401 | 403, None) => {
                Some(format!("if it is there, it is not for everybody; sign in with: {remedy}"))
            }
            (400 | 401, Some(_)) => Some(format!(
                "the account that is kept for it was not accepted, or may not read this; sign in again with: {remedy}"
            )),
            (403, Some(_)) => Some(format!(
                "the account that is kept for it may not read this; sign in with another one: {remedy}"
            )),
            (429, None) => Some(format!("try later, or sign in for a higher limit: {remedy}")),
            _ => None,
        }
    }
}

/// An account at a server. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Account {
    /// A user with a password, or with what stands in for one.
    Password {
        /// The user's name, without colons.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token that gets other tokens (OAuth 2 calls it a refresh token).
    IdentityToken {
        /// The user's name, if it is known: for token servers that know nothing but users and passwords.
        user: String,
        /// The token.
        token: Zeroizing<String>,
    },
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(hidden)")
    }
}

/// What a client got by signing in.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<Key, Arc<Session>>>,
}

/// Who is let in where, and to do what.
#[derive(PartialEq, Eq)]
struct Key {
    origin: Origin,
    account: Option<Account>,
    scope: String,
}

impl Hash for Key {
    /// Without the account, whose secret has no business there.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.origin.hash(state);
        self.scope.hash(state);
    }
}

/// Held while a token is asked for, so that whoever needs the same meanwhile waits for that one.
type Session = tokio::sync::Mutex<State>;

#[derive(Default)]
struct State {
    pass: Option<Pass>,
    /// How many there were.
    number: u64,
}

/// What lets us in.
#[derive(Clone)]
struct Pass {
    credential: Option<Credential>,
    challenge: Challenge,
    /// When a token is no longer shown.
    until: Option<SystemTime>,
    number: u64,
}

impl Sessions {
    fn of(&self, url: &Url, sign_in: &SignIn) -> Arc<Session> {
        let key =
            Key { origin: url.origin(), account: sign_in.account.clone(), scope: sign_in.scope.clone() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= REMEMBERED && !open.contains_key(&key) {
            open.retain(|_, session| Arc::strong_count(session) > 1);
        }
        open.entry(key).or_default().clone()
    }
}

impl Client {
    /// Asks, and answers the challenge of a 401 once, if it comes from the origin of `access` itself. What comes after
    /// that is the last word, a further 401 too.
    ///
    /// # Errors
    /// Also those of the token server.
    pub(super) async fn ask_signed_in(
        &self,
        method: Method,
        access: &Access,
        sign_in: &Arc<SignIn>,
        headers: &HeaderMap,
        payload: &Payload,
    ) -> Result<Answer, NetError> {
        let visit =
            Visit { client: self, access, sign_in, session: self.sessions().of(&access.url, sign_in) };
        let shown = visit.remembered().await?;
        let credential = shown.as_ref().map_or(access.credential.as_ref(), |pass| pass.credential.as_ref());
        let mut answer = self.follow(method.clone(), access, credential, headers, payload).await?;
        if let Some(challenge) = visit.to_be_answered(&answer, shown.as_ref()) {
            // It holds a place among the requests to its host, which may be that of the token server.
            drop(answer);
            let pass = visit.sign_in(challenge, shown.map_or(0, |pass| pass.number)).await?;
            answer = self.follow(method, access, pass.credential.as_ref(), headers, payload).await?;
        }
        Ok(Answer { sign_in: Some(sign_in.clone()), ..answer })
    }
}

/// A request to a server that may ask who we are.
struct Visit<'a> {
    client: &'a Client,
    access: &'a Access,
    sign_in: &'a Arc<SignIn>,
    session: Arc<Session>,
}

impl Visit<'_> {
    /// What is shown without being asked for; got anew where it is about to expire.
    async fn remembered(&self) -> Result<Option<Pass>, NetError> {
        let mut state = self.session.lock().await;
        match state.pass.clone() {
            Some(pass) if self.has_expired(&pass) => self.renew(&mut state, pass.challenge).await.map(Some),
            None if self.sign_in.shows_first && self.has_password() && state.number == 0 => {
                self.renew(&mut state, Challenge::Basic).await.map(Some)
            }
            other => Ok(other),
        }
    }

    /// The challenge in an answer, if there is one that we have not done all we can about.
    fn to_be_answered(&self, answer: &Answer, shown: Option<&Pass>) -> Option<Challenge> {
        if answer.status() != StatusCode::UNAUTHORIZED || !answer.at_home {
            return None;
        }
        // There is but one password, while a token may have expired.
        let was_password = shown.is_some_and(|pass| pass.challenge == Challenge::Basic);
        let is_in_vain =
            |challenge: &Challenge| *challenge == Challenge::Basic && (was_password || !self.has_password());
        Challenge::of(answer.headers()).filter(|challenge| !is_in_vain(challenge))
    }

    fn has_password(&self) -> bool {
        matches!(self.sign_in.account, Some(Account::Password { .. }))
    }

    /// Where to ask for a token, if the server says `realm`.
    fn realm(&self, realm: &str) -> Result<Url, Fault> {
        let (url, settings) = (&self.access.url, self.client.settings());
        match &self.sign_in.realm {
            Realm::Named => realm::trusted(realm, url, settings),
            Realm::OwnHost => {
                at_own_host(realm, url).ok_or(Fault::Protocol("the place to sign in at is no address"))
            }
            Realm::At(own) if own.scheme() == "https" || settings.allows_insecure(own) => Ok(own.clone()),
            Realm::At(own) => Err(Fault::PlainHttp { host: host_of(own) }),
        }
    }

    /// Answers a challenge to whoever came with the pass `refused`, or with none if that is 0.
    async fn sign_in(&self, challenge: Challenge, refused: u64) -> Result<Pass, NetError> {
        let mut state = self.session.lock().await;
        match &state.pass {
            // Somebody else was faster.
            Some(pass) if pass.number > refused && !self.has_expired(pass) => Ok(pass.clone()),
            _ => self.renew(&mut state, challenge).await,
        }
    }

    async fn renew(&self, state: &mut State, challenge: Challenge) -> Result<Pass, NetError> {
        let (client, url) = (self.client, &self.access.url);
        // If this fails or is given up in the middle, nothing is remembered.
        state.pass = None;
        let (credential, until) = match &challenge {
            Challenge::Basic => (self.sign_in.basic(url), None),
            Challenge::Bearer { realm, service } => {
                let realm = self.realm(realm).map_err(|fault| NetError::new(url, fault))?;
                let before = client.now();
                let question =
                    token::Question::new(client, self.access, self.sign_in, realm, service.as_deref());
                let token = question.ask(client).await?;
                let until = before.checked_add(token.life.saturating_sub(LAST_SECONDS));
                (Some(Credential::bearer(url, &token.text)), until)
            }
        };
        state.number += 1;
        let pass = Pass { credential, challenge, until, number: state.number };
        state.pass = Some(pass.clone());
        Ok(pass)
    }

    fn has_expired(&self, pass: &Pass) -> bool {
        pass.until.is_some_and(|until| self.client.now() >= until)
    }
}
