//! What this machine's apt is configured to do, as apt says it itself: `apt-config dump`, and the files that it names.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::source::Source;
use super::sources::{read_deb822, read_list};
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest file of configuration or keys that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// apt's configuration; empty where there is no apt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// Its names and values, in order.
    values: Vec<(String, String)>,
}

impl Machine {
    /// Asks apt.
    pub(super) async fn ask(context: &dyn CollectContext) -> Machine {
        let answer = context.ask_client("apt-config", &["dump"], false).await.unwrap_or_default();
        // `Name "value";`, and `Name::` for the members of a list.
        let values = answer.lines().filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            let value = value.strip_prefix('"')?.strip_suffix("\";")?;
            Some((name.to_owned(), value.to_owned()))
        });
        Machine { values: values.collect() }
    }

    /// What something is set to; names are compared without regard to case, as apt does.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().rev().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The members of a list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let is_member =
            |found: &str| found.strip_suffix("::").is_some_and(|found| found.eq_ignore_ascii_case(name));
        self.values.iter().filter(|(found, _)| is_member(found)).map(|(_, value)| value.clone()).collect()
    }

    /// The architectures that it wants packages for, its own first; none, where there is no apt.
    pub(super) fn architectures(&self) -> Vec<String> {
        let mut all: Vec<String> = self.value("APT::Architecture").map(str::to_owned).into_iter().collect();
        for one in self.list("APT::Architectures") {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// Where a file is that has a place below others: `Dir::Etc::sourcelist`.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let mut path = PathBuf::from(self.value(name)?);
        let mut parent = name;
        while let Some((above, _)) = parent.rsplit_once("::") {
            parent = above;
            path = Path::new(self.value(above).unwrap_or_default()).join(path);
        }
        Some(Path::new("/").join(path))
    }

    /// Where `Dir::Etc::NAME` is, and the files with one of these endings below `Dir::Etc::NAMEparts`, as apt orders them.
    pub(super) async fn files(
        &self,
        (one, parts): (&str, &str),
        endings: &[&str],
        context: &dyn CollectContext,
    ) -> Result<Vec<(PathBuf, Bytes)>, Problem> {
        let mut paths: Vec<PathBuf> = self.file(one).into_iter().collect();
        if let Some(directory) = self.file(parts) {
            let mut found = context.list(&directory).await?;
            found.retain(|path| is_part(path, endings));
            found.sort();
            paths.append(&mut found);
        }
        let mut files = Vec::new();
        for path in paths {
            if let Some(bytes) = context.read(&path, LARGEST).await? {
                files.push((path, bytes));
            }
        }
        Ok(files)
    }

    /// The sources that it is configured to use.
    pub(super) async fn sources(&self, context: &dyn CollectContext) -> Result<Vec<Source>, Problem> {
        let architectures = self.architectures();
        let mut sources = Vec::new();
        let places = ("Dir::Etc::sourcelist", "Dir::Etc::sourceparts");
        for (path, bytes) in self.files(places, &["list", "sources"], context).await? {
            let place = path.display().to_string();
            let text = std::str::from_utf8(&bytes).map_err(|error| {
                Problem::new(Kind::Usage, "apt.source", "apt's sources are no UTF-8")
                    .at(&place)
                    .caused_by(&error)
            })?;
            let text = with_mirrors(text, context).await?;
            let is_deb822 = path.extension().is_some_and(|ending| ending == "sources");
            let read = if is_deb822 { read_deb822 } else { read_list };
            sources.append(&mut read(&text, &place, &architectures)?);
        }
        Ok(sources)
    }
}

/// Sources whose addresses stand in files of their own (apt-transport-mirror(1)), as images for clouds have them, with the
/// first address of each file.
async fn with_mirrors(text: &str, context: &dyn CollectContext) -> Result<String, Problem> {
    let mut written = text.to_owned();
    for word in text.split_whitespace().filter(|word| word.starts_with("mirror+file:")) {
        let path = word.trim_start_matches("mirror+file:").trim_end_matches('/');
        let path = format!("/{}", path.trim_start_matches('/'));
        let bytes = context.read(Path::new(&path), LARGEST).await?.unwrap_or_default();
        let list = String::from_utf8_lossy(&bytes).into_owned();
        let mut addresses = list.lines().filter_map(|line| line.split_whitespace().next());
        if let Some(address) = addresses.find(|address| address.starts_with("http")) {
            written = written.replace(word, address);
        }
    }
    Ok(written)
}

/// Whether apt reads a file of such a directory: hidden and odd names are left out.
fn is_part(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    !name.starts_with('.') && name.chars().all(allowed) && (endings.is_empty() || endings.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::fake::wait;
    use super::*;

    const DUMP: &str = "APT \"\";\nAPT::Architecture \"amd64\";\nAPT::Architectures \"\";\nAPT::Architectures:: \"amd64\";\n\
                        APT::Architectures:: \"i386\";\nDir \"/\";\nDir::Etc \"etc/apt\";\nDir::Etc::sourcelist \
                        \"sources.list\";\nDir::Etc::sourceparts \"sources.list.d\";\nDir::State::status \
                        \"/var/lib/dpkg/status\";\n";

    #[test]
    fn apt_says_where_its_files_are() {
        let fake = Fake { apt_config: Some(DUMP.to_owned()), ..Fake::default() };
        let machine = wait(Machine::ask(&fake));
        assert_eq!(machine.architectures(), ["amd64", "i386"]);
        assert_eq!(machine.file("Dir::Etc::sourceparts").unwrap(), Path::new("/etc/apt/sources.list.d"));
        assert_eq!(machine.file("Dir::State::status").unwrap(), Path::new("/var/lib/dpkg/status"));
        assert_eq!(machine.file("Dir::Etc::trusted"), None);
        assert_eq!(wait(Machine::ask(&Fake::default())), Machine::default());
    }

    #[test]
    fn addresses_may_stand_in_files_of_their_own() {
        let mut fake = Fake { apt_config: Some(DUMP.to_owned()), ..Fake::default() };
        let source =
            "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: a\nComponents: main\n";
        fake.file("/etc/apt/sources.list.d/debian.sources", source);
        fake.file(
            "/etc/apt/mirrors/debian.list",
            "# near\nhttps://mirror.example.test/debian priority:1\nhttps://far.example.test\n",
        );
        let sources = wait(wait(Machine::ask(&fake)).sources(&fake)).unwrap();
        assert_eq!(sources[0].base.as_str(), "https://mirror.example.test/debian/");
    }

    #[test]
    fn all_its_sources_are_read_in_apts_order() {
        let mut fake = Fake { apt_config: Some(DUMP.to_owned()), ..Fake::default() };
        fake.file("/etc/apt/sources.list", "deb http://mirror.example.test/debian stable main\n");
        fake.file("/etc/apt/sources.list.d/b.list", "deb http://b.example.test/ ./\n");
        fake.file(
            "/etc/apt/sources.list.d/a.sources",
            "Types: deb\nURIs: http://a.example.test\nSuites: x/\n",
        );
        fake.file("/etc/apt/sources.list.d/c.list.save", "nonsense");
        fake.file("/etc/apt/sources.list.d/.d.list", "nonsense");
        let sources = wait(wait(Machine::ask(&fake)).sources(&fake)).unwrap();
        let names: Vec<_> = sources.iter().map(|source| source.repository.as_str()).collect();
        assert_eq!(names, ["debian", "a.example.test", "b.example.test"]);
        assert_eq!(sources[2].place, "/etc/apt/sources.list.d/b.list:1");
    }
}
