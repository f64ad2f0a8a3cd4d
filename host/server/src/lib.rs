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
//! Every request goes through the same rooms: [`server`](Server) accepts the connection, `connection` keeps its clocks,
//! `exchange` answers one request and `access` writes it down; `passage` takes it through a platform. What the client sends and what the guest sends are both
//! untrusted: each has a limit in [`ServerConfig`], and whatever breaks one ends that request or that connection alone.

mod access;
mod admin;
mod asset;
mod cached;
mod compress;
mod config;
mod connection;
mod error_page;
mod exchange;
mod head;
mod io;
mod live;
mod passage;
mod read_ahead;
mod refusal;
mod request_body;
mod response_body;
mod server;
mod shadow;
mod shares;
mod source;
mod stall;

pub use access::TARGET as ACCESS_LOG_TARGET;
pub use admin::openapi;
pub use config::ServerConfig;
pub use server::{Drained, ServeError, Server};
pub use source::{AppSource, Ingress};
