//! A Rust program that runs a service worker, and keeps its heap in a file:
//! `elias-build src/cart.js -o cart.wasm`, and `cargo run -p embed-workers -- cart.wasm cart.heap pens 2`.

use elias_host::{App, CallOptions, Host, Limits, Turn, TurnKind, TurnOutcome, Worker, WorkerHeap};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The most that a heap may have.
const MEMORY_BYTES: u64 = 32 << 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let component = arguments.next().unwrap_or_else(|| "cart.wasm".into());
    let file = PathBuf::from(arguments.next().unwrap_or_else(|| "cart.heap".into()));
    let name = arguments.next().unwrap_or_else(|| "pens".into());
    let count = arguments.next().map_or(Ok(1), |count| count.parse::<i64>())?;

    let limits = Limits { memory_bytes: MEMORY_BYTES, deadline_ms: 1_000, ..Limits::default() };
    let host = Host::builder().limits(limits).capability(elias_capabilities::Log).build()?;
    let app = host.load_file(component.as_ref()).await?;

    // #region call
    let mut cart = wake(&app, &file).await?;
    // The list of the two arguments, in the structured clone encoding.
    let args = json!([1, [2], ["array", name, count]]).to_string();
    match run(&mut cart, TurnKind::Call { method: "add".to_owned(), args }).await {
        Ok(outcome) => {
            store(&mut cart, &file)?;
            let answer: Value = serde_json::from_str(&outcome.result.answer.unwrap_or_default())?;
            println!("{}", answer[1].as_str().unwrap_or_default());
        }
        // The turn is undone, and the file is not written.
        Err(error) => println!("unchanged: {error}"),
    }
    // #endregion call
    Ok(())
}

// #region wake
/// The worker whose heap is in the file; a new one if there is none.
async fn wake(app: &App, file: &Path) -> anyhow::Result<Worker> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(app.restore_worker(&WorkerHeap::from_bytes(&bytes, MEMORY_BYTES)?)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut worker = app.start_worker()?;
            run(&mut worker, TurnKind::Start).await?;
            Ok(worker)
        }
        Err(error) => Err(error.into()),
    }
}
// #endregion wake

// #region run
/// Runs a turn of the worker.
async fn run(worker: &mut Worker, kind: TurnKind) -> anyhow::Result<TurnOutcome> {
    let now = u64::try_from(UNIX_EPOCH.elapsed()?.as_millis())?;
    // A program of several workers draws random ids.
    let id = format!("00000000-0000-7000-8000-{now:012x}");
    let turn = Turn { class: "Cart".to_owned(), name: "user-42".to_owned(), id, now, kind };
    Ok(worker.turn(&turn, CallOptions::default()).await?)
}
// #endregion run

// #region store
/// Commits what turns have written, and replaces the file.
fn store(worker: &mut Worker, file: &Path) -> anyhow::Result<()> {
    worker.commit();
    let new = file.with_extension("new");
    std::fs::write(&new, worker.heap().to_bytes()?)?;
    std::fs::rename(new, file)?;
    Ok(())
}
// #endregion store
