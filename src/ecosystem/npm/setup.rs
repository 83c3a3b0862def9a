//! `.npmrc` for npm and pnpm, which read the same file.

use std::path::Path;

use super::lock;
use crate::ecosystem::{ClientFile, Form, RewrittenLock, Setup, SetupServer, server_address};
use crate::problem::Problem;

/// Configures npm.
pub(super) struct NpmSetup;

impl Setup for NpmSetup {
    fn client(&self) -> &'static str {
        "npm"
    }

    fn configuration(&self, server: &SetupServer<'_>) -> Result<ClientFile, Problem> {
        let address = server_address::read(server.address)?;
        // Audit and fund stay as the user has them: the mirror answers both.
        let mut text = format!("registry={}/npm/all/\n", address.as_str().trim_end_matches('/'));
        if let Some(authority) = server.authority {
            // In the file itself rather than as `cafile`: then there is no second one to carry along.
            text.push_str(&format!("ca=\"{}\"\n", authority.trim_end().replace('\n', "\\n")));
        }
        Ok(ClientFile { path: ".npmrc", text, form: Form::Among("#"), then: "", authority_file: None })
    }

    fn rewrite_lock(
        &self,
        server: &SetupServer<'_>,
        path: &Path,
        bytes: &[u8],
    ) -> Result<RewrittenLock, Problem> {
        let address = server_address::read(server.address)?;
        lock::rewrite(path, bytes, &format!("{}/npm/all/", address.as_str().trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    fn file(address: &str, authority: Option<&str>) -> Result<ClientFile, Problem> {
        NpmSetup.configuration(&SetupServer { address, authority, ..SetupServer::default() })
    }

    #[test]
    fn an_authority_is_one_line_as_npm_wants_it() {
        let text = file("https://m", Some("-----BEGIN X-----\nA\n-----END X-----\n")).unwrap().text;
        assert_eq!(text, "registry=https://m/npm/all/\nca=\"-----BEGIN X-----\\nA\\n-----END X-----\"\n");
    }

    #[test]
    fn the_registry_is_the_virtual_one() {
        for server in ["http://mirror.example.test:2385", "http://mirror.example.test:2385/"] {
            let file = file(server, None).unwrap();
            assert_eq!(file.text, "registry=http://mirror.example.test:2385/npm/all/\n");
            assert_eq!(file.path, ".npmrc");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "mirror", "ftp://mirror/", "http://", "http://u:p@mirror/", "http://m/?x", "http://m/#x"]
        {
            assert_eq!(file(bad, None).unwrap_err().kind, Kind::Usage, "{bad}");
        }
        let sneaky = file("http://m/\nscript-shell=/tmp/x", None).unwrap();
        assert_eq!(sneaky.text.lines().count(), 1);
    }
}
