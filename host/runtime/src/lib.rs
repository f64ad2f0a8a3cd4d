//! Runs ELIAS components, and any other component that speaks `wasi:http`, inside a Rust program.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use elias_host::{Host, Limits};
//!
//! let host = Host::builder().limits(Limits { memory_bytes: 32 << 20, ..Limits::default() }).build()?;
//! let app = host.load_file("hello.wasm".as_ref()).await?;
//! let output = app.call(&serde_json::json!({ "name": "Ada" })).await?;
//! println!("{} cost {} units of fuel", output.value, output.execution.fuel);
//! # Ok(())
//! # }
//! ```
//!
//! Every request begins with the memory that the build left, a view of the component's image, so that state never
//! passes from one request to another. [`Limits`] bound what an instance may take; every result and every [`Error`]
//! carries an [`Execution`] that says what it took.

mod app;
mod background;
mod call;
pub mod capability;
mod compiled_cache;
pub mod compiler;
mod component;
pub mod engine;
mod error;
mod execution;
mod fetch;
pub mod grants;
mod handlers;
mod host;
mod imports;
mod instance;
mod json_export;
mod limits;
mod load;
mod log;
mod memory;
pub mod pricing;
mod recycling;
mod run;
mod schedule;
mod trap_backtrace;
mod trigger;
mod wasi;
mod worker;

pub use app::App;
pub use call::CallOutput;
pub use elias_contract::ErrorCode;
pub use elias_contract::manifest::Manifest;
pub use error::{Error, Exception};
pub use execution::{
    Caller, DETAIL_BYTES_MAX, EvaluatedFlag, Execution, ExecutionHandle, HostCalls, Outcome, SPAN, SpanId, TimedCall,
    Timeline,
};
pub use fetch::Body;
pub use grants::Grants;
pub use handlers::Handlers;
pub use host::{Host, HostBuilder};
pub use json_export::CallOptions;
pub use limits::{Limits, RequestLimits};
pub use load::{CompiledComponent, LoadOptions};
pub use log::{Line, Notice, Observer};
pub use recycling::{IdleLimits, InstanceCounts};
pub use schedule::{CpuLoad, CpuShare};
pub use trigger::{EventBatch, EventMessage, Job, RunOutcome, RunResult, Tick};
pub use worker::{
    Alarm, AlarmChange, EmittedEvent, HeapChange, ReplyError, ReplyResult, SetTimer, SocketAction, SocketContent,
    SocketKind, SocketRequest, SocketSend, TimerChanges, Turn, TurnKind, TurnOutcome, TurnResult, TurnState, Worker,
    WorkerCode, WorkerHeap, WorkerSend,
};
