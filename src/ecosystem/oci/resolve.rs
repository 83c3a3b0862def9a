//! Resolving: from the names of images to all manifests that belong to them.

use std::collections::{BTreeMap, BTreeSet};

use super::asking::{Asked, Asking, Source};
use super::found::Found;
use super::platform::Platform;
use super::reference::{Name, Reference};
use super::registries::Registries;
use super::request::{self, Image};
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
    let mut wanted: BTreeMap<(Name, Source), (BTreeSet<Asked>, BTreeSet<String>)> = BTreeMap::new();
    for request in requests {
        for Image { reference: Reference { name, which }, held } in request::images(request)? {
            let source = if held.is_some() { Source::Store } else { Source::Registry };
            let (asked, requests) = wanted.entry((name, source)).or_default();
            asked.insert(Asked { which, held });
            requests.insert(request.text.clone());
        }
    }
    let mut found = Found::new(context.scratch());
    for ((name, source), (asked, requests)) in wanted {
        found.requests = requests;
        let asking = Asking {
            name: &name,
            source,
            checks_platform: !platforms.is_empty(),
            registries: &registries,
            context,
        };
        Walk::new(asking, &platforms, &mut found).follow(&asked).await?;
    }
    blocking(move || found.settle()).await
}
