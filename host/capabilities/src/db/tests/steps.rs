//! Tests of the table with the outcomes of steps. The macro at the end of `mod.rs` names each of them, and runs it on
//! SQLite and on PostgreSQL.

use super::super::steps::{StepRow, StoredStep};
use super::*;

const JOB: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

impl DbContext {
    fn begin_step(&self) -> Transaction {
        self.begin(Isolation::ReadCommitted, false)
    }

    async fn read_step(&self, transaction: &mut Transaction, position: u32) -> Result<Option<StoredStep>, Error> {
        self.database.read_step(transaction, JOB, position, &self.reserve()?)?.await
    }

    async fn write_step(&self, transaction: &mut Transaction, position: u32, outcome: &str) -> Result<(), Error> {
        let row = StepRow {
            journal: JOB.to_owned(),
            position,
            name: "charge".to_owned(),
            input_hash: "h".to_owned(),
            outcome: outcome.to_owned(),
            done_at: 1_800_000_000_000,
        };
        self.database.write_step(transaction, row, &self.reserve()?)?.await
    }

    /// Does a step, if it was not done. Whether it did it.
    async fn step(&self, position: u32) -> Result<bool, Error> {
        let mut transaction = self.begin_step();
        let is_new = self.read_step(&mut transaction, position).await?.is_none();
        if is_new {
            self.write_step(&mut transaction, position, "{}").await?;
        }
        read(self.act(&mut transaction, Action::Commit)).await.map(|_| is_new)
    }
}

pub(in crate::db::tests) async fn steps_are_parts_of_their_transaction(backend: TestBackend) {
    let db = backend.open("steps", json!({})).await;
    db.done("CREATE TABLE effects (what TEXT NOT NULL)").await;
    for action in [Action::Rollback, Action::Commit] {
        let mut transaction = db.begin_step();
        assert_eq!(db.read_step(&mut transaction, 0).await.unwrap(), None);
        read(db.within(&mut transaction, "INSERT INTO effects VALUES ('paid')")).await.unwrap();
        db.write_step(&mut transaction, 0, "{\"value\":1}").await.unwrap();
        read(db.act(&mut transaction, action)).await.unwrap();
    }
    assert_eq!((db.count("effects").await, db.count("elias_steps").await), (1, 1));
    let mut transaction = db.begin_step();
    let (name, input_hash, outcome) = ("charge".to_owned(), "h".to_owned(), "{\"value\":1}".to_owned());
    let known = db.read_step(&mut transaction, 0).await.unwrap();
    assert_eq!(known, Some(StoredStep { name, input_hash, outcome }));
    assert_eq!(db.read_step(&mut transaction, 1).await.unwrap(), None);
    // As large as an outcome may be.
    let large = "x".repeat(1 << 20);
    db.write_step(&mut transaction, 1, &large).await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    let mut transaction = db.begin_step();
    let known = db.read_step(&mut transaction, 1).await.unwrap();
    assert!(known.is_some_and(|known| known.outcome == large));
    read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
    let over = db.read_step(&mut transaction, 1).await.unwrap_err();
    assert_eq!(over.code, ErrorCode::TransactionOver);
    // What a component made under its name is not taken for it.
    let other = backend.open("other-steps", json!({})).await;
    other.done("CREATE VIEW elias_steps AS SELECT 'a' AS job").await;
    assert_eq!(state(&other.step(0).await.unwrap_err()), "42809");
    other.done("DROP VIEW elias_steps").await;
    assert!(other.step(0).await.unwrap());
    // A table that was dropped is noticed, and made by the next transaction.
    db.done("DROP TABLE elias_steps").await;
    assert_eq!(state(&db.step(2).await.unwrap_err()), "42P01");
    assert!(db.step(2).await.unwrap());
    assert!(!db.step(2).await.unwrap());
}

pub(in crate::db::tests) async fn a_step_that_runs_twice_at_once_is_done_once(backend: TestBackend) {
    let db = Arc::new(backend.open("at-once", json!({ "connections": 4 })).await);
    // First with the table that is made, then with one that is there.
    for position in 0..4 {
        let both = (0..2).map(|_| {
            let db = Arc::clone(&db);
            tokio::spawn(async move { db.step(position).await })
        });
        let mut done = 0;
        for ended in futures::future::join_all(both).await {
            match ended.unwrap() {
                Ok(is_new) => done += u32::from(is_new),
                Err(error) => assert_eq!(state(&error), "23505", "{error:?}"),
            }
        }
        assert_eq!(done, 1, "{position}");
    }
    assert_eq!(db.count("elias_steps").await, 4);
}

pub(in crate::db::tests) async fn old_steps_are_deleted_a_few_at_a_time(backend: TestBackend) {
    let db = backend.open("old-steps", json!({})).await;
    assert!(db.step(0).await.unwrap());
    for position in 0..100 {
        let insert = "INSERT INTO elias_steps (job, position, name, input_hash, outcome, done_at) \
            VALUES ('old', $1, 'charge', 'h', '{}', 1700000000000)";
        db.all(insert, vec![Value::Integer(position)]).await.unwrap();
    }
    let old = "elias_steps WHERE job = 'old'";
    for position in 1..16 {
        assert!(db.step(position).await.unwrap());
    }
    assert_eq!(db.count(old).await, 100);
    assert!(db.step(16).await.unwrap());
    assert_eq!(db.count(old).await, 36);
    for position in 17..33 {
        assert!(db.step(position).await.unwrap());
    }
    assert_eq!((db.count(old).await, db.count("elias_steps").await), (0, 33));
}
