//! An HTTP request, from the host's types to the guest's handler and back.
//!
//! A component of `elias-build` gets the head, and a small body that is there already, as one message, and gives a
//! small response as another: `message` has both. What is still to come goes through the streams of `wasi:http`, by
//! which all other components get and give everything.

mod ahead;
mod message;

use crate::app::{App, AppInner};
use crate::body::{Body, GuestFuture, Streaming};
use crate::error::{Error, ErrorCode};
use crate::execution::{Caller, Running};
use crate::instance::InstanceState;
use crate::recycling::{Export, Idle};
use crate::run::{self, Meter, Metered, Record};
use crate::schedule::Scheduled;
use ahead::Ahead;
use bytes::Bytes;
use futures::FutureExt;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
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

/// What a guest gives through its response-outparam.
pub(crate) type Head = Result<http::Response<HyperOutgoingBody>, HttpErrorCode>;

/// Where a component's handler of requests is.
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

type Incoming = Resource<HostIncomingRequest>;
type Out = Resource<HostResponseOutparam>;
type Handle = TypedFunc<(Vec<u8>, Option<Incoming>, Out), (Option<Vec<u8>>,)>;

/// A component's handler of requests, in an instance.
pub(crate) enum Fetch {
    Messages(Handle),
    Proxy(Proxy),
}

impl Export for Fetch {
    async fn instantiate(app: &AppInner, store: &mut Store<InstanceState>) -> wasmtime::Result<Self> {
        match &app.fetch {
            Some(FetchExport::Messages { pre, function }) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.get_typed_func(store, *function).map(Self::Messages)
            }
            Some(FetchExport::Proxy(pre)) => pre.instantiate_async(store).await.map(Self::Proxy),
            None => Err(wasmtime::format_err!("it has no `fetch` handler")),
        }
    }

    fn idle(app: &App) -> &Arc<Idle<Self>> {
        &app.fetches
    }
}

/// A request as the guest gets it.
enum Given {
    Message(Vec<u8>, Option<Incoming>),
    Request(Incoming),
}

/// Where the response goes that the guest gives, through its response-outparam or as a message.
#[derive(Clone)]
struct Responder(Arc<Mutex<Option<oneshot::Sender<Head>>>>);

impl Responder {
    fn new(sender: oneshot::Sender<Head>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    fn send(&self, head: Head) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever waited for it may be gone, and with it the reason to give any.
        if let Some(sender) = sender {
            let _ = sender.send(head);
        }
    }
}

pub(crate) async fn fetch<B>(app: &App, mut request: http::Request<B>) -> Result<http::Response<Body>, Error>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let inner = &app.inner;
    let Some(export) = &inner.fetch else {
        return Err(Error::new(
            ErrorCode::MissingExport,
            format!("{} must export a `fetch` handler to serve requests", inner.name),
        ));
    };
    // Who expects a word before it sends the body gets it when the guest reads.
    let expects = request.headers_mut().remove(EXPECT).is_some();
    let is_too_large = request.body().size_hint().lower() > inner.limits.request_bytes;
    let takes_ahead = matches!(export, FetchExport::Messages { .. }) && !expects && !is_too_large;
    let (mut parts, body) = request.into_parts();
    let ahead = match body.is_end_stream() {
        true => Ahead::Whole(Vec::new()),
        false if takes_ahead => Ahead::take(Box::pin(body)).await,
        false => Ahead::of(Box::pin(body)),
    };
    let permit = inner.admit()?;
    let running = parts.extensions.remove::<Running>().unwrap_or_default();
    let caller = parts.extensions.remove::<Arc<Caller>>();
    let caller = caller.or_else(|| parts.extensions.remove::<Caller>().map(Arc::new)).unwrap_or_default();
    running.hold(permit);
    let record = Record::start(app, running);
    if is_too_large {
        return Err(record.fail(run::too_large(inner)));
    }
    let mut metered = match Metered::new(app, &record, caller) {
        Ok(metered) => metered,
        Err(error) => return Err(record.fail(error)),
    };
    let (sender, head) = oneshot::channel();
    let responder = Responder::new(sender);
    let given = give(export, &mut metered, &record.meter, inner.limits.request_bytes, parts, ahead, &responder);
    let (given, out) = match given {
        Ok(given) => given,
        Err(error) => {
            drop(metered);
            return Err(record.fail(Error::new(ErrorCode::BadRequest, format!("{error:#}"))));
        }
    };
    let guest = AssertUnwindSafe(handle(Arc::clone(inner), metered, given, out, responder)).catch_unwind();
    let guest: GuestFuture = Box::pin(Scheduled::new(&inner.share, guest));
    Streaming::new(Arc::clone(inner), guest, record).response(head).await
}

/// Makes what the guest is called with.
fn give<B>(
    export: &FetchExport,
    metered: &mut Metered<Fetch>,
    meter: &Arc<Meter>,
    left: u64,
    parts: Parts,
    body: Ahead<Pin<Box<B>>>,
    responder: &Responder,
) -> wasmtime::Result<(Given, Out)>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let state = metered.instance().store.data_mut();
    let responder = responder.clone();
    let out = state.table.push(HostResponseOutparam { send: Box::new(move |head| responder.send(head)) })?;
    let capped = |rest| Capped { body: rest, left, meter: Arc::clone(meter) };
    let given = match (export, body) {
        (FetchExport::Messages { .. }, Ahead::Whole(pieces)) => {
            Given::Message(message::request(&parts, &pieces)?, None)
        }
        (FetchExport::Messages { .. }, Ahead::Part(rest)) => {
            let message = message::request(&parts, &[])?;
            Given::Message(message, Some(incoming(state, parts, capped(rest))?))
        }
        (FetchExport::Proxy(_), Ahead::Part(rest)) => Given::Request(incoming(state, parts, capped(rest))?),
        // Of what is not taken ahead, only a body that is empty is whole.
        (FetchExport::Proxy(_), Ahead::Whole(_)) => {
            Given::Request(incoming(state, parts, Empty::new().map_err(|never| match never {}))?)
        }
    };
    Ok((given, out))
}

/// Puts a request into the instance's table.
fn incoming<B>(state: &mut InstanceState, parts: Parts, body: B) -> wasmtime::Result<Incoming>
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
    app: Arc<AppInner>,
    mut metered: Metered<Fetch>,
    given: Given,
    out: Out,
    responder: Responder,
) -> wasmtime::Result<()> {
    let ready = metered.instance().ready(&app).await?;
    let called = ready.call(async |fetch, store| match (fetch, given) {
        (Fetch::Messages(handle), Given::Message(message, request)) => {
            handle.call_async(store, (message, request, out)).await.map(|(response,)| response)
        }
        (Fetch::Proxy(proxy), Given::Request(request)) => {
            proxy.wasi_http_incoming_handler().call_handle(store, request, out).await.map(|()| None)
        }
        _ => Err(wasmtime::format_err!("the request was made for another export")),
    });
    if let Some(response) = called.await? {
        let response = message::response(response)?;
        responder.send(Ok(response.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())));
    }
    metered.returned();
    Ok(())
}

/// A request's body that ends in an error where it goes over its limit.
struct Capped<B> {
    body: B,
    left: u64,
    meter: Arc<Meter>,
}

impl<B> http_body::Body for Capped<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let why = error.into().to_string();
                return Poll::Ready(Some(Err(HttpError::InternalError(Some(why)))));
            }
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.meter.refuse_request();
                Poll::Ready(Some(Err(HttpError::HttpRequestBodySize(None))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
