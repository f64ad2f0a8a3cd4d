//! A Rust service that runs somebody's component: `cargo run -p embed -- hello.wasm`.

use bytes::Bytes;
use elias_host::{Host, Limits};
use http_body_util::{BodyExt, Empty};
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let component = std::env::args().nth(1).unwrap_or_else(|| "hello.wasm".into());
    let limits = Limits { memory_bytes: 32 << 20, deadline_ms: 1_000, ..Limits::default() };
    let host = Host::builder().limits(limits).capability(elias_capabilities::Log).build()?;
    let app = host.load_file(component.as_ref()).await?;

    // JSON in, JSON out.
    let output = app.call(&json!({ "name": "Ada" })).await?;
    println!("call:  {} ({} units of fuel)", output.value, output.execution.fuel);

    // An HTTP request, without HTTP.
    let request = http::Request::get("http://localhost/?name=Grace").body(Empty::<Bytes>::new())?;
    let response = app.fetch(request).await?;
    let running = response.extensions().get::<elias_host::ExecutionHandle>().cloned();
    let body = response.into_body().collect().await?.to_bytes();
    print!("fetch: {}", String::from_utf8_lossy(&body));
    if let Some(running) = running {
        println!("       {:?}", running.finished().await);
    }
    Ok(())
}
