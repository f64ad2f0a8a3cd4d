//! The admin API: REST under /v1. Every handler calls the platform, which checks permissions. The OpenAPI document is
//! generated from the handlers.

mod alerts;
mod audit;
mod confirmed;
mod databases;
mod drafts;
mod etag;
mod events;
mod executions;
mod experiments;
mod extract;
mod flags;
mod followed;
mod host;
mod idempotency;
mod issues;
mod jobs;
mod log;
mod members;
mod packages;
mod problem;
mod roles;
mod schedules;
mod security;
mod service_log;
mod services;
mod sessions;
mod tenants;
mod traces;
mod usage;
mod versions;
mod workers;
mod workflows;

pub(crate) use extract::{
    ApiEvents, ApiJson, ApiPath, ApiQuery, Authenticated, Page, PageQuery, PeerAddress, bad_input, client_address,
};
pub(crate) use followed::{Resumption, respond as follow};
pub(crate) use problem::Problem;

use axum::{Json, Router};
use elias_api::{AuditFormat, Code, Error};
use elias_platform::Platform;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

/// The admin API of a platform.
pub(crate) fn router(platform: Platform) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = Json(plain(document));
    router
        .route("/v1/openapi.json", axum::routing::get(async move || document.clone()))
        .fallback(async || {
            Problem::from(Error::new(Code::NotFound, "this path does not exist; /v1/openapi.json lists the paths"))
        })
        .method_not_allowed_fallback(async || {
            Problem::from(Error::new(
                Code::MethodNotAllowed,
                "this path does not support this method; /v1/openapi.json lists the methods",
            ))
        })
        .layer(axum::middleware::from_fn_with_state(
            (platform.clone(), idempotency::KeyedRequests::default()),
            idempotency::remember,
        ))
        .layer(axum::middleware::from_fn_with_state(platform.clone(), security::note_denials))
        .with_state(platform)
}

/// The description of the API in its OpenAPI document.
const DESCRIPTION: &str = "Manage tenants, versions, deployments, executions and triggers.\n\n\
    Errors are problem documents (RFC 9457) with a stable `code`. Each operation lists its own codes. \
    Common codes are:\n\n\
    - `bad-input` (400): a parameter, a header or the body is malformed; `too-large` (413): the body is over 2 MiB\n\
    - `unauthenticated`, `token-expired` (401), `no-role`, `forbidden` (403), `rate-limited` (429), \
    `auth-unavailable` (503): the token is missing, invalid or has too few permissions, or cannot be checked\n\
    - `cross-origin` (403): the cookie of a session of the web console came from a page of another origin\n\
    - `idempotency-mismatch` (409): the `Idempotency-Key` of a POST request belongs to another request\n\
    - `store-unavailable`, `store-missing`, `store-mismatch` (503), `no-space-left`, `storage-failed` (507), \
    `internal` (500): the host failed";

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
    let info = InfoBuilder::new().title("ELIAS").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION));
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let security = SecurityRequirement::new("token", Vec::<String>::new());
    let mut document = OpenApiBuilder::new().info(info.build()).security(Some([security])).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", scheme);
    // The router collects the types of bodies. This one is of a parameter alone.
    components.schemas.insert(AuditFormat::name().into_owned(), AuditFormat::schema());
    let v1 = OpenApiRouter::new()
        .merge(tenants::routes())
        .merge(audit::routes())
        .merge(versions::routes())
        .merge(drafts::routes())
        .merge(services::routes())
        .merge(service_log::routes())
        .merge(experiments::routes())
        .merge(databases::routes())
        .merge(executions::routes())
        .merge(traces::routes())
        .merge(issues::routes())
        .merge(security::routes())
        .merge(schedules::routes())
        .merge(jobs::routes())
        .merge(workflows::routes())
        .merge(workers::routes())
        .merge(events::routes())
        .merge(alerts::routes())
        .merge(log::routes())
        .merge(packages::routes())
        .merge(members::routes())
        .merge(roles::routes())
        .merge(flags::routes())
        .merge(usage::routes())
        .merge(sessions::routes())
        .merge(host::routes());
    OpenApiRouter::with_openapi(document).nest("/v1", v1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_host::ErrorCode;

    /// The status of an error response with this code.
    fn status_of(name: &str) -> Option<u16> {
        let of_components = ErrorCode::ALL.iter().map(|code| Code::Component(*code));
        Code::ALL.iter().copied().chain(of_components).find(|code| code.as_str() == name).map(Code::status)
    }

    /// Compares each "`code` (status)" in a description that `refused!` made with the code's real status; returns how
    /// many there were.
    fn compare(description: &str) -> usize {
        assert!(description.starts_with("The request was refused"), "{description}");
        let codes = description.split("), ").filter_map(|part| part.rsplit_once(" ("));
        let codes = codes.filter_map(|(name, status)| Some((name.rsplit('`').nth(1)?, status)));
        let codes: Vec<_> = codes.collect();
        for (name, status) in &codes {
            assert_eq!(status_of(name).map(|status| status.to_string()).as_deref(), Some(*status), "{name}");
        }
        codes.len()
    }

    #[test]
    fn each_reference_leads_to_something() {
        fn references(value: &serde_json::Value, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(serde_json::Value::as_str).map(str::to_owned));
                    members.values().for_each(|member| references(member, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = serde_json::to_value(openapi()).expect("a document");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn operations_list_codes_that_exist_with_their_statuses() {
        let document = serde_json::to_value(openapi()).expect("a document");
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths.values().filter_map(serde_json::Value::as_object).flatten();
        let descriptions =
            operations.filter_map(|(_, operation)| operation["responses"]["default"]["description"].as_str());
        let listed: Vec<_> = descriptions.map(compare).collect();
        assert!(listed.len() > 50 && listed.iter().sum::<usize>() > 100, "{listed:?}");
    }
}
