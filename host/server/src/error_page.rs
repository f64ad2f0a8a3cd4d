//! The response to a request that failed: a problem document (RFC 9457), in development with the exception.

use crate::body::Content;
use crate::failure::{Failure, Refusal};
use crate::features::live_reload;
use crate::headers::EXECUTION_ID;
use crate::source::CurrentComponent;
use elias_host::Exception;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use std::fmt::Write;

/// The reader of an error page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Anyone: no internals.
    Public,
    /// The component's author, in a program.
    Developer,
    /// The component's author, in a browser.
    DeveloperInBrowser,
}

impl Audience {
    /// The reader who sent a request with these headers.
    pub(crate) fn of(dev: bool, headers: &HeaderMap) -> Self {
        let html = || {
            let mut values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
            values.any(|value| value.contains("text/html"))
        };
        match dev {
            false => Self::Public,
            true if html() => Self::DeveloperInBrowser,
            true => Self::Developer,
        }
    }
}

/// The problem document. For the public it has the first five members and no others.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The violations of the request's schema.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [elias_gateway::problem::Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<ExceptionReport<'a>>,
    /// The stack of the running code, where no exception has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<&'a str>,
}

/// An exception, for developers.
#[derive(Serialize)]
struct ExceptionReport<'a> {
    name: &'a str,
    message: &'a str,
    stack: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl<'a> From<&'a Exception> for ExceptionReport<'a> {
    fn from(exception: &'a Exception) -> Self {
        Self { name: &exception.name, message: &exception.message, stack: &exception.stack, hint: exception.hint() }
    }
}

impl<'a> Problem<'a> {
    fn new(failure: &'a Failure, audience: Audience, current: &CurrentComponent) -> Self {
        let (code, status, title) = failure.entry();
        let (detail, exception) = match failure {
            Failure::Gateway(refusal) => (refusal.detail().map(str::to_owned), None),
            _ if audience == Audience::Public => (None, None),
            Failure::Component(error) => (Some(error.to_string()), error.exception().map(ExceptionReport::from)),
            Failure::Refused(Refusal::NoComponent) => (current.reason.as_deref().map(str::to_owned), None),
            Failure::NotAdmitted(refused) => (Some(refused.error.to_string()), None),
            Failure::Refused(_) => (None, None),
        };
        let stack = match failure {
            Failure::Component(error) if audience != Audience::Public && exception.is_none() => error.stack(),
            _ => None,
        };
        let execution = failure.execution().map(|execution| execution.id.as_str());
        let errors = match failure {
            Failure::Gateway(refusal) => refusal.errors(),
            _ => &[],
        };
        Self {
            r#type: format!("urn:elias:error:{code}"),
            title,
            status,
            code,
            execution,
            detail,
            errors,
            exception,
            stack,
        }
    }
}

/// The response to a request that failed.
pub(crate) fn render(failure: &Failure, audience: Audience, current: &CurrentComponent) -> Response<Content> {
    let problem = Problem::new(failure, audience, current);
    let (media_type, page) = match audience {
        Audience::DeveloperInBrowser => ("text/html; charset=utf-8", html(&problem, current).into_bytes()),
        // A problem is strings and numbers: serialising it cannot fail.
        _ => ("application/problem+json", serde_json::to_vec(&problem).unwrap_or_default()),
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Content::Whole(page.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    for (name, value) in &failure.headers() {
        headers.insert(name, value.clone());
    }
    if let Some(id) = problem.execution.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(EXECUTION_ID, id);
    }
    *response.status_mut() = status;
    response
}

/// The page for an author's browser. Everything in it may come from outside, so everything is escaped.
fn html(problem: &Problem<'_>, current: &CurrentComponent) -> String {
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><style>\
         body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem;color-scheme:light \
         dark}\
         pre{overflow:auto;padding:1rem;border:1px solid #8888;border-radius:.5rem}small{opacity:.7}</style>",
    );
    let heading = problem
        .exception
        .as_ref()
        .map_or_else(|| problem.title.to_owned(), |thrown| format!("{}: {}", thrown.name, thrown.message));
    let text = match (&problem.exception, &problem.detail) {
        (Some(thrown), _) => match thrown.hint {
            Some(hint) => format!("{}\n\nhint: {hint}", thrown.stack),
            None => thrown.stack.to_owned(),
        },
        (None, detail) => [detail.as_deref(), problem.stack].into_iter().flatten().collect::<Vec<_>>().join("\n"),
    };
    let execution = problem.execution.map(|id| format!(" \u{b7} execution {id}")).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<title>{title}</title><h1>{title}</h1><pre>{text}</pre><p><small>{status} {code}{execution} \u{b7} shown \
        because of --dev</small></p>{live}",
        title = escape(&heading),
        text = escape(&text),
        status = problem.status,
        code = problem.code,
        execution = escape(&execution),
        live = live_reload::script_tag(current),
    );
    page
}

/// Text in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown(failure: &Failure, audience: Audience, reason: Option<&str>) -> (Response<Content>, String) {
        let current = CurrentComponent { reason: reason.map(Into::into), ..CurrentComponent::default() };
        let mut response = render(failure, audience, &current);
        let Content::Whole(page) = std::mem::replace(response.body_mut(), Content::Empty) else { panic!("a page") };
        (response, String::from_utf8(page.into()).expect("text"))
    }

    #[test]
    fn the_public_sees_code_and_status_and_nothing_else() {
        let (response, page) = shown(&Refusal::NoComponent.into(), Audience::Public, Some("secret"));
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let expected = json!({
            "type": "urn:elias:error:no-component", "title": "No component is loaded", "status": 503,
            "code": "no-component",
        });
        assert_eq!(page, expected);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn developers_see_the_reason_escaped() {
        let (response, page) = shown(&Refusal::NoComponent.into(), Audience::DeveloperInBrowser, Some("<b>&"));
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.contains("&lt;b&gt;&amp;"), "{page}");
        let (_, page) = shown(&Refusal::NoComponent.into(), Audience::Developer, Some("<b>&"));
        assert!(page.contains(r#""detail":"<b>&""#), "{page}");
    }

    #[test]
    fn html_is_for_those_who_ask_and_only_in_development() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
        assert_eq!(Audience::of(false, &headers), Audience::Public);
        assert_eq!(Audience::of(true, &headers), Audience::DeveloperInBrowser);
        assert_eq!(Audience::of(true, &HeaderMap::new()), Audience::Developer);
    }
}
