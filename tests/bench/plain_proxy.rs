//! The cost of a proxy that only passes on: hyper on both sides, and nothing between.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A proxy to one server; it ends with this.
pub(crate) struct PlainProxy {
    _runtime: Runtime,
    url: String,
}

impl PlainProxy {
    /// Starts a proxy to `upstream`, with two threads.
    pub(crate) fn to(upstream: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("it listens"));
        runtime.spawn(serve(listener, upstream.to_owned()));
        Self { _runtime: runtime, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(listener: TcpListener, upstream: String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Incoming>();
    while let Ok((stream, _)) = listener.accept().await {
        let (client, upstream) = (client.clone(), upstream.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            *request.uri_mut() = upstream.parse().expect("a URL");
            let response = client.request(request);
            async move { response.await.map(|response: Response<Incoming>| response.map(BodyExt::boxed)) }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
