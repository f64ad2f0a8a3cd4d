//! The smoke test: the request that a version has to serve correctly before it gets traffic.

use super::smoke_workers::{self, SmokeSite};
use bytes::Bytes;
use elias_api::{Code, Error, Result, SmokeTest};
use elias_host::{App, ExecutionHandle};
use http::Request;
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;

/// The header that tells a component that a request is the smoke test.
const HEADER: &str = "elias-smoke";

/// Sends the request of the smoke test, unless the version wants none or handles no requests.
///
/// Its log lines stay in the log and belong to no execution. The service workers that it calls are its own
/// ([`smoke_workers`]).
pub(super) async fn smoke(app: &App, host: &str, call: &SmokeTest, site: SmokeSite) -> Result<()> {
    let handles = app.manifest().is_none_or(|manifest| manifest.handlers.iter().any(|handler| handler == "fetch"));
    if call.path.is_empty() || !handles {
        return Ok(());
    }
    let failed = |what: String| {
        let message = format!(
            "GET {} {what}; mend the component, or say in [smoke] of elias.toml which `path` and `status` are right \
            (an empty path for none)",
            call.path
        );
        Error::new(Code::SmokeFailed, message)
    };
    let (running, lines) = (ExecutionHandle::new(), Arc::clone(&site.lines));
    let _lines = lines.unrecorded(running.id());
    let workers = smoke_workers::start(app, site).await?;
    let request = Request::get(format!("http://{host}{}", call.path)).header(HEADER, "1");
    let request = request.extension(running).extension(workers).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| failed(error.to_string()))?;
    let told = |error: elias_host::Error| {
        failed(match error.stack() {
            Some(stack) if !stack.is_empty() => format!("failed: {error}\n{stack}\n"),
            _ => format!("failed: {error}"),
        })
    };
    let response = app.fetch(request).await.map_err(told)?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    // The guest may fail while it writes the body.
    while let Some(frame) = body.frame().await {
        frame.map_err(told)?;
    }
    let good = if call.status == 0 { status < 500 } else { status == call.status };
    if good { Ok(()) } else { Err(failed(format!("got a response with status {status}"))) }
}
