//! Which version of a package apt would take: pins (apt_preferences(5)), and what archives say of themselves.

use std::collections::HashMap;

use super::deb822::{Stanza, Stanzas, without_comments};
use super::universe::{IndexFacts, PackageId, Universe, VersionId};
use super::version;

/// The priority of an archive that says nothing of itself.
const ORDINARY: i32 = 500;
/// Of what is installed, and of archives that are for upgrades alone (`ButAutomaticUpgrades`).
const UPGRADES_ONLY: i32 = 100;
/// Of archives that nothing is taken from by itself (`NotAutomatic`).
const ON_REQUEST: i32 = 1;
/// Of the archive that was said to be preferred.
const TARGET_RELEASE: i32 = 990;
/// From here on a version is taken although a later one is installed.
const DOWNGRADES: i32 = 1000;
/// `Pin-Priority: never`
const NEVER: i32 = i16::MIN as i32;

/// One pin: a priority for some packages' versions from some archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    /// Names, globs, `src:` names, with an architecture or not; empty if it is for all packages.
    packages: Vec<String>,
    matches: Matches,
    priority: i32,
}

/// What versions a pin is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Matches {
    /// Those of this version: a glob.
    Version(String),
    /// Those of an archive by its Release.
    Release(ReleasePattern),
    /// Those of an archive by its host.
    Site(String),
}

/// Globs for the fields of a Release; an empty one asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ReleasePattern {
    everything: bool,
    /// The suite or the codename.
    name: String,
    archive: String,
    codename: String,
    origin: String,
    label: String,
    version: String,
    component: String,
    architecture: String,
}

impl ReleasePattern {
    /// As in `Pin: release a=stable, o=Debian`, or a single name as in `package/stable`.
    pub(super) fn read(text: &str) -> ReleasePattern {
        let text = text.trim();
        let mut pattern = ReleasePattern::default();
        if text == "*" {
            pattern.everything = true;
        } else if !text.contains('=') {
            let place = if text.starts_with(|first: char| first.is_ascii_digit()) {
                &mut pattern.version
            } else {
                &mut pattern.name
            };
            *place = text.to_owned();
        }
        for part in text.split(',') {
            let Some((key, value)) = part.trim().split_once('=') else { continue };
            let place = match key.to_ascii_lowercase().as_str() {
                "v" => &mut pattern.version,
                "o" => &mut pattern.origin,
                "a" => &mut pattern.archive,
                "n" => &mut pattern.codename,
                "l" => &mut pattern.label,
                "c" => &mut pattern.component,
                "b" => &mut pattern.architecture,
                _ => continue,
            };
            *place = value.to_owned();
        }
        pattern
    }

    pub(super) fn fits(&self, facts: &IndexFacts) -> bool {
        if self.everything {
            return true;
        }
        let named = || is_like(&self.name, &facts.archive) || is_like(&self.name, &facts.codename);
        let fields = [
            (&self.archive, &facts.archive),
            (&self.codename, &facts.codename),
            (&self.origin, &facts.origin),
            (&self.label, &facts.label),
            (&self.version, &facts.version),
            (&self.component, &facts.component),
            (&self.architecture, &facts.architecture),
        ];
        let asks = !self.name.is_empty() || fields.iter().any(|(pattern, _)| !pattern.is_empty());
        asks && (self.name.is_empty() || named())
            && fields.iter().all(|(pattern, field)| pattern.is_empty() || is_like(pattern, field))
    }
}

impl Matches {
    fn fits(&self, universe: &Universe, version: VersionId) -> bool {
        match self {
            Matches::Version(pattern) => is_glob_of(pattern, universe.version_text(version)),
            _ => universe.origins(version).any(|origin| match origin.index {
                Some(index) => self.fits_index(&universe.indices()[usize::from(index)]),
                None => self.fits_installed(),
            }),
        }
    }

    fn fits_index(&self, facts: &IndexFacts) -> bool {
        match self {
            Matches::Version(_) => false,
            Matches::Release(pattern) => pattern.fits(facts),
            Matches::Site(site) if site.is_empty() => facts.site.is_empty(),
            Matches::Site(site) => is_like(site, &facts.site),
        }
    }

    /// What is installed passes for an archive called `now`.
    fn fits_installed(&self) -> bool {
        let now =
            IndexFacts { archive: "now".to_owned(), component: "now".to_owned(), ..IndexFacts::default() };
        matches!(self, Matches::Release(pattern) if pattern.fits(&now))
    }
}

/// Reads a preferences file.
///
/// # Errors
/// Says which record cannot be read.
pub(super) fn read(text: &str) -> Result<Vec<Pin>, String> {
    let text = without_comments(text);
    let mut stanzas = Stanzas::new(text.as_bytes());
    let mut pins = Vec::new();
    while let Some(stanza) = stanzas.next().map_err(|error| error.to_string())? {
        if stanza.fields().next().is_some() {
            pins.extend(record(&stanza)?);
        }
    }
    Ok(pins)
}

fn record(stanza: &Stanza<'_>) -> Result<Option<Pin>, String> {
    let packages = stanza.text("Package").unwrap_or_default();
    if packages.is_empty() {
        return Err("a record of the preferences has no Package".to_owned());
    }
    let Some(pin) = stanza.text("Pin") else { return Ok(None) };
    let (kind, what) = pin.split_once(|one: char| one.is_ascii_whitespace()).unwrap_or((pin, ""));
    let what = what.trim();
    let for_all = packages == "*";
    let matches = match kind.to_ascii_lowercase().as_str() {
        "version" if !for_all => Matches::Version(what.to_owned()),
        "release" => Matches::Release(ReleasePattern::read(what)),
        "origin" => Matches::Site(what.trim_matches('"').to_owned()),
        _ => return Err(format!("{packages}: nobody knows the pin {kind:?} there")),
    };
    let expression = [packages, what].into_iter().flat_map(str::split_ascii_whitespace);
    if let Some(found) =
        expression.into_iter().find(|one| one.len() > 1 && one.starts_with('/') && one.ends_with('/'))
    {
        return Err(format!(
            "{packages}: the regular expression {found} is not understood here; write a glob"
        ));
    }
    let priority = match stanza.text("Pin-Priority").unwrap_or_default() {
        "never" if for_all => NEVER,
        text => match text.parse::<i16>() {
            Ok(0) | Err(_) => return Err(format!("{packages}: {text:?} is no priority of a pin")),
            Ok(priority) => i32::from(priority).max(NEVER + 1),
        },
    };
    let packages =
        if for_all { Vec::new() } else { packages.split_ascii_whitespace().map(str::to_owned).collect() };
    Ok(Some(Pin { packages, matches, priority }))
}

/// The priorities of a universe's versions.
pub(super) struct Policy {
    indices: Vec<i32>,
    installed: i32,
    pinned: HashMap<VersionId, i32>,
}

impl Policy {
    /// `target_release` is what `apt-get -t` would be given; empty for nothing.
    ///
    /// # Errors
    /// Says it if no index is of the target release.
    pub(super) fn new(universe: &Universe, pins: &[Pin], target_release: &str) -> Result<Policy, String> {
        let mut general: Vec<(Matches, i32)> = Vec::new();
        if !target_release.is_empty() {
            let target = Matches::Release(ReleasePattern::read(target_release));
            if !universe.indices().iter().any(|facts| target.fits_index(facts)) && !target.fits_installed() {
                return Err(format!(
                    "The value '{target_release}' is invalid for APT::Default-Release as such a release is not available in the sources"
                ));
            }
            general.push((target, TARGET_RELEASE));
        }
        let for_all = pins.iter().filter(|pin| pin.packages.is_empty());
        general.extend(for_all.map(|pin| (pin.matches.clone(), pin.priority)));
        let priority = |usual, fits: &dyn Fn(&Matches) -> bool| {
            let mut fitting =
                general.iter().filter(|(matches, _)| fits(matches)).map(|(_, priority)| *priority);
            // The first says it, but `never` has the last word.
            if fitting.clone().any(|priority| priority == NEVER) {
                NEVER
            } else {
                fitting.next().unwrap_or(usual)
            }
        };
        let indices = universe
            .indices()
            .iter()
            .map(|facts| {
                let usual = match facts {
                    IndexFacts { but_automatic_upgrades: true, .. } => UPGRADES_ONLY,
                    IndexFacts { not_automatic: true, .. } => ON_REQUEST,
                    _ => ORDINARY,
                };
                priority(usual, &|matches| matches.fits_index(facts))
            })
            .collect();
        let installed = priority(UPGRADES_ONLY, &Matches::fits_installed);
        let mut policy = Policy { indices, installed, pinned: HashMap::new() };
        for pin in pins {
            for pattern in &pin.packages {
                policy.pin(universe, pin, pattern);
            }
        }
        Ok(policy)
    }

    /// The first pin of a version counts.
    fn pin(&mut self, universe: &Universe, pin: &Pin, pattern: &str) {
        let (pattern, of_source) = match pattern.strip_prefix("src:") {
            Some(pattern) => (pattern, true),
            None => (pattern, false),
        };
        let (name, architecture) = match pattern.rsplit_once(':') {
            Some((name, "any")) => (name, None),
            Some((name, architecture)) => (name, Some(universe.architecture(architecture))),
            None => (pattern, Some(universe.architecture("native"))),
        };
        let of_architecture =
            |package| architecture.is_none_or(|wanted| wanted == Some(universe.architecture_of(package)));
        let is_glob = name.contains(['*', '?', '[']);
        let named = |found: &str| if is_glob { is_glob_of(name, found) } else { name == found };
        let packages: Vec<PackageId> = if is_glob || of_source {
            universe.packages().collect()
        } else {
            let name = universe.find_name(name);
            name.map_or_else(Vec::new, |name| universe.packages_of(name).to_vec())
        };
        for package in packages.into_iter().filter(|package| of_architecture(*package)) {
            for version in universe.versions(package) {
                let found = match of_source {
                    true => universe.text(universe.source(*version).0),
                    false => universe.name_text(universe.name(package)),
                };
                if named(found) && pin.matches.fits(universe, *version) {
                    self.pinned.entry(*version).or_insert(pin.priority);
                }
            }
        }
    }

    fn priority(&self, universe: &Universe, version: VersionId) -> i32 {
        let installed = universe.installed(universe.package(version)) == Some(version);
        let of_origin = |index: Option<u16>| match index {
            Some(index) => self.indices[usize::from(index)],
            None => self.installed,
        };
        if let Some(pinned) = self.pinned.get(&version)
            && universe.origins(version).any(|origin| of_origin(origin.index) != NEVER)
        {
            return *pinned;
        }
        let priorities = universe.origins(version).map(|origin| match origin.index {
            None if !installed => -1,
            index => of_origin(index),
        });
        priorities.max().unwrap_or(0)
    }

    /// The version that apt would install, or keep: of the highest priority, and of those the latest. Nothing is
    /// downgraded unless its priority is 1000 or more.
    pub(super) fn candidate(&self, universe: &Universe, package: PackageId) -> Option<VersionId> {
        let installed = universe.installed(package);
        let mut best: Option<(i32, VersionId)> = None;
        for version in universe.versions(package) {
            let priority = self.priority(universe, *version);
            if priority == 0 || priority <= best.map_or(-1, |(priority, _)| priority) {
                continue;
            }
            let downgrade = installed.is_some_and(|installed| {
                version::compare(universe.version_text(*version), universe.version_text(installed)).is_lt()
            });
            if downgrade && priority < DOWNGRADES {
                continue;
            }
            best = Some((priority, *version));
        }
        best.map(|(_, version)| version)
    }
}

/// A glob that an absent text never fits.
fn is_like(pattern: &str, text: &str) -> bool {
    !text.is_empty() && is_glob_of(pattern, text)
}

/// Whether a text fits a glob (`*`, `?`, `[a-z]`), without regard to case. The time is bounded by the product of the
/// lengths.
pub(super) fn is_glob_of(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase().into_bytes(), text.to_ascii_lowercase().into_bytes());
    let (mut at, mut place) = (0, 0);
    // Where the latest star stands, and how much of the text it took.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match one_of(&pattern[at..], text[place]) {
            _ if pattern.get(at) == Some(&b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(length) => {
                at += length;
                place += 1;
            }
            None => {
                let Some((of_star, taken)) = star else { return false };
                star = Some((of_star, taken + 1));
                (at, place) = (of_star + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How long the pattern's first member is, if it stands for this byte.
fn one_of(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => {
            let (negated, set) = match rest {
                [b'!' | b'^', set @ ..] => (true, set),
                set => (false, set),
            };
            // A bracket that comes first is a member.
            let Some(end) = set.iter().skip(1).position(|one| *one == b']').map(|end| end + 1) else {
                return (byte == b'[').then_some(1);
            };
            let mut members = &set[..end];
            let mut found = false;
            while let [first, rest @ ..] = members {
                (found, members) = match rest {
                    [b'-', last, rest @ ..] => (found || (*first..=*last).contains(&byte), rest),
                    _ => (found || *first == byte, rest),
                };
            }
            (found != negated).then_some(1 + usize::from(negated) + end + 1)
        }
        [same, ..] => (*same == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_those_of_the_shell() {
        for (pattern, text, fits) in [
            ("stable", "Stable", true),
            ("stable*", "stable-security", true),
            ("*-security", "stable-security", true),
            ("*a*b*c", "xxaxxbxxbxc", true),
            ("*a*b*c", "xxaxxbxxbx", false),
            ("2.?", "2.6", true),
            ("2.?", "2.", false),
            ("lib[a-c]x", "libbx", true),
            ("lib[!a-c]x", "libbx", false),
            ("lib[!a-c]x", "libdx", true),
            ("lib[x", "lib[x", true),
            ("[]]", "]", true),
            ("", "", true),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(is_glob_of(pattern, text), fits, "{pattern} {text}");
        }
        let (pattern, text) = ("*a".repeat(500), "a".repeat(5000) + "b");
        assert!(!is_glob_of(&pattern, &text), "and in no long time");
    }

    #[test]
    fn preferences_are_read_or_refused_with_the_reason() {
        let pins = read(
            "# all\nPackage: *\nPin: release a=stable, o=Debian\nPin-Priority: 900\n\n\
             Explanation: x\nPackage: linux-* src:perl\nPin: version 6.1*\nPin-Priority: -1\n\n\
             Package: *\nPin: origin \"deb.example.test\"\nPin-Priority: never\n",
        )
        .unwrap();
        assert_eq!(pins.len(), 3);
        assert_eq!(pins[1].packages, ["linux-*", "src:perl"]);
        assert_eq!(
            pins[2],
            Pin { packages: vec![], matches: Matches::Site("deb.example.test".into()), priority: NEVER }
        );
        for (text, fault) in [
            ("Pin: release a=x\nPin-Priority: 1", "no Package"),
            ("Package: a\nPin: colour red\nPin-Priority: 1", "colour"),
            ("Package: *\nPin: version 1\nPin-Priority: 1", "version"),
            ("Package: a\nPin: version 1\nPin-Priority: 0", "\"0\" is no priority"),
            ("Package: a\nPin: version 1\nPin-Priority: 99999", "no priority"),
            ("Package: a\nPin: version 1\nPin-Priority: never", "no priority"),
            ("Package: /^linux/\nPin: version 1\nPin-Priority: 1", "write a glob"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
