//! Tests of both backends, written once and run on each. PostgreSQL's part runs where ELIAS_TEST_POSTGRES is set.

mod components;
mod outbox;
mod postgres;
mod statements;
mod steps;
mod transactions;

use super::bindings::{Batch, Isolation, Value};
use super::context::StartOutcome;
use super::transaction::{Action, Transaction};
use super::*;
use serde_json::json;
use std::time::{Duration, Instant};
use wasmtime_wasi_io::poll::Pollable;

/// A backend, with a folder for what it and the components keep.
struct TestBackend {
    folder: tempfile::TempDir,
    url: Option<String>,
    relay: Arc<outbox::CountingRelay>,
}

impl TestBackend {
    fn new(url: Option<String>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url, relay: Arc::default() }
    }

    fn info(&self, name: &str) -> ComponentInfo {
        // PostgreSQL outlives the test: names are new each time.
        let unique = self.folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let name = format!("{name}{unique}");
        ComponentInfo { name, version: "1".into(), digest: "0".into(), folder: self.folder.path().join("component") }
    }

    async fn try_open(&self, name: &str, mut grant: Json) -> Result<DbContext, ConfigureError> {
        if let Some(url) = &self.url {
            grant["backend"] = "postgres".into();
            grant["url"] = url.as_str().into();
        }
        let db = Db::new(self.folder.path().join("data")).outbox(Arc::clone(&self.relay) as _);
        let opened = Arc::new(db.configure(&self.info(name), Some(&grant)).await?);
        Ok(DbContext::new(opened, elias_host::capability::CallMeter::default()))
    }

    async fn open(&self, name: &str, grant: Json) -> DbContext {
        self.try_open(name, grant).await.unwrap()
    }

    fn migration(&self, name: &str, sql: &str) {
        let folder = self.folder.path().join("component/migrations");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), sql).unwrap();
    }
}

/// A result, read to its end.
#[derive(Debug)]
struct FullResult {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    batches: usize,
    affected: u64,
}

async fn next(query: &mut Query) -> Result<Batch, Error> {
    loop {
        if let Some(part) = query.next().unwrap() {
            return part;
        }
        query.ready().await;
    }
}

async fn read(mut query: Query) -> Result<FullResult, Error> {
    let mut whole = FullResult { columns: Vec::new(), rows: Vec::new(), batches: 0, affected: 0 };
    loop {
        let batch = next(&mut query).await?;
        whole.columns = batch.columns;
        whole.rows.extend(batch.rows);
        whole.batches += 1;
        if batch.last {
            whole.affected = batch.affected;
            assert!(query.next().is_err());
            return Ok(whole);
        }
    }
}

impl DbContext {
    async fn all(&self, sql: &str, parameters: Vec<Value>) -> Result<FullResult, Error> {
        read(self.send(sql, parameters)).await
    }

    /// Starts a statement, and makes a query of it even if it is done at once.
    fn send(&self, sql: &str, parameters: Vec<Value>) -> Query {
        match self.query(sql, parameters) {
            StartOutcome::Done(part) => Query::done(part),
            StartOutcome::Running(query) => query,
        }
    }

    async fn done(&self, sql: &str) -> FullResult {
        self.all(sql, Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Runs a statement as people do, who may name the host's own table.
    async fn by_people(&self, sql: &str, parameters: Vec<Value>) -> FullResult {
        let statement = self.database.check_of_people(sql, parameters).unwrap();
        let (output, query) = self.start(self.calls.begin()).unwrap();
        let done = read(query.driving(self.database.backend.run(statement, output))).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    async fn fails(&self, sql: &str) -> Error {
        match self.all(sql, Vec::new()).await {
            Ok(_) => panic!("{sql} does not fail"),
            Err(error) => error,
        }
    }

    async fn count(&self, table: &str) -> i64 {
        match self.done(&format!("SELECT count(*) FROM {table}")).await.rows[0][0] {
            Value::Integer(count) => count,
            ref other => panic!("{other:?}"),
        }
    }

    fn act(&self, transaction: &mut Transaction, action: Action) -> Query {
        let (output, query) = self.start(self.calls.begin()).unwrap();
        transaction.send(action, output);
        query
    }

    fn within(&self, transaction: &mut Transaction, sql: &str) -> Query {
        match self.check(sql, Vec::new()) {
            Ok(statement) => self.act(transaction, Action::Run(statement)),
            Err(error) => Query::failed(error),
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn state(error: &Error) -> &str {
    error.sqlstate.as_deref().unwrap_or("none")
}

/// Between two looks at something that a test waits for.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Most likely lets a statement begin that was sent. A test holds where it has not: it then drops one that waits.
async fn let_it_begin() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::all::$name(super::TestBackend::new(None)).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Ok(url) = std::env::var("ELIAS_TEST_POSTGRES") else { return };
                super::all::$name(super::TestBackend::new(Some(url))).await;
            })*
        }
    };
}

/// Every test, of whichever file.
mod all {
    pub(super) use super::components::*;
    pub(super) use super::outbox::*;
    pub(super) use super::statements::*;
    pub(super) use super::steps::*;
    pub(super) use super::transactions::*;
}

on_both! {
    rows_too_long_for_memory_are_refused
    plans_follow_the_schema
    types_of_one_backend_come_back
    it_can_be_linked
    lost_connections_are_replaced
    missing_privileges_are_named
    rows_come_back_as_they_went
    large_results_come_in_batches
    results_are_capped
    statements_are_capped
    slow_statements_time_out
    dropping_a_query_frees_its_connection
    forbidden_statements_are_denied
    errors_have_their_sqlstate
    parameters_are_counted_by_number
    transactions_commit_and_roll_back
    dropped_transactions_roll_back
    a_row_taken_is_enough_in_a_transaction
    savepoints_undo_a_part
    read_only_transactions_do_not_write
    connections_are_waited_for
    queries_are_budgeted
    migrations_run_once
    failed_migrations_leave_nothing
    components_do_not_see_each_other
    concurrent_writers_take_turns
    rows_of_the_outbox_are_parts_of_their_transaction
    an_outbox_that_was_dropped_is_made_again
    the_outbox_is_remembered_before_it_is_relied_on
    rows_that_a_file_has_when_it_is_opened_are_told_of
    rows_beside_a_large_schema_are_told_of
    a_table_of_an_earlier_release_is_the_host_s_own
    transactions_that_are_the_first_to_use_the_outbox_take_turns
    row_level_security_that_hides_nothing_is_harmless
    what_is_not_the_table_of_the_host_is_refused
    components_cannot_name_the_outbox
    steps_are_parts_of_their_transaction
    a_step_that_runs_twice_at_once_is_done_once
    old_steps_are_deleted_a_few_at_a_time
}

#[tokio::test]
async fn grants_are_checked() {
    let backend = TestBackend::new(None);
    for (grant, key) in [
        (json!({ "rows": 0 }), "rows"),
        (json!({ "row": 1 }), "row"),
        (json!({ "backend": "postgres" }), "url"),
        (json!({ "url": "postgres://user:secret@host/db" }), "url"),
        (json!({ "backend": "postgres", "url": { "env": "NO_SUCH_VARIABLE" } }), "NO_SUCH_VARIABLE"),
        (json!({ "backend": "postgres", "url": "nonsense:secret@" }), "url"),
        (json!({ "backend": "postgres", "url": "postgres://u@h/d", "schema": "pg_catalog" }), "schema"),
        (json!({ "migrations": "nowhere" }), "migrations"),
    ] {
        match backend.try_open("grants", grant.clone()).await {
            Err(ConfigureError::Invalid(why)) => {
                assert!(why.contains(key) && !why.contains("secret"), "{grant}: {why}");
            }
            other => panic!("{grant}: {:?}", other.err()),
        }
    }
    let unreachable =
        json!({ "backend": "postgres", "url": "postgres://user:secret@127.0.0.1:1/db", "connect-timeout-ms": 500 });
    match backend.try_open("grants", unreachable).await {
        Err(ConfigureError::Unavailable(why)) => {
            assert!(!why.contains("secret") && !why.contains("127.0.0.1"), "{why}");
        }
        other => panic!("{:?}", other.err()),
    }
}
