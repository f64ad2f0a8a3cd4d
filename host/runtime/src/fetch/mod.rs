//! Calls a component's handler of HTTP requests: from the host's types to the guest's, and back.
//!
//! A component of `elias-build` gets the headers, and a small body that is there already, as one message, and gives a
//! small response as another: `message` has both. What is still to come goes through the streams of `wasi:http`, by
//! which all other components get and give everything: `request_body` and `response_body`.

mod message;
mod request_body;
mod response_body;

pub use response_body::Body;

use crate::error::Error;
use crate::execution::{Caller, ExecutionHandle, Meter};
use crate::instance::{InstanceState, LoadedComponent};
use crate::limits::RequestLimits;
use crate::recycling::{Handler, InstancePool, InstanceSource};
use crate::run::{self, ActiveInstance, ExecutionRecord};
use crate::schedule::Scheduled;
use bytes::Bytes;
use elias_contract::ErrorCode;
use futures::FutureExt;
use http::header::EXPECT;
use http::request::Parts;
use http_body_util::{BodyExt, Empty, Full};
use parking_lot::Mutex;
use request_body::{BoundedBody, RequestBody};
use response_body::{GuestFuture, StreamingResponse};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Resource, TypedFunc};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode as HttpErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error as HttpError, WasiHttpView};

/// The interface and function for messages.
const INTERFACE: &str = "elias:component/fetch@0.1.0";
const FUNCTION: &str = "handle";

/// The value that a guest passes to its response-outparam.
type GuestResponse = Result<http::Response<HyperOutgoingBody>, HttpErrorCode>;

/// The export of a component's handler of requests.
#[derive(Clone)]
pub(crate) enum FetchExport {
    Messages { pre: InstancePre<InstanceState>, function: ComponentExportIndex },
    Proxy(ProxyPre<InstanceState>),
}

impl FetchExport {
    /// Looks the export up, if there is one: that for messages before that of `wasi:http`.
    pub(crate) fn find(component: &Component, pre: InstancePre<InstanceState>) -> Option<Self> {
        let interface = component.get_export_index(None, INTERFACE);
        match interface.and_then(|interface| component.get_export_index(Some(&interface), FUNCTION)) {
            Some(function) => Some(Self::Messages { pre, function }),
            None => ProxyPre::new(pre).ok().map(Self::Proxy),
        }
    }
}

type IncomingRequest = Resource<HostIncomingRequest>;
type ResponseOutparam = Resource<HostResponseOutparam>;
type MessageFunction = TypedFunc<(Vec<u8>, Option<IncomingRequest>, ResponseOutparam), (Option<Vec<u8>>,)>;

/// A component's handler of requests, in an instance.
pub(crate) enum FetchHandler {
    Messages(MessageFunction),
    Proxy(Proxy),
}

impl Handler for FetchHandler {
    type Export = FetchExport;

    async fn instantiate(export: &FetchExport, store: &mut Store<InstanceState>) -> wasmtime::Result<Self> {
        match export {
            FetchExport::Messages { pre, function } => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.get_typed_func(store, *function).map(Self::Messages)
            }
            FetchExport::Proxy(pre) => pre.instantiate_async(store).await.map(Self::Proxy),
        }
    }
}

/// A request as the guest gets it.
enum GuestRequest {
    Message(Vec<u8>, Option<IncomingRequest>),
    Resource(IncomingRequest),
}

/// Where the response goes that the guest gives, through its response-outparam or as a message.
#[derive(Clone)]
struct Responder(Arc<Mutex<Option<oneshot::Sender<GuestResponse>>>>);

impl Responder {
    fn new(sender: oneshot::Sender<GuestResponse>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    fn send(&self, response: GuestResponse) {
        let sender = self.0.lock().take();
        // Whoever waited for it may be gone, and with it the reason to give any.
        if let Some(sender) = sender {
            let _ = sender.send(response);
        }
    }
}

/// Runs the component's handler for a request. The handler runs while this future, and then the response's body, are
/// polled.
pub(crate) async fn fetch<B>(
    component: &Arc<LoadedComponent>,
    pool: &Arc<InstancePool<FetchHandler>>,
    mut request: http::Request<B>,
) -> Result<http::Response<Body>, Error>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (export, request_bytes) = (&pool.template().export, component.limits.request_bytes);
    // A client that expects `100 Continue` before it sends the body gets it when the guest reads.
    let expects = request.headers_mut().remove(EXPECT).is_some();
    let is_too_large = request.body().size_hint().lower() > request_bytes;
    let takes_ahead = matches!(export, FetchExport::Messages { .. }) && !expects && !is_too_large;
    let (mut parts, body) = request.into_parts();
    let body = match body.is_end_stream() {
        true => RequestBody::Whole(Vec::new()),
        false if takes_ahead => RequestBody::take(Box::pin(body)).await,
        false => RequestBody::of(Box::pin(body)),
    };
    let permit = component.admit()?;
    let running = parts.extensions.remove::<ExecutionHandle>().unwrap_or_default();
    let caller = parts.extensions.remove::<Arc<Caller>>();
    let caller = caller.or_else(|| parts.extensions.remove::<Caller>().map(Arc::new)).unwrap_or_default();
    let limits = parts.extensions.remove::<RequestLimits>().unwrap_or_default();
    let extensions = std::mem::take(&mut parts.extensions);
    let extensions = (!extensions.is_empty()).then(|| Arc::new(extensions));
    running.hold(permit);
    let record = ExecutionRecord::start(component, running, None).limited(limits);
    if is_too_large {
        return Err(record.fail(run::request_too_large(component)));
    }
    let source = InstanceSource::Pool(Arc::clone(pool));
    let mut instance = match ActiveInstance::new(source, &record, caller, extensions) {
        Ok(instance) => instance,
        Err(error) => return Err(record.fail(error)),
    };
    let (sender, response) = oneshot::channel();
    let responder = Responder::new(sender);
    let arguments = guest_arguments(export, instance.state(), parts, body, request_bytes, &record.meter, &responder);
    let (request, outparam) = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(instance);
            return Err(record.fail(Error::new(ErrorCode::BadRequest, format!("{error:#}"))));
        }
    };
    let guest = AssertUnwindSafe(handle(instance, request, outparam, responder)).catch_unwind();
    let guest: GuestFuture = Box::pin(Scheduled::new(&component.share, guest));
    StreamingResponse::new(guest, record).response(response).await
}

/// The arguments of the guest's handler: the request, whose body has at most `bytes_max` bytes, and where the
/// response goes.
fn guest_arguments<B>(
    export: &FetchExport,
    state: &mut InstanceState,
    parts: Parts,
    body: RequestBody<Pin<Box<B>>>,
    bytes_max: u64,
    meter: &Arc<Meter>,
    responder: &Responder,
) -> wasmtime::Result<(GuestRequest, ResponseOutparam)>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let responder = responder.clone();
    let send = Box::new(move |response| responder.send(response));
    let outparam = state.table.push(HostResponseOutparam { send })?;
    let bounded = |rest| BoundedBody::new(rest, bytes_max, meter);
    let request = match (export, body) {
        (FetchExport::Messages { .. }, RequestBody::Whole(pieces)) => {
            GuestRequest::Message(message::request(&parts, &pieces)?, None)
        }
        (FetchExport::Messages { .. }, RequestBody::Part(rest)) => {
            let message = message::request(&parts, &[])?;
            GuestRequest::Message(message, Some(incoming(state, parts, bounded(rest))?))
        }
        (FetchExport::Proxy(_), RequestBody::Part(rest)) => {
            GuestRequest::Resource(incoming(state, parts, bounded(rest))?)
        }
        // Of what is not taken ahead, only a body that is empty is whole.
        (FetchExport::Proxy(_), RequestBody::Whole(_)) => {
            GuestRequest::Resource(incoming(state, parts, Empty::new().map_err(|never| match never {}))?)
        }
    };
    Ok((request, outparam))
}

/// Puts a request into the instance's table.
fn incoming<B>(state: &mut InstanceState, parts: Parts, body: B) -> wasmtime::Result<IncomingRequest>
where
    B: http_body::Body<Data = Bytes, Error = HttpError> + Send + 'static,
{
    let scheme = match parts.uri.scheme_str() {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    state.http().new_incoming_request(scheme, http::Request::from_parts(parts, body))
}

/// Runs the guest's handler.
async fn handle(
    mut instance: ActiveInstance<FetchHandler>,
    request: GuestRequest,
    outparam: ResponseOutparam,
    responder: Responder,
) -> wasmtime::Result<()> {
    let ready = instance.ready().await?;
    let called = ready.call(async |handler, store| match (handler, request) {
        (FetchHandler::Messages(function), GuestRequest::Message(message, request)) => {
            function.call_async(store, (message, request, outparam)).await.map(|(response,)| response)
        }
        (FetchHandler::Proxy(proxy), GuestRequest::Resource(request)) => {
            proxy.wasi_http_incoming_handler().call_handle(store, request, outparam).await.map(|()| None)
        }
        _ => Err(wasmtime::format_err!("the request was made for another export")),
    });
    if let Some(response) = called.await? {
        let response = message::response(response)?;
        responder.send(Ok(response.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())));
    }
    instance.returned();
    Ok(())
}
