//! How results and problems are printed.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::{Global, When};
use crate::findings::Note;
use crate::ops::lock_file::AcceptedGap;
use crate::problem::{Kind, Problem};

/// Prints one JSON object on stdout.
pub(super) fn json<T: Serialize>(report: &T) -> Result<(), Problem> {
    let stdout = std::io::stdout();
    let mut out = std::io::BufWriter::new(stdout.lock());
    let written = serde_json::to_writer(&mut out, report).map_err(std::io::Error::other);
    written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).map_err(|error| {
        Problem::new(Kind::Failed, "output.unwritable", "cannot write to stdout").caused_by(&error)
    })
}

/// Prints a line on stdout, without what a terminal would obey; a reader that went away ends the program quietly, as `head` expects.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{}", printable(text)).is_err() {
        std::process::exit(0);
    }
}

/// Whether stderr gets colour.
pub(super) fn colour(global: &Global) -> bool {
    match global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => std::io::stderr().is_terminal() && crate::config::variable("NO_COLOR").is_none(),
    }
}

/// Prints a problem on stderr: what, why, and what helps. With --json, also on stdout.
pub(super) fn problem(problem: &Problem, global: &Global) {
    let (red, cyan, plain) =
        if colour(global) { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error:{plain} {}\n", printable(&problem.message));
    if let Some(place) = &problem.place {
        text.push_str(&format!("  at {}\n", printable(place)));
    }
    for cause in &problem.causes {
        text.push_str(&format!("  because {}\n", printable(cause)));
    }
    for hint in &problem.hints {
        text.push_str(&format!("{cyan}hint:{plain} {}\n", printable(hint)));
    }
    eprint!("{text}");
}

/// Prints on stderr what a person should know of what is carried, and the gaps that were accepted.
pub(super) fn remarks(notes: &[Note], gaps: &[AcceptedGap], global: &Global) {
    if global.quiet {
        return;
    }
    for note in notes {
        eprintln!("note: {}: {}", printable(&note.subject), printable(&note.message));
    }
    for AcceptedGap { gap, accepted } in gaps {
        let (name, version) = (printable(&gap.name), printable(&gap.version));
        eprintln!("gap: {}:{name} {version} (accepted: {})", gap.ecosystem, printable(accepted));
    }
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
