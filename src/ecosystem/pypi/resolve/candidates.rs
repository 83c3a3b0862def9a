//! What resolving has to know, and may not know yet.

use crate::ecosystem::pypi::metadata::Metadata;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::release::Release;

/// Where a project is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The index of that number.
    Index(usize),
    /// An address.
    Url(Box<str>),
}

/// What is known so far. `None` says that it is not known yet.
pub(crate) trait Candidates {
    /// What an index lists of a project, oldest first; nothing, if it has no such project.
    fn releases(&self, index: usize, project: &Name) -> Option<&[Release]>;
    /// What a file of an index says of itself, or why that cannot be had.
    fn metadata(&self, index: usize, project: &Name, file: &str) -> Option<Result<&Metadata, &str>>;
    /// What stands at an address says of itself, or why that cannot be had.
    fn metadata_at(&self, url: &str) -> Option<Result<&Metadata, &str>>;
}

/// What has to be known to go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Need {
    /// What an index lists of a project.
    Releases {
        /// The index.
        index: usize,
        /// The project.
        project: Name,
    },
    /// What a file of an index says of itself.
    Metadata {
        /// The index.
        index: usize,
        /// The project.
        project: Name,
        /// The file's name.
        file: String,
    },
    /// What stands at an address says of itself.
    MetadataAt {
        /// The address.
        url: Box<str>,
    },
}
