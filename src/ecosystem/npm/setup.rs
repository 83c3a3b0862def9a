//! `.npmrc` for npm and pnpm, which read the same file.

use url::Url;

use crate::ecosystem::{ClientFile, Setup};
use crate::problem::{Kind, Problem};

/// Configures npm.
pub(super) struct NpmSetup;

impl Setup for NpmSetup {
    fn client(&self) -> &'static str {
        "npm"
    }

    fn configuration(&self, server: &str) -> Result<ClientFile, Problem> {
        let wrong = |why: String| {
            Problem::new(Kind::Usage, "npm.server-address", format!("{server:?} is not a server's address"))
                .because(why)
                .hint("give it as http://host:port")
        };
        let server = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
        if !matches!(server.scheme(), "http" | "https") {
            return Err(wrong("npm speaks http and https only".to_owned()));
        }
        if !server.username().is_empty() || server.password().is_some() {
            return Err(wrong("a user or password does not belong into it".to_owned()));
        }
        if server.query().is_some() || server.fragment().is_some() {
            return Err(wrong("it has a query or a fragment".to_owned()));
        }
        // Parsed and printed again, so that no character is left that means something in an ini file. Audit and fund
        // stay as the user has them: the mirror answers both.
        let text = format!("registry={}/npm/all/\n", server.as_str().trim_end_matches('/'));
        Ok(ClientFile { path: ".npmrc", text, comment: "#" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_virtual_one() {
        for server in ["http://mirror.example.test:2385", "http://mirror.example.test:2385/"] {
            let file = NpmSetup.configuration(server).unwrap();
            assert_eq!(file.text, "registry=http://mirror.example.test:2385/npm/all/\n");
            assert_eq!(file.path, ".npmrc");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "mirror", "ftp://mirror/", "http://", "http://u:p@mirror/", "http://m/?x", "http://m/#x"]
        {
            assert_eq!(NpmSetup.configuration(bad).unwrap_err().kind, Kind::Usage, "{bad}");
        }
        let sneaky = NpmSetup.configuration("http://m/\nscript-shell=/tmp/x").unwrap();
        assert_eq!(sneaky.text.lines().count(), 1);
    }
}
