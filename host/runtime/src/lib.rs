//! Runs ELIAS components, and any other component that speaks `wasi:http`, inside a Rust program.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use elias_host::{Host, Limits};
//!
//! let host = Host::builder().limits(Limits { memory_bytes: 32 << 20, ..Limits::default() }).build()?;
//! let app = host.load_file("hello.wasm".as_ref()).await?;
//! let answer = app.call(&serde_json::json!({ "name": "Ada" })).await?;
//! println!("{} cost {} units of fuel", answer.value, answer.execution.fuel);
//! # Ok(())
//! # }
//! ```
//!
//! Every request begins with the memory that the build left, a view of the component's image, so that state never passes from one
//! request to another. [`Limits`] bound what an instance may take; every answer and every [`Error`] carries
//! an [`Execution`] that says what it took.

mod app;
mod aside;
mod body;
mod cache;
mod call;
pub mod capability;
pub mod compiler;
pub mod engine;
mod error;
mod execution;
mod fetch;
pub mod grants;
mod host;
mod instance;
mod limits;
mod linker;
mod load;
mod log;
mod memory;
mod post_mortem;
pub mod pricing;
mod recycling;
mod run;
mod schedule;
mod wasi;

pub use app::App;
pub use body::Body;
pub use call::{Answer, CallOptions};
pub use elias_contract::manifest::Manifest;
pub use error::{Error, ErrorCode, Exception};
pub use execution::{Caller, Execution, HostCalls, Outcome, Running};
pub use grants::Grants;
pub use host::{Compiled, Host, HostBuilder, LoadOptions};
pub use limits::Limits;
pub use log::{Line, Observer};
pub use recycling::{IdleLimits, InstanceCounts};
pub use schedule::{CpuLoad, CpuShare};
