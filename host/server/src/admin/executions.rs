//! Executions: recorded and running.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery};
use super::followed::{self, Resumption};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use elias_api::{ExecutionFilter, ExecutionRecord, RunningExecution, RunningFilter};
use elias_names::{ComponentName, Environment, TenantId};
use elias_platform::Platform;
use elias_platform::access::Permission;
use futures::Stream;
use http::StatusCode;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(running))
        .routes(routes!(stream))
        .routes(routes!(show))
        .routes(routes!(cancel))
}

/// List the executions of a tenant, newest first.
///
/// For busy components a sample of the successful executions is recorded, and all failures up to a limit.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions",
    operation_id = "executions_list",
    tag = "executions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), ExecutionFilter, PageQuery),
    responses(
        (status = 200, description = "A page of executions.", body = Page<ExecutionRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<ExecutionFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ExecutionRecord>>, Problem> {
    let limit = page.limit()?;
    let filter = ExecutionFilter { before: page.after.or(filter.before), ..filter };
    let found = platform.executions(&session, &tenant, &filter, limit).await?;
    Ok(Json(Page::new(found, limit, |execution| execution.id.clone())))
}

/// List a tenant's running executions on this host, the longest-running first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions/running",
    operation_id = "executions_running",
    tag = "executions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), RunningFilter, PageQuery),
    responses(
        (status = 200, description = "A page of running executions.", body = Page<RunningExecution>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn running(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<RunningFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<RunningExecution>>, Problem> {
    let limit = page.limit()?;
    let found = platform.running(&session, &tenant, &filter, (page.after(), limit))?;
    Ok(Json(Page::new(found, limit, |execution| execution.id.clone())))
}

/// A filter for a stream of executions.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct StreamFilter {
    /// Only executions of this component; absent for all components.
    component: Option<ComponentName>,
    /// Only executions in this environment; absent for all environments.
    environment: Option<Environment>,
    /// Only executions with this outcome: `completed`, `failed` or `cancelled`; absent for all outcomes.
    outcome: Option<String>,
}

impl StreamFilter {
    fn matches(&self, record: &ExecutionRecord) -> bool {
        self.component.as_ref().is_none_or(|component| *component == record.component)
            && self.environment.is_none_or(|environment| environment == record.environment)
            && self.outcome.as_ref().is_none_or(|outcome| *outcome == record.outcome)
    }
}

/// Follow a tenant's executions on this host as they are recorded, as server-sent events.
///
/// `execution` events contain a JSON object each; `lost` events contain how many executions of the tenant a slow reader
/// missed. A client that comes back with the id of the last event as `Last-Event-ID` gets the executions since then, of
/// which the host keeps the newest thousand for a minute, or first an event `reset` if the host does not know that id
/// any more. The stream ends within a second of the expiry or revocation of the token, or of a change of its role, with
/// an event `end` that has the code and the reason.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions/stream",
    operation_id = "executions_stream",
    tag = "executions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), StreamFilter),
    responses(
        (status = 200, description = "The events.", body = ExecutionRecord, content_type = "text/event-stream"),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn stream(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    resumption: Resumption,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<StreamFilter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let follower = platform.follow_executions(&session, &tenant, resumption.position())?;
    let filter = Arc::new(filter);
    let reader = (platform.clone(), session.clone());
    let event = move |record: Arc<ExecutionRecord>| {
        let ((platform, session), filter) = (reader.clone(), Arc::clone(&filter));
        async move {
            // Of what it may not read a client does not learn that it is there.
            if !filter.matches(&record) || !platform.may_read(&session, &record).await {
                return None;
            }
            let text = serde_json::to_string(&*record).unwrap_or_default();
            Some(Event::default().event("execution").data(text))
        }
    };
    let run = platform.run_id().to_owned();
    let confirm = move || {
        let (platform, session, tenant) = (platform.clone(), session.clone(), tenant.clone());
        async move { platform.confirm(&session, Permission::Read, &tenant, None).await }
    };
    Ok(followed::respond(run, follower, resumption, event, confirm))
}

/// Show a recorded execution.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions/{execution}",
    operation_id = "executions_show",
    tag = "executions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("execution" = String, Path, description = "The id of the execution."),
    ),
    responses(
        (status = 200, description = "The execution.", body = ExecutionRecord),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Json<ExecutionRecord>, Problem> {
    Ok(Json(platform.execution(&session, &tenant, &id).await?))
}

/// Cancel a running execution on this host.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/executions/{execution}/cancel",
    operation_id = "executions_cancel",
    tag = "executions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("execution" = String, Path, description = "The id of the execution."),
    ),
    responses(
        (status = 204, description = "The execution was cancelled."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn cancel(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.cancel(&session, &tenant, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
