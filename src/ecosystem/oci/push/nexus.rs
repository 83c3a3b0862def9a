//! Nexus: behind a proxy it names itself wrongly where one signs in (sonatype/nexus-public#611, #651, #580, #435) and where
//! uploads go on; and it may not answer HEAD for manifests as it answers GET (#1059).

use url::Url;

use crate::ecosystem::push::{Product, PushOrder};
use crate::net::Realm;
use crate::problem::{Kind, Problem};

/// Where tokens are asked for.
///
/// # Errors
/// Usage, if the realm that was given is no address to sign in at.
pub(super) fn realm(order: &PushOrder) -> Result<Realm, Problem> {
    let Some(text) = &order.realm else {
        return Ok(if order.product == Product::Nexus { Realm::OwnHost } else { Realm::Named });
    };
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.map(Realm::At).ok_or_else(|| {
        Problem::new(Kind::Usage, "push.realm", "this is not the address of a place to sign in at")
            .hint("write https://HOST/v2/token, without an account in it")
    })
}
