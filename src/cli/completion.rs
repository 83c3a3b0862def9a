//! `aftk completion`: completions for shells.

use clap_complete::Shell;

use crate::problem::{Kind, Problem};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Problem> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "aftk", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text).map_err(|error| {
        Problem::new(Kind::Failed, "output.unwritable", "cannot write to stdout").caused_by(&error)
    })
}
