//! Tenants, their tokens and keys, and their audit trail.

use super::extract::{Asking, IfMatch, JsonOf, NamedPage, Page, PageQuery, PathOf, QueryOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_contract::note::VerifyingKey;
use elias_platform::access::{NewToken, Permission, TokenWithSecret};
use elias_platform::ceilings::Ceiling;
use elias_platform::name::TenantId;
use elias_platform::store::{AuditEntry, Role, SigningKeyEntry, Tenant, TenantSettings, Token, TokenRole};
use elias_platform::{Code, Error, Platform};
use http::StatusCode;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(whoami))
        .routes(routes!(list, create))
        .routes(routes!(show, change, delete))
        .routes(routes!(ceilings))
        .routes(routes!(tokens, create_token))
        .routes(routes!(revoke_token))
        .routes(routes!(keys, add_key))
        .routes(routes!(revoke_key))
        .routes(routes!(audit))
}

/// Who a token stands for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Whoami {
    /// The token's id.
    name: String,
    /// Whose it is.
    tenant: TenantId,
    /// What it may do.
    #[schema(value_type = String)]
    role: TokenRole,
    /// The role of the platform's that this one never exceeds.
    ceiling: Role,
    /// The components that it may act on; all of them if there is no list.
    components: Option<Vec<String>>,
}

/// Who the token stands for.
#[utoipa::path(get, operation_id = "tenants_whoami", path = "/whoami", tag = "access", responses(
    (status = 200, description = "It is so", body = Whoami), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn whoami(Asking(session): Asking) -> Json<Whoami> {
    let principal = &session.principal;
    Json(Whoami {
        name: principal.name.clone(),
        tenant: principal.tenant.clone(),
        role: principal.given.clone(),
        ceiling: principal.role,
        components: principal.components.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
    })
}

/// The tenants, by name.
#[utoipa::path(get, operation_id = "tenants_list", path = "/tenants", tag = "tenants", params(PageQuery), responses(
    (status = 200, description = "It is so", body = Page<Tenant>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn list(
    State(platform): State<Platform>,
    Asking(session): Asking,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    let limit = page.limit()?;
    let tenants = platform.tenants(&session, page.after(), limit).await?;
    Ok(Json(Page::new(tenants, limit, |tenant| tenant.tenant.to_string())))
}

/// A tenant that is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    /// Its name.
    tenant: TenantId,
    /// What it may do.
    #[serde(default)]
    settings: TenantSettings,
}

/// Makes a tenant.
#[utoipa::path(post, operation_id = "tenants_create", path = "/tenants", tag = "tenants", request_body = NewTenant, responses(
    (status = 201, description = "It is made", body = Tenant), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn create(
    State(platform): State<Platform>,
    Asking(session): Asking,
    JsonOf(new): JsonOf<NewTenant>,
) -> Result<Response, Problem> {
    let tenant = platform.create_tenant(&session, &new.tenant, &new.settings).await?;
    Ok((StatusCode::CREATED, tagged(&tenant)).into_response())
}

/// A tenant, with its revision as the ETag.
fn tagged(tenant: &Tenant) -> impl IntoResponse + use<> {
    ([(ETAG, format!("\"{}\"", tenant.revision))], Json(tenant.clone()))
}

/// A tenant.
#[utoipa::path(get, operation_id = "tenants_show", path = "/tenants/{tenant}", tag = "tenants", params(("tenant" = TenantId, Path)), responses(
    (status = 200, description = "It is so", body = Tenant), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn show(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
) -> Result<Response, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    Ok(tagged(&scope.this_tenant().await?).into_response())
}

/// Changes what a tenant may do.
#[utoipa::path(put, operation_id = "tenants_change", path = "/tenants/{tenant}", tag = "tenants", params(("tenant" = TenantId, Path)), request_body = TenantSettings, responses(
    (status = 200, description = "It is so", body = Tenant), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn change(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf(tenant): PathOf<TenantId>,
    JsonOf(settings): JsonOf<TenantSettings>,
) -> Result<Response, Problem> {
    Ok(tagged(&platform.set_tenant(&session, &tenant, &settings, revision).await?).into_response())
}

/// Deletes a tenant: nothing of it serves any more.
#[utoipa::path(delete, operation_id = "tenants_delete", path = "/tenants/{tenant}", tag = "tenants", params(("tenant" = TenantId, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn delete(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
) -> Result<StatusCode, Problem> {
    platform.delete_tenant(&session, &tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How much a tenant's versions may ask for: the ceilings that hold on this host, by the key of elias.toml.
#[utoipa::path(get, operation_id = "tenants_ceilings", path = "/tenants/{tenant}/ceilings", tag = "tenants", params(("tenant" = TenantId, Path)), responses(
    (status = 200, description = "The ceilings", body = Page<Ceiling>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn ceilings(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
) -> Result<Json<Page<Ceiling>>, Problem> {
    Ok(Json(Page { items: platform.ceilings(&session, &tenant).await?, next: None }))
}

/// A tenant's tokens, by id, without their secrets.
#[utoipa::path(get, operation_id = "tenants_tokens", path = "/tenants/{tenant}/tokens", tag = "access", params(("tenant" = TenantId, Path), PageQuery), responses(
    (status = 200, description = "It is so", body = Page<Token>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn tokens(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<Token>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    Ok(Json(Page::new(scope.tokens(page.after(), limit).await?, limit, |token| token.id.clone())))
}

/// Makes a token. Its secret is shown this once.
#[utoipa::path(post, operation_id = "tenants_create_token", path = "/tenants/{tenant}/tokens", tag = "access", params(("tenant" = TenantId, Path)), request_body = NewToken, responses(
    (status = 201, description = "It is made", body = TokenWithSecret), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn create_token(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    JsonOf(new): JsonOf<NewToken>,
) -> Result<(StatusCode, Json<TokenWithSecret>), Problem> {
    Ok((StatusCode::CREATED, Json(platform.create_token(&session, &tenant, &new).await?)))
}

/// Ends a token.
#[utoipa::path(delete, operation_id = "tenants_revoke_token", path = "/tenants/{tenant}/tokens/{token}", tag = "access", params(("tenant" = TenantId, Path), ("token" = String, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn revoke_token(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, token)): PathOf<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.revoke_token(&session, &tenant, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The keys whose signatures a tenant accepts, those that were revoked too.
#[utoipa::path(get, operation_id = "tenants_keys", path = "/tenants/{tenant}/keys", tag = "access", params(("tenant" = TenantId, Path)), responses(
    (status = 200, description = "It is so", body = Page<SigningKeyEntry>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn keys(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
) -> Result<Json<Page<SigningKeyEntry>>, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    Ok(Json(Page { items: scope.signing_keys().await?, next: None }))
}

/// A key that is to be accepted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// The verifier, as `elias keys new` printed it: `name+hash+key`.
    verifier: String,
}

/// Accepts a key's signatures from now on.
#[utoipa::path(post, operation_id = "tenants_add_key", path = "/tenants/{tenant}/keys", tag = "access", params(("tenant" = TenantId, Path)), request_body = NewKey, responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn add_key(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    JsonOf(new): JsonOf<NewKey>,
) -> Result<StatusCode, Problem> {
    session.require(Permission::Access, &tenant, None)?;
    let key = VerifyingKey::parse(new.verifier.trim());
    let key = key.map_err(|error| Error::new(Code::BadInput, format!("verifier: {error}")))?;
    let mut scope = platform.write(&session, Permission::Access, &tenant, None).await?;
    scope.this_tenant().await?;
    scope.add_signing_key(&key.id().name, new.verifier.trim(), &session.actor()).await?;
    scope.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a key's signatures from now on. What was accepted with it goes on serving.
#[utoipa::path(delete, operation_id = "tenants_revoke_key", path = "/tenants/{tenant}/keys/{key}", tag = "access", params(("tenant" = TenantId, Path), ("key" = String, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn revoke_key(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, key)): PathOf<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    let mut scope = platform.write(&session, Permission::Access, &tenant, None).await?;
    scope.revoke_signing_key(&key, &session.actor()).await?;
    scope.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who did what, newest first.
#[utoipa::path(get, operation_id = "tenants_audit", path = "/tenants/{tenant}/audit", tag = "tenants", params(("tenant" = TenantId, Path), PageQuery), responses(
    (status = 200, description = "It is so", body = NamedPage<AuditEntry>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn audit(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<NamedPage<AuditEntry>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Audit, &tenant, None).await?;
    let entries = scope.audit_entries(page.after.as_deref(), limit).await?;
    drop(scope);
    let page = Page::new(entries, limit, |entry| entry.id.clone());
    Ok(Json(page.named(&platform, &tenant, |entry| &entry.actor.name).await?))
}
