//! Signing in at the identity provider: to it, and back.
//!
//! Both are visited by the browser itself, so what fails leads to a page of the console that says why.

use super::HOME;
use super::session::{add_session_cookie, browser_of, end_former, uncached};
use crate::browser::{self, SIGN_IN_COOKIE};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{Redirect, Response};
use elias_api::{Code, Error, Result};
use elias_platform::Platform;
use elias_platform::access::{OpenedSession, SignInAnswer, SignInCookie};
use http::header::SET_COOKIE;
use http::request::Parts;
use serde::Deserialize;

/// The path to which the provider sends the browser back.
const CALLBACK: &str = "/console/callback";
/// How long a sign-in may take, in seconds.
const SIGN_IN_SECONDS: u64 = 600;

/// The parameters of the beginning.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BeginQuery {
    /// The path of the console to come back to.
    #[serde(rename = "return")]
    return_to: String,
}

/// Sends the browser to the identity provider.
pub(super) async fn begin(
    State(platform): State<Platform>,
    parts: Parts,
    query: Result<Query<BeginQuery>, QueryRejection>,
) -> Response {
    let return_to = query.map(|Query(query)| query.return_to).unwrap_or_default();
    let begun = async {
        let redirect_uri = redirect_uri(&parts, &platform)?;
        platform.begin_sign_in(&redirect_uri, &return_to).await
    };
    match begun.await {
        Ok(begun) => {
            let mut response = uncached(Redirect::to(&begun.location));
            // Lax: the browser comes back from another site.
            let value = begun.cookie.to_string();
            if let Some(cookie) = browser::set_cookie(SIGN_IN_COOKIE, &value, "Lax", SIGN_IN_SECONDS) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => failed(&error),
    }
}

/// Takes the browser back from the identity provider, with a session.
pub(super) async fn end(
    State(platform): State<Platform>,
    parts: Parts,
    answer: Result<Query<SignInAnswer>, QueryRejection>,
) -> Response {
    let cookie = browser::cookie(&parts.headers, SIGN_IN_COOKIE).and_then(|cookie| cookie.parse().ok());
    let mut response = match (cookie, answer) {
        (Some(cookie), Ok(Query(answer))) => match finish(&platform, &parts, &cookie, &answer).await {
            Ok(opened) => {
                let mut response = uncached(Redirect::to(&cookie.return_to));
                add_session_cookie(response.headers_mut(), &opened);
                response
            }
            Err(error) => failed(&error),
        },
        _ => failed(&Error::new(Code::SignInFailed, "the sign-in was not begun by this browser, or took too long")),
    };
    // It is for one time, however that ends.
    if let Some(cookie) = browser::set_cookie(SIGN_IN_COOKIE, "", "Lax", 0) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

async fn finish(
    platform: &Platform,
    parts: &Parts,
    cookie: &SignInCookie,
    answer: &SignInAnswer,
) -> Result<OpenedSession> {
    let redirect_uri = redirect_uri(parts, platform)?;
    let opened = platform.end_sign_in(cookie, answer, &redirect_uri, &browser_of(parts)).await?;
    end_former(platform, parts).await;
    Ok(opened)
}

/// The URL to which the provider sends the browser back: it compares it with the one that it knows, letter by letter.
fn redirect_uri(parts: &Parts, platform: &Platform) -> Result<String> {
    let origin = browser::trusted_origin(parts, platform);
    let message = "the origin of the console is not known; platform operators set --console-origin";
    origin.map(|origin| format!("{origin}{CALLBACK}")).ok_or_else(|| Error::new(Code::BadInput, message))
}

/// Leads to the page that says why a sign-in failed. The code alone is in its URL: texts of others have no place there.
fn failed(error: &Error) -> Response {
    tracing::info!(code = %error.code(), %error, "a sign-in to the web console failed");
    uncached(Redirect::to(&format!("{HOME}login?error={}", error.code())))
}
