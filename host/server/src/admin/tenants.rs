//! Tenants, their tokens and keys.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::{
    Ceiling, Code, Error, NewToken, Role, SigningKeyEntry, Tenant, TenantSettings, Token, TokenRole, TokenWithSecret,
};
use elias_contract::note::VerifyingKey;
use elias_names::TenantId;
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::StatusCode;
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
}

/// The identity behind a token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Whoami {
    /// The token's id, or the user of the identity provider.
    name: String,
    /// The tenant of the token.
    tenant: TenantId,
    /// The role of the token, built-in or custom.
    #[schema(value_type = String)]
    role: TokenRole,
    /// The built-in role that bounds the permissions of the token. For a built-in role it is the role itself.
    ceiling: Role,
    /// The names of the components that the token is limited to; null for all.
    components: Option<Vec<String>>,
}

/// Show whom the token stands for.
#[utoipa::path(
    get,
    path = "/whoami",
    operation_id = "tenants_whoami",
    tag = "access",
    responses(
        (status = 200, description = "The tenant, role and components of the token.", body = Whoami),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn whoami(Authenticated(session): Authenticated) -> Json<Whoami> {
    let principal = &session.principal;
    Json(Whoami {
        name: principal.name.clone(),
        tenant: principal.tenant.clone(),
        role: principal.given.clone(),
        ceiling: principal.role,
        components: principal.components.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
    })
}

/// List tenants by name.
///
/// Platform operators see all tenants, everyone else sees their own.
#[utoipa::path(
    get,
    path = "/tenants",
    operation_id = "tenants_list",
    tag = "tenants",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of tenants.", body = Page<Tenant>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    let limit = page.limit()?;
    let tenants = platform.tenants(&session, page.after(), limit).await?;
    Ok(Json(Page::new(tenants, limit, |tenant| tenant.tenant.to_string())))
}

/// The tenant to create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    /// The name: lower-case letters, digits and hyphens, at most 40 characters.
    tenant: TenantId,
    /// The settings; the defaults if absent.
    #[serde(default)]
    settings: TenantSettings,
}

/// Create a tenant.
#[utoipa::path(
    post,
    path = "/tenants",
    operation_id = "tenants_create",
    tag = "tenants",
    request_body = NewTenant,
    responses(
        (status = 201, description = "The tenant was created.", body = Tenant),
        (
            status = "default",
            description = refused!(409 "already-there"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn create(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiJson(new): ApiJson<NewTenant>,
) -> Result<Response, Problem> {
    let tenant = platform.create_tenant(&session, &new.tenant, &new.settings).await?;
    Ok((StatusCode::CREATED, with_etag(tenant.revision, tenant)).into_response())
}

/// Show a tenant.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}",
    operation_id = "tenants_show",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    responses(
        (status = 200, description = "The tenant, with its revision as `ETag`.", body = Tenant),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
) -> Result<Response, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    let found = scope.this_tenant().await?;
    Ok(with_etag(found.revision, found))
}

/// Replace the settings of a tenant.
///
/// `If-Match` with the revision refuses the change if the tenant was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}",
    operation_id = "tenants_change",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = TenantSettings,
    responses(
        (status = 200, description = "The tenant was changed.", body = Tenant),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn change(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(settings): ApiJson<TenantSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_tenant(&session, &tenant, &settings, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete a tenant.
///
/// All its services stop. Its name cannot be used again.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}",
    operation_id = "tenants_delete",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    responses(
        (status = 204, description = "The tenant was deleted."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn delete(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
) -> Result<StatusCode, Problem> {
    platform.delete_tenant(&session, &tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the ceilings of a tenant.
///
/// A ceiling is the most that a version may ask for on this host, by the key of elias.toml.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/ceilings",
    operation_id = "tenants_ceilings",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    responses(
        (status = 200, description = "The ceilings.", body = Page<Ceiling>),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn ceilings(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
) -> Result<Json<Page<Ceiling>>, Problem> {
    Ok(Json(Page { items: platform.ceilings(&session, &tenant).await?, next: None }))
}

/// List the tokens of a tenant by id, without their secrets.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/tokens",
    operation_id = "tenants_tokens",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of tokens.", body = Page<Token>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn tokens(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Token>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    Ok(Json(Page::new(scope.tokens(page.after(), limit).await?, limit, |token| token.id.clone())))
}

/// Create a token.
///
/// Only this response contains its secret.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/tokens",
    operation_id = "tenants_create_token",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = NewToken,
    responses(
        (status = 201, description = "The token was created.", body = TokenWithSecret),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn create_token(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(new): ApiJson<NewToken>,
) -> Result<(StatusCode, Json<TokenWithSecret>), Problem> {
    Ok((StatusCode::CREATED, Json(platform.create_token(&session, &tenant, &new).await?)))
}

/// Revoke a token.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/tokens/{token}",
    operation_id = "tenants_revoke_token",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("token" = String, Path, description = "The id of the token."),
    ),
    responses(
        (status = 204, description = "The token was revoked."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn revoke_token(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, token)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.revoke_token(&session, &tenant, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the signing keys of a tenant, revoked ones included.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/keys",
    operation_id = "tenants_keys",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    responses(
        (status = 200, description = "The signing keys.", body = Page<SigningKeyEntry>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn keys(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
) -> Result<Json<Page<SigningKeyEntry>>, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    Ok(Json(Page { items: scope.signing_keys().await?, next: None }))
}

/// The signing key to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// The verifier key, as `elias keys new` prints it: `name+hash+key`.
    verifier: String,
}

/// Add a signing key.
///
/// The tenant accepts its signatures from now on.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/keys",
    operation_id = "tenants_add_key",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = NewKey,
    responses(
        (status = 204, description = "The signing key was added."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "already-there", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn add_key(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(new): ApiJson<NewKey>,
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

/// Revoke a signing key.
///
/// Its signatures are refused from now on. Versions that were accepted with it go on serving.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/keys/{key}",
    operation_id = "tenants_revoke_key",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("key" = String, Path, description = "The name of the signing key."),
    ),
    responses(
        (status = 204, description = "The signing key was revoked."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn revoke_key(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, key)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    let mut scope = platform.write(&session, Permission::Access, &tenant, None).await?;
    scope.revoke_signing_key(&key, &session.actor()).await?;
    scope.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
