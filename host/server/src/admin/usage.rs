//! What is measured and counted of tenants: metrics of services over time, usage by hours, adoption by weeks.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery, bad_input};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::{AdoptionFilter, AdoptionWeek, MetricQuery, MetricSeries, UsageFilter, UsageRecord};
use elias_names::TenantId;
use elias_platform::Platform;
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The media type of a CSV file.
const CSV: &str = "text/csv; charset=utf-8; header=present";

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(metric))
        .routes(routes!(tenant_usage))
        .routes(routes!(tenant_usage_csv))
        .routes(routes!(usage))
        .routes(routes!(usage_csv))
        .routes(routes!(adoption))
}

/// Show a metric of a tenant's services over time.
///
/// Counts are sums of a step over all hosts; a host adds those of a minute when it has ended.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/metrics",
    operation_id = "metrics_show",
    tag = "usage",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), MetricQuery),
    responses(
        (status = 200, description = "The values of the metric.", body = MetricSeries),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn metric(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(query): ApiQuery<MetricQuery>,
) -> Result<Json<MetricSeries>, Problem> {
    Ok(Json(platform.metric(&session, &tenant, &query).await?))
}

/// List the usage of a tenant by hours, oldest first.
///
/// It includes what this host has counted until now, and what other hosts had counted some seconds ago.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/usage",
    operation_id = "usage_tenant",
    tag = "usage",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), UsageFilter, PageQuery),
    responses(
        (status = 200, description = "A page of hours in which anything was used.", body = Page<UsageRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn tenant_usage(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<UsageFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<UsageRecord>>, Problem> {
    let (limit, after) = (page.limit()?, page.after.as_deref().map(hour).transpose()?);
    let found = platform.usage(&session, &tenant, &filter, (after, limit)).await?;
    Ok(Json(Page::new(found, limit, |usage| usage.hour_at.to_string())))
}

/// Show the usage of a tenant by hours as a CSV file.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/usage.csv",
    operation_id = "usage_tenant_csv",
    tag = "usage",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), UsageFilter),
    responses(
        (status = 200, description = "The file, with the names of the columns in its first line.", body = String,
            content_type = "text/csv"),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn tenant_usage_csv(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<UsageFilter>,
) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, CSV)], platform.usage_csv(&session, Some(&tenant), &filter).await?).into_response())
}

/// List the usage of all tenants by hours, oldest first.
///
/// A token of the tenant `system` with the role `operator` is enough.
#[utoipa::path(
    get,
    path = "/usage",
    operation_id = "usage_list",
    tag = "usage",
    params(UsageFilter, PageQuery),
    responses(
        (status = 200, description = "A page of hours of tenants.", body = Page<UsageRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn usage(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiQuery(filter): ApiQuery<UsageFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<UsageRecord>>, Problem> {
    let (limit, after) = (page.limit()?, page.after.as_deref().map(hour_and_tenant).transpose()?);
    let found = platform.usage_of_all(&session, &filter, after, limit).await?;
    Ok(Json(Page::new(found, limit, |usage| format!("{}/{}", usage.hour_at, usage.tenant))))
}

/// Show the usage of all tenants by hours as a CSV file.
#[utoipa::path(
    get,
    path = "/usage.csv",
    operation_id = "usage_csv",
    tag = "usage",
    params(UsageFilter),
    responses(
        (status = 200, description = "The file, with the names of the columns in its first line.", body = String,
            content_type = "text/csv"),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn usage_csv(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiQuery(filter): ApiQuery<UsageFilter>,
) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, CSV)], platform.usage_csv(&session, None, &filter).await?).into_response())
}

/// List the adoption of the platform by a tenant by weeks, newest last.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/adoption",
    operation_id = "adoption_list",
    tag = "usage",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), AdoptionFilter),
    responses(
        (status = 200, description = "The weeks.", body = Page<AdoptionWeek>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn adoption(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<AdoptionFilter>,
) -> Result<Json<Page<AdoptionWeek>>, Problem> {
    let items = platform.adoption(&session, &tenant, filter.weeks).await?;
    Ok(Json(Page { items, next: None }))
}

/// The hour after which a page begins.
fn hour(after: &str) -> Result<i64, Problem> {
    after.parse().map_err(|_| bad_input("`after` must be the value of `next` of the previous page"))
}

/// The hour and the tenant after which a page begins.
fn hour_and_tenant(after: &str) -> Result<(i64, TenantId), Problem> {
    let parts = after.split_once('/').and_then(|(hour, tenant)| Some((hour.parse().ok()?, tenant.parse().ok()?)));
    parts.ok_or_else(|| bad_input("`after` must be the value of `next` of the previous page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_after_an_hour_of_a_tenant() {
        let (at, tenant) = hour_and_tenant("3600000/acme").expect("an hour and a tenant");
        assert_eq!((at, tenant.as_str(), hour("3600000").expect("an hour")), (3_600_000, "acme", 3_600_000));
        for wrong in ["", "/", "x/acme", "1/", "1/A_B", "1"] {
            assert!(hour_and_tenant(wrong).is_err(), "{wrong}");
        }
        assert!(hour("x").is_err());
    }
}
