//! Signing in to a registry, kept where docker keeps it: with the helper program that its file names, else in the file.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Oci;
use super::credential_helper;
use super::credentials;
use super::reference::check_registry;
use super::registries::{Registries, remedy};
use crate::ecosystem::{CollectContext, Keeping, Login, MetadataRequest};
use crate::net::{Access, Account, SignIn};
use crate::problem::{Kind, Problem};

/// The largest answer to who we are, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

#[async_trait]
impl Login for Oci {
    async fn log_in(
        &self,
        host: &str,
        user: &str,
        password: Zeroizing<String>,
        context: &dyn CollectContext,
    ) -> Result<Keeping, Problem> {
        check_registry(host).map_err(|why| {
            Problem::new(Kind::Usage, "oci.bad-registry", why).hint("a host, with its port if it has one")
        })?;
        if user.is_empty() || user.contains(':') || password.is_empty() {
            let message = "a user's name without colons and a password are needed";
            return Err(Problem::new(Kind::Usage, "oci.bad-account", message));
        }
        let registries = Registries::load(context).await?;
        let account = Account::Password { user: user.to_owned(), password: password.clone() };
        // What asks for no repository is answered to everybody who has an account.
        let sign_in = SignIn { account: Some(account), remedy: remedy(host), ..SignIn::default() };
        let ping = registries.ping(host, context).await?;
        let access = Access { sign_in: Some(Arc::new(sign_in)), ..ping };
        let request =
            MetadataRequest { access, accept: "application/json", limit: LARGEST_ANSWER, fresh: true };
        let answer = context.page(&request).await.map_err(|problem| match problem.code.as_ref() {
            "net.unauthorized" | "net.forbidden" => Problem::new(
                Kind::Refused,
                "oci.login-refused",
                format!("{host} does not know this user and password"),
            ),
            _ => problem,
        })?;
        if answer.is_none() {
            let message = format!("{host} is no registry: it knows nothing of /v2/");
            return Err(Problem::new(Kind::Usage, "oci.no-registry", message));
        }
        keep(&registries.server(host), user, password, context).await
    }
}

/// Keeps an account of a server, by the name that docker has for it.
async fn keep(
    server: &str,
    user: &str,
    password: Zeroizing<String>,
    context: &dyn CollectContext,
) -> Result<Keeping, Problem> {
    let path = credentials::docker_file(context).ok_or_else(|| {
        Problem::new(Kind::Usage, "oci.no-home", "HOME is not set, so there is no place for docker's file")
    })?;
    let mut content = read(&path, context).await?;
    let helper = content
        .get("credHelpers")
        .and_then(|helpers| helpers.get(server))
        .or_else(|| content.get("credsStore"));
    if let Some(helper) = helper.and_then(Value::as_str).filter(|helper| !helper.is_empty()) {
        let program = credential_helper::store(helper, server, (user, &password), &path, context).await?;
        return Ok(Keeping::Helper(program));
    }
    let auth = Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{user}:{}", *password)).as_bytes()));
    let damaged = || damaged(&path);
    let auths = content.as_object_mut().ok_or_else(damaged)?.entry("auths").or_insert_with(|| json!({}));
    if auths.is_null() {
        *auths = json!({});
    }
    auths.as_object_mut().ok_or_else(damaged)?.insert(server.to_owned(), json!({"auth": *auth}));
    let mut bytes = Zeroizing::new(serde_json::to_vec_pretty(&content).map_err(|_| damaged())?);
    bytes.push(b'\n');
    Ok(Keeping::File { path, bytes })
}

async fn read(path: &Path, context: &dyn CollectContext) -> Result<Value, Problem> {
    match context.read(path, credentials::LARGEST).await? {
        Some(bytes) if !bytes.trim_ascii().is_empty() => {
            serde_json::from_slice(&bytes).map_err(|_| damaged(path))
        }
        _ => Ok(json!({})),
    }
}

/// The parser's own words might repeat a secret.
fn damaged(path: &Path) -> Problem {
    Problem::new(Kind::Usage, "oci.damaged-config", "this is not a file of docker's").at(path.display())
}
