//! The session of a browser: whose it is, signing in with a token, and signing out.

use crate::admin::{Authenticated, Problem, bad_input, client_address};
use crate::browser::{self, SESSION_COOKIE};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use elias_api::{Code, Error, Role, TokenRole};
use elias_names::{ComponentName, TenantId};
use elias_platform::Platform;
use elias_platform::access::{Browser, OpenedSession, Principal, SESSION_LASTS};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// What the console knows before it asks the admin API for anything.
#[derive(Serialize)]
struct SessionState<'a> {
    /// Whose session it is; null if nobody has signed in.
    principal: Option<SignedIn<'a>>,
    /// Whether users can sign in at an identity provider.
    has_identity_provider: bool,
    /// The version of the host.
    version: &'static str,
}

/// The principal of a session.
#[derive(Serialize)]
struct SignedIn<'a> {
    /// The id of the session; null for a request with a token.
    session: Option<String>,
    name: &'a str,
    tenant: &'a TenantId,
    role: &'a TokenRole,
    ceiling: Role,
    /// The components that it may act on; null for all.
    components: Option<&'a [ComponentName]>,
    /// When the session ends if it is not used any more, in milliseconds since 1970-01-01 UTC.
    expires_at: i64,
}

impl<'a> SessionState<'a> {
    fn new(platform: &Platform, session: Option<(Option<String>, &'a Principal)>) -> Self {
        let principal = session.map(|(session, principal)| SignedIn {
            session,
            name: &principal.name,
            tenant: &principal.tenant,
            role: &principal.given,
            ceiling: principal.role,
            components: principal.components.as_deref(),
            expires_at: principal.expires_at,
        });
        Self { principal, has_identity_provider: platform.has_sign_in(), version: env!("CARGO_PKG_VERSION") }
    }
}

/// Says whose session it is. Nobody's is no failure: the console then shows how to sign in.
pub(super) async fn show(
    State(platform): State<Platform>,
    session: Result<Authenticated, Problem>,
) -> Result<Response, Problem> {
    let session = match session {
        Ok(Authenticated(session)) => Some(session),
        Err(Problem(error)) if error.code() == Code::Unauthenticated => None,
        Err(problem) => return Err(problem),
    };
    let session = session.as_ref().map(|session| (session.id(), &*session.principal));
    Ok(uncached(Json(SessionState::new(&platform, session))))
}

/// The body of a sign-in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// A token of the platform's.
    token: String,
}

/// Signs in with a token. A page of another origin cannot do this for a visitor, not even with a token of its own: the
/// visitor would work in somebody else's name.
pub(super) async fn open(
    State(platform): State<Platform>,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    browser::check_origin(&parts, &platform)?;
    let is_json = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"application/json");
    if !parts.headers.get(CONTENT_TYPE).is_some_and(is_json) {
        return Err(bad_input("the content type must be application/json"));
    }
    let body = body.map_err(|error| Problem::from(Error::new(Code::TooLarge, error.body_text())))?;
    let SignIn { token } =
        serde_json::from_slice(&body).map_err(|_| bad_input("the body must be a JSON object with `token`, a text"))?;
    let opened = platform.open_session(token.trim(), &browser_of(&parts)).await?;
    end_former(&platform, &parts).await;
    let state = SessionState::new(&platform, Some((Some(opened.session.id.clone()), &*opened.principal)));
    let mut response = uncached((StatusCode::CREATED, Json(state)));
    add_session_cookie(response.headers_mut(), &opened);
    Ok(response)
}

/// Signs out. The cookie is removed also if its session has ended already.
pub(super) async fn close(
    State(platform): State<Platform>,
    session: Result<Authenticated, Problem>,
) -> Result<Response, Problem> {
    match session {
        Ok(Authenticated(session)) => platform.sign_out(&session).await?,
        Err(Problem(error)) if error.code() == Code::Unauthenticated => {}
        Err(problem) => return Err(problem),
    }
    let mut response = uncached(StatusCode::NO_CONTENT);
    if let Some(cookie) = browser::set_cookie(SESSION_COOKIE, "", "Strict", 0) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Ends the session that a browser had before this sign-in, so that nothing is left of it.
pub(super) async fn end_former(platform: &Platform, parts: &Parts) {
    let Some(cookie) = browser::cookie(&parts.headers, SESSION_COOKIE) else { return };
    if let Ok(former) = platform.authenticate_session(cookie, client_address(parts)).await
        && let Err(error) = platform.sign_out(&former).await
    {
        tracing::debug!(%error, "the former session of a browser cannot be ended; it ends by itself");
    }
}

/// The browser of a request.
pub(super) fn browser_of(parts: &Parts) -> Browser {
    let user_agent = parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Browser { address: client_address(parts), user_agent: user_agent.unwrap_or_default() }
}

/// Gives a browser its session.
pub(super) fn add_session_cookie(headers: &mut HeaderMap, opened: &OpenedSession) {
    if let Some(cookie) = browser::set_cookie(SESSION_COOKIE, &opened.cookie, "Strict", SESSION_LASTS.as_secs()) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// A response that is for one browser at one time.
pub(super) fn uncached(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
