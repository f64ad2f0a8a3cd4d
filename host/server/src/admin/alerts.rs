//! The routes of the admin API for alerts: the alerts themselves, rules, silences and receivers.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::{Alert, AlertRule, Receiver, ReceiverTest, Silence};
use elias_names::{AlertRuleName, ComponentName, Environment, ReceiverName, TenantId};
use elias_platform::Platform;
use elias_telemetry::alert::{AlertRuleSettings, SilenceSettings};
use elias_telemetry::notification::ReceiverSettings;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(list_rules))
        .routes(routes!(show_rule, set_rule, delete_rule))
        .routes(routes!(list_silences, create_silence))
        .routes(routes!(delete_silence))
        .routes(routes!(list_receivers))
        .routes(routes!(set_receiver, delete_receiver))
        .routes(routes!(test_receiver))
}

/// List the alerts of a tenant that are not inactive, by rule, component and environment.
///
/// The alerts of the hosts belong to the tenant `system`. Alerts that were resolved are listed for an hour.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/alerts",
    operation_id = "alerts_list",
    tag = "alerts",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of alerts.", body = Page<Alert>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Alert>>, Problem> {
    let key = |alert: &Alert| {
        let component = alert.component.as_ref().map_or("", ComponentName::as_str);
        let environment = alert.environment.map_or("", Environment::as_str);
        format!("{}/{component}/{environment}", alert.rule)
    };
    Ok(Json(Page::of_list(platform.alerts(&session, &tenant).await?, &page, key)?))
}

/// List the alert rules that hold for a tenant, by name.
///
/// These are the rules that the tenant has set, and the built-in ones in whose place it has set none.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/alert-rules",
    operation_id = "alert_rules_list",
    tag = "alerts",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of alert rules.", body = NamedPage<AlertRule>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list_rules(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<AlertRule>>, Problem> {
    let rules = platform.alert_rules(&session, &tenant).await?;
    let page = Page::of_list(rules, &page, |rule| rule.name.to_string())?;
    Ok(Json(page.named(&platform, &tenant, |rule| &rule.changed_by).await?))
}

/// Show an alert rule.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/alert-rules/{rule}",
    operation_id = "alert_rules_show",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("rule" = AlertRuleName, Path, description = "The name of the rule."),
    ),
    responses(
        (status = 200, description = "The rule, with its revision as `ETag`.", body = AlertRule),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show_rule(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, rule)): ApiPath<(TenantId, AlertRuleName)>,
) -> Result<Response, Problem> {
    let found = platform.alert_rule(&session, &tenant, &rule).await?;
    Ok(with_etag(found.revision, found))
}

/// Create or replace an alert rule.
///
/// A rule with the name of a built-in one takes its place. `If-Match` with the revision refuses the change if the rule
/// was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/alert-rules/{rule}",
    operation_id = "alert_rules_set",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("rule" = AlertRuleName, Path, description = "The name of the rule."),
    ),
    request_body = AlertRuleSettings,
    responses(
        (status = 200, description = "The rule was created or changed.", body = AlertRule),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_rule(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, rule)): ApiPath<(TenantId, AlertRuleName)>,
    ApiJson(settings): ApiJson<AlertRuleSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_alert_rule(&session, &tenant, &rule, settings, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete an alert rule.
///
/// The built-in rule of its name, if there is one, holds again. To switch a built-in rule off, set one with `enabled`
/// false in its place.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/alert-rules/{rule}",
    operation_id = "alert_rules_delete",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("rule" = AlertRuleName, Path, description = "The name of the rule."),
    ),
    responses(
        (status = 204, description = "The rule was deleted."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn delete_rule(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, rule)): ApiPath<(TenantId, AlertRuleName)>,
) -> Result<StatusCode, Problem> {
    platform.delete_alert_rule(&session, &tenant, &rule).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the silences of a tenant that have not ended, by id.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/silences",
    operation_id = "silences_list",
    tag = "alerts",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of silences.", body = NamedPage<Silence>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list_silences(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<Silence>>, Problem> {
    let silences = platform.silences(&session, &tenant).await?;
    let page = Page::of_list(silences, &page, |silence| silence.id.clone())?;
    Ok(Json(page.named(&platform, &tenant, |silence| &silence.created_by).await?))
}

/// Create a silence.
///
/// Receivers are not told of the alerts that it matches, also of those that fire already, until it ends.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/silences",
    operation_id = "silences_create",
    tag = "alerts",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = SilenceSettings,
    responses(
        (status = 201, description = "The silence was created.", body = Silence),
        (
            status = "default",
            description = refused!(404 "not-found", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn create_silence(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(settings): ApiJson<SilenceSettings>,
) -> Result<Response, Problem> {
    let silence = platform.create_silence(&session, &tenant, settings).await?;
    Ok((StatusCode::CREATED, Json(silence)).into_response())
}

/// End a silence.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/silences/{silence}",
    operation_id = "silences_delete",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("silence" = String, Path, description = "The id of the silence."),
    ),
    responses(
        (status = 204, description = "The silence has ended."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn delete_silence(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, silence)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.delete_silence(&session, &tenant, &silence).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the receivers of a tenant, by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/receivers",
    operation_id = "receivers_list",
    tag = "alerts",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of receivers.", body = NamedPage<Receiver>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list_receivers(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<Receiver>>, Problem> {
    let receivers = platform.receivers(&session, &tenant).await?;
    let page = Page::of_list(receivers, &page, |receiver| receiver.name.to_string())?;
    Ok(Json(page.named(&platform, &tenant, |receiver| &receiver.changed_by).await?))
}

/// Create or replace a receiver.
///
/// Its settings are stored encrypted, and what is secret in them is not shown again. `If-Match` with the revision
/// refuses the change if the receiver was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/receivers/{receiver}",
    operation_id = "receivers_set",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("receiver" = ReceiverName, Path, description = "The name of the receiver."),
    ),
    request_body = ReceiverSettings,
    responses(
        (status = 200, description = "The receiver was created or changed.", body = Receiver),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_receiver(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, receiver)): ApiPath<(TenantId, ReceiverName)>,
    ApiJson(settings): ApiJson<ReceiverSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_receiver(&session, &tenant, &receiver, &settings, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete a receiver, and the notifications that it did not get yet.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/receivers/{receiver}",
    operation_id = "receivers_delete",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("receiver" = ReceiverName, Path, description = "The name of the receiver."),
    ),
    responses(
        (status = 204, description = "The receiver was deleted."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "in-use"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn delete_receiver(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, receiver)): ApiPath<(TenantId, ReceiverName)>,
) -> Result<StatusCode, Problem> {
    platform.delete_receiver(&session, &tenant, &receiver).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test notification to a receiver, and say whether it was taken.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/receivers/{receiver}/test",
    operation_id = "receivers_test",
    tag = "alerts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("receiver" = ReceiverName, Path, description = "The name of the receiver."),
    ),
    responses(
        (status = 200, description = "The result of the attempt.", body = ReceiverTest),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn test_receiver(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, receiver)): ApiPath<(TenantId, ReceiverName)>,
) -> Result<Json<ReceiverTest>, Problem> {
    Ok(Json(platform.test_receiver(&session, &tenant, &receiver).await?))
}
