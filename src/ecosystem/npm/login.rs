//! `npm login` and `npm logout`, in the older way that all clients know. Those that try the newer one first, in a browser, fall
//! back to it where that is not there.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::serve::{NpmServe, capture};
use crate::ecosystem::{ClientRequest, SignIn};

/// What npm sends of somebody who signs in.
#[derive(Deserialize)]
struct User {
    name: String,
    password: Zeroizing<String>,
}

impl SignIn for NpmServe {
    fn credentials(&self, request: &ClientRequest) -> Option<(String, Zeroizing<String>)> {
        let user: User = serde_json::from_slice(&request.body).ok()?;
        (user.name == capture(request, "user")).then_some((user.name, user.password))
    }

    fn signed_in(&self, account: &str, token: &str) -> Bytes {
        let ok = format!("you are authenticated as '{account}'");
        let id = format!("org.couchdb.user:{account}");
        json!({ "ok": ok, "id": id, "rev": "1", "token": token }).to_string().into()
    }

    fn token(&self, request: &ClientRequest) -> String {
        capture(request, "token").to_owned()
    }

    fn signed_out(&self) -> Bytes {
        json!({ "ok": true }).to_string().into()
    }
}
