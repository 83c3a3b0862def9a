//! What is generated from the command line's own description: the same bytes every time.

use std::io;

use clap::Command;
use clap_complete::Shell;

/// The folders that hold generated files and nothing else.
pub(crate) const FOLDERS: [&str; 2] = ["man", "completions"];

/// Every generated file: its path below the repository, and its bytes.
pub(crate) fn files() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut command = aftk::cli::command();
    // Options that every verb takes reach the verbs only now.
    command.build();
    pages(&command, "aftk", &mut files)?;
    for (shell, name) in [(Shell::Bash, "aftk.bash"), (Shell::Zsh, "_aftk"), (Shell::Fish, "aftk.fish")] {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut aftk::cli::command(), "aftk", &mut bytes);
        files.push((format!("completions/{name}"), bytes));
    }
    Ok(files)
}

/// What a page says besides the options: exit codes and the like on the first one, where to find them on the others.
const GENERAL: &str = r#".SH "EXIT STATUS"
.TP
0
Done.
.TP
1
Failed.
.TP
2
Usage: the call or a configuration file is wrong.
.TP
3
Untrusted or damaged.
.TP
4
Incomplete; what is missing is named.
.TP
5
Upstream or target unavailable; trying again may help.
.TP
6
Refused by policy, or in conflict with what is there.
.TP
7
Stale: older than it may be.
.TP
130
Interrupted.
.SH ENVIRONMENT
Every option can also be given as a variable: \-\-home is AFTK_HOME, \-\-dry\-run is AFTK_DRY_RUN. An option beats a
variable, a variable beats a file. What may be given several times also takes several values separated by commas, which
is how a variable gives them: AFTK_PLATFORM=linux\-x64\-glibc,linux\-arm64\-glibc.
.SH FILES
.TP
aftk.toml, aftk.lock, aftk.ledger
What a project collects, what that was resolved to, and which sequences were signed. All three belong in version
control.
.TP
/var/lib/aftk, ~/.local/share/aftk
What \-\-home is without being told, for root and for others: store, keys, trust and site.toml.
"#;
const FURTHER: &str = ".SH \"SEE ALSO\"\n.BR aftk (1)\nfor exit status, environment and files.\n";

/// The page of a command, and those of its subcommands: `aftk-key-trust.1`.
fn pages(command: &Command, name: &str, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let mut page = Vec::new();
    let titled = command.clone().name(name.to_owned()).display_name(name.to_owned());
    let man = clap_mangen::Man::new(titled).title(name.to_uppercase()).manual("aftk manual");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend_from_slice(if name == "aftk" { GENERAL } else { FURTHER }.as_bytes());
    files.push((format!("man/{name}.1"), page));
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        pages(subcommand, &format!("{name}-{}", subcommand.get_name()), files)?;
    }
    Ok(())
}
