//! Reading a password: from stdin alone, as the arguments of a program are everybody's to see.

use std::io::{IsTerminal as _, Read as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::output;
use crate::problem::{Kind, Problem};

/// The longest password in bytes: tokens are long.
const LONGEST: u64 = 64 * 1024;

/// The password on stdin without the end of its line; unseen, if that is a terminal. `example` is a call that has one.
///
/// # Errors
/// Usage, if there is none.
pub(super) fn read(prompt: &str, example: &str) -> Result<Zeroizing<String>, Problem> {
    let unreadable = |error: &std::io::Error| {
        Problem::new(Kind::Usage, "usage.no-password", "the password cannot be read from stdin")
            .caused_by(error)
    };
    let stdin = std::io::stdin();
    let seen = if stdin.is_terminal() { tcgetattr(&stdin).ok() } else { None };
    if let Some(seen) = &seen {
        output::ask(prompt);
        let mut unseen = seen.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &unseen).map_err(|error| unreadable(&error.into()))?;
    }
    let mut text = Zeroizing::new(String::new());
    let read = if seen.is_some() {
        stdin.read_line(&mut text)
    } else {
        stdin.lock().take(LONGEST).read_to_string(&mut text)
    };
    if let Some(seen) = &seen {
        // Should it fail, the terminal's own reset is left.
        let _ = tcsetattr(&stdin, OptionalActions::Flush, seen);
        output::ask("\n");
    }
    read.map_err(|error| unreadable(&error))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        let message = "there is no password on stdin";
        return Err(Problem::new(Kind::Usage, "usage.no-password", message)
            .hint(format!("write it there: {example} < password-file")));
    }
    Ok(Zeroizing::new(password.to_owned()))
}

/// A new password: at a terminal asked for twice, as nobody sees what they type.
///
/// # Errors
/// Usage, if there is none, or the two differ.
pub(super) fn read_new(prompt: &str, example: &str) -> Result<Zeroizing<String>, Problem> {
    let password = read(prompt, example)?;
    if std::io::stdin().is_terminal() && *read("once more: ", example)? != *password {
        return Err(Problem::new(Kind::Usage, "usage.password-differs", "the two passwords differ"));
    }
    Ok(password)
}
