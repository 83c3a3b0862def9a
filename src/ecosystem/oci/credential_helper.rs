//! Programs that keep accounts for docker and podman: `docker-credential-NAME get` reads a server's name and writes an
//! account.

use std::path::Path;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::credentials::account;
use crate::ecosystem::CollectContext;
use crate::net::Account;
use crate::problem::{Kind, Problem};

/// What a helper says when it has nothing for a server, in the words of docker's own library for helpers.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// What a helper writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: Zeroizing<String>,
}

/// Asks the helper that the file `named_in` names; `Ok(None)` if it has nothing for this server.
///
/// # Errors
/// `oci.credential-helper` if the name is none of a program, or the program is not there, or fails.
pub(super) async fn ask(
    name: &str,
    server: &str,
    named_in: &Path,
    context: &dyn CollectContext,
) -> Result<Option<Account>, Problem> {
    let program = program(name, named_in)?;
    let fails = |why| {
        problem(format!("the credential helper {program} gives no account for {server}"), named_in)
            .because(why)
            .hint(format!("see what it says: echo {server} | {program} get"))
            .hint("the file names it in credHelpers or credsStore: install it, or take it out there")
    };
    let asked = context.ask_helper(&program, &["get"], server).await;
    let answer = asked.map_err(|problem| match problem.kind {
        Kind::Interrupted => problem,
        _ => fails(problem.causes.into_iter().next().unwrap_or(problem.message)),
    })?;
    match (answer.succeeded, answer.output.trim()) {
        (false, NOT_FOUND) => Ok(None),
        (false, said) => Err(fails(format!("it failed and said {}", quoted(said)))),
        // The parser's own words would repeat a part of it.
        (true, said) => match serde_json::from_str::<Kept>(said) {
            Ok(kept) => Ok(account(kept.username, kept.secret)),
            Err(_) => Err(fails("its answer is not of the form of helpers".to_owned())),
        },
    }
}

/// Lets the helper that the file `named_in` names keep an account; its program.
///
/// # Errors
/// As [`ask`].
pub(super) async fn store(
    name: &str,
    server: &str,
    (user, secret): (&str, &str),
    named_in: &Path,
    context: &dyn CollectContext,
) -> Result<String, Problem> {
    let program = program(name, named_in)?;
    let account = serde_json::json!({"ServerURL": server, "Username": user, "Secret": secret}).to_string();
    let answer = context.ask_helper(&program, &["store"], &Zeroizing::new(account)).await?;
    if answer.succeeded {
        return Ok(program);
    }
    let message = format!("the credential helper {program} does not keep the account");
    Err(problem(message, named_in).because(format!("it said {}", quoted(answer.output.trim()))))
}

fn problem(message: String, named_in: &Path) -> Problem {
    Problem::new(Kind::Usage, "oci.credential-helper", message).at(named_in.display())
}

/// The program of a helper.
fn program(name: &str, named_in: &Path) -> Result<String, Problem> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.bytes().all(is_part) {
        return Ok(format!("docker-credential-{name}"));
    }
    let message = format!("{} is no name of a credential helper", quoted(name));
    Err(problem(message, named_in)
        .hint("credHelpers and credsStore name programs by what follows docker-credential-"))
}

/// Foreign words: cut short, and with nothing in them that a terminal would obey.
fn quoted(words: &str) -> String {
    format!("{:?}", words.chars().take(200).collect::<String>())
}
