//! Tests of what belongs to one component: its tables and its migrations.

use super::*;

pub(in crate::db::tests) async fn migrations_run_once(backend: TestBackend) {
    backend.migration("1_first.sql", "CREATE TABLE t (a INTEGER);\nINSERT INTO t VALUES (1); -- done");
    let db = backend.open("migrated", json!({})).await;
    assert_eq!(db.count("t").await, 1);
    backend.migration("2_second.sql", "INSERT INTO t VALUES (2)");
    let (one, two) = tokio::join!(backend.open("migrated", json!({})), backend.open("migrated", json!({})));
    assert_eq!(one.count("t").await, 2);
    assert_eq!(two.count("t").await, 2);
    assert!(db.all("DELETE FROM elias_migrations", Vec::new()).await.is_err());
    backend.migration("1_first.sql", "CREATE TABLE other (a INTEGER)");
    match backend.try_open("migrated", json!({})).await {
        Err(ConfigureError::Invalid(why)) => assert!(why.contains("1_first.sql"), "{why}"),
        other => panic!("{:?}", other.err()),
    }
}

pub(in crate::db::tests) async fn failed_migrations_leave_nothing(backend: TestBackend) {
    backend.migration("1.sql", "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (missing)");
    match backend.try_open("failing", json!({})).await {
        Err(ConfigureError::Invalid(why)) => assert!(why.contains("1.sql") && why.contains("42703"), "{why}"),
        other => panic!("{:?}", other.err()),
    }
    backend.migration("1.sql", "CREATE TABLE t (a INTEGER); COMMIT");
    assert!(matches!(backend.try_open("failing", json!({})).await, Err(ConfigureError::Invalid(_))));
    if backend.url.is_some() {
        backend.migration("1.sql", "CREATE VIEW v AS SELECT * FROM pg_settings");
        assert!(matches!(backend.try_open("failing", json!({})).await, Err(ConfigureError::Invalid(_))));
    }
    backend.migration("1.sql", "CREATE TABLE t (a INTEGER)");
    assert_eq!(backend.open("failing", json!({})).await.count("t").await, 0);
}

pub(in crate::db::tests) async fn components_do_not_see_each_other(backend: TestBackend) {
    let (one, two) = (backend.open("one", json!({})).await, backend.open("two", json!({})).await);
    one.done("CREATE TABLE t (a INTEGER)").await;
    assert_eq!(state(&two.fails("SELECT * FROM t").await), "42P01");
    if backend.url.is_some() {
        let schema = one.done("SELECT current_schema()::text").await.rows[0][0].clone();
        let Value::Text(schema) = schema else { panic!("{schema:?}") };
        assert_eq!(state(&two.fails(&format!("SELECT * FROM {schema}.t")).await), "42501");
    }
    // The same component sees what it has made.
    assert_eq!(backend.open("one", json!({})).await.count("t").await, 0);
}

pub(in crate::db::tests) async fn it_can_be_linked(backend: TestBackend) {
    let host = elias_host::Host::builder().capability(Db::new(backend.folder.path().to_owned())).build();
    assert!(host.is_ok(), "{:?}", host.err());
}

pub(in crate::db::tests) async fn lost_connections_are_replaced(backend: TestBackend) {
    let Some(url) = &backend.url else { return };
    let db = backend.open("lost", json!({ "connections": 1 })).await;
    let Value::Integer(process) = db.done("SELECT pg_backend_pid()").await.rows[0][0] else { panic!() };
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    read(db.within(&mut transaction, "SELECT 1")).await.unwrap();
    let (admin, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let process = i32::try_from(process).unwrap();
    admin.execute("SELECT pg_terminate_backend($1)", &[&process]).await.unwrap();
    let error = read(db.within(&mut transaction, "SELECT 1")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
    drop(transaction);
    db.done("SELECT 1").await;
}

pub(in crate::db::tests) async fn missing_privileges_are_named(backend: TestBackend) {
    let Some(url) = &backend.url else { return };
    let (admin, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let role = format!("plain_{}", std::process::id());
    let _ = admin.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await;
    let plain = TestBackend::new(Some(url.replacen("elias@", &format!("{role}@"), 1)));
    let why = |failed: Result<DbContext, ConfigureError>| match failed {
        Err(ConfigureError::Unavailable(why)) => why,
        other => panic!("{:?}", other.err()),
    };
    assert!(why(plain.try_open("p", json!({})).await).contains("CREATEROLE"));
    admin.batch_execute(&format!("ALTER ROLE {role} CREATEROLE")).await.unwrap();
    assert!(why(plain.try_open("p", json!({})).await).contains("CREATE on the database"));
    admin.batch_execute(&format!("GRANT CREATE ON DATABASE postgres TO {role}")).await.unwrap();
    let db = plain.open("p", json!({})).await;
    db.done("CREATE TABLE t (a integer)").await;
    assert_eq!(db.count("t").await, 0);
}
