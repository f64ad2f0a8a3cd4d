//! Workers of a platform, on both of its databases, beside the bare statements by which their turns are committed.

use super::measure::{Messages, SyncCount, cost, written_bytes};
use super::{MEASURED_FOR, P50_MS, WORKERS};
use crate::report::Report;
use elias_local_workers::WorkerKey;
use elias_names::{Digest, Environment, ServiceId};
use elias_store::{
    AcquiredWorker, CommitOutcome, HeapCommitRow, Store, TurnPages, WorkerAcquisition, WorkerCommitRow, WorkerRetention,
};
use elias_tests::platform::Platform;
use elias_tests::services::Postgres;
use elias_tests::tenant::Tenant;
use futures::future::join_all;
use serde_json::json;
use std::time::Instant;

/// The component under measurement.
const COMPONENT: &str = "bench";
/// Clients that ask the component, each for as many workers, and messages of a request to one worker. A handler may
/// make 100 calls.
const CLIENTS: u32 = 10;
const MESSAGES: u32 = 64;
/// Workers whose commits a bare transaction has.
const COMMITTED: u32 = 64;
/// Bytes of the record of a bare commit.
const RECORD_BYTES: usize = 200;

/// Messages a second on both databases. `turn_bytes` are those of a turn's pages, as the bare statements have them.
pub(super) async fn run(wasm: &[u8], turn_bytes: u64, report: &mut Report) {
    let platform = Platform::start_with(&[], &[("ELIAS_LOG", "off".to_owned())]);
    measure(&platform, None, wasm, turn_bytes, report).await;
    drop(platform);
    let postgres = Postgres::start();
    let url = postgres.url();
    let platform = Platform::start_with(&["--store", &url], &[("ELIAS_LOG", "off".to_owned())]);
    measure(&platform, Some(&url), wasm, turn_bytes, report).await;
}

async fn measure(platform: &Platform, url: Option<&str>, wasm: &[u8], turn_bytes: u64, report: &mut Report) {
    let team = platform.default_tenant();
    // Without former states, which a platform keeps by default.
    let settings = json!({
        "capabilities": { "workers": {} }, "smoke": { "path": "" }, "workers": { "history": { "turns": 1 } },
    });
    team.serve(COMPONENT, wasm, settings).await;
    let bare = bare(platform, url, turn_bytes).await;
    let database = if url.is_some() { "PostgreSQL" } else { "SQLite" };
    for (workers, target) in [(1, 5_000.0), (WORKERS, 20_000.0)] {
        send_all(&team, workers, CLIENTS).await; // instances are there, statements prepared
        let count = SyncCount::start(platform.pid());
        let traced = send_all(&team, workers, CLIENTS).await;
        let syncs = count.stop().map(|syncs| syncs as f64 / traced.times.len() as f64);
        let before = written(platform, url).await;
        let messages = send_all(&team, workers, CLIENTS).await;
        let written = written(platform, url).await - before;
        let (p50, _) = send_all(&team, workers, 1).await.percentiles();
        let who = if workers == 1 { "one service worker".to_owned() } else { format!("{workers} service workers") };
        // What a server of PostgreSQL syncs is its own.
        let cost = cost(&messages, written, syncs.filter(|_| url.is_none()));
        let is_reached = messages.per_second() >= target && p50 <= P50_MS;
        report.row(
            &format!("messages to {who} of a platform on {database} (durability \"batch\", synced), from a component"),
            &format!(
                "{cost}; with {MESSAGES} on their way: p50 {p50:.1} ms; the bare statements commit {bare:.0} \
                 workers/s, {COMMITTED} a transaction"
            ),
            &if url.is_none() { format!("{target:.0}/s; p50 {P50_MS} ms") } else { String::new() },
            url.is_none().then_some(is_reached),
        );
    }
}

/// Messages to so many workers, from handlers of the component that so many clients ask, one request at a time each.
async fn send_all(team: &Tenant<'_>, workers: u32, clients: u32) -> Messages {
    let started = Instant::now();
    let share = (workers / CLIENTS).max(1);
    let clients = (0..clients).map(|client| {
        let first = if workers > 1 { client * share } else { 0 };
        let path = format!("/?first={first}&count={share}&each={}", MESSAGES.div_ceil(share));
        async move {
            let mut times: Vec<f64> = Vec::new();
            while started.elapsed() < MEASURED_FOR {
                let answer = team.get(COMPONENT, &path).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                times.extend(serde_json::from_str::<Vec<f64>>(&answer.body).expect("times"));
            }
            times
        }
    });
    let times = join_all(clients).await.concat();
    Messages { times, elapsed: started.elapsed() }
}

/// Bytes that were written so far: to the platform's disk, or to the log of PostgreSQL.
async fn written(platform: &Platform, url: Option<&str>) -> u64 {
    let Some(url) = url else { return written_bytes(platform.pid()) };
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("it is up");
    let connection = tokio::spawn(connection);
    let select = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    let bytes: i64 = client.query_one(select, &[]).await.expect("a number").get(0);
    drop(client);
    connection.await.expect("no panic").expect("it ends well");
    u64::try_from(bytes).unwrap_or_default()
}

/// Workers a second that the statements alone commit, of a service that the platform does not have.
async fn bare(platform: &Platform, url: Option<&str>, turn_bytes: u64) -> f64 {
    let store = Store::open(&platform.data(""), url).expect("the platform has a store");
    let service = ServiceId {
        tenant: "default".parse().expect("a name"),
        component: "bare".parse().expect("a name"),
        environment: Environment::Production,
    };
    let mut rows = Vec::new();
    let mut scope = store.worker_write(&service.tenant).await.expect("a transaction");
    for number in 0..COMMITTED {
        let key = WorkerKey::new("Counter", format!("bare-{number}"));
        let acquired = scope.acquire_worker(&service, &key, "bench/bare").await.expect("it is free");
        let WorkerAcquisition::Acquired(AcquiredWorker { epoch, .. }) = acquired else { panic!("it is nobody's") };
        rows.push(row(service.clone(), key, epoch, turn_bytes));
    }
    scope.commit().await.expect("committed");
    let retention = WorkerRetention { history_turns: 1, ..WorkerRetention::default() };
    let (started, mut committed) = (Instant::now(), 0_u32);
    while started.elapsed() < MEASURED_FOR {
        let mut scope = store.worker_write(&service.tenant).await.expect("a transaction");
        let outcomes = scope.commit_workers(&rows, &retention).await.expect("committed");
        scope.commit().await.expect("committed");
        assert!(outcomes.iter().all(|outcome| *outcome == CommitOutcome::Committed), "{outcomes:?}");
        committed += COMMITTED;
        for row in &mut rows {
            row.turns += 1;
            row.heap = HeapCommitRow::Change(pages(turn_bytes));
        }
    }
    f64::from(committed) / started.elapsed().as_secs_f64()
}

/// The first commit of a worker.
fn row(service: ServiceId, key: WorkerKey, epoch: u64, turn_bytes: u64) -> WorkerCommitRow {
    WorkerCommitRow {
        service,
        key,
        epoch,
        turns: 1,
        record: vec![b'r'; RECORD_BYTES],
        is_waiting: false,
        next_due: None,
        has_calls: false,
        restorable_turn: None,
        upgraded_from_turn: None,
        heap_bytes: turn_bytes,
        version: 1,
        component_digest: Digest::try_from("0".repeat(64)).expect("a digest"),
        heap: HeapCommitRow::Whole(pages(turn_bytes)),
    }
}

fn pages(bytes: u64) -> TurnPages {
    let bytes = usize::try_from(bytes).expect("some KB").min(elias_store::WORKER_PAGES_INLINE_MAX);
    TurnPages::Inline(vec![7; bytes])
}
