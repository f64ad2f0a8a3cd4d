//! A service in axum that serves a component beside its own routes:
//! `cargo run -p embed-axum -- hello.wasm 127.0.0.1:8787`.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use elias_host::{App, Caller, Host, Limits};
use std::net::SocketAddr;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let component = arguments.next().unwrap_or_else(|| "hello.wasm".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8787".into());

    // #region load
    let limits = Limits { memory_bytes: 32 << 20, deadline_ms: 1_000, ..Limits::default() };
    let host = Host::builder().limits(limits).capability(elias_capabilities::Log).build()?;
    let app = host.load_file(component.as_ref()).await?;
    // #endregion load

    // #region serve
    let router = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .fallback(component_response)
        .with_state(app)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, router).await?;
    // #endregion serve
    Ok(())
}

// #region fetch
/// Has the component respond to whatever the service has no route for.
async fn component_response(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    // Scripts see this in `ctx`. A service that authenticates also says `user_id` here.
    request.extensions_mut().insert(Caller { client_address: Some(peer.ip()), ..Caller::default() });
    match app.fetch(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let status = StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.code().title()).into_response()
        }
    }
}
// #endregion fetch
