//! Small archives with questions and their answers, in `fixtures/apt/solving`: the solver answers them without a network,
//! and the real apt, among the tests with real clients, has to give the same answers.
//!
//! A file is read line by line. `@suite NAME FLAG…` begins an index, with one package a line: `name version architecture`,
//! and then fields, each after a semicolon. `@installed` lists what a machine has, where `auto` and `hold` are fields of
//! their own. `@pins` is followed by preferences. `@ask WORD…` is what `apt-get install` would be given; after it come the
//! answer's lines: `+ name:architecture=version`, `- name`, or `! words of the reason`.

use std::fs;
use std::path::Path;

use super::super::deb822::Stanza;
use super::super::preferences::{self, Pin};
use super::super::status::Baseline;
use super::super::universe::{IndexFacts, Universe};
use super::{Engine, Question, Want};

/// An index: its suite, what its Release says besides, and its stanzas.
pub(in super::super) struct Index {
    pub(in super::super) suite: String,
    pub(in super::super) flags: Vec<String>,
    pub(in super::super) stanzas: Vec<String>,
}

/// A question and what has to be answered.
pub(in super::super) struct Ask {
    pub(in super::super) words: Vec<String>,
    pub(in super::super) install: Vec<String>,
    pub(in super::super) remove: Vec<String>,
    /// Parts of the reason, if there is no answer.
    pub(in super::super) fails: Vec<String>,
}

/// One file.
pub(in super::super) struct Case {
    pub(in super::super) name: String,
    pub(in super::super) architectures: Vec<String>,
    pub(in super::super) indices: Vec<Index>,
    pub(in super::super) baseline: Baseline,
    pub(in super::super) preferences: String,
    pub(in super::super) asks: Vec<Ask>,
}

/// All cases, in the order of their names.
pub(in super::super) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apt/solving");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| read(name(path), &fs::read_to_string(path).unwrap())).collect()
}

fn read(name: String, text: &str) -> Case {
    let mut case = Case {
        name,
        architectures: vec!["amd64".to_owned()],
        indices: Vec::new(),
        baseline: Baseline::default(),
        preferences: String::new(),
        asks: Vec::new(),
    };
    let mut section = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(line) = line.strip_prefix('@') {
            let mut words = line.split(' ').map(str::to_owned);
            let _ = words.next();
            section = line.split(' ').next().unwrap();
            match section {
                "architectures" => case.architectures = words.collect(),
                "suite" => case.indices.push(Index {
                    suite: words.next().unwrap(),
                    flags: words.collect(),
                    stanzas: Vec::new(),
                }),
                "installed" | "pins" => {}
                "ask" => case.asks.push(Ask {
                    words: words.collect(),
                    install: Vec::new(),
                    remove: Vec::new(),
                    fails: Vec::new(),
                }),
                _ => panic!("{}: {line}", case.name),
            }
            continue;
        }
        match section {
            "pins" => case.preferences += &format!("{line}\n"),
            _ if line.is_empty() => {}
            "suite" => case.indices.last_mut().unwrap().stanzas.push(stanza(line, &[])),
            "installed" => install(&mut case.baseline, line),
            "ask" => {
                let ask = case.asks.last_mut().unwrap();
                let (kind, rest) = line.split_once(' ').unwrap();
                let into = match kind {
                    "+" => &mut ask.install,
                    "-" => &mut ask.remove,
                    "!" => &mut ask.fails,
                    _ => panic!("{}: {line}", case.name),
                };
                into.push(rest.to_owned());
            }
            _ => panic!("{}: {line}", case.name),
        }
    }
    case
}

fn stanza(line: &str, more: &[&str]) -> String {
    let mut fields = line.split(';').map(str::trim);
    let [name, version, architecture] = fields.next().unwrap().split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let mut text = format!("Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n");
    for field in fields.chain(more.iter().copied()) {
        text += &format!("{field}\n");
    }
    text
}

fn install(baseline: &mut Baseline, line: &str) {
    let (automatic, held) = (line.contains("; auto"), line.contains("; hold"));
    let line = line.replace("; auto", "").replace("; hold", "");
    let status = if held { "Status: hold ok installed" } else { "Status: install ok installed" };
    let text = stanza(&line, &[status]);
    if automatic {
        let stanza = Stanza::only(text.as_bytes());
        let [name, architecture] = ["Package", "Architecture"].map(|field| stanza.text(field).unwrap());
        let architecture = if architecture == "all" { "amd64" } else { architecture };
        let extended = format!("Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n");
        baseline.extended_states.extend(extended.bytes());
    }
    baseline.status.extend(format!("{text}\n").bytes());
}

impl Case {
    pub(in super::super) fn universe(&self) -> Universe {
        let architectures: Vec<&str> = self.architectures.iter().map(String::as_str).collect();
        let mut universe = Universe::new(&architectures).unwrap();
        for index in &self.indices {
            let says = |field: &str| index.flags.iter().any(|flag| flag == field);
            let facts = IndexFacts {
                archive: index.suite.clone(),
                codename: index.suite.clone(),
                origin: "Fixture".to_owned(),
                label: "Fixture".to_owned(),
                component: "main".to_owned(),
                not_automatic: says("NotAutomatic"),
                but_automatic_upgrades: says("ButAutomaticUpgrades"),
                ..IndexFacts::default()
            };
            // The real apt reads an index for each architecture.
            for architecture in &self.architectures {
                let facts = IndexFacts { architecture: architecture.clone(), ..facts.clone() };
                let number = universe.begin_index(facts).unwrap();
                for (place, stanza) in index.of(architecture).enumerate() {
                    universe.add(number, &Stanza::only(stanza.as_bytes()), place as u64).unwrap();
                }
            }
        }
        universe
    }

    pub(in super::super) fn pins(&self) -> Vec<Pin> {
        preferences::read(&self.preferences).unwrap()
    }
}

impl Index {
    /// The stanzas that its index for an architecture has.
    pub(in super::super) fn of(&self, architecture: &str) -> impl Iterator<Item = &str> {
        let has = move |stanza: &&str| {
            let own = Stanza::only(stanza.as_bytes()).text("Architecture").unwrap();
            own == architecture || own == "all"
        };
        self.stanzas.iter().map(String::as_str).filter(has)
    }
}

impl Ask {
    pub(in super::super) fn question<'a>(&'a self, baseline: &'a Baseline, pins: &'a [Pin]) -> Question<'a> {
        let mut question =
            Question { recommends: true, baseline: Some(baseline), pins, ..Question::default() };
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--no-install-recommends" => question.recommends = false,
                "--install-suggests" => question.suggests = true,
                "--superset" => question.engine = Engine::Superset,
                "-t" => question.target_release = words.next().unwrap(),
                "dist-upgrade" => question.wanted.push(Want::Upgrades),
                word => question.wanted.push(want(word)),
            }
        }
        question
    }
}

/// As apt reads a word of its command line.
pub(in super::super) fn want(word: &str) -> Want {
    if let Some(task) = word.strip_suffix('^') {
        return Want::Task(task.to_owned());
    }
    let cut = |text: &str, sign: char| match text.split_once(sign) {
        Some((name, rest)) => (name.to_owned(), Some(rest.to_owned())),
        None => (text.to_owned(), None),
    };
    let (name, suite) = cut(word, '/');
    let (name, version) = cut(&name, '=');
    let (name, architecture) = cut(&name, ':');
    Want::Package { name, architecture, version, suite }
}
