//! Stanzas into the universe. Names are met in the order in which apt meets them.

use std::cmp::Ordering;

use super::super::deb822::Stanza;
use super::super::relation::{self, Alternative, Operator};
use super::super::version;
use super::{
    ANY, Architecture, Dependency, EVERY, Group, IndexFacts, Kind, Mention, MultiArch, NATIVE, NONE, Name,
    Origin, Package, PackageId, Priority, Provide, STRANGE, Text, Universe, Version, VersionId,
};

/// The most indices of one universe.
const MOST_INDICES: usize = 10_000;
/// The most versions, packages or names: far below where numbers end.
const MOST: usize = 50_000_000;

/// The most bytes that different names or versions have together: below where their places end.
const MOST_TEXT: usize = 2 << 30;

/// The fields that matter here, as they stand in a stanza.
#[derive(Default)]
struct Fields<'a> {
    package: &'a str,
    version: &'a str,
    architecture: &'a str,
    source: &'a str,
    priority: &'a str,
    essential: &'a str,
    important: &'a str,
    protected: &'a str,
    multi_arch: &'a str,
    size: &'a str,
    installed_size: &'a str,
    task: &'a str,
    pre_depends: &'a str,
    depends: &'a str,
    conflicts: &'a str,
    breaks: &'a str,
    recommends: &'a str,
    suggests: &'a str,
    replaces: &'a str,
    enhances: &'a str,
    provides: &'a str,
}

impl<'a> Fields<'a> {
    fn of(stanza: &Stanza<'a>) -> Result<Fields<'a>, String> {
        let mut fields = Fields::default();
        for (name, value) in stanza.fields() {
            // All that are of interest are shorter.
            let mut lower = [0; 16];
            let Some(lower) = lower.get_mut(..name.len()) else { continue };
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            let place = match &*lower {
                b"package" => &mut fields.package,
                b"version" => &mut fields.version,
                b"architecture" => &mut fields.architecture,
                b"source" => &mut fields.source,
                b"priority" => &mut fields.priority,
                b"essential" => &mut fields.essential,
                b"important" => &mut fields.important,
                b"protected" => &mut fields.protected,
                b"multi-arch" => &mut fields.multi_arch,
                b"size" => &mut fields.size,
                b"installed-size" => &mut fields.installed_size,
                b"task" => &mut fields.task,
                b"pre-depends" => &mut fields.pre_depends,
                b"depends" => &mut fields.depends,
                b"conflicts" => &mut fields.conflicts,
                b"breaks" => &mut fields.breaks,
                b"recommends" => &mut fields.recommends,
                b"suggests" => &mut fields.suggests,
                b"replaces" => &mut fields.replaces,
                b"enhances" => &mut fields.enhances,
                b"provides" => &mut fields.provides,
                _ => continue,
            };
            if place.is_empty() {
                *place = std::str::from_utf8(value)
                    .map_err(|_| format!("{} is not UTF-8", String::from_utf8_lossy(name)))?;
            }
        }
        if fields.package.is_empty() {
            return Err("it has no Package".to_owned());
        }
        if fields.version.is_empty() {
            return Err(format!("{} has no Version", fields.package));
        }
        Ok(fields)
    }

    fn multi_arch(&self) -> MultiArch {
        match self.multi_arch {
            // What is of no architecture cannot be installed for several.
            "same" if self.architecture != "all" => MultiArch::Same,
            "foreign" => MultiArch::Foreign,
            "allowed" => MultiArch::Allowed,
            _ => MultiArch::No,
        }
    }

    fn priority(&self) -> Priority {
        match self.priority {
            "" => Priority::Unknown,
            "required" => Priority::Required,
            "important" => Priority::Important,
            "standard" => Priority::Standard,
            "optional" => Priority::Optional,
            _ => Priority::Extra,
        }
    }

    /// What apt knows a version again by: dpkg writes the same into its status, but for blanks, for `<` that becomes
    /// `<=`, and for an epoch of zero.
    fn fingerprint(&self) -> u64 {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for field in
            [self.installed_size, self.depends, self.pre_depends, self.conflicts, self.breaks, self.replaces]
        {
            let bytes = field.as_bytes();
            let mut at = 0;
            while at < bytes.len() {
                let byte = bytes[at];
                if byte == b'0' && bytes.get(at + 1) == Some(&b':') {
                    at += 2;
                    continue;
                }
                at += 1;
                if byte.is_ascii_whitespace() || byte == b'=' {
                    continue;
                }
                sum = (sum ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
            }
        }
        sum
    }

    /// The source package and its version: `Source: name (version)`, where either may be left out.
    fn source(&self) -> (&'a str, &'a str) {
        let (name, rest) = self.source.split_once(' ').unwrap_or((self.source, ""));
        let version =
            rest.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(version, _)| version);
        let name = if name.is_empty() { self.package } else { name };
        (name, version.unwrap_or(self.version))
    }
}

impl Universe {
    /// Begins an index. They are to come in the order in which apt reads them: that of its sources, and within one
    /// component after component, each with the machine's own architecture first.
    ///
    /// # Errors
    /// Says it if there are more than 10,000.
    pub(in super::super) fn begin_index(&mut self, facts: IndexFacts) -> Result<u16, String> {
        if self.indices.len() >= MOST_INDICES {
            return Err(format!("there are more than {MOST_INDICES} indices"));
        }
        self.indices.push(facts);
        u16::try_from(self.indices.len() - 1).map_err(|_| "there are too many indices".to_owned())
    }

    /// Takes in one stanza of an index. `place` is given back with the version's origins.
    ///
    /// # Errors
    /// Says what of it cannot be read, or that there are too many; the universe is unchanged but for names.
    pub(in super::super) fn add(
        &mut self,
        index: u16,
        stanza: &Stanza<'_>,
        place: u64,
    ) -> Result<(), String> {
        self.take_in(stanza, Origin { index: Some(index), place }).map(|_| ())
    }

    /// Takes in what a machine has installed.
    ///
    /// # Errors
    /// Those of [`Universe::add`].
    pub(in super::super) fn add_installed(
        &mut self,
        stanza: &Stanza<'_>,
        held: bool,
    ) -> Result<PackageId, String> {
        let version = self.take_in(stanza, Origin { index: None, place: 0 })?;
        let id = self.package(version);
        let package = &mut self.packages[id.index()];
        (package.installed, package.held) = (Some(version), held);
        Ok(id)
    }

    /// Notes that a package is there only because another needed it.
    pub(in super::super) fn set_automatic(&mut self, package: PackageId) {
        self.packages[package.index()].automatic = true;
    }

    fn take_in(&mut self, stanza: &Stanza<'_>, origin: Origin) -> Result<VersionId, String> {
        let fields = Fields::of(stanza)?;
        let text = self.names.bytes().max(self.texts.bytes());
        if self.groups.len().max(self.dependencies.len()).max(self.origins.len()) > MOST || text > MOST_TEXT {
            return Err("there are too many packages".to_owned());
        }
        let lower;
        let name = if fields.package.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = fields.package.to_ascii_lowercase();
            &lower
        } else {
            fields.package
        };
        let Some(architecture) = self.architecture(fields.architecture) else {
            return Err(format!("{name} is for {:?}, which this machine does not know", fields.architecture));
        };
        let name = self.name_of(name);
        let package = self.meet(name, architecture);
        let version = match self.known(package, &fields) {
            Ok(version) => version,
            Err(place) => {
                let version = self.add_version(package, &fields)?;
                self.packages[package.index()].versions.insert(place, version);
                version
            }
        };
        self.flag(package, &fields);
        self.append_origin(version, origin);
        Ok(version)
    }

    /// A version that was seen before, or where a new one belongs.
    fn known(&self, package: PackageId, fields: &Fields<'_>) -> Result<VersionId, usize> {
        let versions = self.versions(package);
        let mut place = 0;
        for version in versions {
            let same = &self.versions[version.index()];
            match version::compare(fields.version, self.version_text(*version)) {
                Ordering::Greater => break,
                Ordering::Less => {}
                Ordering::Equal => {
                    let size = fields.size.parse().unwrap_or(0);
                    if same.fingerprint == fields.fingerprint()
                        && (size == 0 || same.size == 0 || size == same.size)
                        && same.multi_arch == fields.multi_arch()
                    {
                        return Ok(*version);
                    }
                }
            }
            place += 1;
        }
        Err(place)
    }

    fn add_version(&mut self, package: PackageId, fields: &Fields<'_>) -> Result<VersionId, String> {
        let id = VersionId(self.versions.len() as u32);
        let (source, source_version) = fields.source();
        let version = Version {
            package,
            version: self.text_of(fields.version),
            source: self.text_of(source),
            source_version: self.text_of(source_version),
            priority: fields.priority(),
            multi_arch: fields.multi_arch(),
            of_all: fields.architecture == "all",
            fingerprint: fields.fingerprint(),
            size: fields.size.parse().unwrap_or(0),
            dependencies: (0, 0),
            origin: NONE,
        };
        let start = self.dependencies.len();
        let asked = self.add_dependencies(self.architecture_of(package), fields);
        let provided = asked.and_then(|()| {
            relation::alternatives(fields.provides)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|fault| format!("{} {}: Provides: {fault}", fields.package, fields.version))
        });
        let provided = match provided {
            Ok(provided) => provided,
            Err(fault) => {
                self.dependencies.truncate(start);
                return Err(fault);
            }
        };
        let dependencies = (start as u32, self.dependencies.len() as u32);
        self.versions.push(Version { dependencies, ..version });
        for provide in provided {
            self.add_provide(id, &provide);
        }
        self.add_implicit_provides(id);
        if is_kernel(self.name_text(self.name(package))) {
            // apt has every kernel provide this, for two packages that nobody has.
            let kernel = self.name_of("$kernel");
            self.meet(kernel, ANY);
            if let Some(architecture) = self.strange("$kernel") {
                self.meet(kernel, architecture);
            }
        }
        for task in fields.task.split([',', ' ', '\n']).filter(|task| !task.is_empty()) {
            let task = self.text_of(task);
            self.tasks.entry(task).or_default().push(id);
        }
        Ok(id)
    }

    fn add_dependencies(&mut self, own: Architecture, fields: &Fields<'_>) -> Result<(), String> {
        let asked = [
            ("Pre-Depends", fields.pre_depends, Some(Kind::PreDepends)),
            ("Depends", fields.depends, Some(Kind::Depends)),
            ("Conflicts", fields.conflicts, Some(Kind::Conflicts)),
            ("Breaks", fields.breaks, Some(Kind::Breaks)),
            ("Recommends", fields.recommends, Some(Kind::Recommends)),
            ("Suggests", fields.suggests, Some(Kind::Suggests)),
            // Nothing depends on these, but their names are met here.
            ("Replaces", fields.replaces, None),
            ("Enhances", fields.enhances, None),
        ];
        for (field, value, kind) in asked {
            for alternative in relation::alternatives(value) {
                let alternative = alternative
                    .map_err(|fault| format!("{} {}: {field}: {fault}", fields.package, fields.version))?;
                let negative = field == "Replaces" || kind.is_some_and(Kind::is_negative);
                let version = self.text_of(alternative.version);
                let (target, architecture, exact) = self.meet_target(&alternative, own, negative);
                let mention = self.mention(target, architecture, version);
                let Some(kind) = kind else { continue };
                self.dependencies.push(Dependency::written(
                    target,
                    (architecture, exact),
                    (alternative.operator, version),
                    kind,
                    alternative.or_next,
                    mention,
                ));
            }
        }
        Ok(())
    }

    /// What a relation points at, of which architecture, and whether that was written.
    fn meet_target(
        &mut self,
        alternative: &Alternative<'_>,
        own: Architecture,
        negative: bool,
    ) -> (Name, Architecture, bool) {
        match alternative.name.rsplit_once(':') {
            None => {
                let name = self.name_of(alternative.name);
                if negative {
                    if self.packages_of(name).is_empty() {
                        self.meet(name, own);
                    }
                    return (name, EVERY, false);
                }
                self.meet(name, own);
                (name, own, false)
            }
            Some((_, "any")) => {
                let name = self.name_of(alternative.name);
                self.meet(name, ANY);
                (name, ANY, false)
            }
            Some((bare, architecture)) => {
                // apt makes a package of what was written, and then one of the name and the architecture.
                let written = match architecture {
                    "native" => format!("{bare}:{}", self.architectures[usize::from(NATIVE)]),
                    _ => alternative.name.to_owned(),
                };
                let written = self.name_of(&written);
                self.meet(written, ANY);
                match self.architecture(architecture).or_else(|| self.strange(architecture)) {
                    Some(architecture) => {
                        let name = self.name_of(bare);
                        self.meet(name, architecture);
                        (name, architecture, true)
                    }
                    None => (written, ANY, true),
                }
            }
        }
    }

    /// The number of an architecture that the machine does not have.
    fn strange(&mut self, name: &str) -> Option<Architecture> {
        let place = self.strange.iter().position(|one| one == name).unwrap_or(self.strange.len());
        let number =
            Architecture::try_from(place).ok()?.checked_add(STRANGE).filter(|number| *number < ANY)?;
        if place == self.strange.len() {
            self.strange.push(name.to_owned());
        }
        Some(number)
    }

    /// Notes that a package is named, or all of its name are.
    fn mention(&mut self, target: Name, architecture: Architecture, version: Text) -> Mention {
        let mut mention = Mention::default();
        for package in &self.groups[target.0 as usize].packages {
            let package = &mut self.packages[package.index()];
            if architecture != EVERY && package.architecture != architecture {
                continue;
            }
            mention = package.mention.next(&mut package.first_mention, version);
        }
        mention
    }

    fn add_provide(&mut self, owner: VersionId, provided: &Alternative<'_>) {
        if !matches!(provided.operator, Operator::Any | Operator::Equal) {
            return;
        }
        let version = self.text_of(provided.version);
        let own = self.architecture_of(self.package(owner));
        let provide = |architecture| Provide { owner, version, architecture, implicit: false };
        if let Some((bare, architecture)) = provided.name.rsplit_once(':') {
            if architecture == "any" {
                let name = self.name_of(provided.name);
                self.push_provide(name, provide(ANY));
            } else if let Some(architecture) = self.architecture(architecture) {
                let name = self.name_of(bare);
                self.push_provide(name, provide(architecture));
            }
            return;
        }
        let name = self.name_of(provided.name);
        match self.multi_arch(owner) {
            MultiArch::Foreign => {
                if self.packages_of(name).is_empty() {
                    self.meet(name, NATIVE);
                }
                self.push_provide(name, provide(EVERY));
            }
            MultiArch::Allowed => {
                let any = self.name_of(&format!("{}:any", provided.name));
                self.push_provide(any, Provide { implicit: true, ..provide(ANY) });
                self.push_provide(name, provide(own));
            }
            MultiArch::No | MultiArch::Same => self.push_provide(name, provide(own)),
        }
    }

    /// A `foreign` package serves every architecture, an `allowed` one those that ask for `:any`.
    fn add_implicit_provides(&mut self, owner: VersionId) {
        let (name, version) = (self.name(self.package(owner)), self.versions[owner.index()].version);
        let provide = |architecture| Provide { owner, version, architecture, implicit: true };
        match self.multi_arch(owner) {
            MultiArch::Foreign if self.architectures.len() > 1 => self.push_provide(name, provide(EVERY)),
            MultiArch::Allowed => {
                let any = format!("{}:any", self.name_text(name));
                let any = self.name_of(&any);
                self.push_provide(any, provide(ANY));
            }
            _ => {}
        }
    }

    fn push_provide(&mut self, name: Name, provide: Provide) {
        let owner = self.package(provide.owner);
        let own = self.name(owner) == name
            && self.architecture_of(owner) == provide.architecture
            && (provide.version == Text::EMPTY
                || provide.version == self.versions[provide.owner.index()].version);
        if own {
            return;
        }
        if provide.architecture != EVERY {
            self.meet(name, provide.architecture);
        }
        self.groups[name.0 as usize].provides.push(provide);
    }

    fn flag(&mut self, id: PackageId, fields: &Fields<'_>) {
        let is_apt = self.name_text(self.name(id)) == "apt";
        let package = &mut self.packages[id.index()];
        let set = |flag: &mut bool, field| match field {
            "yes" => *flag = true,
            "no" => *flag = false,
            _ => {}
        };
        set(&mut package.essential, fields.essential);
        set(&mut package.important, fields.important);
        set(&mut package.important, fields.protected);
        // It does not remove itself, whatever its stanza says.
        if is_apt {
            (package.essential, package.important) = (true, true);
        }
    }

    fn append_origin(&mut self, version: VersionId, origin: Origin) {
        let new = self.origins.len() as u32;
        let mut last = self.versions[version.index()].origin;
        if last == NONE {
            self.versions[version.index()].origin = new;
        } else {
            while self.origins[last as usize].1 != NONE {
                last = self.origins[last as usize].1;
            }
            self.origins[last as usize].1 = new;
        }
        self.origins.push((origin, NONE));
    }

    /// The package of a name and architecture, met for the first time if it is new.
    fn meet(&mut self, name: Name, architecture: Architecture) -> PackageId {
        if let Some(known) = self.package_of(name, architecture) {
            return known;
        }
        let id = PackageId(self.packages.len() as u32);
        self.packages.push(Package {
            name,
            architecture,
            versions: Vec::new(),
            mention: Mention::default(),
            first_mention: None,
            installed: None,
            essential: false,
            important: false,
            held: false,
            automatic: false,
        });
        self.groups[name.0 as usize].packages.push(id);
        id
    }

    fn name_of(&mut self, name: &str) -> Name {
        let number = self.names.number(name);
        if number as usize >= self.groups.len() {
            self.groups.resize_with(number as usize + 1, Group::default);
        }
        Name(number)
    }

    fn text_of(&mut self, text: &str) -> Text {
        Text(self.texts.number(text))
    }
}

/// Whether a package's name is that of a kernel's image, as `linux-image-6.1.0-9-amd64`.
fn is_kernel(name: &str) -> bool {
    ["linux-image-", "kfreebsd-image-", "gnumach-image-"].iter().any(|prefix| {
        let Some(version) = name.strip_prefix(prefix) else { return false };
        let debug = name.ends_with("-dbg") || name.ends_with("-dbgsym");
        let after = version.trim_start_matches(|one: char| one.is_ascii_digit());
        !debug && after.len() < version.len() && after.starts_with('.')
    })
}
