//! Twenty machines behind the gap, each captured by the script that `setup apt-baseline` prints, and all brought up to date by
//! one bundle: inside apt would do for each of them exactly what it would do outside.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

use super::apt_private::{Apt, KEYRING, archive, codename};
use super::command::{Outcome, bounded, run};
use super::inside::{Inside, SERVER};
use super::outside;

/// A machine that is there already.
#[derive(Default)]
struct Machine {
    name: &'static str,
    /// Its own first.
    architectures: &'static [&'static str],
    /// What somebody installed on it, as apt is asked for it.
    asked: &'static str,
    recommends: bool,
    /// Of a hundred source packages, how many were brought up to date since.
    current: u32,
    held: &'static [&'static str],
    /// Whether apt knows there which packages nobody asked for.
    knows_automatic: bool,
    /// What is there besides: stanzas of dpkg's status.
    besides: &'static str,
    /// Whether it has packages of others' archives too.
    has_third_party: bool,
}

const AMD64: &[&str] = &["amd64"];
const ARM64: &[&str] = &["arm64"];
const BOTH: &[&str] = &["amd64", "i386"];

/// Packages of the example archive, older than there, and one that is not in any archive.
const OF_EXAMPLE: &str = "\
Package: libhello1
Status: install ok installed
Version: 1:1.0
Architecture: amd64
Multi-Arch: same
Maintainer: Somebody <somebody@example.test>
Description: libhello1

Package: hello-data
Status: install ok installed
Version: 2.9
Architecture: all
Maintainer: Somebody <somebody@example.test>
Description: hello-data
";
const OF_NOBODY: &str = "\
Package: site-agent
Status: install ok installed
Version: 7
Architecture: amd64
Depends: libc6, libhello1 (<< 1:1.1)
Maintainer: Somebody <somebody@example.test>
Description: keeps an old library back
";
const REMOVED: &str = "\
Package: apache2
Status: deinstall ok config-files
Version: 2.4.10
Architecture: amd64
Maintainer: Somebody <somebody@example.test>
Description: only its configuration is left
";

fn machines() -> Vec<Machine> {
    let of = |name, architectures, asked, current| Machine {
        name,
        architectures,
        asked,
        current,
        ..Machine::default()
    };
    let besides: &str = Box::leak(format!("{OF_EXAMPLE}\n{OF_NOBODY}").into_boxed_str());
    vec![
        of("minimal", AMD64, "apt", 0),
        of("minimal-arm", ARM64, "apt", 0),
        of("half-current", AMD64, "apt perl", 50),
        of("current", AMD64, "nginx", 100),
        of("web", AMD64, "nginx", 0),
        Machine { recommends: true, ..of("web-arm", ARM64, "nginx curl", 30) },
        Machine { knows_automatic: true, ..of("names", AMD64, "bind9", 0) },
        of("cache", AMD64, "redis-server memcached", 60),
        of("cache-arm", ARM64, "redis-server rsync", 0),
        of("proxy", AMD64, "haproxy squid", 40),
        Machine {
            knows_automatic: true,
            recommends: true,
            ..of("files", AMD64, "rsync unzip zip python3", 0)
        },
        of("logs", AMD64, "rsyslog", 80),
        Machine { held: &["openssl", "perl-base"], ..of("held", AMD64, "openssl perl", 0) },
        Machine {
            held: &["memcached"],
            knows_automatic: true,
            ..of("held-too", AMD64, "memcached mutt", 20)
        },
        of("foreign", BOTH, "zlib1g:i386 bind9-host", 0),
        Machine { knows_automatic: true, ..of("foreign-lockstep", BOTH, "libssl3:i386 openssl", 0) },
        Machine { besides: OF_EXAMPLE, has_third_party: true, ..of("third-party", AMD64, "curl", 0) },
        Machine {
            besides,
            has_third_party: true,
            knows_automatic: true,
            ..of("old-agent", AMD64, "xz-utils", 50)
        },
        Machine { besides: REMOVED, ..of("used-before", AMD64, "libssh2-1 libevent-2.1-7", 0) },
        // Its packages depend on others by their exact versions, and a newer one has another name.
        Machine { recommends: true, ..of("modules", AMD64, "linux-headers-amd64", 0) },
    ]
}

/// Where archives are had from: Debian's as this machine's apt has it, and the example's on loopback.
struct Archives {
    codename: String,
    debian: String,
    security: String,
    example: String,
    /// Serves the example's.
    server: Child,
}

impl Drop for Archives {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Archives {
    fn new() -> Archives {
        let mut server = Command::new("python3");
        server.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0", "--directory"]);
        server.arg(fixture("archive")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = server.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let (_, port) = said.split_once("port ").unwrap();
        let port = port.split(' ').next().unwrap();
        let codename = codename();
        Archives {
            debian: archive(&codename),
            security: archive(&format!("{codename}-security")),
            codename,
            example: format!("http://127.0.0.1:{port}/"),
            server,
        }
    }

    /// Each archive's name, address, suites, architectures and keyring.
    fn all(&self) -> [(&'static str, &str, String, &'static str, PathBuf); 3] {
        let (codename, keyring) = (&self.codename, PathBuf::from(KEYRING));
        [
            (
                "debian",
                &self.debian,
                format!("{codename} {codename}-updates"),
                "amd64 arm64 i386",
                keyring.clone(),
            ),
            // Libraries that two architectures have in lockstep stay behind then.
            ("debian-security", &self.security, format!("{codename}-security"), "amd64 arm64", keyring),
            ("example", &self.example, "stable".to_owned(), "amd64", fixture("archive/keyring.asc")),
        ]
    }

    /// An apt that has them as sources, those of Debian alone in a folder of their own.
    fn apt(&self) -> Apt {
        let stanzas = self.all().map(|(name, uri, suites, architectures, keyring)| {
            let keyring = keyring.display();
            format!(
                "# {name}\nTypes: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nArchitectures: {architectures}\n\
                 Signed-By: {keyring}\n"
            )
        });
        with_sources(&stanzas, |stanza| stanza.starts_with("# example"))
    }

    /// A project that brings machines up to date, as they were captured into folders.
    fn project(&self, captures: &[PathBuf]) -> String {
        let list = |words: &str| format!("{:?}", words.split(' ').collect::<Vec<_>>());
        let tables = self.all().map(|(name, uri, suites, architectures, keyring)| {
            format!(
                "[[apt]]\nname = \"{name}\"\nuri = \"{uri}\"\nsuites = {}\ncomponents = [\"main\"]\narchitectures = {}\n\
                 signed-by = {keyring:?}\n\n",
                list(&suites),
                list(architectures)
            )
        });
        format!(
            "format = 1\nchannel = \"captures\"\nrequests = [\"apt:@upgrades\"]\n\n{}[[apt]]\nbaseline = {captures:?}\n",
            tables.concat()
        )
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apt").join(name)
}

/// An apt with all sources in one folder, and those that are no third party's in another, each with its indices.
fn with_sources(stanzas: &[String], is_third_party: impl Fn(&str) -> bool) -> Apt {
    let apt = Apt::new("Acquire::Retries \"3\";\n");
    let of_debian: Vec<String> = stanzas.iter().filter(|stanza| !is_third_party(stanza)).cloned().collect();
    assert!(of_debian.len() < stanzas.len());
    for (folder, stanzas) in [("etc/all", stanzas), ("etc/debian", &of_debian)] {
        fs::create_dir(apt.path(folder)).unwrap();
        apt.write(&format!("{folder}/here.sources"), stanzas.join("\n"));
    }
    apt
}

/// Runs apt as on a machine, whose status is at a path without its ending.
fn told(apt: &Apt, before: Command, machine: &Machine, files: &Path, words: &[&str]) -> Outcome {
    let place = match machine.has_third_party {
        true => "all",
        false => "debian",
    };
    let cache = apt.path("cache").join(format!("{place}-{}", machine.architectures.join("-")));
    fs::create_dir_all(cache.join("archives/partial")).unwrap();
    let mut options = vec![
        format!("Dir::Etc::sourceparts={}", apt.path("etc").join(place).display()),
        format!("Dir::Cache={}", cache.display()),
        format!("Dir::State::status={}", files.join("status").display()),
        format!("Dir::State::extended_states={}", files.join("extended_states").display()),
        format!("APT::Architecture={}", machine.architectures[0]),
    ];
    options.extend(machine.architectures.iter().map(|one| format!("APT::Architectures::={one}")));
    let options = options.iter().flat_map(|option| ["-o", option]);
    let words: Vec<&str> = options.chain(words.iter().copied()).collect();
    run(&mut apt.told(before, &words))
}

/// All packages of an apt's indices, as `name:architecture=version`, with their stanzas.
struct Stanzas {
    texts: Vec<String>,
    places: HashMap<String, (usize, std::ops::Range<usize>)>,
}

impl Stanzas {
    fn of(apt: &Apt) -> Stanzas {
        let lists = fs::read_dir(apt.path("state/lists")).unwrap().map(|entry| entry.unwrap().path());
        let lists = lists.filter(|path| path.to_string_lossy().ends_with("_Packages"));
        let mut stanzas = Stanzas { texts: Vec::new(), places: HashMap::new() };
        for path in lists {
            let text = fs::read_to_string(path).unwrap();
            let mut start = 0;
            for stanza in text.split("\n\n") {
                let end = start + stanza.len();
                if let Some(name) = name_of(stanza) {
                    stanzas.places.insert(name, (stanzas.texts.len(), start..end));
                }
                start = end + 2;
            }
            stanzas.texts.push(text);
        }
        stanzas
    }

    /// As dpkg's status has it.
    fn installed(&self, name: &str, is_held: bool) -> String {
        let (text, range) = &self.places[name];
        let wish = if is_held { "hold" } else { "install" };
        let of_archive = ["Filename", "Size", "MD5sum", "SHA256", "Description-md5"];
        let mut status = format!("Status: {wish} ok installed\n");
        for line in self.texts[*text][range.clone()].lines() {
            if !of_archive
                .iter()
                .any(|field| line.strip_prefix(field).is_some_and(|rest| rest.starts_with(':')))
            {
                status.push_str(line);
                status.push('\n');
            }
        }
        status
    }

    /// The source package of a package.
    fn source<'a>(&'a self, name: &'a str) -> &'a str {
        let (text, range) = &self.places[name];
        let stanza = &self.texts[*text][range.clone()];
        let source = stanza.lines().find_map(|line| line.strip_prefix("Source: "));
        source.and_then(|source| source.split(' ').next()).unwrap_or_else(|| name.split(':').next().unwrap())
    }
}

fn name_of(stanza: &str) -> Option<String> {
    let (mut name, mut version, mut architecture) = (None, None, None);
    for line in stanza.lines() {
        match line.split_once(": ") {
            Some(("Package", value)) => name = Some(value),
            Some(("Version", value)) => version = Some(value),
            Some(("Architecture", value)) => architecture = Some(value),
            _ => continue,
        }
        if let (Some(name), Some(version), Some(architecture)) = (name, version, architecture) {
            return Some(format!("{name}:{architecture}={version}"));
        }
    }
    None
}

/// What apt would fetch, as `name:architecture=version`.
fn fetched(said: Outcome) -> Vec<String> {
    let said = said.succeeded().stdout;
    let files =
        said.lines().filter(|line| line.starts_with('\'')).map(|line| line.split(' ').nth(1).unwrap());
    let names = files.map(|file| {
        let parts: Vec<&str> = file.trim_end_matches(".deb").split('_').collect();
        let [name, version, architecture] = parts[..] else { panic!("{file}") };
        format!("{name}:{architecture}={}", version.replace("%3a", ":"))
    });
    names.collect()
}

impl Machine {
    /// Installs it, on paper: what was asked for as the main suite has it, and some of that as it is now.
    fn install(&self, outside: &Apt, stanzas: &Stanzas, codename: &str, files: &Path) {
        fs::create_dir_all(files).unwrap();
        for file in ["status", "extended_states"] {
            fs::write(files.join(file), "").unwrap();
        }
        let essential = format!("?and(?essential,?architecture({}))", self.architectures[0]);
        let recommends = if self.recommends { "--install-recommends" } else { "--no-install-recommends" };
        let of_main: &[&str] =
            &["-t", codename, "--print-uris", "-y", recommends, "install", "apt", &essential];
        let apt = || Command::new("apt-get");
        let asked: Vec<&str> = self.asked.split(' ').collect();
        let mut packages = fetched(told(outside, apt(), self, files, &[of_main, &asked].concat()));
        self.write(&packages, stanzas, files);
        if self.current > 0 {
            let now = fetched(told(outside, apt(), self, files, &["--print-uris", "-y", "full-upgrade"]));
            for newer in now.into_iter().filter(|name| self.is_current(stanzas.source(name))) {
                let (name, _) = newer.split_once('=').unwrap();
                match packages.iter_mut().find(|old| old.split_once('=').unwrap().0 == name) {
                    Some(old) => *old = newer,
                    None => packages.push(newer),
                }
            }
            self.write(&packages, stanzas, files);
        }
    }

    fn write(&self, packages: &[String], stanzas: &Stanzas, files: &Path) {
        let (mut status, mut automatic) = (String::new(), String::new());
        for package in packages {
            let (name, architecture) = package.split('=').next().unwrap().split_once(':').unwrap();
            status += &stanzas.installed(package, self.held.contains(&name));
            status.push('\n');
            let was_asked = |word: &str| word.split(':').next() == Some(name);
            if self.knows_automatic && !self.asked.split(' ').any(was_asked) {
                let architecture = if architecture == "all" { self.architectures[0] } else { architecture };
                automatic += &format!("Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n");
            }
        }
        fs::write(files.join("status"), status + self.besides).unwrap();
        fs::write(files.join("extended_states"), automatic).unwrap();
    }

    /// Whether a source package was brought up to date.
    fn is_current(&self, source: &str) -> bool {
        source.bytes().map(u32::from).sum::<u32>() % 100 < self.current
    }

    /// Captures it by the script, which finds what the machine has where every machine has it.
    fn capture(&self, script: &Path, files: &Path, into: &Path) -> PathBuf {
        let system = files.join("system");
        fs::create_dir_all(system.join("dpkg/updates")).unwrap();
        fs::create_dir_all(system.join("dpkg/info")).unwrap();
        fs::create_dir_all(system.join("apt")).unwrap();
        fs::copy(files.join("status"), system.join("dpkg/status")).unwrap();
        fs::copy(files.join("extended_states"), system.join("apt/extended_states")).unwrap();
        fs::write(system.join("dpkg/arch"), self.architectures.join("\n") + "\n").unwrap();
        let steps = format!(
            "hostname {}; mount --bind {}/dpkg /var/lib/dpkg; mount --bind {1}/apt /var/lib/apt; cd {}; sh {}",
            self.name,
            system.display(),
            into.display(),
            script.display()
        );
        let mut capture = bounded(&[], "unshare");
        let said = run(capture.args(["--mount", "--uts", "sh", "-ec", &steps])).succeeded().stdout;
        assert!(said.starts_with(&format!("aftk-baseline-{}.tar: ", self.name)), "{said}");
        let tar = into.join(format!("aftk-baseline-{}.tar", self.name));
        run(Command::new("tar").arg("-C").arg(into).arg("-xf").arg(tar)).succeeded();
        let capture = into.join(self.name);
        let read = |name: &str| fs::read_to_string(capture.join(name)).unwrap();
        assert_eq!(read("status"), fs::read_to_string(files.join("status")).unwrap());
        let held: Vec<String> =
            read("holds").lines().filter(|line| line.ends_with("hold")).map(str::to_owned).collect();
        assert_eq!(held.len(), self.held.len(), "{held:?}");
        if self.architectures[0] == "amd64" {
            assert_eq!(read("architectures").split_whitespace().collect::<Vec<_>>(), self.architectures);
        } else {
            // A dpkg knows which architecture it was built for, and there is but this one here.
            fs::write(capture.join("architectures"), self.architectures.join("\n")).unwrap();
        }
        capture
    }
}

/// What apt says that it would do, and in which steps. Which of several equal steps is the first one depends on how many
/// packages apt knows, and so does what is in between meanwhile, in the brackets at the end. That there is something newer of
/// what is held is known outside alone: nobody asked for it.
fn simulated<'a>(said: &'a str, machine: &Machine) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let (mut told, mut steps, mut is_left_out) = (Vec::new(), BTreeSet::new(), false);
    for line in said.lines() {
        is_left_out = match line.starts_with("  ") {
            true => is_left_out,
            false => !machine.held.is_empty() && line == "The following packages have been kept back:",
        };
        if ["Inst ", "Conf ", "Remv "].iter().any(|step| line.starts_with(step)) {
            let meanwhile = line.rsplit_once(" [").filter(|(_, end)| end.ends_with(" ]") || *end == "]");
            steps.insert(meanwhile.map_or(line, |(step, _)| step));
        } else if !is_left_out {
            let count = line.split_once(" and ").filter(|(_, end)| end.ends_with(" not upgraded."));
            told.push(count.filter(|_| !machine.held.is_empty()).map_or(line, |(count, _)| count));
        }
    }
    (told, steps)
}

/// Does something for all machines, on both cores.
fn for_each<T: Send>(machines: &[Machine], work: impl Fn(&Machine) -> T + Sync) -> Vec<T> {
    let half = machines.len().div_ceil(2);
    thread::scope(|scope| {
        let parts =
            machines.chunks(half).map(|part| scope.spawn(|| part.iter().map(&work).collect::<Vec<_>>()));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

#[test]
fn twenty_machines_are_upgraded_inside_as_outside() {
    let (archives, machines, inside) = (Archives::new(), machines(), Inside::new());
    let work = inside.path("machines");
    let all =
        Machine { architectures: &["amd64", "arm64", "i386"], has_third_party: true, ..Machine::default() };
    let files = |machine: &Machine| work.join(machine.name);
    let apt = || Command::new("apt-get");
    let outside = archives.apt();
    told(&outside, apt(), &all, &work, &["update"]).succeeded();
    let stanzas = Stanzas::of(&outside);
    let script = inside.path("capture.sh");
    let printed = run(inside.aftk().args(["setup", "apt-baseline", "--server", SERVER])).succeeded();
    fs::write(&script, printed.stdout).unwrap();
    let captures = inside.path("captures");
    fs::create_dir(&captures).unwrap();

    let captured = for_each(&machines, |machine| {
        machine.install(&outside, &stanzas, &archives.codename, &files(machine));
        let upgrade = told(&outside, apt(), machine, &files(machine), &["-s", "full-upgrade"]).succeeded();
        (upgrade.stdout, machine.capture(&script, &files(machine), &captures))
    });
    let (upgrades, captures): (Vec<String>, Vec<PathBuf>) = captured.into_iter().unzip();
    for (machine, upgrade) in machines.iter().zip(&upgrades) {
        assert_eq!(upgrade.contains("\nInst "), machine.current < 100, "{}: {upgrade}", machine.name);
    }
    // They are twenty different questions.
    let different: BTreeSet<&String> = upgrades.iter().collect();
    assert_eq!(different.len(), machines.len());

    let (project, stick) = (inside.path("project"), inside.path("stick"));
    fs::create_dir(&project).unwrap();
    fs::write(project.join("aftk.toml"), archives.project(&captures)).unwrap();
    run(outside::aftk_behind(&[]).current_dir(&project).args(["collect", "--out"]).arg(&stick)).succeeded();
    drop(archives);

    let keyrings = inside.home().join("apt/keyrings");
    fs::create_dir_all(&keyrings).unwrap();
    fs::copy(KEYRING, keyrings.join("debian.gpg")).unwrap();
    fs::copy(KEYRING, keyrings.join("debian-security.gpg")).unwrap();
    fs::copy(fixture("archive/keyring.asc"), keyrings.join("example.asc")).unwrap();
    inside.import(&stick);
    let _server = inside.serve();
    let sources = inside.path("aftk.sources");
    inside.fetch("setup/apt", &sources);
    let sources = fs::read_to_string(sources).unwrap();
    let stanzas: Vec<String> = sources.split("\n\n").map(|stanza| format!("{stanza}\n")).collect();
    let apt_inside = with_sources(&stanzas, |stanza| stanza.contains("/apt/example\n"));
    let apt = || inside.program("apt-get");
    told(&apt_inside, apt(), &all, &work, &["update"]).succeeded();
    let inside_say = for_each(&machines, |machine| {
        told(&apt_inside, apt(), machine, &files(machine), &["-s", "full-upgrade"]).succeeded().stdout
    });
    for ((machine, outside), inside) in machines.iter().zip(&upgrades).zip(&inside_say) {
        assert_eq!(simulated(inside, machine), simulated(outside, machine), "{}", machine.name);
    }
}
