//! What the Python clients of this machine are configured to do, as they say it themselves.

use super::tags::{Implementation, Platform};
use super::target::Target;
use crate::ecosystem::CollectContext;

/// What this machine's pip and uv say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// The names and values of pip's settings: `global.index-url`, `:env:.index-url`.
    values: Vec<(String, String)>,
    /// The index of clients that nobody configured.
    pub(super) pristine_index: Option<String>,
}

impl Machine {
    /// Asks the clients.
    pub(super) async fn ask(context: &dyn CollectContext) -> Machine {
        // Neither prints its default as a setting, but both name it in their help.
        let default = async {
            for (program, arguments) in
                [("uv", &["pip", "install", "--help"][..]), ("pip", &["download", "--help"])]
            {
                let help = context.ask_client(program, arguments, true).await;
                if let Some(index) = help.as_deref().and_then(default_index) {
                    return Some(index);
                }
            }
            None
        };
        // pip takes its time to start.
        let settings = context.ask_client("pip", &["config", "list"], false);
        let (settings, pristine_index) = futures_util::future::join(settings, default).await;
        let values = settings.unwrap_or_default().lines().filter_map(setting).collect();
        Machine { values, pristine_index }
    }

    /// What an option of `pip download` is: from the environment, from its own section, from the general one.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let sections = [":env:", "download", "global"];
        let mut found = sections.iter().filter_map(|section| {
            let found =
                self.values.iter().rev().find(|(key, _)| {
                    key.rsplit_once('.').is_some_and(|(of, key)| of == *section && key == name)
                });
            found.map(|(_, value)| value.as_str())
        });
        found.next().filter(|value| !value.is_empty())
    }

    /// The members of an option that may have several.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.option(name).unwrap_or_default().split_whitespace()
    }
}

/// The platforms and the Python of this machine, for whoever does not say what packages are for: `3.12`, `linux-x86_64`.
pub(super) async fn own_target(context: &dyn CollectContext) -> Option<(String, String)> {
    const QUESTION: &str = "import sys, platform; print('%d.%d' % sys.version_info[:2], platform.system().lower() + '-' + \
                            platform.machine().lower())";
    let answer = context.ask_client("python3", &["-c", QUESTION], false).await?;
    let (python, platform) = answer.trim().split_once(' ')?;
    Some((python.to_owned(), platform.to_owned()))
}

/// A Python of this machine.
pub(super) struct Python {
    /// The program itself: what leads to it may need the variables of whoever collects.
    pub(super) program: String,
    /// For people: `Python 3.12.4`.
    pub(super) name: String,
}

/// The Python of this machine that is a target's own.
///
/// # Errors
/// Why there is none, for people.
pub(super) async fn python_of(target: &Target, context: &dyn CollectContext) -> Result<Python, String> {
    const QUESTION: &str = "import sys, platform, sysconfig as s; print(sys.executable, sys.implementation.name, \
                            '%d.%d' % sys.version_info[:2], bool(s.get_config_var('Py_GIL_DISABLED')), sys.platform, \
                            platform.machine(), s.get_config_var('HOST_GNU_TYPE'), platform.python_version(), sep='\\n')";
    let wanted = &target.environment;
    if target.interpreter.implementation != Implementation::CPython {
        return Err("only CPython is looked for on this machine".to_owned());
    }
    let is_free_threaded = target.interpreter.is_free_threaded;
    let free = if is_free_threaded { "t" } else { "" };
    let asked = format!("python{}{free}", wanted.python_version);
    let answer = context.ask_client(&asked, &["-c", QUESTION], false).await;
    let answer = answer.ok_or_else(|| format!("this machine has no {asked} on its PATH"))?;
    let said: Vec<&str> = answer.lines().map(str::trim).collect();
    let [program, implementation, series, without_lock, system, machine, host, version] = said.as_slice()
    else {
        return Err(format!("{asked} does not say what it is"));
    };
    let is_musl = host.ends_with("musl");
    let has_its_libc = match &target.platform {
        Platform::Manylinux { .. } => !is_musl,
        Platform::Musllinux { .. } => is_musl,
        Platform::Macos { .. } | Platform::Windows(_) => true,
    };
    let says_what_is_wanted = *implementation == "cpython"
        && *series == wanted.python_version
        && (*without_lock == "True") == is_free_threaded;
    if !says_what_is_wanted || program.is_empty() {
        return Err(format!("{asked} is another Python here"));
    }
    if (*system, *machine) != (&wanted.sys_platform, &wanted.platform_machine) || !has_its_libc {
        return Err(format!("this machine is another one: {host}"));
    }
    Ok(Python { program: (*program).to_owned(), name: format!("Python {version}{free}") })
}

/// A line of `pip config list`: `name='value'`, as Python writes text.
fn setting(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            _ => text.push(character),
        }
    }
    Some((name.to_owned(), text))
}

/// The default of `--index-url` or `--default-index` in a client's help: `(default URL)`, `(by default: <URL>)`.
fn default_index(help: &str) -> Option<String> {
    let words: Vec<&str> = help.split_whitespace().collect();
    let option = words.iter().position(|word| matches!(*word, "--index-url" | "--default-index"))?;
    let after = words.get(option..)?.iter().take(40);
    let address = after
        .map(|word| word.trim_matches(|mark: char| "(<>).,".contains(mark)))
        .find(|word| word.starts_with("https://") || word.starts_with("http://"))?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_python_writes_them() {
        let listed = ":env:.timeout='180'\nglobal.index-url='https://a.example.test/simple'\n\
                      global.extra-index-url='\\nhttps://b.example.test/simple\\nhttps://c.example.test/simple'\n\
                      download.index-url=\"https://it's.example.test\"\nodd\nodd=x\n";
        let machine = Machine { values: listed.lines().filter_map(setting).collect(), pristine_index: None };
        assert_eq!(machine.option("index-url"), Some("https://it's.example.test"));
        assert_eq!(machine.option("timeout"), Some("180"));
        assert_eq!(machine.option("cert"), None);
        let extra: Vec<_> = machine.list("extra-index-url").collect();
        assert_eq!(extra, ["https://b.example.test/simple", "https://c.example.test/simple"]);
    }

    #[test]
    fn the_default_stands_in_the_help() {
        let pip = "  -i, --index-url <url>       Base URL of the Python Package Index (default\n      \
                   https://index.example.test/simple). This should point to";
        let uv = "      --default-index <DEFAULT_INDEX>\n   The default package index (by default: \
                  <https://index.example.test/simple>) [env: X]";
        for help in [pip, uv] {
            assert_eq!(default_index(help).as_deref(), Some("https://index.example.test/simple"));
        }
        assert_eq!(default_index("no help"), None);
    }
}
