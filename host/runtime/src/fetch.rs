//! An HTTP request, from the host's types to the guest's handler and back.

use crate::app::{App, AppInner};
use crate::body::{Body, GuestFuture, Streaming};
use crate::error::{Error, ErrorCode};
use crate::execution::{Caller, Running};
use crate::instance::InstanceState;
use crate::recycling::{Export, Idle};
use crate::run::{self, Meter, Metered, Record};
use crate::schedule::Scheduled;
use bytes::Bytes;
use futures::FutureExt;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::Resource;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode as HttpErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error as HttpError, WasiHttpView};

/// What a guest gives through its response-outparam.
pub(crate) type Head = Result<http::Response<HyperOutgoingBody>, HttpErrorCode>;

/// A request's handler.
impl Export for Proxy {
    async fn instantiate(app: &AppInner, store: &mut Store<InstanceState>) -> wasmtime::Result<Self> {
        let pre = app.fetch.as_ref().ok_or_else(|| wasmtime::format_err!("it has no `fetch` handler"))?;
        pre.instantiate_async(store).await
    }

    fn idle(app: &App) -> &Arc<Idle<Self>> {
        &app.fetches
    }
}

pub(crate) async fn fetch<B>(app: &App, mut request: http::Request<B>) -> Result<http::Response<Body>, Error>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let inner = &app.inner;
    if inner.fetch.is_none() {
        return Err(Error::new(ErrorCode::MissingExport, format!("{} has no `fetch` handler", inner.name)));
    }
    let permit = inner.admit()?;
    let extensions = request.extensions_mut();
    let running = extensions.remove::<Running>().unwrap_or_default();
    let caller = extensions.remove::<Arc<Caller>>();
    let caller = caller.or_else(|| extensions.remove::<Caller>().map(Arc::new)).unwrap_or_default();
    running.hold(permit);
    let record = Record::start(app, running);
    if request.body().size_hint().lower() > inner.limits.request_bytes {
        return Err(record.fail(run::too_large(inner)));
    }
    let mut metered = match Metered::new(app, &record, caller) {
        Ok(metered) => metered,
        Err(error) => return Err(record.fail(error)),
    };
    let (sender, head) = oneshot::channel();
    let given = give(inner, &mut metered, &record.meter, request, sender);
    let (request, out) = match given {
        Ok(given) => given,
        Err(error) => {
            drop(metered);
            return Err(record.fail(Error::new(ErrorCode::BadRequest, format!("{error:#}"))));
        }
    };
    let guest = AssertUnwindSafe(handle(Arc::clone(inner), metered, request, out)).catch_unwind();
    let guest: GuestFuture = Box::pin(Scheduled::new(&inner.share, guest));
    Streaming::new(Arc::clone(inner), guest, record).response(head).await
}

/// Puts the request into the instance's table, and the place for the answer.
fn give<B>(
    app: &AppInner,
    metered: &mut Metered<Proxy>,
    meter: &Arc<Meter>,
    request: http::Request<B>,
    sender: oneshot::Sender<Head>,
) -> wasmtime::Result<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>)>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let scheme = match request.uri().scheme_str() {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    let left = app.limits.request_bytes;
    let request = request.map(|body| Capped { body: body.boxed_unsync(), left, meter: Arc::clone(meter) });
    let mut http = metered.instance().store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam(sender)?;
    Ok((request, out))
}

/// Runs the guest's handler.
async fn handle(
    app: Arc<AppInner>,
    mut metered: Metered<Proxy>,
    request: Resource<HostIncomingRequest>,
    out: Resource<HostResponseOutparam>,
) -> wasmtime::Result<()> {
    let ready = metered.instance().ready(&app).await?;
    ready.call(async |proxy, store| proxy.wasi_http_incoming_handler().call_handle(store, request, out).await).await?;
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
