//! The statements that run all the time find their rows by an index.

use super::*;
use crate::tests::plans::{fill, plan, reads_all, rows_max};
use crate::triggers::plans::{EVENT_TABLES, TRACE_INDEX, hot_statements};

/// Fills the tables; `n.i` counts the rows.
const FILL: [&str; 11] = [
    "INSERT INTO jobs (tenant, id, queue, component, environment, trigger, name, input, priority, head_start, attempt, \
     epoch, enqueued_at, rank, ready_at, state, lease_owner, lease_until, concurrency_key) ROWS SELECT 'a', \
     CAST(i AS TEXT), \
     'shop/production/job/q' || CAST(i % 3 AS TEXT), 'shop', 'production', 'job', 'q', '{}', 0, 0, 0, 0, 0, i, i, \
     CASE WHEN i % 200 = 0 THEN 'leased' ELSE 'ready' END, CASE WHEN i % 200 = 0 THEN 'me' END, \
     CASE WHEN i % 200 = 0 THEN i END, CASE WHEN i % 2 = 0 THEN 'k' || CAST(i % 100 AS TEXT) END FROM n",
    "INSERT INTO waiting_jobs (tenant, id, queue, component, environment, trigger, name, ordering_key, \
     ordering_position, input, priority, head_start, attempt, epoch, enqueued_at, waits_for, due) ROWS SELECT 'a', \
     'w' || CAST(i AS TEXT), 'shop/production/job/q' || CAST(i % 3 AS TEXT), 'shop', 'production', 'job', 'q', \
     'k' || CAST(i % 1000 AS TEXT), i, '{}', 0, 0, 0, 0, 0, \
     CASE i % 3 WHEN 0 THEN 'time' WHEN 1 THEN 'order' ELSE 'event' END, \
     CASE i % 3 WHEN 0 THEN i * 1000000000 END FROM n",
    "INSERT INTO finished_jobs (tenant, id, queue, component, environment, trigger, name, input, priority, head_start, \
     attempt, epoch, enqueued_at, state, finished_at, keep_until) ROWS SELECT 'a', 'f' || CAST(i AS TEXT), \
     'shop/production/job/q1', 'shop', 'production', 'job', 'q', '{}', 0, 0, 0, 0, 0, 'done', i, \
     i * 1000000000 FROM n",
    "INSERT INTO ordering_keys (tenant, queue, ordering_key, job) ROWS SELECT 'a', 'shop/production/job/q1', \
     'k' || CAST(i AS TEXT), CAST(i AS TEXT) FROM n",
    "INSERT INTO steps (tenant, job, position, name, input_hash, outcome, at) ROWS SELECT 'a', CAST(i / 4 AS TEXT), \
     i % 4, 'n', 'h', '1', 0 FROM n",
    "INSERT INTO event_positions (tenant, next, first, day, on_day, bytes, hidden_bytes) ROWS SELECT \
     't' || CAST(i AS TEXT), 2, 1, 0, 0, 2, 0 FROM n",
    "INSERT INTO event_segment_starts (tenant, segment, first, bytes_before) ROWS SELECT 't' || CAST(i AS TEXT), 0, 1, \
     0 FROM n",
    "INSERT INTO schedules (tenant, component, environment, name, config, next_due, revision) ROWS SELECT 'a', 'shop', \
     'production', 's' || CAST(i AS TEXT), '{}', CASE WHEN i % 100 > 0 THEN i * 1000000000 END, 1 FROM n",
    "INSERT INTO ticks (tenant, component, environment, name, due, outcome, fired_at, host) ROWS SELECT 'a', 'shop', \
     'production', 'n', i, 'skipped', i, 'h' FROM n",
    "INSERT INTO executions (tenant, id, component, environment, version, source, started_at, duration_us, fuel, \
     memory_bytes, status, outcome, trace) ROWS SELECT 'a', CAST(i AS TEXT), 'shop', 'production', 1, 'GET /', i, 1, \
     1, 1, 200, 'completed', 'trace-' || CAST(i / 5 AS TEXT) FROM n",
    "INSERT INTO job_keys (tenant, queue, key, job, input_digest, until) ROWS SELECT 'a', 'q', \
     'k' || CAST(i AS TEXT), CAST(i AS TEXT), 'd', i FROM n",
];

/// Fills the table of a segment with its part of the rows, as [`FILL`] does.
const FILL_SEGMENT: &str = "INSERT INTO TABLE (tenant, position, id, type, source, data, time, key, hops, \
     published_at) ROWS SELECT 'a', i, 'e', 't', 's', '{}', 0, 'k' || CAST(i AS TEXT), 0, i FROM n \
     WHERE i > FIRST AND i <= LAST";

/// The sources of a plan besides the tables: parameters, and what the statement itself has selected before.
const NOT_TABLES: [&str; 13] = [
    "item", "first", "ended", "owners", "queues", "last", "CONSTANT", "leased", "ready", "placed", "keys", "heads",
    "ids",
];

async fn hot_statements_use_an_index(TestStore { store, .. }: &TestStore) {
    create_tenant(store, "a").await;
    let tables = usize::try_from(EVENT_TABLES).expect("a number");
    let fill_segment = |segment: usize| {
        let (first, last) = (segment * rows_max() / tables, (segment + 1) * rows_max() / tables);
        let fill = FILL_SEGMENT.replace("TABLE", &format!("events_{segment}"));
        fill.replace("FIRST", &first.to_string()).replace("LAST", &last.to_string())
    };
    for table in FILL.map(str::to_owned).into_iter().chain((0..tables).map(fill_segment)) {
        fill(store, &table).await;
    }
    sqlx::query("ANALYZE").execute(&store.pool).await.expect("analyzed");
    let items: Vec<_> = (1..=50)
        .map(|number| {
            let id = number.to_string();
            json!({ "tenant": "a", "id": id, "epoch": 0, "queue": "shop/production/job/q1", "key": format!("k{number}"),
                    "job": id, "state": "done", "keep_ms": 1, "in_ms": 1, "attempts": 0 })
        })
        .collect();
    let items = to_json(&items).expect("JSON");
    let mut scope = store.queue_write().await.expect("a scope");
    for (sql, values) in hot_statements(store.dialect) {
        let plan = plan(&mut scope, &sql, values, &items).await;
        // All tenants are read, one by one, to find the last execution of each.
        let is_allowed = |source: &str, _: &str| source == "t" || NOT_TABLES.contains(&source);
        let reads_all = |line: &String| reads_all(store.dialect, line, is_allowed);
        assert!(!plan.is_empty() && !plan.iter().any(reads_all), "{sql}\n{}", plan.join("\n"));
        // By the primary key a trace would be looked for among all that the tenant has.
        let is_by_trace = sql.contains("AND trace = $8");
        assert!(!is_by_trace || plan.iter().any(|line| line.contains(TRACE_INDEX)), "{sql}\n{}", plan.join("\n"));
    }
}

on_both! {
    hot_statements_use_an_index
}
