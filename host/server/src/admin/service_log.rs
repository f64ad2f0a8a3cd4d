//! The log of a service, as it is written.

use super::confirmed::{looks, while_confirmed};
use super::extract::{ApiPath, Authenticated};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::ServicePath;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use elias_api::{Error, FollowedLine};
use elias_names::ServiceId;
use elias_platform::Platform;
use elias_platform::access::Permission;
use futures::{Stream, StreamExt};
use std::convert::Infallible;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(logs))
}

/// Follow the log of a service on this host, as server-sent events.
///
/// `line` events contain a JSON object each; `lost` events contain how many lines a slow reader missed. The stream ends
/// within a second of the expiry or revocation of the token, or of a change of its role, with an event `end` that has
/// the code and the reason.
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
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = ServiceId::from(path);
    let lines = futures::stream::unfold(platform.follow_log(&session, &id)?, |mut lines| async move {
        let event = match lines.recv().await {
            Ok(line) => Event::default().event("line").data(serde_json::to_string(&line).unwrap_or_default()),
            Err(RecvError::Lagged(lost)) => Event::default().event("lost").data(lost.to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((event, lines))
    });
    let confirm = move || {
        let (platform, session, id) = (platform.clone(), session.clone(), id.clone());
        async move { platform.confirm(&session, Permission::Read, &id.tenant, &id).await }
    };
    let events = while_confirmed(lines, looks(), confirm);
    let events = events.map(|event| Ok(event.unwrap_or_else(|error| end_event(&error))));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// The last event of a stream whose client has lost its permission.
fn end_event(error: &Error) -> Event {
    let reason = serde_json::json!({ "code": error.code().as_str(), "detail": error.to_string() });
    Event::default().event("end").data(reason.to_string())
}
