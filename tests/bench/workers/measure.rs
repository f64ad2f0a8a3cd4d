//! Rates and latencies, what a process writes and how often it syncs.

use super::{InProcess, MEASURED_FOR};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// System calls that have data be on the disk.
const SYNCS: [&str; 3] = ["fsync", "fdatasync", "sync_file_range"];

/// Messages that were answered, and how long that took.
#[derive(Default)]
pub(super) struct Messages {
    /// Milliseconds of each.
    pub(super) times: Vec<f64>,
    pub(super) elapsed: Duration,
}

impl Messages {
    pub(super) fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The median and the 99th percentile, in milliseconds.
    pub(super) fn percentiles(&self) -> (f64, f64) {
        percentiles(self.times.clone())
    }
}

/// The median and the 99th percentile.
pub(super) fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100).copied().unwrap_or(f64::NAN);
    (at(50), at(99))
}

/// The median of some runs one after another, in microseconds.
pub(super) async fn median(rounds: usize, run: impl AsyncFn()) -> f64 {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        run().await;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    percentiles(times).0
}

/// Sends messages to so many workers, of which each has so many at a time, for [`MEASURED_FOR`].
pub(super) async fn send_all(bench: &InProcess, workers: u32, in_flight: u32) -> Messages {
    send(bench, (0..in_flight).flat_map(|_| 0..workers), |answered| answered).await
}

/// Sends messages to so many workers in turn, of which so many are on their way at a time, likewise: the time that a
/// message takes where they do not wait for each other.
pub(super) async fn send_in_turn(bench: &InProcess, workers: u32, in_flight: u32) -> Messages {
    let mut next = in_flight;
    let next = move |_| {
        next += 1;
        (next - 1) % workers
    };
    send(bench, (0..in_flight).map(|number| number % workers), next).await
}

/// Sends messages to these workers, and after each answer to the `next`.
async fn send(bench: &InProcess, first: impl Iterator<Item = u32>, mut next: impl FnMut(u32) -> u32) -> Messages {
    let (started, mut messages) = (Instant::now(), Messages::default());
    let mut pending: FuturesUnordered<_> = first.map(|number| timed(bench, number)).collect();
    while let Some((number, time)) = pending.next().await {
        messages.times.push(time);
        if started.elapsed() < MEASURED_FOR {
            pending.push(timed(bench, next(number)));
        }
    }
    messages.elapsed = started.elapsed();
    messages
}

/// Sends a message to a worker; gives the worker, and the milliseconds until it answered.
async fn timed(bench: &InProcess, number: u32) -> (u32, f64) {
    let began = Instant::now();
    bench.send(number).await;
    (number, began.elapsed().as_secs_f64() * 1e3)
}

/// Bytes that a process has had written to disks, as proc_pid_io(5) counts them.
pub(super) fn written_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Bytes of memory that a process has for itself: resident pages that are no file's, and the tables of its pages. Its
/// resident memory has the pages of an image once for each memory that maps them, and they are there once.
pub(super) fn own_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    };
    field("RssAnon:") + field("VmPTE:")
}

/// Bytes of the files of a folder, as they take room on the disk.
pub(super) fn disk_bytes(folder: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| {
        let metadata = entry.metadata();
        match metadata {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        }
    });
    bytes.sum()
}

/// Counts the syncs of a process until it is asked.
pub(super) struct SyncCount(Option<Child>);

impl SyncCount {
    /// Begins to count; nothing is counted where strace is missing or may not look at the process.
    pub(super) fn start(pid: u32) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-e", &format!("trace={}", SYNCS.join(",")), "-p", &pid.to_string()]);
        Self(strace.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok())
    }

    /// Syncs since the start.
    pub(super) fn stop(self) -> Option<u64> {
        let trace = self.0?;
        // strace reports what it counted when it is interrupted.
        Command::new("kill").args(["-INT", &trace.id().to_string()]).status().ok()?;
        let text = trace.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&text.stderr).into_owned();
        let calls = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            SYNCS.contains(words.last()?).then(|| words.get(3)?.parse::<u64>().ok())?
        });
        let calls: u64 = calls.sum();
        (calls > 0).then_some(calls)
    }
}

/// What a durable rate costs, for people.
pub(super) fn cost(messages: &Messages, written: u64, syncs_of_turn: Option<f64>) -> String {
    let (p50, p99) = messages.percentiles();
    let (rate, each) = (messages.per_second(), written as f64 / messages.times.len().max(1) as f64);
    let syncs = match syncs_of_turn {
        Some(of_turn) => format!("{:.0} syncs a second", of_turn * rate),
        None => "syncs not counted".to_owned(),
    };
    format!("{rate:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms; {each:.0} bytes written a turn, {syncs}")
}
