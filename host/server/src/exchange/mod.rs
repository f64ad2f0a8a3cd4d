//! One request and its response: the server's resources that they hold, and the reports when they end.

mod access_log;
mod record;
mod response_body;

pub use access_log::TARGET as ACCESS_LOG_TARGET;
pub(crate) use record::RequestRecord;
pub(crate) use response_body::ResponseBody;

use crate::body::{ComponentBody, ReadAhead, RequestBody, RequestProgress};
use crate::config::{ServerConfig, milliseconds};
use crate::connection::Connection;
use crate::development::RequestCapture;
use crate::failure::{Failure, Refusal, describe};
use crate::features::mirroring::Mirroring;
use crate::features::response_transform::RouteResponseTransform;
use crate::headers::client_address;
use crate::limits::{BufferReservation, UsageScopes};
use crate::source::Ingress;
use elias_delivery::supervision::{SharedPermit, UsageReservation};
use elias_host::{Error, ErrorCode, Execution, ExecutionHandle};
use elias_names::TenantId;
use elias_platform::{RequestGuard, RequestOutcome, Service};
use http::{HeaderMap, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The state of a request until its last byte is out or its client has gone. The exchange ends when it is dropped.
pub(crate) struct Exchange {
    pub(crate) connection: Arc<Connection>,
    version: Version,
    /// Whether there is a response, even if the client has not seen its end.
    has_response: bool,
    /// Whether all of the response was given away.
    is_complete: bool,
    /// Boxed, for it is large and absent when the log is off.
    record: Option<Box<RequestRecord>>,
    /// The admission to a platform's service, which is told how the request ended.
    guard: Option<RequestGuard>,
    /// The execution behind a response that has begun.
    running: Option<ExecutionHandle>,
    /// The permit for one of the host's executions, which the execution holds too. Held while bytes of its response
    /// that do not fit into `buffer` wait for the client.
    permit: Option<Arc<SharedPermit>>,
    /// Memory for bytes that wait for the client.
    buffer: Option<BufferReservation>,
    /// Until the client has read something, on an HTTP/2 connection.
    unread: Option<OwnedSemaphorePermit>,
    /// Everyone whom the use of this request is counted for.
    scopes: UsageScopes,
    /// Its part of the limits of concurrent requests.
    requests: Vec<UsageReservation>,
    /// The part of the request's body that was read.
    received: Option<Arc<RequestProgress>>,
    /// Adds the headers and the compression of the request's route to the response.
    pub(crate) response_transform: Option<Box<RouteResponseTransform>>,
    /// The service for which the host itself responds, with a file or a cached response.
    pub(crate) served_by_host: Option<Arc<Service>>,
    /// The captured request, for variants to which it is mirrored.
    pub(crate) mirroring: Option<Box<Mirroring>>,
    /// The captured request, for the console of a development server.
    captured: Option<Box<RequestCapture>>,
}

impl Exchange {
    /// A request begins.
    pub(crate) fn begin<B: http_body::Body>(connection: Arc<Connection>, request: &Request<B>) -> Self {
        let version = request.version();
        connection.begin(version == Version::HTTP_2);
        let server = &connection.server;
        let hops = server.config.forwarded_hops;
        let address = match hops {
            0 => Arc::clone(&connection.address),
            _ => server.addresses.usage(client_address(request.headers(), connection.peer, hops)),
        };
        let scopes = UsageScopes::new(&server.usage, address, &connection.usage, &server.config);
        let is_logged = access_log::is_enabled();
        let has_record = is_logged || matches!(server.ingress, Ingress::Platform(_));
        let record = has_record.then(|| Box::new(RequestRecord::new(request, is_logged, hops > 0)));
        let captured = server.development.as_ref().map(|development| development.capture(request));
        Self {
            connection,
            version,
            has_response: false,
            is_complete: false,
            record,
            guard: None,
            running: None,
            permit: None,
            buffer: None,
            unread: None,
            scopes,
            requests: Vec::new(),
            received: None,
            response_transform: None,
            served_by_host: None,
            mirroring: None,
            captured,
        }
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.connection.server.config
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.version == Version::HTTP_2
    }

    /// The address of the client, as far as it is trusted.
    pub(crate) fn client_address(&self, headers: &HeaderMap) -> IpAddr {
        client_address(headers, self.connection.peer, self.config().forwarded_hops)
    }

    /// Changes what is known of the request, if anyone wants to know.
    pub(crate) fn note(&mut self, change: impl FnOnce(&mut RequestRecord)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// Leaves the request out of the access log, and out of those that the console of a development server shows.
    pub(crate) fn skip_log(&mut self) {
        (self.record, self.captured) = (None, None);
    }

    /// Counts the request among those of the host and of its address.
    pub(crate) fn count(&mut self) -> Result<(), Refusal> {
        self.requests.extend(self.scopes.request(&self.connection.server.config)?);
        Ok(())
    }

    /// Counts the request among those of its service.
    pub(crate) fn count_for(&mut self, service: &Service) -> Result<(), Refusal> {
        self.requests.push(self.scopes.service_request(service.usage(), &self.connection.server.config)?);
        Ok(())
    }

    /// Hands over the request's part of the limits of concurrent requests, to work that may outlive the exchange.
    pub(crate) fn take_counted(&mut self) -> Vec<UsageReservation> {
        std::mem::take(&mut self.requests)
    }

    /// Holds that part again.
    pub(crate) fn hold_counted(&mut self, requests: Vec<UsageReservation>) {
        self.requests = requests;
    }

    /// A request's body, within the server's bounds.
    pub(crate) fn receive(&mut self, body: Incoming) -> RequestBody<Incoming> {
        let config = &self.connection.server.config;
        let timeout = milliseconds(config.body_timeout_ms);
        let body = RequestBody::new(body, config.request_bytes, timeout, &self.connection.unread_body);
        let body = body.captured(self.captured.as_ref().map(|captured| captured.body()));
        self.received = body.progress();
        let received = self.received.clone();
        self.note(|record| record.received = received);
        body
    }

    /// The fault of the request's body, if there was one.
    pub(crate) fn fault(&self) -> Option<Refusal> {
        self.received.as_ref().and_then(|received| received.fault())
    }

    /// The admission to a service, which the request has to its end.
    pub(crate) fn hold_guard(&mut self, guard: RequestGuard) {
        self.guard = Some(guard);
    }

    /// The admission to a service, if there is one.
    pub(crate) fn guard(&self) -> Option<&RequestGuard> {
        self.guard.as_ref()
    }

    /// The host has no permit for the request: it gives back what it holds of its service.
    pub(crate) fn refuse_guard(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.refuse();
        }
    }

    /// A first attempt failed, and another follows. The failure still counts for the health of the service.
    pub(crate) fn end_attempt(&mut self, error: &Error) {
        if let (Some(guard), Some(record)) = (self.guard.take(), &self.record) {
            guard.end(record.outcome_of_attempt(error));
        }
    }

    /// A middleware let the request go on, and its response is over. Its service is told when its execution has ended,
    /// for which the request does not wait.
    pub(crate) fn end_step(&mut self, status: u16) {
        (self.permit, self.buffer, self.unread, self.mirroring) = (None, None, None, None);
        let (running, mut guard) = (self.running.take(), self.guard.take());
        if let Some(guard) = &mut guard {
            guard.book(running.is_some(), 0, 0);
        }
        self.note(|record| record.app = None);
        let (Some(guard), Some(record)) = (guard, &self.record) else { return };
        let (method, path) = (record.method.clone(), record.uri.path().to_owned());
        let end = move |execution: Option<&Execution>| {
            let (method, path) = (method.as_str(), path.as_str());
            guard.end(RequestOutcome {
                method,
                path,
                received: None,
                status,
                sent_bytes: 0,
                received_bytes: 0,
                execution,
                error: None,
            });
        };
        match running {
            Some(running) if running.execution().is_none() => {
                self.connection.server.spawn_in_background(async move { end(Some(&running.finished().await)) });
            }
            running => end(running.as_ref().and_then(ExecutionHandle::execution)),
        }
    }

    /// A middleware failed, but the request goes on.
    pub(crate) fn end_failed_step(&mut self, failure: &Failure) {
        if let Failure::Component(error) = failure {
            self.end_attempt(error);
        }
        self.end_step(failure.entry().1);
    }

    /// Waits for a permit for one of the host's executions, which an execution has from now on as long as it has an
    /// instance.
    pub(crate) async fn enter(&mut self, running: &ExecutionHandle, tenant: Option<&TenantId>) -> Result<(), Refusal> {
        self.permit = None; // of an attempt that failed
        self.wait_for_reader().await?;
        let server = Arc::clone(&self.connection.server);
        let permit = Arc::new(server.admit(tenant).await.ok_or(Refusal::Host(ErrorCode::Overloaded))?);
        running.hold(Arc::clone(&permit));
        self.permit = Some(permit);
        Ok(())
    }

    /// Waits until the client of an HTTP/2 connection has read enough for another execution to begin.
    pub(crate) async fn wait_for_reader(&mut self) -> Result<(), Refusal> {
        self.unread = None; // of an attempt that failed
        if self.is_http2() {
            let connection = Arc::clone(&self.connection);
            self.unread = connection.may_begin().await?;
        }
        Ok(())
    }

    /// The execution behind a response. It may go on after the last byte: the end of the request waits for it.
    pub(crate) fn hold_execution(&mut self, running: Option<ExecutionHandle>) {
        self.running = running;
    }

    /// The id of that execution; empty without one.
    pub(crate) fn execution_id(&self) -> &str {
        self.running.as_ref().map(ExecutionHandle::id).unwrap_or_default()
    }

    /// Buffers a component's response, so that it waits for its client without the component: a complete one is held if
    /// there is memory for it, the rest is read ahead. `announced` is what is left of the length that its headers say.
    pub(crate) fn buffer_response(&mut self, body: elias_host::Body, announced: Option<u64>) -> ComponentBody {
        let Some(bytes) = body.size_hint().exact() else {
            let (scopes, stalled) = (self.scopes.clone(), &self.connection.server.stalled);
            // HTTP/2 asks on to the end, where there may be trailers.
            let announced = announced.filter(|_| !self.is_http2());
            return ComponentBody::Ahead(ReadAhead::start(body, announced, self.permit.take(), scopes, stalled));
        };
        self.buffer_bytes(bytes);
        ComponentBody::Direct(body)
    }

    /// Holds this many bytes of a component's complete response for its client. If there is no memory for them, the
    /// permit of the execution is kept until they are sent.
    pub(crate) fn buffer_bytes(&mut self, bytes: u64) {
        self.buffer = self.scopes.reserve_buffer(bytes);
        if self.buffer.is_some() {
            self.permit = None;
        }
    }

    /// Everyone whom the use of this request is counted for.
    pub(crate) fn scopes(&self) -> UsageScopes {
        self.scopes.clone()
    }

    /// Holds the permit of an execution that did not [enter](Self::enter) through this exchange.
    pub(crate) fn hold_permit(&mut self, permit: Arc<SharedPermit>) {
        self.permit = Some(permit);
    }

    /// There is no response of a component, and this is why.
    pub(crate) fn note_failure(&mut self, failure: &Failure) {
        if let Some(captured) = &mut self.captured {
            let error = match failure {
                Failure::Component(error) => Some(describe(error)),
                Failure::Gateway(refusal) => refusal.reason().map(str::to_owned),
                _ => None,
            };
            captured.fail(failure.code(), error, failure.execution().cloned());
        }
        let error = match failure {
            Failure::Component(error) => self.guard.is_some().then(|| describe(error)),
            Failure::Gateway(refusal) => refusal.reason().map(str::to_owned),
            _ => None,
        };
        self.note(|record| {
            record.code = Some(failure.code());
            if let Failure::Gateway(refusal) = failure {
                record.reason = refusal.reason().map(str::to_owned);
            }
            if let Some(execution) = failure.execution() {
                record.execution = Some(execution.clone());
            }
            record.error = error;
        });
    }

    /// The client has read what it was given.
    fn is_read(&mut self) {
        if self.unread.take().is_some() {
            self.connection.has_read();
        }
    }

    /// The response begins.
    fn begin_response<B>(&mut self, response: &http::Response<B>) {
        self.has_response = true;
        let status = response.status().as_u16();
        self.note(|record| record.status = status);
        if let Some(captured) = &mut self.captured {
            captured.begin_response(response);
        }
        self.book();
    }

    /// Bytes go to the client.
    fn sent(&mut self, piece: &[u8]) {
        let bytes = piece.len() as u64;
        self.note(|record| record.sent_bytes += bytes);
        if let (Some(service), Ingress::Platform(platform)) = (&self.served_by_host, &self.connection.server.ingress) {
            platform.serving().book_sent(service, bytes);
        }
        if let Some(captured) = &self.captured {
            captured.sent(piece);
        }
        self.book();
    }

    /// Counts the usage of the execution so far, before its tenant's client gets more of the response.
    fn book(&mut self) {
        if let (Some(guard), Some(record)) = (&mut self.guard, &self.record) {
            let is_execution = self.running.is_some() || record.execution.is_some();
            guard.book(is_execution, record.received_bytes(), record.sent_bytes);
        }
    }

    /// The content failed after the response had begun.
    fn fail(&mut self, error: &Error) {
        if let Some(captured) = &mut self.captured {
            captured.fail(error.code().as_str(), Some(describe(error)), error.execution().cloned());
        }
        let described = self.guard.is_some().then(|| describe(error));
        self.note(|record| {
            record.code = Some(error.code().as_str());
            record.error = described;
        });
        if self.version < Version::HTTP_11 {
            self.connection.reset();
        }
    }

    /// All was sent.
    fn complete(&mut self) {
        self.is_complete = true;
        self.note(|record| record.is_complete = true);
        if let Some(captured) = &self.captured {
            captured.complete();
        }
    }

    /// Tells everyone who wants to know how the request ended, once its execution has ended.
    fn end_execution(&mut self) {
        let (record, guard, captured) = (self.record.take(), self.guard.take(), self.captured.take());
        match self.running.take() {
            // It goes on in `waitUntil`, and a drain waits for it.
            Some(running) if running.execution().is_none() => {
                self.connection.server.spawn_in_background(async move {
                    let execution = running.finished().await;
                    tell_end(record, guard, captured, Some(execution));
                });
            }
            running => {
                let execution = running.and_then(|running| running.execution().cloned());
                tell_end(record, guard, captured, execution);
            }
        }
    }
}

/// A request has ended, and the execution behind its response, if there was one.
fn tell_end(
    record: Option<Box<RequestRecord>>,
    guard: Option<RequestGuard>,
    captured: Option<Box<RequestCapture>>,
    execution: Option<Execution>,
) {
    if let Some(captured) = captured {
        captured.end(execution.as_ref());
    }
    let Some(mut record) = record else { return };
    if execution.is_some() {
        record.execution = execution;
    }
    if record.is_logged {
        access_log::write(&record, guard.as_ref());
    }
    if let Some(guard) = guard {
        guard.end(record.outcome());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.is_complete {
            self.is_read(); // HTTP/2 lets go of it once the client had a window for it
        }
        if let (Some(service), Some(record), Ingress::Platform(platform)) =
            (self.served_by_host.take(), &self.record, &self.connection.server.ingress)
        {
            platform.serving().sent(&service, record.sent_bytes);
        }
        self.end_execution();
        if let Some(mirroring) = self.mirroring.take()
            && let Ingress::Platform(platform) = &self.connection.server.ingress
        {
            self.permit = None; // a mirrored request may be the next to have it
            mirroring.end(&self.connection.server, platform);
        }
        self.connection.end(self.has_response);
    }
}
