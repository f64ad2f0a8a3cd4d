//! The log of a service, as it is written.

use super::extract::{ApiPath, Authenticated};
use super::followed::{self, Resumption};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::ServicePath;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use elias_api::FollowedLine;
use elias_names::ServiceId;
use elias_platform::Platform;
use elias_platform::access::Permission;
use futures::Stream;
use std::convert::Infallible;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(logs))
}

/// Follow the log of a service on this host, as server-sent events.
///
/// `line` events contain a JSON object each; `lost` events contain how many lines a slow reader missed. A client that
/// comes back with the id of the last event as `Last-Event-ID` gets the lines since then, of which the host keeps the
/// newest thousand, or first an event `reset` if the host does not know that id. The stream ends within a second of the
/// expiry or revocation of the token, or of a change of its role, with an event `end` that has the code and the reason.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/logs",
    operation_id = "services_logs",
    tag = "services",
    params(ServicePath),
    responses(
        (status = 200, description = "The events.", body = FollowedLine, content_type = "text/event-stream"),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn logs(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    resumption: Resumption,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = ServiceId::from(path);
    let follower = platform.follow_log(&session, &id, resumption.position())?;
    let event = |line: FollowedLine| {
        let text = serde_json::to_string(&line).unwrap_or_default();
        std::future::ready(Some(Event::default().event("line").data(text)))
    };
    let run = platform.run_id().to_owned();
    let confirm = move || {
        let (platform, session, id) = (platform.clone(), session.clone(), id.clone());
        async move { platform.confirm(&session, Permission::Read, &id.tenant, &id).await }
    };
    Ok(followed::respond(run, follower, resumption, event, confirm))
}
