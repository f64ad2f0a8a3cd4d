//! The files of the web console, which are in this binary, and the policies under which browsers run them.

use async_compression::tokio::bufread::BrotliDecoder;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use elias_gateway::Coding;
use elias_gateway::encoding::negotiate;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio_util::io::ReaderStream;

include!(concat!(env!("OUT_DIR"), "/console_files.rs"));

/// A file of the console.
#[allow(dead_code, reason = "there is none in a build without the console")]
struct File {
    /// The path below `/console/`.
    path: &'static str,
    media_type: &'static str,
    /// Names the content.
    tag: &'static str,
    content: Stored,
}

/// The content of a file as it is in this binary, which would be 15 MB larger with all forms of all files.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "there is none in a build without the console")]
enum Stored {
    /// As it is. Documents are, which are small, and changed for another path.
    Plain(&'static [u8]),
    /// Compressed with brotli, which all browsers accept over TLS and from this machine; for other clients it is
    /// uncompressed as it is sent.
    Brotli(&'static [u8]),
}

/// The policy of the application: everything is of this origin, nothing is inline, and texts become code or markup by
/// the policies of Trusted Types alone. Svelte makes one for its own templates; `elias` is the application's, for the
/// scripts of its workers and the documents of sandboxed frames.
pub(super) const APPLICATION: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; frame-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types svelte-trusted-html elias; report-uri /console/csp-reports; report-to csp";
/// The policy of the editor's frame. Monaco writes styles into its elements, and so may here, in a document of its own
/// that connects to nothing and speaks to the application by a MessagePort. It is of the same origin as that, so what
/// keeps a session from texts in the editor is `script-src`, as strict as there.
pub(super) const EDITOR: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'none'; worker-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; report-uri /console/csp-reports; report-to csp";
/// The policy of all that is no document. For the script of a worker it is the worker's.
pub(super) const SCRIPT: &str = "default-src 'none'; script-src 'self'";

/// The path that the documents refer to as they were built.
const BUILT_FOR: &str = "/console/";
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

/// The same for an application that is below another path than `/console/`, which its documents then refer to.
/// Nobody takes reports of violations there.
pub(super) fn respond_below(base: &str, path: &str, request: &HeaderMap) -> Response {
    respond_below_from(FILES, base, path, request)
}

fn respond_below_from(files: &'static [File], base: &str, path: &str, request: &HeaderMap) -> Response {
    let document = find(files, path).filter(|file| file.is_document());
    match document.map(|document| (document, document.content)) {
        Some((document, Stored::Plain(bytes))) => document.respond_below(bytes, base),
        _ => respond_from(files, path, request),
    }
}

/// The file at a path below the application's.
fn find(files: &'static [File], path: &str) -> Option<&'static File> {
    let found = |path: &str| files.iter().find(|file| file.path == path);
    match path.trim_end_matches('/') {
        EDITOR_PATH => EDITOR_DOCUMENTS.into_iter().find_map(found),
        path => found(path).or_else(|| found(INDEX).filter(|_| is_page(path))),
    }
}

fn respond_from(files: &'static [File], path: &str, request: &HeaderMap) -> Response {
    match find(files, path) {
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
        let offered: &[Coding] = match self.content {
            Stored::Plain(_) => &[],
            Stored::Brotli(_) => &[Coding::Brotli],
        };
        let coding = negotiate(request, offered);
        let tag = match coding {
            Some(coding) => format!("\"{}-{}\"", self.tag, coding.as_str()),
            None => format!("\"{}\"", self.tag),
        };
        let is_known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|sent| matches!(sent.trim(), "*") || sent.trim().trim_start_matches("W/") == tag)
        });
        let mut response = match (self.content, coding) {
            _ if is_known => StatusCode::NOT_MODIFIED.into_response(),
            (Stored::Brotli(bytes), None) => {
                Body::from_stream(ReaderStream::new(BrotliDecoder::new(bytes))).into_response()
            }
            (Stored::Plain(bytes) | Stored::Brotli(bytes), _) => bytes.into_response(),
        };
        let headers = response.headers_mut();
        headers.remove(CONTENT_TYPE);
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control()));
        if !offered.is_empty() {
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

    fn is_document(&self) -> bool {
        self.media_type.starts_with("text/html")
    }

    /// The response with a document that refers to another path than `/console/`.
    fn respond_below(&self, bytes: &[u8], base: &str) -> Response {
        let text = String::from_utf8_lossy(bytes).replace(BUILT_FOR, base);
        let mut response = text.into_response();
        let headers = response.headers_mut();
        self.protect(headers);
        headers.remove(REPORTING_ENDPOINTS);
        let policy = headers.get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok()).unwrap_or_default();
        let unreported = policy.split("; report-uri").next().unwrap_or_default();
        if let Ok(policy) = HeaderValue::from_str(unreported) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn cache_control(&self) -> &'static str {
        if self.path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" }
    }

    /// Adds the policies under which a browser uses the file.
    fn protect(&self, headers: &mut HeaderMap) {
        let is_document = self.is_document();
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
        File { path, media_type, tag: "1", content: Stored::Plain(bytes) }
    }

    /// `the script`, compressed.
    const SCRIPT_BROTLI: &[u8] = b"\x8b\x04\x80the script\x03";

    static BUILT: &[File] = &[
        file("index.html", "text/html; charset=utf-8", b"the application"),
        file("editor/index.html", "text/html; charset=utf-8", b"the editor"),
        File { content: Stored::Brotli(SCRIPT_BROTLI), ..file("assets/a-1.js", "text/javascript; charset=utf-8", b"") },
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
        assert_eq!((status, body), (200, String::from_utf8_lossy(SCRIPT_BROTLI).into_owned()));
        assert_eq!(
            (headers[CONTENT_ENCODING].to_str().ok(), headers[VARY].to_str().ok()),
            (Some("br"), Some("accept-encoding"))
        );
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], SCRIPT, "a worker's too");
        for others in [&[][..], &[("accept-encoding", "gzip, deflate")], &[("accept-encoding", "br;q=0")]] {
            let (status, headers, body) = get("assets/a-1.js", others).await;
            assert_eq!((status, &*body, headers.get(CONTENT_ENCODING)), (200, "the script", None), "{others:?}");
        }
        let tag = headers[ETAG].to_str().expect("a tag").to_owned();
        let known = [("accept-encoding", "br"), ("if-none-match", &*tag)];
        let (status, again, body) = get("assets/a-1.js", &known).await;
        assert_eq!((status, &*body, &again[ETAG]), (304, "", &headers[ETAG]));
        assert_eq!(get("assets/a-1.js", &[("if-none-match", &*tag)]).await.0, 200, "another form has another tag");
    }

    #[tokio::test]
    async fn documents_refer_to_the_path_that_they_are_served_below() {
        static FILES: &[File] = &[
            file("index.html", "text/html; charset=utf-8", b"<script src=\"/console/assets/a-1.js\"></script>"),
            file("assets/a-1.js", "text/javascript; charset=utf-8", b"/console/"),
        ];
        let get = async |path: &str| {
            let (parts, body) = respond_below_from(FILES, "/__elias/", path, &HeaderMap::new()).into_parts();
            let body = body.collect().await.expect("it is whole").to_bytes();
            (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
        };
        for path in ["", "t/default/jobs"] {
            let (status, headers, body) = get(path).await;
            assert_eq!((status, &*body), (200, "<script src=\"/__elias/assets/a-1.js\"></script>"), "{path}");
            let policy = headers[CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
            assert!(policy.ends_with("trusted-types svelte-trusted-html elias"), "{policy}");
            assert!(!headers.contains_key(REPORTING_ENDPOINTS));
        }
        let (status, headers, body) = get("assets/a-1.js").await;
        assert_eq!((status, &*body, headers.contains_key(ETAG)), (200, "/console/", true), "scripts are as they are");
        assert_eq!(get("missing.js").await.0, 404);
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
