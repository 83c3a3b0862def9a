//! Installing with npm what was collected for a lockfile.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

use super::setup::NpmSetup;
use crate::ecosystem::{
    Attempt, Attempts, CollectContext, Install, Note, Request, RequestBody, Setup as _, SetupServer,
};
use crate::problem::Problem;

/// The largest document of a project that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// Installs with npm.
pub(super) struct NpmInstall;

#[async_trait]
impl Install for NpmInstall {
    async fn attempts(
        &self,
        requests: &[Request],
        _platforms: &[String],
        server: &str,
        context: &dyn CollectContext,
    ) -> Result<Attempts, Problem> {
        let mut all = Attempts::default();
        for request in requests {
            match attempt(request, server, context).await? {
                Ok(attempt) => all.attempts.push(attempt),
                Err(why) => all.notes.push(Note {
                    code: "npm.not-tried".to_owned(),
                    subject: request.text.clone(),
                    message: format!("is not tried: {why}"),
                }),
            }
        }
        Ok(all)
    }
}

/// What installs a request, or why npm cannot.
async fn attempt(
    request: &Request,
    server: &str,
    context: &dyn CollectContext,
) -> Result<Result<Attempt, &'static str>, Problem> {
    let RequestBody::Document { path, .. } = &request.body else { return Ok(Err("npm installs lockfiles")) };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !["package-lock.json", "npm-shrinkwrap.json"].contains(&name) {
        return Ok(Err("npm reads package-lock.json and npm-shrinkwrap.json alone"));
    }
    let manifest = context.read(&path.with_file_name("package.json"), LARGEST).await?;
    let (Some(manifest), Some(lock)) = (manifest, context.read(path, LARGEST).await?) else {
        return Ok(Err("there is no package.json beside it"));
    };
    let told = SetupServer { address: server, ..SetupServer::default() };
    let configuration = NpmSetup.configuration(&told)?;
    // Addresses of the registry that it was locked with lead nowhere inside.
    let lock = NpmSetup.rewrite_lock(&told, Path::new(name), &lock)?.text;
    let npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    Ok(Ok(Attempt {
        what: request.text.clone(),
        files: vec![
            ("package.json".to_owned(), manifest),
            (name.to_owned(), lock.into()),
            (configuration.path.to_owned(), Bytes::from(configuration.text)),
        ],
        variables: Vec::new(),
        steps: vec![npm.map(str::to_owned).to_vec()],
    }))
}
