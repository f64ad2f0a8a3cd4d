//! Tests of the table with the outbox.

use super::*;
use crate::outbox::{OutboxRelay, OutboxRow, RelayUnavailable, RowKind, new_id};
use futures::future::{BoxFuture, FutureExt, ready};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Counts what it is asked for.
#[derive(Default)]
pub(in crate::db::tests) struct CountingRelay {
    is_away: AtomicBool,
    remembered: AtomicU32,
    committed: AtomicU32,
}

impl CountingRelay {
    fn counts(&self) -> (u32, u32) {
        (self.remembered.load(Ordering::SeqCst), self.committed.load(Ordering::SeqCst))
    }
}

impl OutboxRelay for CountingRelay {
    fn remember(&self, _: &str) -> BoxFuture<'static, Result<(), RelayUnavailable>> {
        if self.is_away.load(Ordering::SeqCst) {
            return ready(Err(RelayUnavailable)).boxed();
        }
        self.remembered.fetch_add(1, Ordering::SeqCst);
        ready(Ok(())).boxed()
    }

    fn committed(&self, _: &str) {
        self.committed.fetch_add(1, Ordering::SeqCst);
    }
}

impl DbContext {
    /// Writes a row with this body; gives its id.
    async fn write(&self, transaction: &mut Transaction, body: &str) -> Result<String, Error> {
        let row = OutboxRow { id: new_id(), kind: RowKind::Job, body: body.to_owned() };
        let id = row.id.clone();
        self.database.write_outbox(transaction, row, &self.reserve()?)?.await.map(|()| id)
    }

    async fn bodies(&self) -> Vec<String> {
        let rows = self.database.read_outbox().await.unwrap();
        rows.into_iter().map(|row| row.body.unwrap()).collect()
    }
}

pub(in crate::db::tests) async fn rows_of_the_outbox_are_parts_of_their_transaction(backend: TestBackend) {
    let db = backend.open("outbox", json!({})).await;
    // The table is not created yet.
    assert!(db.bodies().await.is_empty());
    for action in [Action::Rollback, Action::Commit] {
        let mut transaction = db.begin(Isolation::ReadCommitted, false);
        db.write(&mut transaction, "1").await.unwrap();
        read(db.act(&mut transaction, Action::Savepoint(1))).await.unwrap();
        db.write(&mut transaction, "2").await.unwrap();
        read(db.act(&mut transaction, Action::RollbackTo(1))).await.unwrap();
        db.write(&mut transaction, "3").await.unwrap();
        read(db.act(&mut transaction, action)).await.unwrap();
    }
    assert_eq!((db.bodies().await, backend.relay.counts()), (vec!["1".to_owned(), "3".to_owned()], (1, 1)));
    // The table is known now. One that was dropped is noticed when the rows are read.
    let mut transaction = db.begin(Isolation::Serializable, false);
    db.write(&mut transaction, "4").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.bodies().await, ["1", "3", "4"]);
    let ids: Vec<String> = db.database.read_outbox().await.unwrap().into_iter().map(|row| row.id).collect();
    db.database.delete_from_outbox(&ids[..2]).await.unwrap();
    db.done("UPDATE elias_outbox SET id = 'with '' a quote'").await;
    db.database.delete_from_outbox(&["with ' a quote".to_owned()]).await.unwrap();
    assert!(db.bodies().await.is_empty());
    db.done("DROP TABLE elias_outbox").await;
    assert!(db.bodies().await.is_empty());
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "5").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.bodies().await, ["5"]);
    // Large rows are read one by one; what is too large is not read.
    db.done("UPDATE elias_outbox SET body = 'x'").await;
    let large = "x".repeat(900_000);
    for at in 0..6 {
        let insert = format!("INSERT INTO elias_outbox VALUES ('large{at}', 'job', $1)");
        db.all(&insert, vec![text(&large)]).await.unwrap();
    }
    let rows = db.database.read_outbox().await.unwrap();
    assert_eq!(rows.len(), 1);
    let mut over = db.begin(Isolation::ReadCommitted, true);
    db.write(&mut over, "6").await.unwrap_err();
    drop(over);
}

pub(in crate::db::tests) async fn an_outbox_that_was_dropped_is_made_again(backend: TestBackend) {
    let db = backend.open("dropped", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    // The table is known from here on.
    assert_eq!(db.bodies().await, ["1"]);
    db.done("DROP TABLE elias_outbox").await;
    let mut failing = db.begin(Isolation::ReadCommitted, false);
    let error = db.write(&mut failing, "2").await.unwrap_err();
    assert_eq!(error.sqlstate.as_deref(), Some("42P01"));
    read(db.act(&mut failing, Action::Rollback)).await.unwrap();
    // Nobody has read the rows meanwhile.
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "3").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.bodies().await, ["3"]);
}

pub(in crate::db::tests) async fn the_outbox_is_remembered_before_it_is_relied_on(backend: TestBackend) {
    let db = backend.open("remembered", json!({})).await;
    backend.relay.is_away.store(true, Ordering::SeqCst);
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let error = db.write(&mut transaction, "1").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    backend.relay.is_away.store(false, Ordering::SeqCst);
    db.write(&mut transaction, "2").await.unwrap();
    db.write(&mut transaction, "3").await.unwrap();
    read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
    // Nobody is told of what was rolled back.
    assert_eq!(backend.relay.counts(), (1, 0));
    let error = db.write(&mut transaction, "4").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TransactionOver);
}

pub(in crate::db::tests) async fn transactions_that_are_the_first_to_use_the_outbox_take_turns(backend: TestBackend) {
    let db = Arc::new(backend.open("turns", json!({ "connections": 4 })).await);
    let all = (0..8).map(|at: u32| {
        let db = Arc::clone(&db);
        tokio::spawn(async move {
            let mut transaction = db.begin(Isolation::ReadCommitted, false);
            db.write(&mut transaction, &at.to_string()).await.unwrap();
            read(db.act(&mut transaction, Action::Commit)).await.unwrap();
        })
    });
    for done in futures::future::join_all(all).await {
        done.unwrap();
    }
    assert_eq!(db.bodies().await.len(), 8);
    assert_eq!(backend.relay.counts().1, 8);
}

pub(in crate::db::tests) async fn rows_that_a_file_has_when_it_is_opened_are_told_of(backend: TestBackend) {
    let db = backend.open("opened", json!({})).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    db.write(&mut transaction, "1").await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    drop(db);
    let before = backend.relay.counts().1;
    let db = backend.open("opened", json!({})).await;
    // Of a PostgreSQL the other hosts are told by who remembers it.
    assert_eq!(backend.relay.counts().1 - before, u32::from(backend.url.is_none()));
    assert_eq!(db.bodies().await, ["1"]);
}
