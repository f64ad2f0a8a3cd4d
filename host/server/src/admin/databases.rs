//! The route of the admin API that runs a statement on a component's database.

use super::extract::{ApiJson, ApiPath, Authenticated};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::ServicePath;
use axum::Json;
use axum::extract::State;
use elias_api::{DatabaseQuery, DatabaseResult};
use elias_platform::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The end of the path whose responses have rows of a database in them.
pub(super) const QUERY: &str = "/database/query";

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(query))
}

/// Run a statement on the database of a component.
///
/// It only reads unless `write` is set. The audit trail gets the statement without the values of its parameters. A
/// SQLite database is that of the host that responds.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/database/query",
    operation_id = "databases_query",
    tag = "databases",
    params(ServicePath),
    request_body = DatabaseQuery,
    responses(
        (status = 200, description = "The result of the statement.", body = DatabaseResult),
        (
            status = "default",
            description = refused!(
                404 "not-found", 422 "read-only", 422 "sql", 422 "statement-timeout", 422 "result-too-large",
                422 "artifact-missing", 422 "missing-configuration", 422 "not-in-log", 422 "compile-timeout",
                422 "bad-configuration", 422 "capability-unavailable", 503 "overloaded", 503 "database-unavailable",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn query(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(query): ApiJson<DatabaseQuery>,
) -> Result<Json<DatabaseResult>, Problem> {
    Ok(Json(platform.query_database(&session, &path.into(), &query).await?))
}
