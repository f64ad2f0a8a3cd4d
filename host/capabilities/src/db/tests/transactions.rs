//! Tests of transactions and of waiting for connections.

use super::*;

pub(in crate::db::tests) async fn transactions_commit_and_roll_back(backend: TestBackend) {
    let db = backend.open("transactions", json!({})).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        let mut transaction = db.begin(isolation, false);
        let one = db.within(&mut transaction, "INSERT INTO t VALUES (1)");
        let two = db.within(&mut transaction, "INSERT INTO t VALUES (2)");
        let commit = db.act(&mut transaction, Action::Commit);
        assert_eq!(read(one).await.unwrap().affected, 1);
        read(two).await.unwrap();
        read(commit).await.unwrap();
        let error = read(db.within(&mut transaction, "SELECT 1")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::TransactionOver);
    }
    assert_eq!(db.count("t").await, 6);
    let mut transaction = db.begin(Isolation::Serializable, false);
    read(db.within(&mut transaction, "DELETE FROM t")).await.unwrap();
    assert_eq!(db.count("t").await, 6);
    read(db.act(&mut transaction, Action::Rollback)).await.unwrap();
    assert_eq!(db.count("t").await, 6);
}

pub(in crate::db::tests) async fn dropped_transactions_roll_back(backend: TestBackend) {
    let db = backend.open("forgotten", json!({ "connections": 1 })).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
    drop(transaction);
    assert_eq!(db.count("t").await, 0);
    // One that nobody used.
    drop(db.begin(Isolation::ReadCommitted, false));
    assert_eq!(db.count("t").await, 0);
}

pub(in crate::db::tests) async fn a_row_taken_is_enough_in_a_transaction(backend: TestBackend) {
    let db = backend.open("enough", json!({})).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 'some text' FROM n";
    let mut query = db.within(&mut transaction, sql);
    assert!(!next(&mut query).await.unwrap().last);
    drop(query);
    read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.count("t").await, 1);
}

pub(in crate::db::tests) async fn savepoints_undo_a_part(backend: TestBackend) {
    let db = backend.open("savepoints", json!({})).await;
    db.done("CREATE TABLE t (a INTEGER PRIMARY KEY)").await;
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
    read(db.act(&mut transaction, Action::Savepoint(7))).await.unwrap();
    read(db.within(&mut transaction, "INSERT INTO t VALUES (2)")).await.unwrap();
    assert_eq!(state(&read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap_err()), "23505");
    read(db.act(&mut transaction, Action::RollbackTo(7))).await.unwrap();
    read(db.act(&mut transaction, Action::Release(7))).await.unwrap();
    read(db.within(&mut transaction, "INSERT INTO t VALUES (3)")).await.unwrap();
    read(db.act(&mut transaction, Action::Commit)).await.unwrap();
    assert_eq!(db.done("SELECT a FROM t ORDER BY a").await.rows, [[Value::Integer(1)], [Value::Integer(3)]]);
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    assert_eq!(state(&read(db.act(&mut transaction, Action::Release(1))).await.unwrap_err()), "3B001");
}

pub(in crate::db::tests) async fn read_only_transactions_do_not_write(backend: TestBackend) {
    let db = backend.open("reading", json!({ "connections": 1 })).await;
    db.done("CREATE TABLE t (a INTEGER)").await;
    let mut transaction = db.begin(Isolation::RepeatableRead, true);
    read(db.within(&mut transaction, "SELECT * FROM t")).await.unwrap();
    let error = read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap_err();
    assert_eq!(state(&error), "25006");
    drop(transaction);
    assert_eq!(db.done("INSERT INTO t VALUES (1)").await.affected, 1);
}

pub(in crate::db::tests) async fn connections_are_waited_for(backend: TestBackend) {
    let db = backend.open("waiting", json!({ "connections": 1, "statement-timeout-ms": 2_000 })).await;
    let mut transaction = db.begin(Isolation::ReadCommitted, true);
    read(db.within(&mut transaction, "SELECT 1")).await.unwrap();
    // One that SQLite does not answer at once.
    let error = db.fails("SELECT upper('a')").await;
    assert_eq!((error.code, state(&error)), (ErrorCode::Timeout, "53300"));
    let mut other = db.begin(Isolation::ReadCommitted, true);
    let error = read(db.within(&mut other, "SELECT 1")).await.unwrap_err();
    assert_eq!((error.code, state(&error)), (ErrorCode::Timeout, "53300"));
    drop(transaction);
    db.done("SELECT 1").await;
}

pub(in crate::db::tests) async fn concurrent_writers_take_turns(backend: TestBackend) {
    let db = Arc::new(backend.open("writers", json!({ "connections": 4 })).await);
    db.done("CREATE TABLE t (a INTEGER)").await;
    let all = (0..40).map(|at| {
        let db = Arc::clone(&db);
        tokio::spawn(async move {
            if at % 2 == 0 {
                db.done("INSERT INTO t VALUES (1)").await;
            } else {
                let mut transaction = db.begin(Isolation::ReadCommitted, false);
                read(db.within(&mut transaction, "INSERT INTO t VALUES (1)")).await.unwrap();
                read(db.act(&mut transaction, Action::Commit)).await.unwrap();
            }
        })
    });
    for done in futures::future::join_all(all).await {
        done.unwrap();
    }
    assert_eq!(db.count("t").await, 40);
}
