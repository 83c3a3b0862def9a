//! `.npmrc` for npm and pnpm, which read the same file.

use crate::ecosystem::{ClientFile, Form, Setup, server_address};
use crate::problem::Problem;

/// Configures npm.
pub(super) struct NpmSetup;

impl Setup for NpmSetup {
    fn client(&self) -> &'static str {
        "npm"
    }

    fn configuration(&self, server: &str, _: &[String]) -> Result<ClientFile, Problem> {
        let server = server_address::read(server)?;
        // Audit and fund stay as the user has them: the mirror answers both.
        let text = format!("registry={}/npm/all/\n", server.as_str().trim_end_matches('/'));
        Ok(ClientFile { path: ".npmrc", text, form: Form::Among("#"), then: "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    #[test]
    fn the_registry_is_the_virtual_one() {
        for server in ["http://mirror.example.test:2385", "http://mirror.example.test:2385/"] {
            let file = NpmSetup.configuration(server, &[]).unwrap();
            assert_eq!(file.text, "registry=http://mirror.example.test:2385/npm/all/\n");
            assert_eq!(file.path, ".npmrc");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "mirror", "ftp://mirror/", "http://", "http://u:p@mirror/", "http://m/?x", "http://m/#x"]
        {
            assert_eq!(NpmSetup.configuration(bad, &[]).unwrap_err().kind, Kind::Usage, "{bad}");
        }
        let sneaky = NpmSetup.configuration("http://m/\nscript-shell=/tmp/x", &[]).unwrap();
        assert_eq!(sneaky.text.lines().count(), 1);
    }
}
