//! A component whose source only answers requests is a standard one: a host that knows nothing of ELIAS runs it.

use bytes::Bytes;
use elias_tests::build::component;
use http_body_util::{BodyExt, Full};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

type Exchange = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// This host has no way out to the network.
struct NoOutgoingRequests;

impl WasiHttpHooks for NoOutgoingRequests {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<wasmtime_wasi_http::RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Exchange> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutgoingRequests,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// Serves one request the way the documentation of wasmtime-wasi-http shows it.
async fn serve(component: &[u8], request: http::Request<Full<Bytes>>) -> anyhow::Result<(u16, String)> {
    let engine = Engine::default();
    let component = Component::new(&engine, component)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let pre = ProxyPre::new(linker.instantiate_pre(&component)?)?;
    let state = State {
        wasi: WasiCtx::builder().build(),
        http: WasiHttpCtx::new(),
        hooks: NoOutgoingRequests,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, state);
    let request = request.map(|body| body.map_err(|never| -> Error { match never {} }));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let guest = tokio::spawn(async move {
        let proxy = pre.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
    });
    let response = receiver.await??;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    guest.await??;
    Ok((status, String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn works_when_the_host_knows_nothing_of_elias() {
    let component = component(
        r#"
        export default {
          async fetch(request) {
            const url = new URL(request.url);
            const said = request.method === "POST" ? await request.text() : "nothing";
            return new Response(`${url.pathname} said ${said}`, { status: 201 });
          },
        };
        "#,
    );
    let post = http::Request::post("http://example.com/echo?x=1").body(Full::from("hello")).expect("a request");
    assert_eq!(serve(&component, post).await.expect("an answer"), (201, "/echo said hello".into()));
    let get = http::Request::get("http://example.com/").body(Full::default()).expect("a request");
    assert_eq!(serve(&component, get).await.expect("an answer"), (201, "/ said nothing".into()));
}
