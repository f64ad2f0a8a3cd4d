//! The admin API: REST under /v1. Every handler asks the platform, which asks who may; the OpenAPI document is made from the handlers.

mod databases;
mod executions;
mod extract;
mod host;
mod idempotency;
mod log;
mod members;
mod packages;
mod problem;
mod roles;
mod services;
mod stages;
mod tenants;
mod versions;

pub(crate) use extract::PeerAddress;

use axum::{Json, Router};
use elias_platform::{Code, Error, Platform};
use problem::Problem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

/// The admin API of a platform.
pub(crate) fn router(platform: Platform) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = Json(plain(document));
    router
        .route("/v1/openapi.json", axum::routing::get(async move || document.clone()))
        .fallback(async || {
            Problem::from(Error::new(Code::NotFound, "there is no such path; /v1/openapi.json lists those there are"))
        })
        .method_not_allowed_fallback(async || {
            Problem::from(Error::new(
                Code::MethodNotAllowed,
                "this path does not take this method; /v1/openapi.json lists those it takes",
            ))
        })
        .layer(axum::middleware::from_fn_with_state(
            (platform.clone(), idempotency::UnderWay::default()),
            idempotency::remember,
        ))
        .with_state(platform)
}

/// The OpenAPI 3.1 document of the admin API.
#[must_use]
pub fn openapi() -> OpenApi {
    plain(routes().split_for_parts().1)
}

/// The document without the router's sign for a parameter that takes the rest of a path, which OpenAPI does not have.
fn plain(mut document: OpenApi) -> OpenApi {
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document
}

fn routes() -> OpenApiRouter<Platform> {
    let info = InfoBuilder::new().title("ELIAS").version(env!("CARGO_PKG_VERSION")).description(Some(
        "Tenants, versions, deployments and executions. Errors are problem documents (RFC 9457) with a stable `code`.",
    ));
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let security = SecurityRequirement::new("token", Vec::<String>::new());
    let mut document = OpenApiBuilder::new().info(info.build()).security(Some([security])).build();
    document.components.get_or_insert_default().add_security_scheme("token", scheme);
    let v1 = OpenApiRouter::new()
        .merge(tenants::routes())
        .merge(versions::routes())
        .merge(services::routes())
        .merge(stages::routes())
        .merge(databases::routes())
        .merge(executions::routes())
        .merge(log::routes())
        .merge(packages::routes())
        .merge(members::routes())
        .merge(roles::routes())
        .merge(host::routes());
    OpenApiRouter::with_openapi(document).nest("/v1", v1)
}
