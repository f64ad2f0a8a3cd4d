//! Triggers that are run by hand, in development only: `elias trigger` sends a request to a path of the server's own,
//! which no component gets.
//!
//! The request is a JSON object. It must say so in its media type: a page of another origin cannot send such a request
//! without asking first, and the answer to that question is no. Else it must come from where requests to the console
//! come from.

use crate::body::Content;
use crate::development::check_client;
use crate::source::TriggerControl;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use std::sync::Arc;

/// The path.
const PATH: &str = "/__elias/trigger";

/// Bytes of the largest request.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Whether a request is for the path.
pub(crate) fn is_requested<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH
}

/// Runs what the request names. Its extensions say who sends it, as [`check_client`] needs it.
pub(crate) async fn respond<B>(control: Option<Arc<dyn TriggerControl>>, request: Request<B>) -> Response<Content>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.method() != Method::POST {
        let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST runs a trigger");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if request.headers().get(CONTENT_TYPE).is_none_or(|media_type| media_type != "application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the request must be application/json");
    }
    let (parts, body) = request.into_parts();
    if let Err(refused) = check_client(&parts) {
        return refuse(StatusCode::FORBIDDEN, &refused.to_string());
    }
    let Some(control) = control else {
        return refuse(StatusCode::NOT_FOUND, "this server runs no triggers");
    };
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await;
    let asked = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
    let Some(asked) = asked else {
        return refuse(StatusCode::BAD_REQUEST, "the body must be JSON of at most 1 MiB");
    };
    match control.run(asked).await {
        Ok(outcome) => json_response(StatusCode::OK, &outcome),
        Err(message) => refuse(StatusCode::UNPROCESSABLE_ENTITY, &message),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response<Content> {
    json_response(status, &json!({ "message": message }))
}

fn json_response(status: StatusCode, value: &Value) -> Response<Content> {
    let mut response = Response::new(Content::Whole(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::PeerAddress;
    use crate::browser::RequestAuthority;
    use futures::FutureExt;
    use futures::future::{BoxFuture, ready};
    use http::request::Builder;
    use http::uri::Authority;
    use http_body_util::Full;
    use std::net::{IpAddr, Ipv4Addr};

    const HOST: &str = "localhost:8787";

    /// Gives back what it is asked, unless that is null.
    struct Echo;

    impl TriggerControl for Echo {
        fn run(&self, request: Value) -> BoxFuture<'static, Result<Value, String>> {
            let refused = || "the trigger does not exist".to_owned();
            ready(if request.is_null() { Err(refused()) } else { Ok(request) }).boxed()
        }
    }

    async fn ask(control: bool, method: Method, media_type: &str, body: &'static str) -> (u16, String) {
        let request = Request::builder().method(method).uri(PATH).header(CONTENT_TYPE, media_type);
        send(control, request, body, (Ipv4Addr::LOCALHOST.into(), HOST)).await
    }

    /// Sends a request from an address to a host.
    async fn send(control: bool, request: Builder, body: &'static str, way: (IpAddr, &str)) -> (u16, String) {
        let mut request = request.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a request");
        request.extensions_mut().insert(PeerAddress(way.0));
        request.extensions_mut().insert(RequestAuthority(Some(way.1.parse::<Authority>().expect("an authority"))));
        assert!(is_requested(&request));
        let control = control.then(|| Arc::new(Echo) as Arc<dyn TriggerControl>);
        let response = respond(control, request).await;
        let status = response.status().as_u16();
        let Content::Whole(body) = response.into_body() else { panic!("a response in one piece") };
        (status, String::from_utf8(body.to_vec()).expect("JSON"))
    }

    #[tokio::test]
    async fn a_trigger_is_run_and_its_outcome_is_the_response() {
        let (status, body) = ask(true, Method::POST, "application/json", "{\"job\":\"resize\"}").await;
        assert_eq!((status, body.as_str()), (200, "{\"job\":\"resize\"}"));
    }

    #[tokio::test]
    async fn other_sites_and_other_machines_run_nothing() {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let request = || Request::post(PATH).header(CONTENT_TYPE, "application/json");
        for (origin, status) in [
            ("http://localhost:8787", 200),
            ("http://localhost:8788", 403),
            ("http://evil.test:8787", 403),
            ("https://localhost.evil.test", 403),
            ("null", 403),
        ] {
            assert_eq!(send(true, request().header("origin", origin), "{}", (here, HOST)).await.0, status, "{origin}");
        }
        for (peer, host, status) in [
            (here, "[::1]:8787", 200),
            (here, "evil.test:8787", 403),
            (IpAddr::from([192, 168, 1, 7]), HOST, 403),
            (IpAddr::from([192, 168, 1, 7]), "192.168.1.2:8787", 403),
        ] {
            let (found, body) = send(true, request(), "{}", (peer, host)).await;
            assert_eq!(found, status, "{peer} {host}: {body}");
        }
        let forwarded = request().header("x-forwarded-for", "192.0.2.1");
        assert_eq!(send(true, forwarded, "{}", (here, HOST)).await.0, 403, "through a proxy");
    }

    #[tokio::test]
    async fn other_requests_are_refused() {
        let json = "application/json";
        for (control, method, media_type, body, status) in [
            (true, Method::GET, json, "{}", 405),
            (true, Method::OPTIONS, json, "", 405),
            (true, Method::POST, "text/plain", "{}", 415),
            (true, Method::POST, json, "{", 400),
            (true, Method::POST, json, "null", 422),
            (false, Method::POST, json, "{}", 404),
        ] {
            let (found, answer) = ask(control, method, media_type, body).await;
            assert_eq!(found, status, "{answer}");
            assert!(answer.contains("message"), "{answer}");
        }
    }
}
