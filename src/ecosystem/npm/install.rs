//! Installing with npm what was collected: its lockfiles, projects and packages by name.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

use super::lock;
use super::request::PACKAGE_JSON;
use super::setup::Client;
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
    let configuration = Client::Npm.configuration(&told(server))?;
    let mut files = vec![(configuration.path.to_owned(), Bytes::from(configuration.text))];
    let mut words = vec!["npm"];
    match &request.body {
        RequestBody::Words(package) => {
            files.push((PACKAGE_JSON.to_owned(), Bytes::from_static(b"{}")));
            words.extend(["install", package]);
        }
        RequestBody::Document { path, .. } => {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(manifest) = context.read(&path.with_file_name(PACKAGE_JSON), LARGEST).await? else {
                return Ok(Err("there is no package.json beside it"));
            };
            if has_workspaces(&manifest) {
                return Ok(Err("its workspaces are in folders of their own"));
            }
            let mut project = Vec::new();
            match name {
                PACKAGE_JSON => words.push("install"),
                "package-lock.json" | "npm-shrinkwrap.json" => {
                    let lock = context.read(path, LARGEST).await?.unwrap_or_default();
                    // Addresses of the registry that it was locked with lead nowhere inside.
                    let lock = Client::Npm.rewrite_lock(&told(server), Path::new(name), &lock)?;
                    project = lock.project;
                    files.push((name.to_owned(), lock.text.into()));
                    words.push("ci");
                }
                _ => return Ok(Err("npm does not read it")),
            }
            let manifest = lock::rewrite_project(&String::from_utf8_lossy(&manifest), &project);
            files.push((PACKAGE_JSON.to_owned(), manifest.into()));
        }
        RequestBody::Blob { .. } => return Ok(Err("it is a file")),
    }
    words.extend(["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    let steps = vec![words.into_iter().map(str::to_owned).collect()];
    Ok(Ok(Attempt { what: request.text.clone(), files, steps, ..Attempt::default() }))
}

fn told(address: &str) -> SetupServer<'_> {
    SetupServer { address, ..SetupServer::default() }
}

/// Whether a project consists of several.
fn has_workspaces(manifest: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(manifest).is_ok_and(|read| read.get("workspaces").is_some())
}
