//! What the Pythons of this machine are, and what their clients are configured to do.

use super::pip_settings::PipSettings;
use super::tags::{Implementation, Platform};
use super::target::Target;
use crate::ecosystem::CollectContext;

/// What this machine's pip and uv go by.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// pip's settings.
    pub(super) settings: PipSettings,
    /// The index of clients that nobody configured.
    pub(super) pristine_index: Option<String>,
}

impl Machine {
    /// Finds it out.
    pub(super) async fn ask(context: &dyn CollectContext) -> Machine {
        let own = Own::ask(context).await.unwrap_or_default();
        let settings = PipSettings::load(&own.prefix, context).await;
        if own.index.contains("://") {
            return Machine { settings, pristine_index: Some(own.index) };
        }
        // Neither prints its default as a setting, but both name it in their help.
        for (program, arguments) in
            [("uv", &["pip", "install", "--help"][..]), ("pip", &["download", "--help"])]
        {
            let help = context.ask_client(program, arguments, true).await;
            if let Some(index) = help.as_deref().and_then(default_index) {
                return Machine { settings, pristine_index: Some(index) };
            }
        }
        Machine { settings, pristine_index: None }
    }
}

/// What this machine's own Python says, in one answer: each start of an interpreter takes its time.
#[derive(Default)]
struct Own {
    /// `3.12`.
    series: String,
    /// `linux-x86_64`.
    platform: String,
    /// The directory that it is installed in, or its virtual environment.
    prefix: String,
    /// The index that its pip asks where nobody says another; empty, where it has no pip.
    index: String,
}

impl Own {
    async fn ask(context: &dyn CollectContext) -> Option<Own> {
        const QUESTION: &str = "import sys, platform\n\
                                try: from pip._internal.models.index import PyPI; index = PyPI.simple_url\n\
                                except Exception: index = ''\n\
                                machine = platform.system().lower() + '-' + platform.machine().lower()\n\
                                print('%d.%d' % sys.version_info[:2], machine, sys.prefix, index, sep='\\n')";
        let answer = context.ask_client("python3", &["-c", QUESTION], false).await?;
        let mut said = answer.lines().map(|line| line.trim().to_owned());
        Some(Own {
            series: said.next()?,
            platform: said.next()?,
            prefix: said.next().unwrap_or_default(),
            index: said.next().unwrap_or_default(),
        })
    }
}

/// The platforms and the Python of this machine, for whoever does not say what packages are for: `3.12`, `linux-x86_64`.
pub(super) async fn own_target(context: &dyn CollectContext) -> Option<(String, String)> {
    Own::ask(context).await.map(|own| (own.series, own.platform))
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
