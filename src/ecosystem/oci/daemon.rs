//! Images of a docker engine on this machine, by its socket (docker's engine interface, "Export an image").

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::layout::{self, Place};
use super::reference::{DOCKER, Reference, Which};
use super::request::Image;
use crate::ecosystem::CollectContext;
use crate::net::{Access, Route};
use crate::problem::{Kind, Problem};

/// Where docker listens if nobody says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// Takes an image of the engine into the store, and says which it is.
///
/// # Errors
/// If there is no engine, it does not have the image, or what it sends cannot be read.
pub(super) async fn take_in(
    reference: &Reference,
    context: &dyn CollectContext,
) -> Result<Vec<Image>, Problem> {
    let Which::Tag(tag) = &reference.which else {
        let message = format!("{reference} is not the name of an image that an engine has");
        return Err(Problem::new(Kind::Usage, "oci.bad-name", message)
            .hint("write it with its tag: docker-daemon:app:1.0"));
    };
    let socket = socket(context)?;
    // The engine knows the images of docker's own registry by their short names.
    let path = &reference.name.path;
    let short = path.strip_prefix("library/").unwrap_or(path);
    let name = match reference.name.registry.as_str() {
        DOCKER => format!("{short}:{tag}"),
        registry => format!("{registry}/{path}:{tag}"),
    };
    let mut url = Url::parse("http://localhost/images/get").map_err(|error| {
        Problem::new(Kind::Failed, "oci.bad-address", "the engine has no address").caused_by(&error)
    })?;
    url.query_pairs_mut().append_pair("names", &name);
    let route = Arc::new(Route { socket: Some(socket.clone()), ..Route::default() });
    let archive = context.download(&Access { route, ..Access::open(url) }).await.map_err(|problem| {
        let problem = problem.because(format!("the engine was asked for {name} at {}", socket.display()));
        problem.hint("docker image ls shows what it has; DOCKER_HOST says where it listens")
    })?;
    let place = Place {
        path: format!("docker-daemon:{name}"),
        only: Some(format!("{}:{tag}", reference.name)),
        name: Some(reference.name.clone()),
    };
    layout::take_in_archive(&place, archive, context).await
}

/// The engine's socket, as docker's own client finds it.
fn socket(context: &dyn CollectContext) -> Result<PathBuf, Problem> {
    let Some(host) = context.environment("DOCKER_HOST").filter(|host| !host.is_empty()) else {
        return Ok(PathBuf::from(SOCKET));
    };
    host.strip_prefix("unix://").map(PathBuf::from).ok_or_else(|| {
        let message = format!("DOCKER_HOST is {host:?}, and engines are only asked by their sockets");
        Problem::new(Kind::Usage, "oci.docker-host", message)
            .hint("save the image there with `docker save` and collect docker-archive:FILE")
    })
}
