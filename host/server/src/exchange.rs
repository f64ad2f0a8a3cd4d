//! One request and its answer.

use crate::access::Record;
use crate::config::milliseconds;
use crate::connection::Shared;
use crate::error_page::{self, Audience, Failure};
use crate::head::{HostCache, absolute_uri, asks_for_websocket, join_cookies, strip_hop_by_hop};
use crate::live;
use crate::passage::{self, RouteResponseTransform, address};
use crate::read_ahead::{GuestBody, ReadAhead};
use crate::refusal::Refusal;
use crate::request_body::{Progress, RequestBody};
use crate::response_body::{Content, ResponseBody};
use crate::shadow::{Copied, Shadowing};
use crate::shares::{Room, Sharers};
use crate::source::{Current, Ingress};
use bytes::Bytes;
use elias_delivery::supervision::{SharedPermit, UsageReservation};
use elias_host::{App, Caller, Error, Running};
use elias_names::TenantId;
use elias_platform::Service;
use futures::FutureExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The response header that names the execution; the same id stands in the log and in problem documents.
pub(crate) const EXECUTION_ID: HeaderName = HeaderName::from_static("elias-execution-id");

/// What a request holds until its last byte is out or its client has gone. Its end is when it is dropped.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    version: Version,
    /// Whether there is a response, even if the client has not seen its end.
    answered: bool,
    /// Boxed, for it is large and absent when the log is off.
    pub(crate) record: Option<Box<Record>>,
    /// The permit for one of the host's executions, which the execution holds too. Held while bytes of its response
    /// that do not fit into `room` wait for the client.
    permit: Option<Arc<SharedPermit>>,
    /// Of bytes that wait for the client.
    room: Option<Room>,
    /// Until the client has read something, on an HTTP/2 connection.
    unread: Option<OwnedSemaphorePermit>,
    /// Whether all of the response was given away.
    whole: bool,
    /// Who shares in what the request uses.
    sharers: Sharers,
    /// Its part of the limits of concurrent requests.
    requests: Vec<UsageReservation>,
    /// The execution behind an answer that has begun.
    running: Option<Running>,
    /// What became of the request's body.
    received: Option<Arc<Progress>>,
    /// Adds the headers and the compression of the request's route to the response.
    pub(crate) response_transform: Option<Box<RouteResponseTransform>>,
    /// The service for which the host itself responds, with a file or a cached response.
    pub(crate) instead_of: Option<Arc<Service>>,
    /// What is kept of the request for shadows.
    pub(crate) shadowing: Option<Box<Shadowing>>,
}

impl Exchange {
    fn begin<B>(shared: Arc<Shared>, request: &Request<B>) -> Self {
        let version = request.version();
        shared.begin(version == Version::HTTP_2);
        let server = &shared.server;
        let address = match server.config.forwarded_hops {
            0 => Arc::clone(&shared.address),
            hops => server.addresses.usage(address(request.headers(), shared.peer, hops)),
        };
        let sharers = Sharers::new(&server.usage, address, &shared.usage, &server.config);
        let for_a_ticket = matches!(shared.server.ingress, Ingress::Platform(_));
        let record = Record::begin(request, for_a_ticket).map(Box::new);
        Self {
            shared,
            version,
            answered: false,
            record,
            permit: None,
            room: None,
            unread: None,
            whole: false,
            sharers,
            requests: Vec::new(),
            running: None,
            received: None,
            response_transform: None,
            instead_of: None,
            shadowing: None,
        }
    }

    /// Changes what will be logged, if anything will.
    pub(crate) fn note(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// What was wrong with the request's body, if anything.
    pub(crate) fn fault(&self) -> Option<Refusal> {
        self.received.as_ref().and_then(|received| received.fault())
    }

    /// Counts the request among those of the host and of its address.
    fn count(&mut self) -> Result<(), Refusal> {
        self.requests.extend(self.sharers.request(&self.shared.server.config)?);
        Ok(())
    }

    /// Counts the request among those of its service.
    pub(crate) fn count_for(&mut self, service: &Service) -> Result<(), Refusal> {
        self.requests.push(self.sharers.service_request(service.usage(), &self.shared.server.config)?);
        Ok(())
    }

    /// Waits for a permit for one of the host's executions, which an execution has from now on as long as it has an
    /// instance.
    pub(crate) async fn enter(&mut self, running: &Running, tenant: Option<&TenantId>) -> Result<(), Refusal> {
        (self.permit, self.unread) = (None, None); // of an attempt that failed
        let shared = Arc::clone(&self.shared);
        if self.is_http2() {
            self.unread = shared.may_begin().await?;
        }
        let permit = Arc::new(shared.server.admit(tenant).await.ok_or(Refusal::Overloaded)?);
        running.hold(Arc::clone(&permit));
        self.permit = Some(permit);
        Ok(())
    }

    /// Has a guest's response wait for its client beside the guest: what is whole is held if there is room for it, the rest is read ahead.
    fn read_ahead(&mut self, body: elias_host::Body) -> GuestBody {
        let Some(bytes) = body.size_hint().exact() else {
            let (sharers, stalls) = (self.sharers.clone(), &self.shared.server.stalls);
            return GuestBody::Ahead(ReadAhead::start(body, self.permit.take(), sharers, stalls));
        };
        self.room = self.sharers.room(bytes);
        if self.room.is_some() {
            self.permit = None;
        }
        GuestBody::Direct(body)
    }

    /// The client has read what it was given.
    pub(crate) fn is_read(&mut self) {
        if self.unread.take().is_some() {
            self.shared.has_read();
        }
    }

    /// A request's body, within the server's bounds.
    pub(crate) fn receive(&mut self, body: Incoming) -> RequestBody<Incoming> {
        let config = &self.shared.server.config;
        let body = RequestBody::new(body, config.request_bytes, milliseconds(config.body_timeout_ms), &self.shared);
        self.received = body.progress();
        let received = self.received.clone();
        self.note(|record| record.received = received);
        body
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.version == Version::HTTP_2
    }

    /// Bytes went to the client.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.note(|record| record.sent += bytes as u64);
    }

    /// The guest failed after its response had begun.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.note(|record| {
            record.code = Some(error.code().as_str());
            record.error = record.ticket.is_some().then(|| explain(error));
        });
        if self.version < Version::HTTP_11 {
            self.shared.reset();
        }
    }

    /// All was sent.
    pub(crate) fn complete(&mut self) {
        self.whole = true;
        self.note(|record| record.complete = true);
    }

    /// Makes the response that ends this exchange once it is sent or dropped.
    pub(crate) fn respond(mut self, response: Response<Content>) -> Response<ResponseBody> {
        self.answered = true;
        self.note(|record| record.status = response.status().as_u16());
        let mut response = response.map(|content| ResponseBody::new(content, self));
        if response.body().is_end_stream() {
            response.body_mut().complete();
        }
        response
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.whole {
            self.is_read(); // HTTP/2 lets go of it once the client had a window for it
        }
        if let (Some(service), Some(record), Ingress::Platform(platform)) =
            (self.instead_of.take(), &self.record, &self.shared.server.ingress)
        {
            platform.sent(&service, record.sent);
        }
        match (self.running.take(), self.record.take()) {
            (Some(running), record) => self.shared.server.in_background(async move {
                let execution = running.finished().await;
                if let Some(mut record) = record {
                    record.execution = Some(execution);
                    record.end();
                }
            }),
            (None, Some(record)) => record.end(),
            (None, None) => {}
        }
        if let (Some(shadowing), Ingress::Platform(platform)) = (self.shadowing.take(), &self.shared.server.ingress) {
            self.permit = None; // a copy may be the next to have it
            shadowing.end(&self.shared.server, platform);
        }
        self.shared.end(self.answered);
    }
}

/// Answers one request.
pub(crate) fn answer(
    shared: Arc<Shared>,
    current: &Current,
    hosts: &mut HostCache,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + use<> {
    let server = Arc::clone(&shared.server);
    let mut exchange = Exchange::begin(shared, &request);
    let current = current.clone();
    let checked = check(&exchange, hosts, &mut request);
    let checked = match checked {
        Ok(Plan::Component) => exchange.count().map(|()| Plan::Component),
        other => other,
    };
    let head = request.method() == Method::HEAD;
    async move {
        let audience = Audience::of(server.config.dev, request.headers());
        let outcome = match checked {
            Ok(Plan::Component) => {
                let call = async {
                    match &server.ingress {
                        Ingress::Component(_) => call(&mut exchange, &current, request).await,
                        Ingress::Platform(platform) => passage::call(&mut exchange, platform, request).await,
                        Ingress::Admin(router) => Ok(passage::administer(&mut exchange, router, request).await),
                    }
                };
                let call = AssertUnwindSafe(call).catch_unwind();
                // The panic hook has printed where and why.
                call.await.unwrap_or(Err(Failure::Refused(Refusal::Internal)))
            }
            Ok(Plan::Health) => {
                exchange.record = None; // probes would drown the rest
                Ok(health(server.is_draining()))
            }
            Ok(Plan::Live(resource)) => {
                exchange.record = None;
                Ok(live::respond(resource, &server))
            }
            Ok(Plan::NoContent) => Ok(no_content()),
            Err(refusal) => Err(Failure::Refused(refusal)),
        };
        let mut response = outcome.unwrap_or_else(|failure| {
            exchange.note(|record| {
                record.code = Some(failure.code());
                record.execution = failure.execution().cloned();
            });
            if let Failure::Component(error) = &failure {
                exchange.note(|record| record.error = record.ticket.is_some().then(|| explain(error)));
            }
            error_page::render(&failure, audience, &current)
        });
        if let Some(transform) = exchange.response_transform.take() {
            response = transform.apply(response);
        }
        if head {
            response = without_body(response);
        }
        let shared = &exchange.shared;
        if shared.over_share && exchange.is_http2() {
            shared.drain();
        }
        if (shared.late || shared.over_share || shared.closes()) && !exchange.is_http2() {
            response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(exchange.respond(response))
    }
}

/// Who answers.
enum Plan {
    Component,
    Health,
    Live(live::LiveResource),
    NoContent,
}

/// Looks at a request's head, and makes it the one that the component gets.
fn check(exchange: &Exchange, hosts: &mut HostCache, request: &mut Request<Incoming>) -> Result<Plan, Refusal> {
    let config = &exchange.shared.server.config;
    if !config.health_path.is_empty() && request.uri().path() == config.health_path {
        return Ok(Plan::Health);
    }
    if exchange.shared.late {
        return Err(Refusal::Draining);
    }
    if exchange.shared.over_share {
        return Err(Refusal::AddressConnections);
    }
    if config.dev
        && let Some(resource) = live::requested_resource(request)
    {
        return Ok(Plan::Live(resource));
    }
    if request.method() == Method::CONNECT {
        return Err(Refusal::NotImplemented);
    }
    if asks_for_websocket(request.headers()) {
        return Err(Refusal::UpgradeNotSupported);
    }
    let uri = request.uri();
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if authority.saturating_add(path) > config.uri_bytes as usize {
        return Err(Refusal::UriTooLong);
    }
    // hyper's own caps are coarser: the buffer's size in HTTP/1, no count in HTTP/2.
    let headers = request.headers();
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    if headers.len() > config.head_fields as usize || fields + authority + path > config.head_bytes as usize {
        return Err(Refusal::HeadersTooLarge);
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Ok(Plan::NoContent);
    }
    let mut uri = std::mem::take(request.uri_mut());
    absolute_uri(&mut uri, request.version(), request.headers(), hosts)?;
    *request.uri_mut() = uri;
    if request.body().size_hint().lower() > config.request_bytes {
        exchange.shared.leave_body_unread(request.body().size_hint());
        return Err(Refusal::RequestTooLarge);
    }
    strip_hop_by_hop(request.headers_mut());
    join_cookies(request.headers_mut());
    Ok(Plan::Component)
}

/// Has the component answer.
async fn call(
    exchange: &mut Exchange,
    current: &Current,
    request: Request<Incoming>,
) -> Result<Response<Content>, Failure> {
    let app = current.app.as_ref().ok_or(Refusal::NoComponent)?;
    let running = Running::new();
    exchange.enter(&running, None).await?;
    // In development a page follows what is served.
    let follows = exchange.shared.server.config.dev.then(|| request.headers().clone());
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear(); // hyper's own, such as the upgrade that we do not offer
    let hops = exchange.shared.server.config.forwarded_hops;
    let client_address = Some(address(&parts.headers, exchange.shared.peer, hops));
    parts.extensions.insert(running);
    parts.extensions.insert(Arc::new(Caller { client_address, ..Caller::default() }));
    let body = exchange.receive(body);
    let response = ask(exchange, app, Request::from_parts(parts, body)).await?;
    let (mut parts, content) = response.into_parts();
    let content = match follows {
        Some(request) => live::follow_page(&request, &mut parts.headers, content, current),
        None => content,
    };
    Ok(Response::from_parts(parts, content))
}

/// Asks a component, and makes its answer the one that the client gets.
pub(crate) async fn ask<B>(
    exchange: &mut Exchange,
    app: &App,
    request: Request<B>,
) -> Result<Response<Content>, Failure>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let method = request.method().clone();
    exchange.note(|record| record.app = Some(app.clone()));
    let result = app.fetch(request).await;
    // What was wrong with the body is the client's fault, whatever the guest made of it.
    let fault = exchange.fault();
    let response = match (result, fault) {
        (Ok(response), None) => response,
        (Err(error), None) => {
            if let Some(shadowing) = &exchange.shadowing {
                shadowing.fails(&error);
            }
            return Err(Failure::Component(error));
        }
        (Ok(_), Some(fault)) => return Err(Failure::Refused(fault)),
        (Err(error), Some(fault)) => {
            exchange.note(|record| record.execution = error.execution().cloned());
            return Err(Failure::Refused(fault));
        }
    };
    pass_on(exchange, &method, response).map_err(Failure::Refused)
}

/// An error and its stack, for whoever looks at the execution later.
pub(crate) fn explain(error: &Error) -> String {
    match error.stack().filter(|stack| !stack.is_empty()) {
        Some(stack) => format!("{error}\n{stack}"),
        None => error.to_string(),
    }
}

/// Makes the guest's response the one that the client gets.
fn pass_on(
    exchange: &mut Exchange,
    method: &Method,
    response: Response<elias_host::Body>,
) -> Result<Response<Content>, Refusal> {
    let (mut parts, body) = response.into_parts();
    let running = parts.extensions.remove::<Running>();
    strip_hop_by_hop(&mut parts.headers);
    if let Some(running) = &running
        && let Ok(id) = HeaderValue::from_str(running.id())
    {
        parts.headers.insert(EXECUTION_ID, id);
    }
    // What has not ended by now may go on after the last byte: the end of the server waits for it.
    exchange.running = running;
    if parts.status.is_informational() {
        return Err(Refusal::BadResponse);
    }
    // hyper leaves these bodies out in HTTP/1 only.
    let bodiless =
        matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    // A guest may have left a stream unread: that nothing came says nothing of the length that GET would have.
    if *method == Method::HEAD
        && !bodiless
        && let Some(bytes) = body.size_hint().exact().filter(|&bytes| bytes > 0)
    {
        parts.headers.entry(CONTENT_LENGTH).or_insert(bytes.into());
    }
    let empty = bodiless || *method == Method::HEAD;
    let response = Response::from_parts(parts, body);
    if let Some(shadowing) = &exchange.shadowing {
        let execution = exchange.running.as_ref().map(Running::id).unwrap_or_default();
        shadowing.answers(&response, execution, empty || response.body().is_end_stream());
    }
    Ok(response.map(|body| {
        if empty {
            return Content::Empty;
        }
        let body = exchange.read_ahead(body);
        match &exchange.shadowing {
            Some(shadowing) => Content::Copied(Copied::answer(body, shadowing.kept())),
            None => Content::Guest(body),
        }
    }))
}

/// The answer to HEAD, with the length of what GET would be answered with where that is known. hyper leaves bodies out in HTTP/1 only.
fn without_body(response: Response<Content>) -> Response<Content> {
    let (mut parts, content) = response.into_parts();
    if let Content::Page(page) = &content {
        parts.headers.entry(CONTENT_LENGTH).or_insert(page.len().into());
    }
    Response::from_parts(parts, Content::Empty)
}

/// Whether the server is up.
fn health(draining: bool) -> Response<Content> {
    let (status, text) = if draining { (503, "draining\n") } else { (200, "ok\n") };
    let mut response = Response::new(Content::Page(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The answer to `OPTIONS *`, which asks the server itself.
fn no_content() -> Response<Content> {
    let mut response = Response::new(Content::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
