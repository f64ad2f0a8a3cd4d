//! `wasi:http/outgoing-handler`: requests to other servers; `fetch` in JavaScript.
//!
//! A component reaches the hosts that its grant allows, and of those no address of a private network that the grant
//! does not name: the check is on the address that is dialled, after every resolution, so that a name that points
//! elsewhere the second time gains nothing. Redirects are followed by the guest, each as a request of its own with the
//! same checks.
//!
//! Connections are kept and shared by the instances of one component, and by no other component. Bodies of responses
//! are decoded here (`content-encoding`), as the guest reads them; the cap on their bytes counts what arrives and what
//! comes out.
//!
//! A request has the trace context of the execution that sends it ([`Cause`]), if the component gives it none: as a
//! span of its own where the execution keeps its calls. In a turn of a service worker ([`TurnCalls`]) one with an
//! unsafe method has an idempotency key, and a further attempt of the turn gets the response that an earlier one has
//! read.
//!
//! [`GrantedClient`] is for requests that the host itself sends for a component, such as webhooks: by the same grant,
//! with the same checks.

mod address;
mod body;
mod client;
mod coding;
mod decode;
mod error;
mod grant;
mod granted_client;
mod public;
mod public_post;
mod recorded;
mod rule;

pub use granted_client::{GrantedClient, PostResponse, check_url};
pub use public::PublicFetch;
pub use public_post::{PublicPost, PublicResponse};

use crate::cause::{Cause, trace_id};
use crate::turn::TurnCalls;
use client::Client;
use elias_host::capability::pricing::Price;
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::Resource;
use elias_host::capability::{
    Amount, CallMeter, Capability, ComponentInfo, ConfigureError, HostCall, HostLinker, InstanceInfo, InstanceState,
    wasmtime,
};
use elias_host::grants;
use http::header::Entry;
use http::{HeaderName, HeaderValue, Method, Uri};
use recorded::RecordedResponse;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Units of fuel of a request: its URL is parsed and matched with the grant, its fields are converted, and a task sends
/// it.
const REQUEST: u64 = 200_000;

/// The header of W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header of a request that is to be done once (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The http capability.
#[derive(Debug, Default)]
pub struct Http;

/// The grant of one component, and its connections.
pub struct HttpGrant {
    client: Client,
}

/// The client of one instance.
#[derive(Clone)]
pub struct HttpContext {
    grant: Arc<HttpGrant>,
    open: Arc<Semaphore>,
    /// KiB of decoders' windows.
    windows: Arc<Semaphore>,
    calls: CallMeter,
    instance: InstanceInfo,
    /// The `traceparent` of the execution, if it is part of a trace.
    traceparent: Option<HeaderValue>,
    /// The turn of a service worker that the execution is.
    turn: Option<TurnCalls>,
}

impl Capability for Http {
    type Grant = HttpGrant;
    type Context = HttpContext;

    fn name(&self) -> &'static str {
        "http"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["wasi:http/outgoing-handler"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        linker.interface("wasi:http/outgoing-handler@0.2.12")?.func(
            "handle",
            Price::of(REQUEST),
            |mut store: StoreContextMut<'_, InstanceState>,
             (request, options): (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>)| {
                let mut context = store.data_mut().context::<Self>().clone();
                let mut http = store.data_mut().http_with(&mut context);
                let started: Result<Resource<HostFutureIncomingResponse>, ErrorCode> =
                    match http.handle(request, options) {
                        Ok(response) => Ok(response),
                        Err(error) => Err(error.downcast()?),
                    };
                Ok((started,))
            },
        )
    }

    async fn configure(&self, component: &ComponentInfo, granted: Option<&Value>) -> Result<HttpGrant, ConfigureError> {
        Ok(HttpGrant { client: Client::new(grants::parse(granted)?, &component.folder)? })
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<HttpGrant>) -> HttpContext {
        let open = Arc::new(Semaphore::new(grant.client.grant().requests as usize));
        let windows = Arc::new(Semaphore::new(decode::WINDOWS_KIB));
        let traceparent = instance.extension::<Cause>().and_then(|cause| cause.traceparent.as_deref());
        let traceparent = traceparent.and_then(|text| HeaderValue::from_str(text).ok());
        let calls = instance.call_meter(self.name());
        let (grant, turn, instance) = (Arc::clone(grant), instance.extension().cloned(), instance.clone());
        HttpContext { grant, open, windows, calls, instance, traceparent, turn }
    }
}

type SendResult = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for HttpContext {
    /// The client sets it, from the address that was checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        let Self { grant, open, windows, calls, instance, traceparent, turn } = self.clone();
        let turn = turn.filter(|_| !request.method().is_safe());
        // To the answer's head: when the rest of it comes is for the guest to say.
        let mut call = calls.begin();
        if call.keeps_details() {
            describe(&mut call, request.method(), request.uri());
        }
        if let Some(traceparent) = traceparent
            && let Entry::Vacant(vacant) = request.headers_mut().entry(TRACEPARENT)
        {
            let own = if call.keeps_details() { as_own_span(&traceparent, &mut call) } else { None };
            vacant.insert(own.unwrap_or(traceparent));
        }
        Box::new(async move {
            let sent: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(std::future::ready(Ok(())));
            let total = Duration::from_millis(grant.client.grant().total_timeout_ms);
            let ends = Instant::now() + total;
            // More requests than may be open wait for their turn, inside their own time.
            let Ok(Ok(permit)) = tokio::time::timeout_at(ends, open.acquire_owned()).await else {
                call.fail();
                return Err(Error::ConnectionLimitReached);
            };
            let (turn_call, request) = match turn {
                Some(turn) => {
                    let begun = recorded::begin(&turn, instance.component(), request);
                    let begun = tokio::time::timeout_at(ends, begun).await;
                    let (begun, request) = begun.map_err(|_| Error::ConnectionWriteTimeout)??;
                    if let Some(response) = begun.recorded::<RecordedResponse>() {
                        return Ok((response.replay(request.into_body()), sent));
                    }
                    (Some(begun), request)
                }
                None => (None, request),
            };
            let server = request.uri().authority().cloned();
            let response = grant.client.send(request, options.unwrap_or_default(), ends, permit, windows, calls).await;
            match &response {
                Ok(response) => {
                    let status = response.status();
                    call.number("http.response.status_code", i64::from(status.as_u16()));
                    if status.is_client_error() || status.is_server_error() {
                        call.fail();
                    }
                }
                Err(_) => call.fail(),
            }
            drop(call);
            if let (Err(Error::HttpRequestDenied | Error::DestinationIpProhibited), Some(server)) = (&response, server)
            {
                // A user and a password may stand before the host.
                instance.egress_refused(server.as_str().rsplit('@').next().unwrap_or_default());
            }
            let response = match turn_call {
                Some(call) => recorded::record(response?, call).await?,
                None => response?,
            };
            Ok((response, sent))
        })
    }
}

/// Says of a call which server it asks. The path and the query are left out: they have what users sent.
fn describe(call: &mut HostCall, method: &Method, uri: &Uri) {
    call.text("http.request.method", method.as_str());
    if let Some(host) = uri.host() {
        call.text("server.address", host);
    }
    if let Some(port) = uri.port_u16() {
        call.number("server.port", i64::from(port));
    }
}

/// The `traceparent` of a request that is a span of its own in the trace, which the call is told.
fn as_own_span(traceparent: &HeaderValue, call: &mut HostCall) -> Option<HeaderValue> {
    let text = traceparent.to_str().ok()?;
    let (trace, flags) = (trace_id(text)?, text.get(53..)?);
    let span = rand::random::<u64>().max(1);
    let value = HeaderValue::try_from(format!("00-{trace}-{span:016x}-{flags}")).ok()?;
    call.span(span.to_be_bytes());
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_span_of_its_own_in_the_trace() {
        let mut call = CallMeter::default().begin();
        let given = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let own = as_own_span(&given, &mut call).expect("a value");
        let text = own.to_str().expect("it is plain");
        assert_eq!((text.len(), &text[..36], &text[52..]), (55, "00-4bf92f3577b34da6a3ce929d0e0e4736-", "-01"));
        assert_ne!(own, given);
        for wrong in ["", "00-1-2-3", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"] {
            assert!(as_own_span(&HeaderValue::from_static(wrong), &mut call).is_none(), "{wrong}");
        }
    }
}
