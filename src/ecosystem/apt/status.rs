//! What a machine has: dpkg's status, what apt installed by itself (`extended_states`), and selections.

use super::deb822::Stanzas;
use super::universe::Universe;

/// A machine's state, as its files have it. Captured on one that a bundle is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Baseline {
    /// `/var/lib/dpkg/status`
    pub(super) status: Vec<u8>,
    /// `/var/lib/apt/extended_states`; may be empty.
    pub(super) extended_states: Vec<u8>,
}

impl Baseline {
    /// Puts it into a universe, whose indices are all there already. Gives back what could not be taken in.
    ///
    /// # Errors
    /// Says what of the files is no control data.
    pub(super) fn install_into(&self, universe: &mut Universe) -> Result<Vec<String>, String> {
        let mut strange = Vec::new();
        let mut stanzas = Stanzas::new(&*self.status);
        while let Some(stanza) = stanzas.next().map_err(|error| format!("dpkg's status: {error}"))? {
            let name = stanza.text("Package").unwrap_or("a package without a name");
            let words: Vec<&str> =
                stanza.text("Status").unwrap_or_default().split_ascii_whitespace().collect();
            let [wish, _, state] = words[..] else {
                return Err(format!("dpkg's status: the Status of {name} is not three words"));
            };
            if matches!(state, "not-installed" | "config-files") {
                continue;
            }
            if let Err(fault) = universe.add_installed(&stanza, wish == "hold") {
                strange.push(fault);
            }
        }
        let mut stanzas = Stanzas::new(&*self.extended_states);
        while let Some(stanza) = stanzas.next().map_err(|error| format!("extended_states: {error}"))? {
            let architecture = universe.architecture(stanza.text("Architecture").unwrap_or("native"));
            let package = architecture
                .and_then(|architecture| universe.find_package(stanza.text("Package")?, architecture))
                .filter(|_| stanza.text("Auto-Installed") == Some("1"));
            if let Some(package) = package {
                universe.set_automatic(package);
            }
        }
        Ok(strange)
    }
}

/// The packages that a machine is to have, of what `dpkg --get-selections` prints: each a name, with its architecture if
/// that is not the machine's own.
///
/// # Errors
/// Says which line is none of a name and a state.
pub(super) fn selections(text: &str) -> Result<Vec<&str>, String> {
    let mut selected = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [name, "install" | "hold"] => selected.push(name),
            [_, "deinstall" | "purge"] => {}
            _ => {
                return Err(format!(
                    "the line {:?} is no selection",
                    line.chars().take(80).collect::<String>()
                ));
            }
        }
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_names_with_a_state() {
        let text = "adduser\t\t\tinstall\nlibc6:i386   install\nold\tdeinstall\nkernel hold\ngone purge\n";
        assert_eq!(selections(text).unwrap(), ["adduser", "libc6:i386", "kernel"]);
        assert!(selections("adduser").unwrap_err().contains("\"adduser\""));
        assert!(selections("a b c").is_err());
    }

    #[test]
    fn only_what_is_there_is_installed() {
        let status = "Package: here\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n\
             Package: kept\nStatus: hold ok unpacked\nVersion: 1\nArchitecture: amd64\n\n\
             Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n\n\
             Package: strange\nStatus: install ok installed\nVersion: 1\nArchitecture: m68k\n";
        let extended = "Package: here\nArchitecture: amd64\nAuto-Installed: 1\n\n\
             Package: kept\nArchitecture: amd64\nAuto-Installed: 0\n";
        let mut universe = Universe::new(&["amd64"]).unwrap();
        let baseline = Baseline { status: status.into(), extended_states: extended.into() };
        let strange = baseline.install_into(&mut universe).unwrap();
        assert!(strange.len() == 1 && strange[0].contains("m68k"), "{strange:?}");
        let package = |name| universe.find_package(name, 0);
        let (here, kept) = (package("here").unwrap(), package("kept").unwrap());
        assert!(universe.installed(here).is_some() && universe.is_automatic(here) && !universe.is_held(here));
        assert!(universe.installed(kept).is_some() && !universe.is_automatic(kept) && universe.is_held(kept));
        assert_eq!((package("gone"), package("strange")), (None, None));
        let broken = Baseline { status: "Package: a\nStatus: installed\n".into(), ..Baseline::default() };
        assert!(broken.install_into(&mut universe).unwrap_err().contains("three words"));
    }
}
