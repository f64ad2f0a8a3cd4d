//! Requests to the admin API.

use super::target::{self, Login};
use bytes::Bytes;
use elias_api::path_segment;
use elias_command_line::text::{plain, plain_lines};
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::{ComponentName, Digest, TenantId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a response may take: a deployment compiles the component, and waits for its smoke test.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long sending an artifact may take.
const UPLOAD: Duration = Duration::from_secs(1800);
/// The waits before the second and the third try.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1000)];
/// Bytes of a response: a page of a thousand executions with their lines fits.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// The most items that the API gives at once.
const PAGE_ITEMS_MAX: usize = 1_000;
/// What is encoded in a part of a path: all but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// With it a POST that is sent again is done once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The admin API of a platform, as a token's owner on behalf of a tenant.
pub(crate) struct Client {
    base: Url,
    tenant: TenantId,
    pub(crate) http: reqwest::Client,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// A request before it is sent.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    patience: Duration,
    /// Whether it does no harm twice, even if the first one arrived.
    repeatable: bool,
}

/// A part of a list.
#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
    /// The names of tokens and users whose ids are in the items.
    #[serde(default)]
    names: BTreeMap<String, String>,
}

/// A problem document (RFC 9457), of which the platform fills in these members.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl Client {
    /// The client of the platform that is meant.
    ///
    /// # Errors
    /// See [`target::login`].
    pub(crate) fn of(target: &Target) -> Result<Self, Failure> {
        Self::new(&target::login(target)?)
    }

    pub(crate) fn new(login: &Login) -> Result<Self, Failure> {
        let base = Url::parse(&login.url).map_err(|error| Failure::new(CliErrorCode::BadUrl, error))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", login.token));
        let mut bearer = bearer.map_err(|_| Failure::new(CliErrorCode::BadToken, "the token cannot be sent"))?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        // The API redirects nowhere, and a token is not to be carried elsewhere.
        let http = reqwest::Client::builder().default_headers(headers).redirect(reqwest::redirect::Policy::none());
        let http = http.connect_timeout(CONNECT).user_agent(concat!("elias/", env!("CARGO_PKG_VERSION"))).build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            base,
            tenant: login.tenant.clone(),
            http: http.map_err(|error| Failure::new(CliErrorCode::Io, said(&error)))?,
            runtime: runtime.map_err(|error| Failure::new(CliErrorCode::Io, error))?,
        })
    }

    /// The tenant that is acted on.
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The URL of a path of the API, each part encoded.
    pub(crate) fn host_url(&self, parts: &[&str]) -> Url {
        // `Url` leaves out parts that are two dots, and tabs and line ends in others: the URL would be another's.
        let parts = parts.iter().map(|part| utf8_percent_encode(&path_segment(part), SEGMENT).to_string());
        let path: Vec<String> = parts.collect();
        let mut url = self.base.clone();
        let path = format!("{}/v1/{}", url.path().trim_end_matches('/'), path.join("/"));
        url.set_path(&path);
        url
    }

    /// The URL of what belongs to the tenant.
    pub(crate) fn tenant_url(&self, parts: &[&str]) -> Url {
        self.host_url(&[&["tenants", self.tenant.as_str()][..], parts].concat())
    }

    /// The URL of what belongs to a component in an environment.
    pub(crate) fn service_url(&self, component: &impl ToString, environment: &impl ToString, parts: &[&str]) -> Url {
        let (component, environment) = (component.to_string(), environment.to_string());
        let service = ["components", component.as_str(), "environments", environment.as_str()];
        self.tenant_url(&[&service[..], parts].concat())
    }

    /// The URL of the tenant's services, or of those of one component.
    pub(crate) fn services_url(&self, component: Option<&ComponentName>) -> Url {
        let mut url = self.tenant_url(&["services"]);
        if let Some(component) = component {
            url.query_pairs_mut().append_pair("component", component.as_str());
        }
        url
    }

    pub(crate) fn get(&self, url: Url) -> Result<Value, Failure> {
        self.json(&Request::new(Method::GET, url))
    }

    /// At most `limit` items of a list, page by page.
    pub(crate) fn list(&self, url: &Url, limit: usize) -> Result<Value, Failure> {
        let mut items: Vec<Value> = Vec::new();
        let mut names = BTreeMap::new();
        let mut next: Option<String> = None;
        loop {
            let mut page = url.clone();
            let wanted = (limit - items.len()).clamp(1, PAGE_ITEMS_MAX);
            page.query_pairs_mut().append_pair("limit", &wanted.to_string());
            if let Some(next) = &next {
                page.query_pairs_mut().append_pair("after", next);
            }
            let found: Page<Value> = read(&self.get(page)?)?;
            items.extend(found.items);
            names.extend(found.names);
            next = found.next;
            if next.is_none() || items.len() >= limit {
                items.truncate(limit);
                let mut list = serde_json::json!({ "items": items, "next": next });
                if !names.is_empty() {
                    list["names"] = serde_json::json!(names);
                }
                return Ok(list);
            }
        }
    }

    /// Sends a POST, again if the connection breaks; the platform does it once.
    pub(crate) fn post(&self, url: Url, body: &impl Serialize) -> Result<Value, Failure> {
        let mut request = Request::new(Method::POST, url).with_json(body)?;
        let key = HeaderValue::from_str(&ulid::Ulid::new().to_string());
        request.headers.insert(IDEMPOTENCY_KEY, key.map_err(|error| Failure::new(CliErrorCode::Io, error))?);
        self.json(&request)
    }

    /// Sends a POST whose response has a secret in it. The platform does not store such responses: it is sent again
    /// only if it cannot have arrived.
    pub(crate) fn post_once(&self, url: Url, body: &impl Serialize) -> Result<Value, Failure> {
        let request = Request::new(Method::POST, url).with_json(body)?;
        self.json(&Request { repeatable: false, ..request })
    }

    pub(crate) fn put(&self, url: Url, body: &impl Serialize) -> Result<Value, Failure> {
        self.json(&Request::new(Method::PUT, url).with_json(body)?)
    }

    pub(crate) fn patch(&self, url: Url, body: &impl Serialize) -> Result<Value, Failure> {
        let request = Request::new(Method::PATCH, url).with_json(body)?;
        // A second one may count on from where the first one did.
        self.json(&Request { repeatable: false, ..request })
    }

    /// Changes what is still at `revision`.
    pub(crate) fn put_at(&self, url: Url, body: &impl Serialize, revision: u64) -> Result<Value, Failure> {
        let mut request = Request::new(Method::PUT, url).with_json(body)?;
        let tag = HeaderValue::from_str(&format!("\"{revision}\""));
        request.headers.insert(IF_MATCH, tag.map_err(|error| Failure::new(CliErrorCode::Io, error))?);
        // A second one would find the revision of the first.
        self.json(&Request { repeatable: false, ..request })
    }

    pub(crate) fn delete(&self, url: Url) -> Result<Value, Failure> {
        // A second one would find nothing.
        self.json(&Request { repeatable: false, ..Request::new(Method::DELETE, url) })
    }

    /// Stores bytes, unless the platform has them.
    pub(crate) fn upload(&self, digest: &Digest, bytes: Bytes) -> Result<(), Failure> {
        let url = self.tenant_url(&["artifacts", digest.as_str()]);
        let (status, _) = self.send(&Request::new(Method::HEAD, url.clone()))?;
        if status.is_success() {
            return Ok(());
        }
        // Whatever else is wrong, the response to this one says it.
        let mut request = Request { body: bytes, patience: UPLOAD, ..Request::new(Method::PUT, url) };
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.json(&request).map(drop)
    }

    /// Copies the response to a GET, of whatever size, to `out` as it comes.
    ///
    /// # Errors
    /// If the platform refuses, the response breaks off, or it cannot be written.
    pub(crate) fn copy(&self, url: Url, accept: &'static str, out: &mut impl std::io::Write) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let request = self.http.get(url).header(ACCEPT, HeaderValue::from_static(accept));
            let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
            if !response.status().is_success() {
                return Err(self.refusal(response).await);
            }
            while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
                out.write_all(&chunk).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
            }
            out.flush().map_err(|error| Failure::new(CliErrorCode::Io, error))
        })
    }

    fn json(&self, request: &Request) -> Result<Value, Failure> {
        let (status, body) = self.send(request)?;
        if !status.is_success() {
            return Err(refused(&self.base, status, &body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| foreign(&self.base, status))
    }

    fn send(&self, request: &Request) -> Result<(StatusCode, Vec<u8>), Failure> {
        self.runtime.block_on(async {
            let mut waits = AGAIN_AFTER.iter();
            loop {
                let error = match self.exchange(request).await {
                    Ok(response) => return response,
                    Err(error) => error,
                };
                // One that was never connected has not arrived; of others nobody knows.
                let again = error.is_connect() || (request.repeatable && !error.is_timeout());
                match waits.next().filter(|_| again) {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => return Err(unreachable(&self.base, error)),
                }
            }
        })
    }

    /// One try. The outer error is the connection's.
    async fn exchange(&self, request: &Request) -> reqwest::Result<Result<(StatusCode, Vec<u8>), Failure>> {
        let sent = self.http.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
        let mut response = sent.body(request.body.clone()).timeout(request.patience).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Ok(Err(Failure::new(CliErrorCode::BadAnswer, "the response is too large")
                    .help("request less, with --limit")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Ok((response.status(), body)))
    }

    /// The failure of a response that is not a success and has a body that is still to be read.
    pub(crate) async fn refusal(&self, response: reqwest::Response) -> Failure {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        refused(&self.base, status, &body)
    }

    /// The failure for a missing response.
    pub(crate) fn unreachable(&self, error: reqwest::Error) -> Failure {
        unreachable(&self.base, error)
    }
}

impl Request {
    fn new(method: Method, url: Url) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { method, url, headers, body: Bytes::new(), patience: PATIENCE, repeatable: true }
    }

    fn with_json(mut self, body: &impl Serialize) -> Result<Self, Failure> {
        self.body = serde_json::to_vec(body).map_err(|error| Failure::new(CliErrorCode::Io, error))?.into();
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }
}

/// Reads a response, or a part of it, as its type.
pub(crate) fn read<T: DeserializeOwned>(response: &Value) -> Result<T, Failure> {
    T::deserialize(response).map_err(|error| {
        Failure::new(CliErrorCode::BadAnswer, format_args!("the platform's response cannot be read: {error}"))
            .help("use the `elias` of the platform's version; with --json the response is printed as it is")
    })
}

/// The items of a list.
pub(crate) fn items<T: DeserializeOwned>(response: &Value) -> Result<Vec<T>, Failure> {
    read::<Page<T>>(response).map(|page| page.items)
}

/// The name that a list gives of an id, with the id; or the id alone.
pub(crate) fn named(list: &Value, id: &str) -> String {
    match list["names"][id].as_str() {
        Some(name) if name != id => format!("{name} ({id})"),
        _ => id.to_owned(),
    }
}

/// The failure for a problem document.
pub(super) fn refused(base: &Url, status: StatusCode, body: &[u8]) -> Failure {
    let Ok(Problem { code, detail }) = serde_json::from_slice(body) else { return foreign(base, status) };
    // They come over the network: a terminal must not be steered by them.
    let failure = Failure::new(plain(&code), plain_lines(&detail));
    match code.as_str() {
        "unauthenticated" => failure.help(format!("run `elias login {base}` with a token that is valid")),
        "forbidden" => {
            failure.help("`elias tokens create` makes a token with another role; ask an admin of the tenant")
        }
        "stale" => failure.help("look at what has changed (elias status), and run the command again"),
        _ => failure,
    }
}

/// The failure for a response that no platform sends.
fn foreign(base: &Url, status: StatusCode) -> Failure {
    Failure::new(CliErrorCode::BadAnswer, format_args!("{base} is not the admin API of a platform (status {status})"))
        .help("`elias serve --platform` prints where its admin API is; it is not where components are served")
}

fn unreachable(base: &Url, error: reqwest::Error) -> Failure {
    let timeout = error.is_timeout();
    let failure = Failure::new(
        CliErrorCode::Unreachable,
        format_args!("no response from {base}: {}", said(&error.without_url())),
    );
    if timeout {
        return failure.help("it may have been done all the same: look with `elias status` before you try again");
    }
    failure.help("is the platform running? `elias serve --platform` prints where its admin API is")
}

/// An error with its causes, which is where reqwest says what happened.
fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Client {
        let tenant = "acme".parse().expect("a name");
        Client::new(&Login { url: url.into(), token: "secret".into(), tenant, renewal: None }).expect("a client")
    }

    #[test]
    fn parts_of_a_path_are_encoded() {
        let behind = client("http://a.example/behind");
        let url = behind.tenant_url(&["keys", "example.com/team?x#y"]);
        assert_eq!(url.as_str(), "http://a.example/behind/v1/tenants/acme/keys/example.com%2Fteam%3Fx%23y");
        let url = behind.service_url(&"shop", &"staging", &["rollback"]);
        assert_eq!(url.path(), "/behind/v1/tenants/acme/components/shop/environments/staging/rollback");
        let url = behind.tenant_url(&["..", ".", "a\tb\n\0é", "~.", "%2e%2e"]);
        assert_eq!(url.path(), "/behind/v1/tenants/acme/~../~./a%09b%0A%00%C3%A9/~~./%252e%252e");
        assert_eq!(client("http://a.example").host_url(&["whoami"]).as_str(), "http://a.example/v1/whoami");
    }

    #[test]
    fn a_name_is_beside_its_id() {
        let list = serde_json::json!({ "items": [], "names": { "01J9": "ci", "operator": "operator" } });
        assert_eq!(["01J9", "operator", "host"].map(|id| named(&list, id)), ["ci (01J9)", "operator", "host"]);
        assert_eq!(named(&Value::Null, "01J9"), "01J9", "a list of an earlier release");
    }

    #[test]
    fn a_problem_becomes_a_failure_that_steers_no_terminal() {
        let base = Url::parse("http://a.example").expect("a URL");
        let body = br#"{"type":"urn:elias:error:in-use","title":"t","status":409,"code":"in-use",
            "detail":"it \u001b[2J\nserves"}"#;
        let text = refused(&base, StatusCode::CONFLICT, body).to_string();
        assert!(text.contains("error[in-use]: it \\u{1b}[2J\nserves"), "{text}");
        for body in [&b""[..], &b"<html>"[..], &b"{}"[..], &b"[1]"[..], &b"\xff"[..]] {
            let text = refused(&base, StatusCode::BAD_GATEWAY, body).to_string();
            assert!(text.contains("bad-answer") && text.contains("502"), "{text}");
        }
    }

    #[test]
    fn nothing_that_listens_is_told_as_such() {
        // Nobody can listen on port 0.
        let nobody = client("http://127.0.0.1:0");
        let error = nobody.get(nobody.host_url(&["whoami"])).expect_err("nobody");
        let text = error.to_string();
        assert!(text.contains("unreachable") && !text.contains("secret"), "{text}");
    }
}
