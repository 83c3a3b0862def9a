//! The one list of ecosystems.

use super::Ecosystem;

/// All ecosystems of this build. Adding one is a folder, a feature and a line here.
pub static ECOSYSTEMS: &[&dyn Ecosystem] = &[
    #[cfg(feature = "apt")]
    &super::apt::Apt,
    #[cfg(feature = "file")]
    &super::file::FileEcosystem,
    #[cfg(feature = "npm")]
    &super::npm::Npm,
    #[cfg(feature = "oci")]
    &super::oci::Oci,
    #[cfg(feature = "pypi")]
    &super::pypi::Pypi,
];

/// The ecosystem of that name.
pub fn find(name: &str) -> Option<&'static dyn Ecosystem> {
    ECOSYSTEMS.iter().copied().find(|ecosystem| ecosystem.name() == name)
}

/// The names of those whose repositories are never shown as one.
pub fn apart() -> Vec<&'static str> {
    ECOSYSTEMS.iter().filter(|it| it.repositories_stand_apart()).map(|it| it.name()).collect()
}

/// The ecosystem whose requests begin with that word.
pub fn of_word(word: &str) -> Option<&'static dyn Ecosystem> {
    ECOSYSTEMS.iter().copied().find(|ecosystem| ecosystem.words().contains(&word))
}
