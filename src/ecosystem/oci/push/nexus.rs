//! Nexus: behind a proxy it names itself wrongly where one signs in (sonatype/nexus-public#611, #651, #580, #435) and where
//! uploads go on; and it may not answer HEAD for manifests as it answers GET (#1059).

use url::Url;

use super::super::registries::Registries;
use crate::ecosystem::push::{Product, PushOrder};
use crate::net::Realm;
use crate::problem::{Kind, Problem};

/// The registries, where signing in is done as the target needs it.
///
/// # Errors
/// Usage, if the realm that was given is no address to sign in at.
pub(super) fn signing_in(order: &PushOrder, registries: Registries) -> Result<Registries, Problem> {
    let is_nexus = order.product == Product::Nexus;
    let realm = match &order.realm {
        Some(text) => Realm::At(read(text)?),
        None if is_nexus => Realm::OwnHost,
        None => Realm::Named,
    };
    Ok(registries.signing_in(realm, is_nexus))
}

fn read(text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    url.filter(|url| url.username().is_empty() && url.password().is_none()).ok_or_else(|| {
        Problem::new(Kind::Usage, "push.realm", "this is not the address of a place to sign in at")
            .hint("write https://HOST/v2/token, without an account in it")
    })
}
