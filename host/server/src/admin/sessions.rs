//! Sessions of browsers in the web console, and the client of the identity provider for the command line.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_api::{ConsoleSession, SignInClient};
use elias_names::TenantId;
use elias_platform::Platform;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(sign_in)).routes(routes!(list)).routes(routes!(end))
}

/// Show the identity provider's client for the command line.
///
/// The operation needs no token: `elias login` begins with it.
#[utoipa::path(
    get,
    path = "/sign-in",
    operation_id = "sessions_sign_in",
    tag = "access",
    security(()),
    responses(
        (status = 200, description = "The client, with its provider.", body = SignInClient),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn sign_in(State(platform): State<Platform>) -> Result<Json<SignInClient>, Problem> {
    Ok(Json(platform.command_line_client()?))
}

/// List the sessions of browsers in the web console by id.
///
/// Admins see all sessions of the tenant, everyone else sees their own.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/sessions",
    operation_id = "sessions_list",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of sessions.", body = Page<ConsoleSession>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ConsoleSession>>, Problem> {
    let limit = page.limit()?;
    let found = platform.console_sessions(&session, &tenant, page.after(), limit).await?;
    Ok(Json(Page::new(found, limit, |found| found.id.clone())))
}

/// End a session of a browser in the web console.
///
/// Its requests are refused on this host at once, on other hosts within 15 seconds. Admins can end all sessions of the
/// tenant, everyone else their own.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/sessions/{session}",
    operation_id = "sessions_end",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("session" = String, Path, description = "The id of the session."),
    ),
    responses(
        (status = 204, description = "The session was ended."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn end(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.end_session(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
