//! Resolving: from the names of images to all manifests that belong to them.

use std::collections::{BTreeMap, BTreeSet};

use super::found::Found;
use super::platform::Platform;
use super::reference::{Name, Reference, Which};
use super::registries::Registries;
use super::request;
use super::walk::Walk;
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Request, Resolution};
use crate::problem::Problem;

/// Resolves images for platforms; for all, if none is named.
pub(super) async fn resolve(
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let platforms: Vec<Platform> =
        platforms.iter().map(|text| Platform::read(text)).collect::<Result<_, _>>()?;
    let registries = Registries::load(context).await?;
    // What is asked of one repository is walked together: its tags are listed once, and what images share is read once.
    let mut wanted: BTreeMap<Name, BTreeSet<Which>> = BTreeMap::new();
    for request in requests {
        for Reference { name, which } in request::images(request)? {
            wanted.entry(name).or_default().insert(which);
        }
    }
    let mut found = Found::new(context.scratch());
    for (name, which) in &wanted {
        Walk::new(name, &platforms, &registries, context, &mut found).follow(which).await?;
    }
    blocking(move || found.settle()).await
}
