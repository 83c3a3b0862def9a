//! How results and problems are printed.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::{Global, When};
use crate::problem::{Kind, Problem};

/// Prints one JSON object on stdout.
pub(super) fn json<T: Serialize>(report: &T) -> Result<(), Problem> {
    let stdout = std::io::stdout();
    let mut out = std::io::BufWriter::new(stdout.lock());
    let written = serde_json::to_writer(&mut out, report).map_err(std::io::Error::other);
    written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).map_err(|error| unwritable(&error))
}

/// Prints a line on stdout, without what a terminal would obey.
pub(super) fn line(text: &str) {
    block(&format!("{}\n", printable(text)));
}

/// Prints lines of our own on stdout as they are. A reader that went away ends the program quietly, as `head` expects;
/// whatever else is in the way ends it as failed.
pub(super) fn block(text: &str) {
    let Err(error) = std::io::stdout().lock().write_all(text.as_bytes()) else { return };
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    say(&problem(&unwritable(&error), false));
    std::process::exit(i32::from(Kind::Failed.exit_code()));
}

fn unwritable(error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "output.unwritable", "cannot write to stdout").caused_by(error)
}

/// Whether stderr gets colour.
pub(super) fn colour(global: &Global) -> bool {
    match global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => std::io::stderr().is_terminal() && crate::config::variable("NO_COLOR").is_none(),
    }
}

/// Prints text and a line feed on stderr. Nobody may be there to read it: that stops nothing.
pub(super) fn say(text: &str) {
    // In one piece, so that other processes' lines stay apart from it.
    _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Asks on stderr; the answer is typed behind it.
pub(super) fn ask(question: &str) {
    _ = std::io::stderr().lock().write_all(question.as_bytes());
}

/// Text in a terminal's colour, if it gets any.
pub(super) fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A problem as people read it: what, why, and what helps. What they wished for themselves takes one line.
pub(super) fn problem(problem: &Problem, colour: bool) -> String {
    if problem.kind == Kind::Interrupted {
        let words: Vec<_> =
            std::iter::once(&problem.message).chain(&problem.hints).map(|text| printable(text)).collect();
        return words.join("; ");
    }
    let mut text = format!("{} {}", paint(colour, "1;31", "error:"), printable(&problem.message));
    if let Some(place) = &problem.place {
        text.push_str(&format!("\n  at {}", printable(place)));
    }
    for cause in &problem.causes {
        text.push_str(&format!("\n  because {}", printable(cause)));
    }
    for hint in &problem.hints {
        text.push_str(&format!("\n{} {}", paint(colour, "36", "hint:"), printable(hint)));
    }
    text
}

/// Prints a problem on stdout as the JSON object that stands there instead of a report.
pub(super) fn failure(problem: &Problem) {
    #[derive(Serialize)]
    struct Failed<'a> {
        error: &'a Problem,
        exit_code: u8,
    }
    // The exit code says it all the same if stdout is gone.
    _ = json(&Failed { error: problem, exit_code: problem.kind.exit_code() });
}

/// Text from outside, without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    // Besides control characters those that make text run the other way, so that a name reads as another one. A line
    // feed would let a name forge a line of ours.
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| match c {
        '\n' => ' ',
        c if obeyed(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
