//! The one list of ecosystems.

use super::Ecosystem;

/// All ecosystems of this build. Adding one is a folder, a feature and a line here.
pub static ECOSYSTEMS: &[&dyn Ecosystem] = &[
    #[cfg(feature = "file")]
    &super::file::FileEcosystem,
    #[cfg(feature = "npm")]
    &super::npm::Npm,
    #[cfg(feature = "oci")]
    &super::oci::Oci,
];

/// The ecosystem of that name or alias.
pub fn find(name: &str) -> Option<&'static dyn Ecosystem> {
    ECOSYSTEMS.iter().copied().find(|e| e.name() == name || e.aliases().contains(&name))
}
