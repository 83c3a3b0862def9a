//! Configuring clients: what each is told of a server, and how that stands in its own file.

use std::path::Path;

use bytes::Bytes;

use crate::problem::{Kind, Problem};

/// Where Debian's and Ubuntu's `update-ca-certificates` looks for authorities of the site's own.
pub const AUTHORITY: &str = "/usr/local/share/ca-certificates/aftk.crt";

/// Configuring one client.
pub trait Setup: Send + Sync {
    /// The client's name: `npm`.
    fn client(&self) -> &'static str;
    /// The client's own file for a server.
    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem>;
    /// The client's lockfile at `path`, with the server's addresses in it.
    ///
    /// # Errors
    /// If it cannot be read, or the client's lockfiles name no addresses.
    fn rewrite_lock(
        &self,
        _server: &SetupServer<'_>,
        path: &Path,
        _bytes: &[u8],
    ) -> Result<RewrittenLock, Problem> {
        let message = format!("a lockfile of {} stays right wherever its packages come from", self.client());
        Err(Problem::new(Kind::Usage, "setup.lock", message).at(path.display()))
    }
}

/// A lockfile for another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrittenLock {
    /// All of it.
    pub text: String,
    /// How many addresses are others now.
    pub changed: usize,
    /// Addresses that no mirror has a place for, such as those of git.
    pub left: Vec<String>,
    /// What the project's own document has to ask for, where its client compares the two: what it asks for now, and what instead.
    pub project: Vec<(String, String)>,
}

/// What a client is pointed at.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetupServer<'a> {
    /// Its address: `http://host:port`, no trailing slash.
    pub address: &'a str,
    /// The repositories of the client's ecosystem that it has; none, where that is not known.
    pub repositories: &'a [String],
    /// What stands in these repositories' editions; none, where that is not known.
    pub editions: Option<&'a dyn Editions>,
    /// The certificate authority that clients need to believe it, in PEM; none, where they need no other than they have.
    pub authority: Option<&'a str>,
}

/// The editions of an ecosystem's repositories, as clients find them.
pub trait Editions: std::fmt::Debug {
    /// A small document of a repository's edition.
    fn document(&self, repository: &str, path: &str) -> Result<Option<Bytes>, Problem>;
}

/// A client's configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// Its path: absolute, or relative to the user's home directory.
    pub path: &'static str,
    /// What is ours.
    pub text: String,
    /// How it stands in the file.
    pub form: Form,
    /// What a person has to do besides, as a sentence; empty for nothing.
    pub then: &'static str,
    /// Where the client looks for the server's certificate authority, if that has to be in a file of its own: absolute, or
    /// relative to the user's home directory.
    pub authority_file: Option<String>,
}

impl ClientFile {
    /// Where it is, as people write it.
    pub fn place(&self) -> String {
        place(self.path)
    }

    /// What to do with the server's certificate authority, as a sentence; nothing, where there is nothing to do.
    pub fn authority_advice(&self) -> Option<String> {
        let place = place(self.authority_file.as_deref()?);
        Some(format!("the server's certificate authority has to be in {place}: `aftk setup ca` prints it"))
    }
}

fn place(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("~/{path}") }
}

/// How our text stands in a client's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Among the lines of others, between marks; what begins a comment there.
    Among(&'static str),
    /// Alone, because two texts make no document of this language; between marks, with what begins a comment.
    Alone(&'static str),
    /// Alone and without marks, because this language has no comments.
    Bare,
}
