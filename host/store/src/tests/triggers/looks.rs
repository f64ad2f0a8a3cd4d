//! Looks at the queues: from a rank on, and beside a transaction that is held open.

use super::*;
use crate::ReadyQueue;
use crate::triggers::plans::{known_queues, ready_queues};
use std::collections::BTreeMap;

/// The pages of tables and indexes that a statement reads on PostgreSQL.
async fn pages_read(scope: &mut HostScope, sql: &str, parameter: Option<String>) -> u64 {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {sql}");
    let mut query = sqlx::query(AssertSqlSafe(explain));
    if let Some(parameter) = parameter {
        query = query.bind(parameter);
    }
    let rows = query.fetch_all(&mut *scope.tx).await.expect("explained");
    let lines: Vec<String> = rows.iter().map(|row| get(row, "QUERY PLAN").expect("a line")).collect();
    // The first line with them has those of the whole statement: `Buffers: shared hit=12 read=3`.
    let buffers = lines.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared ")).unwrap_or_default();
    let amounts = buffers.split([' ', ',']).filter_map(|part| part.split_once('='));
    amounts
        .filter(|(what, _)| matches!(*what, "hit" | "read"))
        .map(|(_, pages)| pages.parse::<u64>().unwrap_or(0))
        .sum()
}

async fn queues_are_looked_at_from_a_rank_on(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    enqueue(store, &a, &[new_job("x", 1), new_job("y", 2)]).await.expect("enqueued");
    let ahead = NewJob { head_start_ms: 5_000, ..new_job("x", 3) };
    enqueue(store, &a, &[ahead]).await.expect("enqueued");
    let mut scope = store.host_read().await.expect("a scope");
    let all = scope.look_at_all().await.expect("read");
    assert_eq!(all.queues, scope.ready_queues().await.expect("read"));
    let first = |name: &str| all.queues.iter().find(|found| found.queue == queue(name)).expect("it is there");
    assert!(first("x").rank < first("y").rank && first("y").rank <= all.now_ms);
    let known = |rank: i64| {
        let names = [(&a, "x"), (&a, "none"), (&b, "x")];
        names.map(|(tenant, name)| ((tenant.clone(), queue(name)), rank)).into_iter().collect::<BTreeMap<_, _>>()
    };
    let look = scope.look_at(&known(i64::MIN)).await.expect("read");
    assert_eq!(look.queues, [first("x").clone()], "of those that were asked for");
    assert!(look.now_ms >= all.now_ms);
    let behind = scope.look_at(&known(first("x").rank + 1)).await.expect("read");
    let ranks: Vec<_> = behind.queues.iter().map(|ReadyQueue { rank, ready_at, .. }| rank - ready_at).collect();
    assert_eq!(ranks, [0], "the one without a head start");
    assert_eq!(scope.look_at(&known(i64::MAX)).await.expect("read").queues, []);
    assert_eq!(scope.look_at(&BTreeMap::new()).await.expect("read").queues, []);
    let rank = behind.queues[0].rank;
    drop(scope);
    let from = |from_rank, most| ClaimShare { from_rank, ..share(&a, "x", most) };
    let claimed = claim(store, "me", LEASE_MS, from(rank, 9)).await;
    assert_eq!(claimed.iter().map(|job| job.lease.id.as_str()).collect::<Vec<_>>(), [format!("{:026}", 1)]);
    assert_eq!(claim(store, "me", LEASE_MS, from(i64::MIN, 9)).await.len(), 1, "the one that was before it");
}

async fn leases_count_from_a_time_on(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &[new_job("x", 1), new_job("x", 2)]).await.expect("enqueued");
    let long = claim(store, "me", LEASE_MS, share(&a, "x", 1)).await;
    let longer = claim(store, "me", 2 * LEASE_MS, share(&a, "x", 1)).await;
    let mut scope = store.host_read().await.expect("a scope");
    for (from, leased, first) in [(0, 2, &long[0]), (longer[0].lease_until, 1, &longer[0])] {
        let found = scope.leased_queues(from).await.expect("read");
        assert_eq!((found.len(), found[0].leased, found[0].lease_until), (1, leased, first.lease_until));
    }
    assert_eq!(scope.leased_queues(longer[0].lease_until + 1).await.expect("read"), []);
}

/// What is claimed and ended beside a transaction that is held open stays in PostgreSQL's indexes. The looks of hosts
/// that know from where on there is something must not read it.
async fn jobs_that_are_gone_are_not_read_again(TestStore { store, .. }: &TestStore) {
    if !store.is_shared() {
        return; // SQLite has no such entries
    }
    let a = create_tenant(store, "a").await;
    let mut held = store.host_read().await.expect("a scope");
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *held.tx).await.expect("set");
    held.ready_queues().await.expect("it has its snapshot");
    for batch in 0..6 {
        let jobs: Vec<_> = (0..500).map(|number| new_job("x", batch * 500 + number)).collect();
        enqueue(store, &a, &jobs).await.expect("enqueued");
        let claimed = claim(store, "me", LEASE_MS, share(&a, "x", 500)).await;
        let ends: Vec<_> = claimed.iter().map(|job| end(job, done())).collect();
        assert_eq!((ends.len(), finish(store, "me", &ends).await.len()), (500, 0));
    }
    enqueue(store, &a, &[new_job("x", 9_000)]).await.expect("enqueued");
    let mut scope = store.queue_write().await.expect("a scope");
    let first = scope.ready_queues().await.expect("read").remove(0);
    let known = json!([{ "tenant": "a", "queue": first.queue.to_string(), "rank": first.rank }]).to_string();
    let all = pages_read(&mut scope, &ready_queues(store.dialect), None).await;
    let from_rank = pages_read(&mut scope, &known_queues(store.dialect), Some(known)).await;
    assert!(from_rank < 30 && all > 2 * from_rank, "{from_rank} pages, and {all} for all");
    let share = ClaimShare { from_rank: first.rank, ..share(&a, "x", 9) };
    assert_eq!(scope.claim_jobs("me", LEASE_MS, &[share]).await.expect("claimed").len(), 1);
}

/// Ends of jobs and ends of attempts in one call, which go different ways.
async fn ends_of_all_kinds_go_together(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let jobs: Vec<_> = (1..=5).map(|number| new_job("x", number)).collect();
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let claimed = claim(store, "me", LEASE_MS, share(&a, "x", 9)).await;
    let retry = JobOutcome::Retry { in_ms: 600_000, error: "later".to_owned() };
    let cancelled = JobOutcome::Cancelled { reason: "nobody wants it".to_owned() };
    let outcomes = [done(), retry, dead(), JobOutcome::Released, cancelled];
    let mut ends: Vec<_> = claimed.iter().zip(outcomes).map(|(job, outcome)| end(job, outcome)).collect();
    ends[0].keep_ms = 0;
    let late = JobEnd { lease: JobLease { epoch: 9, ..claimed[3].lease.clone() }, ..ends[0].clone() };
    ends.push(late.clone());
    assert_eq!(finish(store, "me", &ends).await, [late.lease]);
    let mut states = Vec::new();
    for number in 2..=5 {
        states.push(state(store, &a, number).await);
    }
    assert_eq!(states, [JobState::Waiting, JobState::Dead, JobState::Ready, JobState::Cancelled]);
    let gone = store.read(&a).await.expect("a scope").job(&claimed[0].lease.id).await.expect_err("it is not kept");
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(job(store, &a, &claimed[4].lease.id).await.error.as_deref(), Some("nobody wants it"));
    is_counted(store, &a).await;
}

/// Hosts look for jobs again only if there may be some.
async fn an_end_says_whether_others_are_ready(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let after = |number: usize, before: usize| NewJob { after: vec![format!("{before:026}")], ..new_job("x", number) };
    let ordered = |number: usize| {
        let order = JobOrder { key: "o".to_owned(), position: number as u64 };
        NewJob { order: Some(order), ..new_job("x", number) }
    };
    let finish_all = async |outcome: JobOutcome| {
        let claimed = claim(store, "me", LEASE_MS, share(&a, "x", 9)).await;
        let ends: Vec<_> = claimed.iter().map(|job| end(job, outcome.clone())).collect();
        let mut scope = store.queue_write().await.expect("a scope");
        let finished = scope.finish_jobs("me", &ends).await.expect("finished");
        scope.commit().await.expect("committed");
        (claimed.len(), finished.makes_ready)
    };
    enqueue(store, &a, &[new_job("x", 1), after(2, 1)]).await.expect("enqueued");
    assert_eq!(finish_all(JobOutcome::Released).await, (1, true), "it is given back");
    assert_eq!(finish_all(done()).await, (1, true), "one that runs after it");
    assert_eq!(finish_all(done()).await, (1, false), "nothing is left");
    enqueue(store, &a, &[ordered(3), ordered(4)]).await.expect("enqueued");
    assert_eq!(finish_all(done()).await, (1, true), "its turn comes");
    assert_eq!(finish_all(dead()).await, (1, false));
}

on_both! {
    an_end_says_whether_others_are_ready
    queues_are_looked_at_from_a_rank_on
    leases_count_from_a_time_on
    jobs_that_are_gone_are_not_read_again
    ends_of_all_kinds_go_together
}
