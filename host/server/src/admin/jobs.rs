//! Jobs: enqueued, listed, shown, cancelled, retried and discarded.

use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, Page, PageQuery, Traceparent};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::ServicePath;
use axum::Json;
use axum::extract::State;
use elias_api::{ChangedJobs, EnqueueRequest, EnqueuedJob, JobFilter, JobRecord, JobSelection, JobState, StepRecord};
use elias_names::TenantId;
use elias_platform::{Platform, Session};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(enqueue))
        .routes(routes!(list))
        .routes(routes!(cancel_selected))
        .routes(routes!(retry_selected))
        .routes(routes!(discard_selected))
        .routes(routes!(show))
        .routes(routes!(steps))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

/// A page of the jobs that a filter selects.
pub(super) async fn page_of(
    platform: &Platform,
    session: &Session,
    tenant: &TenantId,
    filter: JobFilter,
    page: PageQuery,
) -> Result<Page<JobRecord>, Problem> {
    let limit = page.limit()?;
    let filter = JobFilter { before: page.after.or(filter.before), ..filter };
    let found = platform.jobs(session, tenant, &filter, limit).await?;
    Ok(Page::new(found, limit, |job| job.id.clone()))
}

/// List the jobs of a tenant, newest first: unfinished ones, and ended ones whose records are kept.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/jobs",
    operation_id = "jobs_list",
    tag = "jobs",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), JobFilter, PageQuery),
    responses(
        (status = 200, description = "A page of jobs.", body = Page<JobRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<JobFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<JobRecord>>, Problem> {
    Ok(Json(page_of(&platform, &session, &tenant, filter, page).await?))
}

/// Enqueue a job.
///
/// The response comes when the job can no longer be lost. With a `key` that a kept job has, nothing is enqueued and the
/// response has the id of that job.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/jobs",
    operation_id = "jobs_enqueue",
    tag = "jobs",
    params(ServicePath),
    request_body = EnqueueRequest,
    responses(
        (status = 202, description = "The job was enqueued.", body = EnqueuedJob),
        (
            status = "default",
            description = refused!(
                404 "not-found", 409 "idempotency-mismatch", 413 "too-large", 429 "quota-exceeded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn enqueue(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    Traceparent(cause): Traceparent,
    ApiJson(request): ApiJson<EnqueueRequest>,
) -> Result<(StatusCode, Json<EnqueuedJob>), Problem> {
    let (id, is_new) = platform.enqueue_job(&session, &path.into(), request, cause).await?;
    Ok((StatusCode::ACCEPTED, Json(EnqueuedJob { id, existing: !is_new })))
}

/// Show a job.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/jobs/{job}",
    operation_id = "jobs_show",
    tag = "jobs",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("job" = String, Path, description = "The id of the job."),
    ),
    responses(
        (status = 200, description = "The job.", body = JobRecord),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Json<JobRecord>, Problem> {
    Ok(Json(platform.job(&session, &tenant, &id).await?))
}

/// List the steps of a job, in the order of its journal.
///
/// They are kept as long as the job's record, of jobs that are done or cancelled the newest 100,000 of a tenant.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/jobs/{job}/steps",
    operation_id = "jobs_steps",
    tag = "jobs",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("job" = String, Path, description = "The id of the job."),
        PageQuery,
    ),
    responses(
        (status = 200, description = "A page of steps.", body = Page<StepRecord>),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn steps(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<StepRecord>>, Problem> {
    let limit = page.limit()?;
    let from = page.after_number()?.map_or(0, |after| after.saturating_add(1));
    let found = platform.job_steps(&session, &tenant, &id, from, limit).await?;
    Ok(Json(Page::new(found, limit, |step| step.position.to_string())))
}

/// Cancel a job that waits, is ready or runs.
///
/// A running job ends as soon as its host notices, within some seconds. Jobs that were to run after it are dead.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/jobs/{job}/cancel",
    operation_id = "jobs_cancel",
    tag = "jobs",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("job" = String, Path, description = "The id of the job."),
    ),
    responses(
        (status = 204, description = "The job is cancelled, or its host was told to cancel it."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn cancel(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.cancel_job(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Retry a dead job.
///
/// The job has all its attempts again, and keeps the steps that it finished.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/jobs/{job}/retry",
    operation_id = "jobs_retry",
    tag = "jobs",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("job" = String, Path, description = "The id of the job."),
    ),
    responses(
        (status = 204, description = "The job is ready again."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn retry(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.retry_job(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Discard a dead job or dead letter.
///
/// Its record is deleted, with the steps that it finished: it cannot be retried any more. Its unique key is free.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/jobs/{job}/discard",
    operation_id = "jobs_discard",
    tag = "jobs",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("job" = String, Path, description = "The id of the job."),
    ),
    responses(
        (status = 204, description = "The job is deleted."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn discard(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.discard_job(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Discard the dead jobs of a selection.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/jobs/discard",
    operation_id = "jobs_discard_selected",
    tag = "jobs",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = JobSelection,
    responses(
        (status = 200, description = "The number of jobs that were deleted.", body = ChangedJobs),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn discard_selected(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(selection): ApiJson<JobSelection>,
) -> Result<Json<ChangedJobs>, Problem> {
    let filter = selection.filter(Some(JobState::Dead));
    Ok(Json(ChangedJobs { jobs: platform.discard_jobs(&session, &tenant, &filter).await? }))
}

/// Cancel the unfinished jobs of a selection.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/jobs/cancel",
    operation_id = "jobs_cancel_selected",
    tag = "jobs",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = JobSelection,
    responses(
        (status = 200, description = "The number of jobs that were cancelled.", body = ChangedJobs),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn cancel_selected(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(selection): ApiJson<JobSelection>,
) -> Result<Json<ChangedJobs>, Problem> {
    Ok(Json(ChangedJobs { jobs: platform.cancel_jobs(&session, &tenant, &selection.filter(None)).await? }))
}

/// Retry the dead jobs of a selection.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/jobs/retry",
    operation_id = "jobs_retry_selected",
    tag = "jobs",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = JobSelection,
    responses(
        (status = 200, description = "The number of jobs that are ready again.", body = ChangedJobs),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn retry_selected(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(selection): ApiJson<JobSelection>,
) -> Result<Json<ChangedJobs>, Problem> {
    let filter = selection.filter(Some(JobState::Dead));
    Ok(Json(ChangedJobs { jobs: platform.retry_jobs(&session, &tenant, &filter).await? }))
}
