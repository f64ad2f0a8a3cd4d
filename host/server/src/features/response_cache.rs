//! Serves requests from the response cache, and stores the responses of components in it.

use crate::body::{ComponentBody, Content};
use crate::failure::describe;
use crate::headers::{EXECUTION_ID, strip_hop_by_hop};
use crate::state::ServerState;
use bytes::Bytes;
use elias_gateway::{CacheRules, Identity, cache};
use elias_host::{Caller, Error, ExecutionHandle};
use elias_platform::{CacheFill, LookupResult, Platform, RequestOutcome, Service};
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderName, Method, Request, Response, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

/// The result of a cache lookup.
#[derive(Default)]
pub(crate) struct CacheLookup {
    /// The cached response, if there is one.
    pub(crate) response: Option<Response<Content>>,
    /// Stores the component's response: to this request or, if the cached response is stale, to its revalidation.
    pub(crate) writer: Option<CacheWriter>,
}

impl CacheLookup {
    /// There is no cached response: the component gets the request.
    fn forward(writer: CacheWriter) -> Self {
        Self { response: None, writer: Some(writer) }
    }
}

/// Stores the response to a request if it may be stored, and adds a `Cache-Status` header to it (RFC 9211).
pub(crate) struct CacheWriter {
    rules: Arc<CacheRules>,
    request: request::Parts,
    variance: ResponseVariance,
    fill: Option<CacheFill>,
    /// The parameters of `Cache-Status` that tell why the component got the request.
    cache_status: &'static str,
}

/// The request attributes on which a response depends, beside host and path.
#[derive(Clone)]
pub(crate) struct ResponseVariance {
    /// The headers that chose the route.
    pub(crate) vary: Vec<HeaderName>,
    /// Whether the component knows who sent the request, so that the response may be for that user alone.
    pub(crate) identified: bool,
}

/// Looks up the cached response to a request without a body.
pub(crate) async fn look_up(
    platform: &Platform,
    service: &Service,
    rules: &Arc<CacheRules>,
    request: &request::Parts,
    variance: ResponseVariance,
) -> CacheLookup {
    let writer = |fill, cache_status| CacheWriter {
        rules: Arc::clone(rules),
        request: request.clone(),
        variance: variance.clone(),
        fill,
        cache_status,
    };
    if !rules.can_serve(request) {
        return CacheLookup::forward(writer(None, "fwd=bypass"));
    }
    match platform.response_cache().look_up(service, request, variance.identified).await {
        None => CacheLookup::forward(writer(None, "fwd=bypass")),
        Some(LookupResult::Miss(fill)) => CacheLookup::forward(writer(fill, "fwd=miss")),
        Some(LookupResult::Hit(cached, refresh)) => {
            let parts = cached.headers.response(request, SystemTime::now());
            let bodiless = cached.body.is_empty() || parts.status == http::StatusCode::NOT_MODIFIED;
            let content = if bodiless { Content::Empty } else { Content::Whole(cached.body.clone()) };
            let writer = refresh.map(|fill| writer(Some(fill), "fwd=stale"));
            CacheLookup { response: Some(Response::from_parts(parts, content)), writer }
        }
    }
}

impl CacheWriter {
    /// Returns the response of the release with this number, which is stored while its body is read.
    pub(crate) fn store(self, release: Option<u64>, response: Response<Content>) -> Response<Content> {
        let Self { rules, request, variance, fill, cache_status } = self;
        let fill = fill.filter(|fill| rules.can_store(&request) && release.is_some_and(|release| fill.is_of(release)));
        let (mut parts, content) = response.into_parts();
        let (content, stored) = match (fill, content) {
            (Some(mut fill), Content::Component(body)) => {
                let mut stored = parts.clone();
                stored.headers.remove(EXECUTION_ID); // it names what ran, and nothing runs when it is given again
                match rules.store(&request, stored, &variance.vary, variance.identified, SystemTime::now()) {
                    Some(headers) => {
                        fill.begin(request, headers, rules.max_bytes());
                        (Content::boxed(CachingBody::new(body, fill)), "; stored")
                    }
                    None => {
                        fill.pass();
                        (Content::Component(body), "")
                    }
                }
            }
            (_, content) => (content, ""),
        };
        cache::mark(&mut parts.headers, &format!("{cache_status}{stored}"));
        Response::from_parts(parts, content)
    }
}

/// On whose behalf the component gets the request that revalidates a stale response.
pub(crate) struct RevalidationContext {
    pub(crate) platform: Platform,
    pub(crate) service: Arc<Service>,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) caller: Caller,
    pub(crate) ip: IpAddr,
}

/// Replaces a stale response by a new one of the component, in the background (RFC 5861, section 3). The next request
/// for a stale response retries what failed.
pub(crate) async fn revalidate(server: Arc<ServerState>, context: RevalidationContext, mut writer: CacheWriter) {
    let RevalidationContext { platform, service, identity, caller, ip } = context;
    writer.request.method = Method::GET;
    writer.request.headers.remove(IF_NONE_MATCH);
    writer.request.headers.remove(IF_MODIFIED_SINCE);
    let parts = writer.request.clone();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let Ok(mut guard) = platform.serving().admit(&service, &parts.headers, Some(ip), identity.as_deref()).await else {
        return;
    };
    let mut request = Request::from_parts(parts, Empty::<Bytes>::new());
    guard.set_request(request.method(), request.uri());
    guard.prepare(&mut request, caller);
    let Some(permit) = server.admit(Some(guard.tenant())).await else { return };
    guard.running().hold(permit);
    let app = guard.app().clone();
    match app.fetch(request).await {
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            let (running, status) = (parts.extensions.remove::<ExecutionHandle>(), parts.status.as_u16());
            strip_hop_by_hop(&mut parts.headers);
            let response = Response::from_parts(parts, Content::Component(ComponentBody::Direct(body)));
            // Boxed if it is stored while it is read; any other is not read at all.
            if let Content::Boxed(mut body) = writer.store(Some(guard.release()), response).into_body() {
                while let Some(Ok(_)) = body.frame().await {}
            }
            let execution = match running {
                Some(running) => Some(running.finished().await),
                None => None,
            };
            let (method, path) = (method.as_str(), path.as_str());
            guard.end(RequestOutcome {
                method,
                path,
                received: None,
                status,
                sent_bytes: 0,
                received_bytes: 0,
                execution: execution.as_ref(),
                error: None,
            });
        }
        Err(error) => {
            let (method, path, status) = (method.as_str(), path.as_str(), error.code().status());
            guard.end(RequestOutcome {
                method,
                path,
                received: None,
                status,
                sent_bytes: 0,
                received_bytes: 0,
                execution: error.execution(),
                error: Some(describe(&error)),
            });
        }
    }
}

/// A component's response body that is stored in the cache while it is read.
struct CachingBody {
    body: ComponentBody,
    fill: Option<CacheFill>,
}

impl CachingBody {
    fn new(body: ComponentBody, fill: CacheFill) -> Self {
        let mut caching = Self { body, fill: Some(fill) };
        caching.end();
        caching
    }

    /// Stores the response if the body says that it is at its end: a reader does not poll again then.
    fn end(&mut self) {
        if self.body.is_end_stream()
            && let Some(fill) = self.fill.take()
        {
            fill.finish();
        }
    }
}

impl Body for CachingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match (frame.data_ref(), &mut self.fill) {
                (Some(chunk), Some(fill)) => {
                    fill.push(chunk);
                    self.end();
                }
                // Trailers are not stored, and so neither is the response that they belong to.
                _ => self.fill = None,
            },
            Some(Err(_)) => self.fill = None,
            None => {
                if let Some(fill) = self.fill.take() {
                    fill.finish();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
