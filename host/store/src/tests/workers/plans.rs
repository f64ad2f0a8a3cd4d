//! The statements that run all the time find their rows by an index.

use super::*;
use crate::tests::plans::{fill, plan, reads_all};
use crate::workers::plans::hot_statements;

/// Fills the tables; `n.i` counts the rows.
const FILL: [&str; 3] = [
    "INSERT INTO workers (tenant, component, environment, class, name, id, epoch, owner, wanted_by, turns, record, \
     next_due, wake_at, restorable_turn, version, component_digest, is_compactable, sweep_at, created_at, updated_at) \
     ROWS SELECT 'a', 'shop', 'production', CLASS, NAME, CAST(i AS TEXT), 1, 'owner ' || CAST(i % 10 AS TEXT), \
     CASE WHEN i % 1000 = 0 THEN 'me' END, 4, CASE WHEN i % 1000 > 0 THEN CLASS END, \
     CASE WHEN i % 100 = 0 THEN i END, CASE WHEN i % 100 = 0 THEN i END, 1, 1, 'digest', \
     CASE WHEN i % 1000 = 0 THEN 1 ELSE 0 END, CASE WHEN i % 10 > 0 THEN i * 1000000000 END, i, i FROM n",
    "INSERT INTO worker_turns (tenant, worker, turn, at, kind, previous, bytes, version) ROWS SELECT 'a', \
     CAST(i / 4 AS TEXT), i % 4, i, CASE WHEN i % 4 = 0 THEN 'whole' ELSE 'change' END, \
     CASE WHEN i % 4 > 0 THEN i % 4 - 1 END, 0, 1 FROM n",
    "INSERT INTO leases (name, owner, epoch, until) ROWS SELECT 'workers/p' || CAST(i AS TEXT), 'me', 1, i FROM n",
];

/// The sources of a plan besides the tables: parameters, and what the statement itself has selected before.
const NOT_TABLES: [&str; 9] = ["item", "worker", "chain", "owners", "needed", "gone", "c", "CONSTANT", "2"];

/// The indexes of which all rows are wanted.
const SMALL_INDEX: &str = "USING INDEX workers_to_compact";

async fn hot_statements_of_workers_use_an_index(TestStore { store, .. }: &TestStore) {
    create_tenant(store, "a").await;
    let (class, name) = match store.dialect {
        Dialect::Sqlite => ("CAST('Cart' AS BLOB)", "CAST(CAST(i AS TEXT) AS BLOB)"),
        Dialect::Postgres => ("CAST('Cart' AS BYTEA)", "convert_to(CAST(i AS TEXT), 'UTF8')"),
    };
    for table in FILL {
        fill(store, &table.replace("CLASS", class).replace("NAME", name)).await;
    }
    sqlx::query("ANALYZE").execute(&store.pool).await.expect("analyzed");
    let items: Vec<_> = (1..=50).map(|number| json!({ "id": number.to_string() })).collect();
    let items = to_json(&items).expect("JSON");
    let mut scope = store.queue_write().await.expect("a scope");
    for (sql, values) in hot_statements(store.dialect) {
        let plan = plan(&mut scope, &sql, values, &items).await;
        let is_allowed = |source: &str, line: &str| line.contains(SMALL_INDEX) || NOT_TABLES.contains(&source);
        let reads_all = |line: &String| reads_all(store.dialect, line, is_allowed);
        assert!(!plan.is_empty() && !plan.iter().any(reads_all), "{sql}\n{}", plan.join("\n"));
        // An index that is only entered by the tenant reads all that the tenant has.
        let reads_tenant = |line: &String| match store.dialect {
            Dialect::Sqlite => line.contains("(tenant=?)"),
            Dialect::Postgres => line.contains("Index Cond: (tenant = ") && !line.contains(" AND "),
        };
        let is_of_tenant = sql.starts_with("SELECT id, bytes FROM workers WHERE tenant = $1  ORDER BY id");
        assert!(is_of_tenant || !plan.iter().any(reads_tenant), "{sql}\n{}", plan.join("\n"));
    }
}

on_both! {
    hot_statements_of_workers_use_an_index
}
