//! The databases of components.

use super::extract::{ApiJson, ApiPath, Authenticated};
use super::problem::{Problem, ProblemDocument};
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

/// Run a statement on the component's database. It only reads unless `write` is set, and is written to the audit trail
/// without the values of its parameters. A SQLite database is that of the host that is asked.
#[utoipa::path(post, operation_id = "databases_query",
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/database/query", tag = "databases",
    params(ServicePath), request_body = DatabaseQuery, responses(
    (status = 200, description = "The result of the statement", body = DatabaseResult),
    (status = "default", description = "An error", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn query(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(query): ApiJson<DatabaseQuery>,
) -> Result<Json<DatabaseResult>, Problem> {
    Ok(Json(platform.query_database(&session, &path.into(), &query).await?))
}
