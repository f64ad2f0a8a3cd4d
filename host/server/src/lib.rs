//! HTTP/1.1 and HTTP/2 in front of one component, or of a platform of many.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use elias_host::Host;
//! use elias_server::{AppSource, Server, ServerConfig};
//!
//! let host = Host::builder().build()?;
//! let source = AppSource::new(host.load_file("app.wasm".as_ref()).await?);
//! let server = Server::bind(ServerConfig::default(), source.clone()).await?;
//! println!("http://{}", server.local_addr());
//! server.run(std::future::pending::<()>()).await;
//! # Ok(()) }
//! ```
//!
//! Input from the client and from the component is untrusted: each has a limit in [`ServerConfig`], and
//! whatever breaks one ends that request or that connection alone.
//!
//! The modules are in layers, and know only what is below:
//!
//! - `server`: accepts connections, and lets them end;
//! - `pipeline`: the steps of a request, in their order;
//! - `exchange`: what one request and its response hold, the access log; `error_page`: problem documents;
//! - `features`: static files, response cache, mirrored requests, compression, live reload;
//! - `connection`: one connection, its socket and its clocks;
//! - `state`: what all connections share; `development`: the console of a development server; `source`: the component,
//!   platform or admin API behind the server;
//! - `body`: bodies within their limits, and read ahead of slow clients;
//! - `limits`: what each client address, service and connection may use; `local_gateway`: the routes and rules of the
//!   only component;
//! - `headers`; `failure`: why a request has no response of a component; `config`; `console`: the web console's files
//!   and sign-in; `admin`: the admin API; `browser`: cookies of sessions, and where their requests come from.

mod admin;
mod body;
mod browser;
mod config;
mod connection;
mod console;
mod development;
mod error_page;
mod exchange;
mod failure;
mod features;
mod headers;
mod limits;
mod local_gateway;
mod pipeline;
mod server;
mod source;
mod state;

pub use admin::openapi;
pub use config::ServerConfig;
pub use development::reachable;
pub use exchange::ACCESS_LOG_TARGET;
pub use local_gateway::{LocalGateway, LocalGatewayError};
pub use server::{DrainReport, ServeError, Server};
pub use source::{AppSource, Ingress, JobChange, ProjectControl, TriggerControl};
