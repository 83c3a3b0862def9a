//! Harbor: images stand in projects, which nobody makes by pushing (goharbor/harbor#6892), and one that is missing looks
//! as if the account were not let in (goharbor/harbor#966). So they are looked for before.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use super::super::reference::Name;
use super::registry::Target;
use crate::ecosystem::push::Ledger;
use crate::net::{Payload, Unsent, Upload};
use crate::problem::{Kind, Problem};

/// Where Harbor's interface has its projects (goharbor/harbor, `api/v2.0/swagger.yaml`).
const PROJECTS: &str = "api/v2.0/projects";

impl Target<'_> {
    /// Sees to it that the project of a repository is there; made, if that is wanted, for nobody but its members. Whether it
    /// is still to be made, which is so in a dry run alone.
    ///
    /// # Errors
    /// If it is not there, or cannot be made.
    pub(super) async fn ensure_project(&self, name: &Name, ledger: &mut Ledger) -> Result<bool, Problem> {
        let (project, _) = name.path.split_once('/').ok_or_else(|| {
            Problem::new(Kind::Usage, "push.name", format!("{name} has no project, which Harbor wants"))
                .hint("name one in the target: docker://HOST/PROJECT")
        })?;
        // Held meanwhile, so that it is made once.
        let mut known = self.projects.lock().await;
        if let Some(is_to_come) = known.get(project) {
            return Ok(*is_to_come);
        }
        let query = format!("{PROJECTS}?project_name={project}");
        let looked = self.ask_harbor(Method::HEAD, name, &query, Payload::Nothing, &[200, 404]).await;
        let is_there = match looked {
            Ok(status) => status == 200,
            // Robots may push though they may not look at projects.
            Err(problem) if matches!(problem.code.as_ref(), "net.unauthorized" | "net.forbidden") => true,
            Err(problem) => return Err(problem),
        };
        if !is_there {
            if !self.order.creates_projects {
                return Err(Problem::new(
                    Kind::Refused,
                    "push.no-project",
                    format!("Harbor has no project {project:?}"),
                )
                .at(name)
                .hint("make it there, or let it be made: --create-projects"));
            }
            if !self.order.dry_run {
                self.make_project(project, name).await?;
            }
            ledger.projects.push(format!("{}/{project}", name.registry));
        }
        let is_to_come = !is_there && self.order.dry_run;
        known.insert(project.to_owned(), is_to_come);
        Ok(is_to_come)
    }

    async fn make_project(&self, project: &str, name: &Name) -> Result<(), Problem> {
        let wanted = json!({"project_name": project, "metadata": {"public": "false"}}).to_string();
        // Somebody else may have made it meanwhile.
        let taken = [200, 201, 409];
        let made = self.ask_harbor(Method::POST, name, PROJECTS, Payload::Bytes(wanted.into()), &taken).await;
        made.map(drop).map_err(|problem| {
            problem.hint("the account has to be allowed to make projects; robots of one project are not")
        })
    }

    async fn ask_harbor(
        &self,
        method: Method,
        name: &Name,
        path: &str,
        payload: Payload,
        accepted: &[u16],
    ) -> Result<u16, Problem> {
        let access = self.registries.access_beside(name, path, self.context.machine()).await?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let mut attempts = self.context.client().attempts();
        loop {
            let (method, headers, payload) = (method.clone(), headers.clone(), payload.clone());
            let upload = Upload { method, access: &access, headers, payload };
            match self.context.client().send(&upload, accepted).await {
                Ok(sent) => return Ok(sent.status()),
                Err(unsent) => {
                    attempts.again(unsent).await.map_err(|unsent: Unsent| Problem::from(unsent))?
                }
            }
        }
    }
}
