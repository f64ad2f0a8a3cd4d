//! The files of the web console, which are in this binary, and the policies under which browsers run them.

use axum::response::{IntoResponse, Response};
use elias_gateway::Coding;
use elias_gateway::encoding::negotiate;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

include!(concat!(env!("OUT_DIR"), "/console_files.rs"));

/// A file of the console.
#[allow(dead_code, reason = "there is none in a build without the console")]
struct File {
    /// The path below `/console/`.
    path: &'static str,
    media_type: &'static str,
    /// Names the content.
    tag: &'static str,
    bytes: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The policy of the application: everything is of this origin, nothing is inline, and texts become code or markup by
/// the policies of Trusted Types alone. Svelte makes one for its own templates; `elias` is the application's, for the
/// scripts of its workers and the documents of sandboxed frames.
pub(super) const APPLICATION: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; frame-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types svelte-trusted-html elias; report-uri /console/csp-reports; report-to csp";
/// The policy of the editor's frame. Monaco writes styles into its elements, and so may here, in a document that has no
/// session to lose: it can connect to nothing, and speaks to the application by a MessagePort.
pub(super) const EDITOR: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'none'; worker-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; report-uri /console/csp-reports; report-to csp";
/// The policy of all that is no document. For the script of a worker it is the worker's.
pub(super) const SCRIPT: &str = "default-src 'none'; script-src 'self'";

/// The document of the application.
const INDEX: &str = "index.html";
/// The document of the editor's frame, as Vite may name it, and the path of both.
const EDITOR_DOCUMENTS: [&str; 2] = ["editor/index.html", "editor.html"];
const EDITOR_PATH: &str = "editor";
/// The folder of files whose names have a hash of their content.
const HASHED: &str = "assets/";

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const REPORTING_ENDPOINTS: HeaderName = HeaderName::from_static("reporting-endpoints");

/// The response with the file at a path below `/console/`; with the application for a page of it.
pub(super) fn respond(path: &str, request: &HeaderMap) -> Response {
    respond_from(FILES, path, request)
}

fn respond_from(files: &'static [File], path: &str, request: &HeaderMap) -> Response {
    let found = |path: &str| files.iter().find(|file| file.path == path);
    let file = match path.trim_end_matches('/') {
        EDITOR_PATH => EDITOR_DOCUMENTS.into_iter().find_map(found),
        path => found(path).or_else(|| found(INDEX).filter(|_| is_page(path))),
    };
    match file {
        Some(file) => file.respond(request),
        None if files.is_empty() => {
            let text = "this elias-serve was built without the web console: run `make console`, and build it again\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "the console has no such file\n").into_response(),
    }
}

/// Whether a path that no file has is one of the application's pages, whose names may have dots: those of components,
/// workers and the like. What browsers ask for by themselves, such as `favicon.ico`, is no page.
fn is_page(path: &str) -> bool {
    !path.starts_with(HASHED) && (path.contains('/') || !path.contains('.'))
}

impl File {
    fn respond(&self, request: &HeaderMap) -> Response {
        let offered = [(Coding::Brotli, self.brotli), (Coding::Gzip, self.gzip)];
        let codings: Vec<_> = offered.iter().filter_map(|(coding, bytes)| bytes.map(|_| *coding)).collect();
        let coding = negotiate(request, &codings);
        let compressed = coding.and_then(|coding| offered.iter().find(|(offered, _)| *offered == coding)?.1);
        let bytes = compressed.unwrap_or(self.bytes);
        let tag = match coding {
            Some(coding) => format!("\"{}-{}\"", self.tag, coding.as_str()),
            None => format!("\"{}\"", self.tag),
        };
        let is_known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|sent| matches!(sent.trim(), "*") || sent.trim().trim_start_matches("W/") == tag)
        });
        let mut response = match is_known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => bytes.into_response(),
        };
        let headers = response.headers_mut();
        headers.remove(CONTENT_TYPE);
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control()));
        if !codings.is_empty() {
            headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
        }
        if !is_known {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
            if let Some(coding) = coding {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
            }
        }
        self.protect(headers);
        response
    }

    fn cache_control(&self) -> &'static str {
        if self.path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" }
    }

    /// Adds the policies under which a browser uses the file.
    fn protect(&self, headers: &mut HeaderMap) {
        let is_document = self.media_type.starts_with("text/html");
        let policy = match is_document {
            true if EDITOR_DOCUMENTS.contains(&self.path) => EDITOR,
            true => APPLICATION,
            false => SCRIPT,
        };
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        // Not `no-referrer`: with that, browsers hide the origin of a form that the console itself sends.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if is_document {
            headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
            headers.insert(REPORTING_ENDPOINTS, HeaderValue::from_static("csp=\"/console/csp-reports\""));
            let unused = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";
            headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(unused));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    const fn file(path: &'static str, media_type: &'static str, bytes: &'static [u8]) -> File {
        File { path, media_type, tag: "1", bytes, brotli: None, gzip: None }
    }

    static BUILT: &[File] = &[
        file("index.html", "text/html; charset=utf-8", b"the application"),
        file("editor/index.html", "text/html; charset=utf-8", b"the editor"),
        File { brotli: Some(b"b"), gzip: Some(b"g"), ..file("assets/a-1.js", "text/javascript; charset=utf-8", b"i") },
    ];

    async fn get(path: &str, headers: &[(&'static str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            request.insert(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let (parts, body) = respond_from(BUILT, path, &request).into_parts();
        let body = body.collect().await.expect("it is whole").to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn pages_are_the_application_and_files_are_themselves() {
        for path in ["", "index.html", "t/a/components/shop", "t/a/components/shop/", "t/a/users/a.b@c.js", "login"] {
            let (status, headers, body) = get(path, &[]).await;
            assert_eq!((status, &*body), (200, "the application"), "{path}");
            assert_eq!(headers[CONTENT_SECURITY_POLICY], APPLICATION, "{path}");
            assert_eq!(headers[CACHE_CONTROL], "no-cache", "{path}");
        }
        for path in ["editor", "editor/", "editor/index.html"] {
            let (_, headers, body) = get(path, &[]).await;
            assert_eq!((&*body, &headers[CONTENT_SECURITY_POLICY]), ("the editor", &HeaderValue::from_static(EDITOR)));
        }
        for path in ["assets/missing.js", "assets/missing", "assets/../index.html", "favicon.ico", "index.htm"] {
            assert_eq!(get(path, &[]).await.0, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_is_sent_as_the_browser_takes_it_and_once() {
        let (status, headers, body) = get("assets/a-1.js", &[("accept-encoding", "gzip, br")]).await;
        assert_eq!((status, &*body), (200, "b"));
        assert_eq!(
            (headers[CONTENT_ENCODING].to_str().ok(), headers[VARY].to_str().ok()),
            (Some("br"), Some("accept-encoding"))
        );
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], SCRIPT, "a worker's too");
        assert_eq!(get("assets/a-1.js", &[("accept-encoding", "gzip")]).await.2, "g");
        assert_eq!(get("assets/a-1.js", &[]).await.2, "i");
        let tag = headers[ETAG].to_str().expect("a tag").to_owned();
        let known = [("accept-encoding", "br"), ("if-none-match", &*tag)];
        let (status, again, body) = get("assets/a-1.js", &known).await;
        assert_eq!((status, &*body, &again[ETAG]), (304, "", &headers[ETAG]));
        assert_eq!(get("assets/a-1.js", &[("if-none-match", &*tag)]).await.0, 200, "another form has another tag");
    }

    #[test]
    fn no_document_may_run_what_is_inline() {
        for policy in [APPLICATION, EDITOR, SCRIPT] {
            let sources = |name: &str| {
                let directive = policy.split("; ").find_map(|part| part.strip_prefix(name));
                directive.unwrap_or_else(|| panic!("{name} is missing: {policy}")).to_owned()
            };
            assert_eq!((&*sources("default-src "), &*sources("script-src ")), ("'none'", "'self'"));
            assert!(!policy.contains("unsafe-eval") && !policy.contains("  "), "{policy}");
        }
        assert!(!APPLICATION.contains("unsafe-inline"));
        assert!(APPLICATION.contains("require-trusted-types-for 'script'"));
    }

    #[tokio::test]
    async fn a_server_without_the_console_says_how_to_get_it() {
        let (parts, body) = respond_from(&[], "", &HeaderMap::new()).into_parts();
        let body = body.collect().await.expect("it is whole").to_bytes();
        assert_eq!(parts.status, 404);
        assert!(String::from_utf8_lossy(&body).contains("make console"));
    }
}
