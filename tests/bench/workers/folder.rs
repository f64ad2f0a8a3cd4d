//! Workers in a folder: messages with a synced commit, what a worker takes at rest, how fast it wakes, what a turn
//! writes, and how fast one comes back that has had many turns.

use super::measure::{SyncCount, cost, disk_bytes, percentiles, send_all, send_in_turn, written_bytes};
use super::{InProcess, P50_MS, WORKERS, key};
use crate::parameters::number_of;
use crate::report::Report;
use elias_local_workers::{
    AcquiredWorker, FolderStore, Fsync, HeapCommit, StoreError, WorkerCommit, WorkerCondition, WorkerKey, WorkerStore,
    WorkerSummary,
};
use futures::future::{BoxFuture, join_all};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The turns of the worker whose recovery is measured.
const TURNS: u64 = 10_000;
/// Messages at a time to the one worker.
const IN_FLIGHT: u32 = 64;
/// Turns of which the bytes are counted, and times that a worker is woken.
const COUNTED: u32 = 500;

/// All of it; gives the bytes of the pages that a turn commits which changes one number.
pub(super) async fn run(wasm: &[u8], report: &mut Report) -> u64 {
    rates(wasm, report).await;
    let bytes = turn(wasm, report).await;
    rest_and_wake(wasm, report).await;
    recovery(wasm, report).await;
    bytes
}

fn open(folder: &Path, fsync: Fsync) -> Arc<FolderStore> {
    Arc::new(FolderStore::open(folder, fsync).expect("the folder is free"))
}

/// Messages a second, each answered after its commit is on the disk.
async fn rates(wasm: &[u8], report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Fsync::FileAndFolder);
    let bench = InProcess::start(wasm, |workers| workers.store(store)).await;
    join_all((0..WORKERS).map(|number| bench.send(number))).await;
    let pid = std::process::id();
    for (workers, in_flight, target) in [(1, IN_FLIGHT, 5_000.0), (WORKERS, 4, 20_000.0)] {
        let count = SyncCount::start(pid);
        let traced = send_all(&bench, workers, in_flight).await;
        let syncs = count.stop().map(|syncs| syncs as f64 / traced.times.len() as f64);
        let before = written_bytes(pid);
        let messages = send_all(&bench, workers, in_flight).await;
        let written = written_bytes(pid) - before;
        let on_their_way = (target * P50_MS / 1e3) as u32;
        let (p50, _) = send_in_turn(&bench, workers, on_their_way).await.percentiles();
        let who = if workers == 1 { "one service worker".to_owned() } else { format!("{workers} service workers") };
        report.row(
            &format!("messages to {who} in a folder (durability \"batch\", synced), {in_flight} at a time to each"),
            &format!("{}; with {on_their_way} on their way: p50 {p50:.1} ms", cost(&messages, written, syncs)),
            &format!("{target:.0}/s; p50 {P50_MS} ms"),
            Some(messages.per_second() >= target && p50 <= P50_MS),
        );
    }
    bench.stop().await;
}

/// The bytes of a commit of one turn that changes one number.
async fn turn(wasm: &[u8], report: &mut Report) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(CountingStore::new(open(folder.path(), Fsync::None)));
    let counted = Arc::clone(&store);
    let bench = InProcess::start(wasm, |workers| workers.store(counted)).await;
    bench.send(0).await;
    store.clear();
    for _ in 0..COUNTED {
        bench.send(0).await;
    }
    let (pages, records) = store.bytes_of_commit();
    report.row(
        "service worker: bytes that a turn commits which changes one number",
        &format!("{:.1} KB: {pages:.0} of pages, {records:.0} of its record", (pages + records) / 1e3),
        "16 KB",
        Some(pages + records <= 16e3),
    );
    bench.stop().await;
    pages as u64
}

/// A further worker on the disk, and how long a message to one takes that is not in memory.
async fn rest_and_wake(wasm: &[u8], report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Fsync::None);
    let summaries = Arc::clone(&store);
    let bench = InProcess::start(wasm, |workers| workers.store(store)).await;
    join_all((0..WORKERS).map(|number| bench.send(number))).await;
    let listed = summaries.list(None, WORKERS as usize).await.expect("it is read");
    let bytes = listed.iter().map(|worker| worker.heap_bytes).sum::<u64>() as f64 / listed.len() as f64;
    let on_disk = disk_bytes(folder.path()) as f64 / f64::from(WORKERS);
    report.row(
        &format!("a further service worker at rest, of {WORKERS} in a folder"),
        &format!("{:.1} KB; the folder with its journal has {:.1} KB for each", bytes / 1e3, on_disk / 1e3),
        "30 KB",
        Some(bytes <= 30e3),
    );
    let mut times = Vec::new();
    for number in 0..COUNTED.min(WORKERS) {
        bench.running.give_up(&key(number));
        while !is_asleep(&bench, number).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let began = Instant::now();
        bench.send(number).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (p50, p99) = percentiles(times);
    report.row(
        "a message to a service worker that is not in memory, in a folder without syncs: wake, turn, commit",
        &format!("p50 {p50:.2} ms, p99 {p99:.2} ms"),
        "p50 1 ms, p99 5 ms",
        Some(p50 <= 1.0 && p99 <= 5.0),
    );
    bench.stop().await;
}

async fn is_asleep(bench: &InProcess, number: u32) -> bool {
    let status = bench.running.status(&key(number)).await.expect("it is read");
    status.is_some_and(|status| status.condition == WorkerCondition::Asleep)
}

/// The time from a folder that another process left to the first answer of a worker that has had many turns.
async fn recovery(wasm: &[u8], report: &mut Report) {
    let turns = number_of("TURNS", TURNS);
    let folder = tempfile::tempdir().expect("a folder");
    let bench = InProcess::start(wasm, |workers| workers.store(open(folder.path(), Fsync::None))).await;
    let mut left = turns;
    while left > 0 {
        let count = left.min(u64::from(IN_FLIGHT));
        join_all((0..count).map(|_| bench.send(0))).await;
        left -= count;
    }
    bench.stop().await;
    let (began, store) = reopened(folder.path()).await;
    let opened = began.elapsed();
    let bench = InProcess::start(wasm, |workers| workers.store(store)).await;
    let began = Instant::now();
    let answer = bench.send(0).await;
    let answered = began.elapsed();
    assert_eq!(answer, format!("[1,{}]", turns + 1), "it has counted all");
    let milliseconds = (opened + answered).as_secs_f64() * 1e3;
    report.row(
        &format!("a service worker of {turns} turns in a folder: opening it and the first answer"),
        &format!("{milliseconds:.1} ms ({:.1} ms to open)", opened.as_secs_f64() * 1e3),
        "50 ms, after a million",
        Some(milliseconds <= 50.0),
    );
    bench.stop().await;
}

/// The folder, once the workers that were stopped have left it; and when it began to be opened.
async fn reopened(folder: &Path) -> (Instant, Arc<FolderStore>) {
    loop {
        let began = Instant::now();
        match FolderStore::open(folder, Fsync::None) {
            Ok(store) => return (began, Arc::new(store)),
            Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A store that counts the bytes of the commits.
struct CountingStore {
    store: Arc<FolderStore>,
    commits: AtomicU64,
    pages: AtomicU64,
    records: AtomicU64,
}

impl CountingStore {
    fn new(store: Arc<FolderStore>) -> Self {
        Self { store, commits: AtomicU64::new(0), pages: AtomicU64::new(0), records: AtomicU64::new(0) }
    }

    fn clear(&self) {
        [&self.commits, &self.pages, &self.records].into_iter().for_each(|count| count.store(0, Relaxed));
    }

    /// Bytes of pages and of the record, of a commit.
    fn bytes_of_commit(&self) -> (f64, f64) {
        let commits = self.commits.load(Relaxed).max(1) as f64;
        (self.pages.load(Relaxed) as f64 / commits, self.records.load(Relaxed) as f64 / commits)
    }
}

impl WorkerStore for CountingStore {
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        self.store.pending()
    }

    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        self.store.list(after, limit)
    }

    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>> {
        self.store.summary(key)
    }

    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        self.store.acquire(key)
    }

    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.store.heap(key, turn)
    }

    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>> {
        let pages = match &commit.heap {
            HeapCommit::Unchanged | HeapCommit::BackTo(_) => 0,
            HeapCommit::Change(pages) | HeapCommit::Whole(pages) => pages.len(),
        };
        let record = serde_json::to_vec(&commit.record).expect("a record is JSON").len();
        self.commits.fetch_add(1, Relaxed);
        self.pages.fetch_add(pages as u64, Relaxed);
        self.records.fetch_add(record as u64, Relaxed);
        self.store.commit(commit)
    }

    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.remove(key, epoch)
    }

    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.release(key, epoch)
    }
}
