//! The command line: one verb a file. The only room that prints.

mod account;
mod add;
mod backup;
mod calls;
mod carry;
mod check;
mod collect;
mod completion;
mod demo;
mod diff;
mod export;
mod forget;
mod gc;
mod import;
mod init;
mod inspect;
mod json_lines;
mod key;
mod lock;
mod login;
mod ls;
mod network;
mod output;
mod pack;
mod password;
mod progress;
mod promote;
mod push;
mod receipt;
mod recover;
mod remove;
mod repair;
mod restore;
mod rollback;
mod serve;
mod session;
mod setup;
mod signing;
mod status;
mod verify;
mod version;
mod wanted;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};
use calls::Calls;
use session::Session;

/// Carry packages into air-gapped networks: complete, signed, and provably what upstream published.
///
/// Outside, `aftk collect` resolves lockfiles and files into a signed bundle. The bundle is carried in by hand. Inside,
/// `aftk import` verifies it into a store, and `aftk serve` is the mirror that clients use.
#[derive(Debug, Parser)]
#[command(name = "aftk", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Exit codes:\n\
    \x20 0 done      3 untrusted or damaged    6 refused or in conflict\n\
    \x20 1 failed    4 incomplete              7 stale\n\
    \x20 2 usage     5 upstream unavailable    130 interrupted\n\n\
    Every option can also be given as a variable: --home is AFTK_HOME.\n\
    What may be given several times also takes several values separated by commas.")]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Keep everything of this side (store, keys, trust, configuration) in DIR
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    home: Option<PathBuf>,
    /// Work in DIR
    #[arg(short = 'C', long, global = true, value_name = "DIR", help_heading = "Global options")]
    directory: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Print only results and errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    quiet: bool,
    /// Answer yes to what would be asked; nothing is asked but at a terminal
    #[arg(short, long, global = true, help_heading = "Global options")]
    yes: bool,
    /// Print more; given twice, every item
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
    /// When to use colour; auto: on a terminal
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    color: When,
    /// How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing
    #[arg(long, global = true, value_name = "HOW", default_value = "auto", help_heading = "Global options")]
    progress: Progress,
}

/// When something is done; auto: on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

// What stands at a value itself would give it a paragraph in every verb's help.
/// How progress is shown; auto: bars on a terminal, else plain lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Progress {
    Auto,
    Plain,
    Json,
    None,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Arguments),
    Add(add::Arguments),
    Remove(remove::Arguments),
    Lock(lock::Arguments),
    Collect(collect::Arguments),
    Pack(pack::Arguments),
    Inspect(inspect::Arguments),
    Diff(diff::Arguments),
    Verify(verify::Arguments),
    Repair(repair::Arguments),
    Import(import::Arguments),
    Serve(serve::Arguments),
    Export(export::Arguments),
    Push(push::Arguments),
    Status(status::Arguments),
    Ls(ls::Arguments),
    Why(why::Arguments),
    Wanted(wanted::Arguments),
    Forget(forget::Arguments),
    Rollback(rollback::Arguments),
    Promote(promote::Arguments),
    Check(check::Arguments),
    Gc(gc::Arguments),
    Receipt(receipt::Arguments),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Recover(recover::Arguments),
    Key(key::Arguments),
    Account(account::Arguments),
    Login(login::Arguments),
    Setup(setup::Arguments),
    Completion(completion::Arguments),
    Demo(demo::Arguments),
    Version(version::Arguments),
}

/// The whole command line, with a variable for every option.
pub fn command() -> clap::Command {
    with_variables(Arguments::command(), &|_| true)
}

/// Gives every option its variable, `AFTK_` and its long name; positional arguments have none. One that may be given
/// several times takes several values at once, separated by commas: a variable has no other way. Only variables that are
/// `heard` count.
fn with_variables(command: clap::Command, heard: &dyn Fn(&str) -> bool) -> clap::Command {
    let command = command.mut_args(|argument| {
        let Some(long) = argument.get_long().map(str::to_owned) else { return argument };
        if matches!(long.as_str(), "help" | "version") {
            return argument;
        }
        let name = format!("AFTK_{}", long.replace('-', "_").to_uppercase());
        let argument = match heard(&name) {
            true => argument.env(name).hide_env_values(true).hide_env(true),
            false => argument,
        };
        match argument.get_action() {
            ArgAction::SetTrue => argument.value_parser(clap::builder::FalseyValueParser::new()),
            ArgAction::Append => argument.value_delimiter(','),
            _ => argument,
        }
    });
    command.mut_subcommands(|verb| with_variables(verb, heard))
}

/// Runs a command line; returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // An empty variable is as good as none.
    let heard = |name: &str| crate::config::variable_os(name).is_some();
    let parsed = with_variables(Arguments::command(), &heard)
        .try_get_matches_from(&arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        // What was asked for (help, version) goes to stdout and is no error.
        Err(error) if !error.use_stderr() => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => return misused(&error, &arguments),
    };
    let global = arguments.global.clone();
    let (listener, calls) = (progress::listener(&global), Calls::new(&global));
    let (result, said) = match Session::start(global.clone(), listener.clone()) {
        Ok(session) => (work(arguments.verb, &session).map(|()| session.exit_code()), session.json_is_said()),
        Err(problem) => (Err(problem), false),
    };
    match result {
        Ok(exit_code) => {
            listener.emit(Happening::Done);
            ExitCode::from(exit_code)
        }
        Err(problem) => {
            let problem = calls.complete_hints(problem);
            let exit_code = problem.kind.exit_code();
            if global.json && !said {
                output::failure(&problem);
            }
            listener.emit(Happening::Error { problem });
            ExitCode::from(exit_code)
        }
    }
}

/// Says what was not understood; returns the exit code. A script that asked for JSON gets JSON, though its other words
/// were not understood.
fn misused(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let asked = |wanted: &[&str]| {
        let mut windows = arguments.windows(wanted.len());
        windows.any(|words| words.iter().zip(wanted).all(|(word, wanted)| word == *wanted))
    };
    // The first paragraph of what clap says, on one line.
    let text = error.to_string();
    let words: Vec<_> = text.split("\n\n").next().unwrap_or_default().split_whitespace().collect();
    let message = words.join(" ");
    let problem =
        Problem::new(Kind::Usage, "usage.arguments", message.strip_prefix("error: ").unwrap_or(&message))
            .hint("`aftk --help` lists the verbs, `aftk VERB --help` its options");
    if asked(&["--json"]) {
        output::failure(&problem);
    }
    if asked(&["--progress", "json"]) || asked(&["--progress=json"]) {
        json_lines::JsonLines::new().emit(Happening::Error { problem });
    } else {
        // Nothing helps if stderr is gone.
        _ = error.print();
    }
    ExitCode::from(Kind::Usage.exit_code())
}

fn work(verb: Verb, session: &Session) -> Result<(), Problem> {
    match verb {
        Verb::Init(verb) => init::run(verb, session),
        Verb::Add(verb) => add::run(verb, session),
        Verb::Remove(verb) => remove::run(verb, session),
        Verb::Lock(verb) => lock::run(verb, session),
        Verb::Collect(verb) => collect::run(verb, session),
        Verb::Pack(verb) => pack::run(verb, session),
        Verb::Inspect(verb) => inspect::run(verb, session),
        Verb::Diff(verb) => diff::run(verb, session),
        Verb::Verify(verb) => verify::run(verb, session),
        Verb::Repair(verb) => repair::run(verb, session),
        Verb::Import(verb) => import::run(verb, session),
        Verb::Serve(verb) => serve::run(verb, session),
        Verb::Export(verb) => export::run(verb, session),
        Verb::Push(verb) => push::run(verb, session),
        Verb::Status(verb) => status::run(verb, session),
        Verb::Ls(verb) => ls::run(verb, session),
        Verb::Wanted(verb) => wanted::run(verb, session),
        Verb::Why(verb) => why::run(verb, session),
        Verb::Forget(verb) => forget::run(verb, session),
        Verb::Rollback(verb) => rollback::run(verb, session),
        Verb::Promote(verb) => promote::run(verb, session),
        Verb::Check(verb) => check::run(verb, session),
        Verb::Gc(verb) => gc::run(verb, session),
        Verb::Receipt(verb) => receipt::run(verb, session),
        Verb::Backup(verb) => backup::run(verb, session),
        Verb::Restore(verb) => restore::run(verb, session),
        Verb::Recover(verb) => recover::run(verb, session),
        Verb::Login(verb) => login::run(verb, session),
        Verb::Key(verb) => key::run(verb, session),
        Verb::Account(verb) => account::run(verb, session),
        Verb::Setup(verb) => setup::run(verb, session),
        Verb::Completion(verb) => completion::run(verb),
        Verb::Demo(verb) => demo::run(verb, session),
        Verb::Version(verb) => version::run(verb, session),
    }
}
