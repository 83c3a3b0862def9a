//! The address of a server as people give it to `setup`, and as clients' files have it.

use url::Url;

use crate::problem::{Kind, Problem};

/// Reads the address of a server: `http://host:port`, perhaps with a path below which everything stands. Printed again,
/// it has no character that means something in a client's file.
///
/// # Errors
/// Usage (2), if it is none, or holds what does not belong into a file.
pub fn read(server: &str) -> Result<Url, Problem> {
    let wrong = |why: String| {
        Problem::new(Kind::Usage, "setup.server-address", format!("{server:?} is not a server's address"))
            .because(why)
            .hint("give it as http://host:port")
    };
    let server = Url::parse(server).map_err(|error| wrong(error.to_string()))?;
    if !matches!(server.scheme(), "http" | "https") {
        return Err(wrong("clients speak http and https only".to_owned()));
    }
    if !server.username().is_empty() || server.password().is_some() {
        return Err(wrong("a user or password does not belong into it".to_owned()));
    }
    if server.query().is_some() || server.fragment().is_some() {
        return Err(wrong("it has a query or a fragment".to_owned()));
    }
    Ok(server)
}
