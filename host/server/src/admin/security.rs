//! Security events: the list of them, and the denials of the admin API, which become some.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use elias_api::{Code, SecurityEvent, SecurityFilter};
use elias_names::TenantId;
use elias_platform::{Platform, Session};
use std::sync::{Arc, OnceLock};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List the security events of a tenant, those of the newest hour first.
///
/// These are requests that a token does not allow, requests of components to servers that they are not granted, tokens
/// that are not valid, and limits that were reached. Repeats within an hour are one event with their number. Events of
/// tokens that nobody has are in the tenant `system`.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/security-events",
    operation_id = "security_events_list",
    tag = "security",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), SecurityFilter, PageQuery),
    responses(
        (status = 200, description = "A page of events.", body = Page<SecurityEvent>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<SecurityFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<SecurityEvent>>, Problem> {
    let limit = page.limit()?;
    let found = platform.security_events(&session, &tenant, &filter, page.after, limit).await?;
    Ok(Json(Page::new(found, limit, |event| event.id.clone())))
}

/// The session of a request once it is authenticated, in its extensions: the middleware around all routes sees it too.
#[derive(Clone, Default)]
pub(super) struct SessionSlot(Arc<OnceLock<Session>>);

impl SessionSlot {
    pub(super) fn fill(&self, session: &Session) {
        // A request has one session; the second is the same.
        let _ = self.0.set(session.clone());
    }
}

/// The code of a refusal, in the extensions of its response.
#[derive(Clone, Copy)]
pub(super) struct RefusalCode(pub(super) Code);

/// Notes requests that a session was not allowed. All of them come by here, whichever route refuses them.
pub(super) async fn note_denials(State(platform): State<Platform>, mut request: Request, next: Next) -> Response {
    let slot = SessionSlot::default();
    request.extensions_mut().insert(slot.clone());
    // The route and not the path, which has names that the client chooses.
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let response = next.run(request).await;
    if let (Some(RefusalCode(code @ Code::Forbidden)), Some(session)) =
        (response.extensions().get::<RefusalCode>(), slot.0.get())
    {
        let subject = format!("{method} {}", route.as_ref().map_or("", MatchedPath::as_str));
        platform.note_denial(session, subject.trim_end(), *code);
    }
    response
}
