//! netrc: accounts by the machines that they are for, as curl, pip and apt read them.

use url::Url;
use zeroize::Zeroizing;

use crate::net::Credential;

/// An account, and the addresses that it is for.
pub(crate) struct Account {
    /// `http`, where somebody wrote that it may be told in the clear; apt alone has this.
    pub(crate) scheme: Option<String>,
    /// The host, with its port if that is written; empty for any.
    pub(crate) host: String,
    /// What the path has to begin with; apt alone has this.
    pub(crate) path: String,
    /// The user.
    pub(crate) login: Zeroizing<String>,
    /// The password.
    pub(crate) password: Zeroizing<String>,
}

impl Account {
    /// Whether it is for an address. Without a scheme, it is not told where others can listen.
    pub(crate) fn is_for(&self, url: &Url) -> bool {
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) if self.host.contains(':') => format!("{host}:{port}"),
            (Some(host), _) => host.to_owned(),
            (None, _) => return false,
        };
        self.scheme.as_deref().unwrap_or("https") == url.scheme()
            && (self.host.is_empty() || self.host.eq_ignore_ascii_case(&host))
            && url.path().starts_with(&self.path)
    }

    /// What is shown at an address.
    pub(crate) fn credential(&self, url: &Url) -> Credential {
        Credential::basic(url, &self.login, &self.password)
    }
}

/// Reads accounts: `machine HOST/PATH login NAME password SECRET`, and `default` for hosts that are not named.
pub(crate) fn read(text: &str) -> Vec<Account> {
    let without_comments = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = without_comments.flat_map(str::split_whitespace);
    let mut accounts: Vec<Account> = Vec::new();
    while let Some(word) = words.next() {
        match (word, accounts.last_mut()) {
            ("machine" | "default", _) => {
                let address = if word == "machine" { words.next().unwrap_or_default() } else { "" };
                let (scheme, rest) = match address.split_once("://") {
                    Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
                    None => (None, address),
                };
                let slash = rest.find('/').unwrap_or(rest.len());
                let (host, path) = rest.split_at(slash);
                accounts.push(Account {
                    scheme,
                    host: host.to_owned(),
                    path: path.to_owned(),
                    login: Zeroizing::default(),
                    password: Zeroizing::default(),
                });
            }
            ("login", Some(account)) => account.login = words.next().unwrap_or_default().to_owned().into(),
            ("password", Some(account)) => {
                account.password = words.next().unwrap_or_default().to_owned().into();
            }
            _ => {}
        }
    }
    accounts
}
