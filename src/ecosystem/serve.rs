//! The seam for serving: routes, requests of clients and answers, on plain types of HTTP.

use std::time::Duration;

use bundle_format::BlobKey;
use bytes::Bytes;
use http::header::LAST_MODIFIED;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use super::host::Host;
use super::template::Template;
use crate::access::Hosted;
use crate::problem::Problem;
use crate::store::{FoundDocument, Linked, LinkedRef};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody said who; or somebody whom the site gave a token that says so.
    Anonymous,
    /// An account of this site.
    Account(String),
}

/// What clients of most ecosystems are told when they need an account: to send its name and password (RFC 7617).
pub const BASIC: &str = "Basic realm=\"aftk\"";

/// How the virtual repository of an ecosystem, which has what all others have, is written where a name is needed.
pub const ALL: &str = "all";

/// A route: an exhaustive table of what clients may ask.
///
/// The pattern's segments are separated by `/`: a literal, `{name}` (one segment, percent-decoded once, never
/// empty), `@{name}` (one that begins with the literal, which is not captured), or `{name...}` (one segment or more,
/// up to what the pattern has after it). First match wins. An encoded slash (`@scope%2fname`) is taken by a plain
/// `{name}` only. A trailing slash counts, but for the mount's own root.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET` (also answers HEAD), `POST`, `PUT` …
    pub method: &'static str,
    /// Below the mount.
    pub pattern: &'static str,
    /// The handler's own name for it.
    pub action: &'static str,
    /// Whether it writes, and what its body may be.
    pub takes: Takes,
}

impl Route {
    /// A question of GET.
    pub const fn get(pattern: &'static str, action: &'static str) -> Route {
        Route { method: "GET", pattern, action, takes: Takes::Question }
    }

    /// A question of POST.
    pub const fn post(pattern: &'static str, action: &'static str) -> Route {
        Route { method: "POST", pattern, action, takes: Takes::Question }
    }
}

/// What the requests of a route bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A question, perhaps with a body of at most [`QUESTION`] bytes: [`Serve::handle`] answers it.
    Question,
    /// A change, with a body of at most so many bytes: [`super::host::Host::write`] answers it.
    Document(usize),
    /// A change, with a body of any length.
    Upload,
    /// A change, in a form (`multipart/form-data`) whose part of this name is a file of any length.
    Form(&'static str),
    /// A change, in a JSON document of up to 16 MiB in which a file of any length may stand in base64, where these members
    /// lead. A `*` at the beginning of one stands for anything before the rest. In the request's body it is an empty text.
    Attachment(&'static [&'static str]),
    /// Somebody signs in or out, with a body of at most [`QUESTION`] bytes, and needs to be nobody for that: [`Serve::sign_in`].
    SignIn(Session),
}

/// What becomes of somebody's session with the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// It begins: they show a name and a password, and get a token that lasts.
    Begins,
    /// It ends: their token counts no more.
    Ends,
}

/// Signing in and out in the words of an ecosystem's clients. The server alone looks at passwords and makes tokens.
pub trait SignIn: Send + Sync {
    /// The name and password in a request; nothing, if it has none.
    fn credentials(&self, request: &ClientRequest) -> Option<(String, Zeroizing<String>)>;
    /// What whoever signed in is told, with their token: a JSON document.
    fn signed_in(&self, account: &str, token: &str) -> Bytes;
    /// The token that is to end.
    fn token(&self, request: &ClientRequest) -> String;
    /// What whoever signed out is told: a JSON document.
    fn signed_out(&self) -> Bytes;
}

/// The largest body of a question in bytes.
pub const QUESTION: usize = 1024 * 1024;

/// A request of a client, matched.
#[derive(Debug, Clone)]
pub struct ClientRequest {
    /// The route's action.
    pub action: &'static str,
    /// What the pattern captured, decoded.
    pub captures: Vec<(&'static str, String)>,
    /// The repository of the mount; `None`: the virtual `all`, or one that the handler finds out by itself.
    pub repository: Option<String>,
    /// `http://host:port/npm/all/`: what clients reached this mount by, ending in a slash.
    pub base: String,
    /// The whole path of the request, as it was sent.
    pub path: String,
    /// The raw query.
    pub query: String,
    /// Headers as sent.
    pub headers: HeaderMap,
    /// The body, as far as its route takes it into memory.
    pub body: Bytes,
    /// The parts of a form, in their order; that which is a file has its name here.
    pub form: Vec<(String, String)>,
    /// Who asks.
    pub principal: Principal,
}

/// What to answer. The server alone does HEAD, ranges, ETags, compression and streaming.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it says.
    pub content: Content,
    /// Headers of the clients' own protocol, besides those that the server sets.
    pub headers: HeaderMap,
    /// Whether path and query alone led to it, so that the server may send a blob again without asking, until the store
    /// changes. Such a change may be noticed [`LASTING`] late: never so where a name may move.
    pub lasting: bool,
    /// Whether the first line of its body stands behind the status as well, as some clients show people nothing else.
    pub tells_reason: bool,
}

impl Answer {
    /// The same, said to be as it is since `time` (RFC 3339 in UTC): clients that hold what the path had then, by that very
    /// time, are told that they have it. So no other content of the path may ever have the same time.
    #[must_use]
    pub fn since(mut self, time: &str) -> Answer {
        let time = time.parse::<jiff::Timestamp>().ok();
        let text = time.map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            self.headers.insert(LAST_MODIFIED, value);
        }
        self
    }
}

/// How old the server's knowledge of the store's revision may be when it sends a lasting answer again.
pub const LASTING: Duration = Duration::from_millis(100);

impl From<Content> for Answer {
    fn from(content: Content) -> Answer {
        Answer { content, headers: HeaderMap::new(), lasting: false, tells_reason: false }
    }
}

/// What an answer says.
#[derive(Debug, Clone)]
pub enum Content {
    /// A document made now.
    Document {
        /// Its media type.
        media_type: &'static str,
        /// Its bytes.
        body: Bytes,
        /// The headers that it varies by, if any.
        vary: &'static str,
    },
    /// A blob of the store.
    Blob {
        /// Its key; also its ETag.
        key: BlobKey,
        /// Its size in bytes.
        size: u64,
        /// Its media type.
        media_type: String,
    },
    /// An answer with another status than 200, in the client's own form.
    Status {
        /// The HTTP status.
        status: u16,
        /// Its media type.
        media_type: &'static str,
        /// Its bytes.
        body: Bytes,
    },
}

/// What a serving ecosystem sees of the store: only what its repository's links allow.
pub trait ServeContext: Send + Sync {
    /// The artifacts of one package, in the order of precedence ([`crate::store::Catalogue`]).
    fn artifacts(&self, repository: Option<&str>, name: &str) -> Result<Vec<Linked>, Problem>;
    /// The refs of one package, or those with this label, in the order of precedence; several sources may have set the
    /// same one.
    fn refs(
        &self,
        repository: Option<&str>,
        name: &str,
        label: Option<&str>,
    ) -> Result<Vec<LinkedRef>, Problem>;
    /// Up to `limit` names of packages that come after `after` (empty at first), in byte order, each once.
    fn names(&self, repository: Option<&str>, after: &str, limit: usize) -> Result<Vec<String>, Problem>;
    /// The names of this ecosystem's repositories, in byte order.
    fn repositories(&self) -> Result<Vec<String>, Problem>;
    /// The file at a path, of what this build has admitted.
    fn file_at(
        &self,
        repository: Option<&str>,
        path: &str,
    ) -> Result<Option<crate::store::FoundFile>, Problem>;
    /// The file that was at a path until lately: what is not shown any more but kept, as one may go back to it.
    fn former_file_at(
        &self,
        _repository: Option<&str>,
        _path: &str,
    ) -> Result<Option<crate::store::FoundFile>, Problem> {
        Ok(None)
    }
    /// The document at a path of a repository's edition ([`super::Materialise`]).
    fn edition(&self, _repository: &str, _path: &str) -> Result<Option<FoundDocument>, Problem> {
        Ok(None)
    }
    /// The blob that a client left in a package of a hosted repository for what is still to come, and its size.
    fn deposit(
        &self,
        _repository: &str,
        _name: &str,
        _label: &str,
    ) -> Result<Option<(BlobKey, u64)>, Problem> {
        Ok(None)
    }
    /// The hosted repositories of the ecosystem, in the site's order.
    fn hosted_repositories(&self) -> Vec<&Hosted> {
        Vec::new()
    }
    /// The hosted repository of that name, if the site has one.
    fn hosted(&self, name: &str) -> Option<&Hosted> {
        self.hosted_repositories().into_iter().find(|hosted| hosted.name == name)
    }
    /// A small blob's bytes, at most `limit`.
    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem>;
    /// A document derived from the store, its gaps filled with `filling`: from a bounded cache keyed by revision, or
    /// made now. `key` says nothing of the filling, which clients choose.
    fn derived(
        &self,
        key: &str,
        filling: &str,
        make: &mut dyn FnMut() -> Result<Option<Template>, Problem>,
    ) -> Result<Option<Bytes>, Problem>;
    /// Says something to whoever runs the site; each code once in the life of the server.
    fn warn_once(&self, _code: &'static str, _message: &str) {}
    /// Records that something was asked for and was not there.
    fn missed(&self, repository: Option<&str>, name: &str, version: &str);
}

/// Serving: routes and their handler.
pub trait Serve: Send + Sync {
    /// Where its repositories stand: `npm` for `/npm/<repository>/`.
    fn prefix(&self) -> &'static str;
    /// Whether the segment after the prefix names the repository. Else the handler finds out from the whole request which
    /// one is meant.
    fn names_repository_first(&self) -> bool {
        true
    }
    /// Where a repository stands below the prefix, for people; `None`: the virtual one.
    fn place(&self, repository: Option<&str>) -> String {
        format!("{}/", repository.unwrap_or(ALL))
    }
    /// Where an upstream whose address has this path has what the routes begin with.
    fn root_of<'a>(&self, path: &'a str) -> &'a str {
        path
    }
    /// Whether files are found at the addresses that they have upstream, so that the hosts which lockfiles name can be answered
    /// for by their names as well.
    fn has_upstream_addresses(&self) -> bool {
        false
    }
    /// All that clients may ask.
    fn routes(&self) -> &'static [Route];
    /// Answers. Runs on a thread that may block.
    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem>;
    /// Writing, for ecosystems that have hosted repositories: what answers routes that write.
    fn host(&self) -> Option<&dyn Host> {
        None
    }

    /// Signing in and out, for ecosystems whose clients keep a token that lasts.
    fn sign_in(&self) -> Option<&dyn SignIn> {
        None
    }
    /// Whether clients ask this first, to learn how to sign in. Where there are accounts that may write, nobody is
    /// answered then who shows no credentials, even if everybody may read.
    fn is_greeting(&self, _action: &str) -> bool {
        false
    }
    /// What a request is about, in the words of these clients' challenges; may be empty.
    fn scope(&self, _captures: &[(&'static str, String)]) -> String {
        String::new()
    }
    /// How clients are told to show who they are: the value of `WWW-Authenticate` in an answer of 401. `origin` is
    /// `https://host:port` as they reach us; tokens are had from `/-/token` there. `scope` is what [`Serve::scope`] says.
    fn challenge(&self, _origin: &str, _scope: &str) -> String {
        BASIC.to_owned()
    }
    /// How an error of the server's own is written for these clients, as JSON: no route, another method, a store that does
    /// not answer.
    fn error(&self, _status: u16, message: &str) -> Bytes {
        Bytes::from(serde_json::json!({ "error": message }).to_string())
    }
}
