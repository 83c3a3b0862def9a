//! Environment markers (PEP 508), read once and asked of as many environments as there are targets.

use std::fmt;

use super::name::Name;
use super::specifier::Specifiers;
use super::unreadable::Unreadable;
use super::version::Version;

/// How deep parentheses may stand in each other.
const DEEPEST: usize = 32;
/// The longest marker, in bytes. Lockfiles that were forked for many platforms have long ones.
const LONGEST: usize = 64 << 10;

/// A condition on the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marker {
    /// All of them hold.
    All(Vec<Marker>),
    /// One of them holds.
    Any(Vec<Marker>),
    /// A comparison.
    Compare(Operand, Operator, Operand),
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A word.
    Text(Box<str>),
    /// What the environment says.
    Variable(Variable),
}

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    In,
    NotIn,
    /// An operator of version specifiers.
    Version(&'static str),
}

/// The variables of PEP 508, and of lockfiles (PEP 751).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    OsName,
    SysPlatform,
    PlatformMachine,
    PlatformPythonImplementation,
    PlatformRelease,
    PlatformSystem,
    PlatformVersion,
    PythonVersion,
    PythonFullVersion,
    ImplementationName,
    ImplementationVersion,
    Extra,
    Extras,
    DependencyGroups,
}

/// Each variable by its names: those of PEP 345 are still in use.
const VARIABLES: &[(&str, Variable)] = &[
    ("os_name", Variable::OsName),
    ("os.name", Variable::OsName),
    ("sys_platform", Variable::SysPlatform),
    ("sys.platform", Variable::SysPlatform),
    ("platform_machine", Variable::PlatformMachine),
    ("platform.machine", Variable::PlatformMachine),
    ("platform_python_implementation", Variable::PlatformPythonImplementation),
    ("platform.python_implementation", Variable::PlatformPythonImplementation),
    ("python_implementation", Variable::PlatformPythonImplementation),
    ("platform_release", Variable::PlatformRelease),
    ("platform_system", Variable::PlatformSystem),
    ("platform_version", Variable::PlatformVersion),
    ("platform.version", Variable::PlatformVersion),
    ("python_version", Variable::PythonVersion),
    ("python_full_version", Variable::PythonFullVersion),
    ("implementation_name", Variable::ImplementationName),
    ("implementation_version", Variable::ImplementationVersion),
    ("extra", Variable::Extra),
    ("extras", Variable::Extras),
    ("dependency_groups", Variable::DependencyGroups),
];

/// Longer ones first: `<=` begins as `<` does.
const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"];

/// What markers are asked of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) os_name: String,
    pub(crate) sys_platform: String,
    pub(crate) platform_machine: String,
    pub(crate) platform_python_implementation: String,
    pub(crate) platform_release: String,
    pub(crate) platform_system: String,
    pub(crate) platform_version: String,
    pub(crate) python_version: String,
    pub(crate) python_full_version: String,
    pub(crate) implementation_name: String,
    pub(crate) implementation_version: String,
}

/// What was chosen besides the environment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chosen<'a> {
    /// The extras.
    pub(crate) extras: &'a [Name],
    /// The groups of dependencies.
    pub(crate) groups: &'a [Name],
}

impl Marker {
    /// Reads a marker.
    ///
    /// # Errors
    /// If it does not follow the grammar, or is too long or deep.
    pub(crate) fn parse(text: &str) -> Result<Marker, Unreadable> {
        let fail = |why: String| Unreadable::new(text, "environment marker", why);
        if text.len() > LONGEST {
            return Err(fail("it is longer than 64 KiB".to_owned()));
        }
        let mut reader = Reader { rest: text, depth: 0 };
        let marker = reader.any().map_err(&fail)?;
        if reader.blank().is_empty() {
            Ok(marker)
        } else {
            Err(fail(format!("{:?} is too much", reader.rest)))
        }
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, environment: &Environment, chosen: Chosen<'_>) -> bool {
        match self {
            Marker::All(all) => all.iter().all(|one| one.holds(environment, chosen)),
            Marker::Any(any) => any.iter().any(|one| one.holds(environment, chosen)),
            Marker::Compare(left, operator, right) => compare(left, *operator, right, environment, chosen),
        }
    }
}

/// A comparison, as `packaging` decides it.
fn compare(
    left: &Operand,
    operator: Operator,
    right: &Operand,
    environment: &Environment,
    chosen: Chosen<'_>,
) -> bool {
    let (variable, word) = match (left, right) {
        (Operand::Variable(variable), Operand::Text(word))
        | (Operand::Text(word), Operand::Variable(variable)) => (*variable, word),
        // The grammar has other pairs, which nobody writes: nothing is known of them.
        _ => return false,
    };
    let among = |names: &[Name]| Name::parse(word).is_ok_and(|name| names.contains(&name));
    match variable {
        Variable::Extra | Variable::Extras | Variable::DependencyGroups => {
            let names = if variable == Variable::DependencyGroups { chosen.groups } else { chosen.extras };
            return match operator {
                Operator::In | Operator::Version("==" | "===") => among(names),
                Operator::NotIn | Operator::Version("!=") => !among(names),
                Operator::Version(_) => false,
            };
        }
        _ => {}
    }
    let value = environment.value(variable);
    let (left, right) = if matches!(left, Operand::Text(_)) { (&**word, value) } else { (value, &**word) };
    match operator {
        Operator::In => right.contains(left),
        Operator::NotIn => !right.contains(left),
        Operator::Version(operator) => {
            if variable.is_version()
                && let Ok(specifiers) = Specifiers::parse(&format!("{operator}{right}"))
                && let Some(version) = Version::parse(left)
            {
                return specifiers.contains(&version);
            }
            match operator {
                "==" | "===" | "<=" | ">=" => left == right,
                "!=" => left != right,
                // Words have no order.
                _ => false,
            }
        }
    }
}

impl Variable {
    fn is_version(self) -> bool {
        matches!(
            self,
            Variable::PythonVersion
                | Variable::PythonFullVersion
                | Variable::ImplementationVersion
                | Variable::PlatformRelease
        )
    }

    fn name(self) -> &'static str {
        VARIABLES.iter().find(|(_, variable)| *variable == self).map_or("", |(name, _)| name)
    }
}

impl Environment {
    fn value(&self, variable: Variable) -> &str {
        match variable {
            Variable::OsName => &self.os_name,
            Variable::SysPlatform => &self.sys_platform,
            Variable::PlatformMachine => &self.platform_machine,
            Variable::PlatformPythonImplementation => &self.platform_python_implementation,
            Variable::PlatformRelease => &self.platform_release,
            Variable::PlatformSystem => &self.platform_system,
            Variable::PlatformVersion => &self.platform_version,
            Variable::PythonVersion => &self.python_version,
            Variable::PythonFullVersion => &self.python_full_version,
            Variable::ImplementationName => &self.implementation_name,
            Variable::ImplementationVersion => &self.implementation_version,
            Variable::Extra | Variable::Extras | Variable::DependencyGroups => "",
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Marker::All(parts) => (parts, " and "),
            Marker::Any(parts) => (parts, " or "),
            Marker::Compare(left, operator, right) => return write!(f, "{left} {operator} {right}"),
        };
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index > 0 { word } else { "" })?;
            match part {
                Marker::Any(_) => write!(f, "({part})")?,
                _ => write!(f, "{part}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Variable(variable) => f.write_str(variable.name()),
            Operand::Text(text) if text.contains('\'') => write!(f, "\"{text}\""),
            Operand::Text(text) => write!(f, "'{text}'"),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::In => "in",
            Operator::NotIn => "not in",
            Operator::Version(operator) => operator,
        })
    }
}

/// Takes a marker apart from its beginning.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn blank(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn takes(&mut self, start: &str) -> bool {
        match self.blank().strip_prefix(start) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A word that ends where it ends: `or`, but not the start of `order`.
    fn takes_word(&mut self, word: &str) -> bool {
        let after = self.blank().strip_prefix(word);
        let Some(after) =
            after.filter(|after| !after.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
        else {
            return false;
        };
        self.rest = after;
        true
    }

    fn any(&mut self) -> Result<Marker, String> {
        let mut parts = vec![self.all()?];
        while self.takes_word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Marker::Any))
    }

    fn all(&mut self) -> Result<Marker, String> {
        let mut parts = vec![self.one()?];
        while self.takes_word("and") {
            parts.push(self.one()?);
        }
        Ok(one_or(parts, Marker::All))
    }

    fn one(&mut self) -> Result<Marker, String> {
        if self.takes("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err("its parentheses are too deep".to_owned());
            }
            let marker = self.any()?;
            self.depth -= 1;
            return if self.takes(")") { Ok(marker) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        let left = self.operand()?;
        let operator = self.operator()?;
        let right = self.operand()?;
        Ok(Marker::Compare(left, operator, right))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let text = self.blank();
        for quote in ['\'', '"'] {
            if let Some(quoted) = text.strip_prefix(quote) {
                let (word, rest) = quoted.split_once(quote).ok_or("a quote is not closed")?;
                self.rest = rest;
                return Ok(Operand::Text(word.into()));
            }
        }
        let end = text.find(|next: char| !(next.is_ascii_alphanumeric() || next == '_' || next == '.'));
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        let found = VARIABLES.iter().find(|(name, _)| *name == word);
        let (_, variable) = found.ok_or_else(|| format!("{word:?} is neither a variable nor in quotes"))?;
        self.rest = rest;
        Ok(Operand::Variable(*variable))
    }

    fn operator(&mut self) -> Result<Operator, String> {
        if self.takes_word("in") {
            return Ok(Operator::In);
        }
        if self.takes_word("not") {
            return if self.takes_word("in") {
                Ok(Operator::NotIn)
            } else {
                Err("`in` is missing".to_owned())
            };
        }
        let found = OPERATORS.into_iter().find(|operator| self.takes(operator));
        found.map(Operator::Version).ok_or_else(|| "an operator such as == is missing".to_owned())
    }
}

fn one_or(mut parts: Vec<Marker>, several: fn(Vec<Marker>) -> Marker) -> Marker {
    match (parts.pop(), parts.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            parts.extend(last);
            several(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux() -> Environment {
        let text = str::to_owned;
        Environment {
            os_name: text("posix"),
            sys_platform: text("linux"),
            platform_machine: text("x86_64"),
            platform_python_implementation: text("CPython"),
            platform_system: text("Linux"),
            python_version: text("3.10"),
            python_full_version: text("3.10.4"),
            implementation_name: text("cpython"),
            implementation_version: text("3.10.4"),
            ..Environment::default()
        }
    }

    fn holds(text: &str) -> bool {
        let extras = [Name::parse("Test-It").unwrap()];
        Marker::parse(text).unwrap().holds(&linux(), Chosen { extras: &extras, groups: &[] })
    }

    #[test]
    fn markers_hold_as_packaging_says() {
        for text in [
            "python_version >= '3.9'",
            "python_version<'3.11'and(os_name=='posix')",
            "'3.9' < python_version",
            "sys_platform == \"linux\" or python_version > '4' and os_name == 'nt'",
            "python_version in '3.9 3.10'",
            "sys_platform not in 'win32 darwin'",
            "'linux' in sys_platform",
            "extra == 'test_it'",
            "'test.it' == extra",
            "python_full_version >= '3.10.4'",
            "python_version ~= '3.8'",
            "python_version == '3.*'",
            "os.name == 'posix'",
            "platform_python_implementation != 'PyPy'",
            "python_implementation == 'CPython'",
            "extra != 'docs'",
            "'test-it' in extras",
            "'dev' not in dependency_groups",
            "platform_machine >= 'x86_64'",
            "((python_version >= '3') and ((os_name == 'posix')))",
            "implementation_name === 'cpython'",
        ] {
            assert!(holds(text), "{text}");
            let again = Marker::parse(text).unwrap().to_string();
            assert!(holds(&again), "{text} is written as {again}");
        }
        for text in [
            "python_version < '3.9'",
            "sys_platform == 'win32'",
            "extra == 'docs'",
            "platform_machine > 'x86'",
            "python_version in '3.9 3.11'",
            "os_name == 'nt' and python_version > '3' or os_name == 'java'",
            "platform_release >= '5'",
            "'dev' in dependency_groups",
            "python_full_version < '3.10.4'",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_marker_is_refused() {
        for text in [
            "",
            "python_version",
            "python_version >=",
            "python_version > '3",
            "pythonversion > '3'",
            "(os_name == 'x'",
            "os_name == 'x')",
            "os_name = 'x'",
            "os_name == 'x' or",
            "os_name not 'x'",
            "os_name == x",
        ] {
            assert!(Marker::parse(text).is_err(), "{text:?}");
        }
        let deep = format!("{}os_name == 'x'{}", "(".repeat(1000), ")".repeat(1000));
        assert!(Marker::parse(&deep).is_err());
        assert!(Marker::parse(&"os_name == 'x' or ".repeat(10_000)).is_err());
    }
}
