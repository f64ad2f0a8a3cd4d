//! Tests of PostgreSQL alone: logins, connections that components share, TLS.

use super::super::statement::{Kind, Statement};
use super::*;
use std::env::var;

/// A server, by a URL of a superuser; none if the tests run without one.
fn backend_at(variable: &str) -> Option<TestBackend> {
    var(variable).ok().map(|url| TestBackend::new(Some(url)))
}

/// A statement that nobody has looked at.
fn unchecked(sql: &str) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        kind: Kind::Schema,
        writes: true,
        leaves: false,
        held: None,
        names_outbox: false,
    }
}

impl DbContext {
    /// Runs a statement as if the checks of its text had missed it.
    async fn slip(&self, sql: &str) -> Result<FullResult, Error> {
        let (output, query) = self.start(self.calls.begin()).unwrap();
        read(query.driving(self.database.backend.run(unchecked(sql), output))).await
    }

    pub(super) async fn say(&self, sql: &str) -> String {
        match self.slip(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).rows[0][0] {
            Value::Text(ref text) => text.clone(),
            ref other => panic!("{other:?}"),
        }
    }
}

async fn superuser(url: &str) -> tokio_postgres::Client {
    let (admin, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    admin
}

/// Statements that a component may try if nobody checks them; SCHEMA, ROLE and SELF are put in.
const ATTACKS: &[&str] = &[
    "RESET ROLE",
    "SET ROLE NONE",
    "SET ROLE elias",
    "SET ROLE \"ROLE\"",
    "SET SESSION AUTHORIZATION elias",
    "SET SESSION AUTHORIZATION \"ROLE\"",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET SESSION AUTHORIZATION",
    "SELECT set_config('role', 'elias', false)",
    "SELECT set_config('session_authorization', 'ROLE', false)",
    "UPDATE pg_settings SET setting = 'elias' WHERE name = 'role'",
    "UPDATE ONLY pg_catalog.pg_settings SET setting = 'ROLE' WHERE name = 'role'",
    "EXPLAIN ANALYZE UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
    "CREATE VIEW settings AS SELECT * FROM pg_settings",
    "UPDATE settings SET setting = 'elias' WHERE name = 'role'",
    "SET search_path TO SCHEMA",
    "SET row_security TO off",
    "DO $$ BEGIN EXECUTE 'SET ROLE elias'; EXECUTE 'SELECT s FROM SCHEMA.secret'; END $$",
    "DO $$ BEGIN PERFORM set_config('role', 'elias', false); END $$",
    "SELECT * FROM SCHEMA.secret",
    "TABLE SCHEMA.secret",
    "SELECT s::text FROM SCHEMA.secret FOR UPDATE",
    "INSERT INTO SCHEMA.secret VALUES ('written')",
    "UPDATE SCHEMA.secret SET s = 'written'",
    "DELETE FROM SCHEMA.secret",
    "TRUNCATE SCHEMA.secret",
    "WITH d AS (DELETE FROM SCHEMA.secret RETURNING s) SELECT s FROM d",
    "EXPLAIN ANALYZE DELETE FROM SCHEMA.secret",
    "MERGE INTO SCHEMA.secret USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE",
    "DROP TABLE SCHEMA.secret",
    "DROP SCHEMA SCHEMA CASCADE",
    "ALTER TABLE SCHEMA.secret RENAME TO stolen",
    "ALTER TABLE SCHEMA.secret OWNER TO CURRENT_USER",
    "ALTER SCHEMA SCHEMA OWNER TO CURRENT_USER",
    "CREATE TABLE SCHEMA.mine (a int)",
    "CREATE TABLE mine (LIKE SCHEMA.secret)",
    "CREATE TABLE child () INHERITS (SCHEMA.secret)",
    "CREATE TABLE points (s text REFERENCES SCHEMA.secret (s))",
    "CREATE VIEW v AS SELECT s FROM SCHEMA.secret",
    "SELECT * FROM v",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT s FROM SCHEMA.secret LIMIT 1'",
    "CREATE FUNCTION g() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT s FROM SCHEMA.secret LIMIT 1); \
     END $$",
    "SELECT g()",
    "CREATE FUNCTION h() RETURNS int LANGUAGE c AS 'libc', 'system'",
    "CREATE TRIGGER t AFTER INSERT ON SCHEMA.secret EXECUTE FUNCTION g()",
    "CREATE RULE r AS ON SELECT TO SCHEMA.secret DO INSTEAD SELECT 'x'::text AS s",
    "CREATE POLICY p ON SCHEMA.secret USING (true)",
    "CREATE INDEX ON SCHEMA.secret (s)",
    "LOCK TABLE SCHEMA.secret",
    "COMMENT ON TABLE SCHEMA.secret IS 'x'",
    "COPY SCHEMA.secret TO '/tmp/elias-stolen'",
    "COPY (SELECT s FROM SCHEMA.secret) TO PROGRAM 'cat'",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION adminpack",
    "CREATE EXTENSION file_fdw",
    "CREATE LANGUAGE plpython3u",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT query_to_xml('SELECT s FROM SCHEMA.secret', true, true, '')::text",
    "SELECT table_to_xml('SCHEMA.secret', true, true, '')::text",
    "SELECT schema_to_xml('SCHEMA', true, true, '')::text",
    "SELECT database_to_xml(true, true, '')::text",
    "SELECT ts_stat('SELECT to_tsvector(s) FROM SCHEMA.secret')::text",
    "GRANT \"ROLE\" TO CURRENT_USER",
    "GRANT elias TO CURRENT_USER",
    "GRANT pg_read_all_data TO CURRENT_USER",
    "GRANT SELECT ON SCHEMA.secret TO CURRENT_USER",
    "GRANT USAGE ON SCHEMA SCHEMA TO CURRENT_USER",
    "ALTER DEFAULT PRIVILEGES FOR ROLE \"ROLE\" GRANT SELECT ON TABLES TO CURRENT_USER",
    "REASSIGN OWNED BY \"ROLE\" TO CURRENT_USER",
    "DROP OWNED BY \"ROLE\"",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CREATEROLE",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "ALTER ROLE \"ROLE\" PASSWORD 'known'",
    "ALTER ROLE \"ROLE\" SET search_path TO public",
    "ALTER ROLE elias SET search_path TO public",
    "DROP ROLE \"ROLE\"",
    "CREATE ROLE more LOGIN",
    "CREATE DATABASE more",
    "CREATE SCHEMA more",
    "ALTER DATABASE postgres SET search_path TO public",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "CREATE PUBLICATION p FOR TABLE SCHEMA.secret",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p",
    "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION g()",
    "CREATE CAST (text AS int) WITH FUNCTION g()",
    "SECURITY LABEL ON TABLE SCHEMA.secret IS 'x'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SELECT most_common_vals::text FROM pg_stats WHERE schemaname = 'SCHEMA' AND most_common_vals IS NOT NULL",
    "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE usename = 'ROLE'",
    "SELECT nextval('SCHEMA.numbers')::text",
    "REINDEX TABLE SCHEMA.secret",
    "CLUSTER SCHEMA.secret USING secret_pkey",
    "PREPARE p AS SELECT s FROM SCHEMA.secret",
    "DECLARE c CURSOR WITH HOLD FOR SELECT s FROM SCHEMA.secret",
];

/// The server alone keeps components apart: no check of a text is made here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_login_alone_holds() {
    for variable in ["ELIAS_TEST_POSTGRES", "ELIAS_TEST_POSTGRES_PASSWORDS"] {
        let Some(backend) = backend_at(variable) else { return };
        let (one, two) = (backend.open("one", json!({})).await, backend.open("two", json!({ "connections": 2 })).await);
        one.done("CREATE TABLE secret (s text PRIMARY KEY)").await;
        one.done("CREATE SEQUENCE numbers").await;
        one.done("INSERT INTO secret VALUES ('hidden')").await;
        let schema = one.say("SELECT current_schema()::text").await;
        let role = one.say("SELECT current_user::text").await;
        let own = two.say("SELECT current_user::text").await;
        assert_ne!(role, own);
        for attack in ATTACKS {
            let sql = attack.replace("SCHEMA SCHEMA", &format!("SCHEMA {schema}"));
            let sql = sql.replace("SCHEMA.", &format!("{schema}.")).replace("'SCHEMA'", &format!("'{schema}'"));
            let sql = sql.replace("TO SCHEMA", &format!("TO {schema}")).replace("'ROLE'", &format!("'{role}'"));
            let sql = sql.replace("\"ROLE\"", &format!("\"{role}\""));
            let got = two.slip(&sql).await;
            assert!(!format!("{got:?}").contains("hidden"), "{sql}: {got:?}");
            // Whatever that did to the session: what follows has gained nothing by it.
            for follows in [format!("SELECT s FROM {schema}.secret"), format!("DELETE FROM {schema}.secret")] {
                let error = two.slip(&follows).await.expect_err(&sql);
                assert_eq!(state(&error), "42501", "{sql}, {follows}: {error:?}");
            }
            let whose = "SELECT concat_ws(' ', current_user, session_user, current_setting('is_superuser'))";
            assert_eq!(two.say(whose).await, format!("{own} {own} off"), "{sql}");
        }
        let rows = one.done("SELECT s FROM secret").await.rows;
        assert_eq!(rows, [[text("hidden")]]);
        assert_eq!(one.done("SELECT nextval('numbers')").await.rows, [[Value::Integer(1)]]);
        // The keys of logins are the owner's.
        let keys = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'elias_keys_%' LIMIT 1";
        let keys = two.say(keys).await;
        assert_eq!(state(&two.slip(&format!("SELECT key FROM {keys}.login_key")).await.unwrap_err()), "42501");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_session_is_closed() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES") else { return };
    let db = backend.open("changed", json!({ "connections": 1 })).await;
    let pid = async || db.done("SELECT pg_backend_pid()").await.rows[0][0].clone();
    // Settings whose change the server reports at once.
    for sql in [
        "SET standard_conforming_strings TO off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SET client_encoding TO 'LATIN1'",
    ] {
        let before = pid().await;
        db.slip(sql).await.unwrap();
        assert_ne!(pid().await, before, "{sql}");
        assert_eq!(db.say("SELECT '\\'").await, "\\");
    }
    // Settings that the server is asked for, after a while.
    for (sql, setting) in [
        ("SET statement_timeout TO 0", "statement_timeout"),
        ("SELECT set_config('work_mem', '1GB', false)", "work_mem"),
        (
            "UPDATE pg_settings SET setting = '0' WHERE name = 'idle_in_transaction_session_timeout'",
            "idle_in_transaction_session_timeout",
        ),
    ] {
        let asked = format!("SELECT current_setting('{setting}')");
        let before = db.say(&asked).await;
        db.slip(sql).await.unwrap();
        while db.say(&asked).await != before {
            pause().await;
        }
    }
    // Within a transaction too.
    let mut transaction = db.begin(Isolation::ReadCommitted, false);
    let sql = "SET standard_conforming_strings TO off";
    read(db.act(&mut transaction, Action::Run(unchecked(sql)))).await.unwrap();
    let error = read(db.within(&mut transaction, "SELECT 1")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied);
    drop(transaction);
    assert_eq!(db.say("SELECT '\\'").await, "\\");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_components_share_few_connections() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES") else { return };
    let url = backend.url.clone().unwrap();
    let db = Db::new(backend.folder.path().join("data")).postgres_connections(10);
    let grant = json!({ "backend": "postgres", "url": url, "statement-timeout-ms": 60_000 });
    let open = (0..40).map(async |at| {
        let opened = Arc::new(db.configure(&backend.info(&format!("many{at}")), Some(&grant)).await.unwrap());
        DbContext::new(opened, elias_host::capability::CallMeter::default())
    });
    let components = futures::future::join_all(open).await;
    let admin = superuser(&url).await;
    let unique = backend.folder.path().file_name().unwrap().to_string_lossy().replace('.', "_").to_lowercase();
    let pids = format!("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'elias_c_many%{unique}%'");
    let done = futures::future::join_all(
        components
            .iter()
            .flat_map(|db| (0..4).map(|_| db.all("SELECT count(*) FROM generate_series(1, 20000)", Vec::new()))),
    )
    .await;
    assert!(done.iter().all(Result::is_ok), "{:?}", done.iter().find(|done| done.is_err()));
    // Idle ones stay for a minute: if more than ten had been opened, they would be there. The server shows one that was
    // closed until its process has ended, beside the one that took its place.
    let began = Instant::now();
    loop {
        let open = admin.query(&pids, &[]).await.unwrap().len();
        if (1..=10).contains(&open) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{open} are open");
        pause().await;
    }
    // Those that hold all they may leave some to whoever comes.
    let held: Vec<_> =
        components[..2].iter().flat_map(|db| (0..8).map(|_| db.begin(Isolation::ReadCommitted, false))).collect();
    components[30].done("SELECT 1").await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_changed_is_set_again() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES_PASSWORDS") else { return };
    let db = backend.open("password", json!({ "connections": 1 })).await;
    let role = db.say("SELECT current_user::text").await;
    let admin = superuser(backend.url.as_deref().unwrap()).await;
    admin.batch_execute(&format!("ALTER ROLE \"{role}\" PASSWORD 'other'")).await.unwrap();
    let Value::Integer(pid) = db.done("SELECT pg_backend_pid()").await.rows[0][0] else { panic!() };
    admin.execute("SELECT pg_terminate_backend($1)", &[&i32::try_from(pid).unwrap()]).await.unwrap();
    while db.all("SELECT 1", Vec::new()).await.is_err() {
        pause().await;
    }
    // Two hosts that share the database agree.
    let again = backend.open("password", json!({})).await;
    again.done("SELECT 1").await;
    db.done("SELECT 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_of_an_earlier_release_becomes_a_login() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES_PASSWORDS") else { return };
    let admin = superuser(backend.url.as_deref().unwrap()).await;
    let schema = format!("before_{}", std::process::id());
    admin
        .batch_execute(&format!(
            "CREATE ROLE elias_{schema} NOLOGIN NOINHERIT; CREATE SCHEMA {schema} AUTHORIZATION elias_{schema}; \
             SET ROLE elias_{schema}; CREATE TABLE {schema}.t (a int); RESET ROLE"
        ))
        .await
        .unwrap();
    let db = backend.open("before", json!({ "schema": schema })).await;
    assert_eq!(db.count("t").await, 0);
    assert_eq!(db.say("SELECT session_user::text").await, format!("elias_{schema}"));
    // One that has become more than it should be is refused.
    admin.batch_execute(&format!("ALTER ROLE elias_{schema} CREATEDB")).await.unwrap();
    let refused = backend.try_open("before", json!({ "schema": schema })).await;
    assert!(
        matches!(&refused, Err(ConfigureError::Unavailable(why)) if why.contains("CREATEDB")),
        "{:?}",
        refused.err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_make_the_login() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES_PASSWORDS") else { return };
    let url = backend.url.clone().unwrap();
    let admin = superuser(&url).await;
    let id = std::process::id();
    admin.batch_execute(&format!("CREATE ROLE own_{id} LOGIN NOINHERIT PASSWORD 'p'")).await.unwrap();
    let own = url.replacen("elias:elias@", &format!("own_{id}:p@"), 1);
    let db = Db::new(backend.folder.path().join("data"));
    let open = async |schema: &str| {
        let grant = json!({ "backend": "postgres", "login-url": own, "schema": schema });
        db.configure(&backend.info("own"), Some(&grant)).await
    };
    let why = |refused: Result<Database, ConfigureError>| match refused {
        Err(ConfigureError::Invalid(why) | ConfigureError::Unavailable(why)) => why,
        other => panic!("{:?}", other.err()),
    };
    let (schema, other) = (format!("own_{id}"), format!("other_{id}"));
    let told = why(open(&schema).await);
    assert!(told.contains(&format!("CREATE SCHEMA \"{schema}\" AUTHORIZATION \"own_{id}\"")), "{told}");
    admin.batch_execute(&format!("CREATE SCHEMA \"{schema}\" AUTHORIZATION \"own_{id}\"")).await.unwrap();
    assert!(open(&schema).await.is_ok());
    admin.batch_execute(&format!("CREATE SCHEMA \"{other}\" AUTHORIZATION \"own_{id}\"")).await.unwrap();
    assert!(why(open(&schema).await).contains("login of its own"));
    admin.batch_execute(&format!("DROP SCHEMA \"{other}\"; GRANT pg_read_all_data TO own_{id}")).await.unwrap();
    assert!(why(open(&schema).await).contains("member of other roles"));
    admin
        .batch_execute(&format!("REVOKE pg_read_all_data FROM own_{id}; ALTER ROLE own_{id} CREATEROLE"))
        .await
        .unwrap();
    assert!(why(open(&schema).await).contains("CREATEROLE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_as_the_url_says() {
    let (Some(backend), Ok(ca), Ok(other)) =
        (backend_at("ELIAS_TEST_POSTGRES_PASSWORDS"), var("ELIAS_TEST_POSTGRES_CA"), var("ELIAS_TEST_OTHER_CA"))
    else {
        return;
    };
    let url = backend.url.clone().unwrap();
    let named = url.replace("127.0.0.1", "localhost");
    for (url, expected) in [
        (url.clone(), Some("t")),
        (format!("{url}?sslmode=disable"), Some("f")),
        (format!("{url}?sslmode=require"), Some("t")),
        (format!("{url}?sslmode=verify-ca&sslrootcert={ca}"), Some("t")),
        (format!("{named}?sslmode=verify-ca&sslrootcert={ca}"), Some("t")),
        (format!("{url}?sslmode=verify-full&sslrootcert={ca}"), Some("t")),
        (format!("{named}?sslmode=verify-full&sslrootcert={ca}"), None),
        (format!("{url}?sslmode=verify-full&sslrootcert={other}"), None),
        (format!("{url}?sslmode=verify-ca&sslrootcert={other}"), None),
        (format!("{url}?sslmode=verify-full"), None),
    ] {
        let backend = TestBackend::new(Some(url.clone()));
        match (backend.try_open("tls", json!({})).await, expected) {
            (Ok(db), Some(expected)) => {
                let used = "SELECT CASE WHEN ssl THEN 't' ELSE 'f' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                assert_eq!(db.say(used).await, expected, "{url}");
                // A cancellation goes the same way.
                let query = db.send("SELECT pg_sleep(60)", Vec::new());
                let_it_begin().await;
                drop(query);
            }
            (Err(ConfigureError::Unavailable(_)), None) => {}
            (other, expected) => panic!("{url}: {expected:?}, {:?}", other.err()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_are_parameters() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES") else { return };
    let db = backend.open("arrays", json!({})).await;
    let json = |json: &str| Value::Json(json.to_owned());
    db.done("CREATE TABLE t (id int, name text)").await;
    db.done("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c \"quoted\" \\ {}')").await;
    for (sql, parameter, rows) in [
        ("SELECT id FROM t WHERE id = any($1::int[])", "[1, 2]", 2),
        ("SELECT id FROM t WHERE id = any($1)", "[1, 2, null]", 2),
        ("SELECT id FROM t WHERE id = any($1)", "[]", 0),
        ("SELECT id FROM t WHERE name = any($1)", "[\"b\", \"c \\\"quoted\\\" \\\\ {}\"]", 2),
        ("SELECT unnest($1::float8[])", "[1.5, 2, \"-Infinity\"]", 3),
        ("SELECT unnest($1::bool[])", "[true, false]", 2),
        ("SELECT unnest($1::uuid[])", "[\"3f2504e0-4f89-11d3-9a0c-0305e82c3301\"]", 1),
        ("SELECT unnest($1::timestamptz[])", "[\"2024-02-29T12:34:56.789Z\"]", 1),
        ("SELECT unnest($1::numeric[])", "[\"12345678901234567890.5\"]", 1),
        ("SELECT unnest($1::int8[])", "[\"9223372036854775807\", -1]", 2),
    ] {
        let got = db.all(sql, vec![json(parameter)]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(got.rows.len(), rows, "{sql} {parameter}");
    }
    for (sql, parameter, why) in [
        ("SELECT $1::int[]", "[[1], [2]]", "an array within an array"),
        ("SELECT $1::int[]", "[1.5]", "float"),
        ("SELECT $1::int[]", "[{}]", "object"),
        ("SELECT $1::int[]", "{}", "array"),
        ("SELECT cardinality($1::bytea[])", "[\"a\"]", "bytea"),
    ] {
        let error = db.all(sql, vec![json(parameter)]).await.unwrap_err();
        assert!(error.code == ErrorCode::UnsupportedType && error.message.contains(why), "{sql}: {error:?}");
        assert!(error.message.contains("parameter 1"), "{error:?}");
    }
    // JSON stays JSON.
    assert_eq!(db.all("SELECT $1::jsonb", vec![json("[1, 2]")]).await.unwrap().rows, [[json("[1, 2]")]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_what_they_were() {
    let Some(backend) = backend_at("ELIAS_TEST_POSTGRES") else { return };
    let db = backend.open("exact", json!({ "result-bytes": 100_000 })).await;
    let rows =
        db.done("SELECT 1.1::float4, 16777216::float4, '1e30'::float4, 'Infinity'::float4, '-0'::float4").await.rows;
    let [Value::Float(a), Value::Float(b), Value::Float(c), Value::Float(d), Value::Float(e)] = rows[0][..] else {
        panic!()
    };
    assert_eq!((a, b, c, d), (1.1, 16_777_216.0, 1e30, f64::INFINITY));
    assert!(e.is_sign_negative());
    let sql =
        "SELECT ARRAY['Infinity', '-Infinity', 'NaN', 1.1]::float8[], ARRAY[1.1]::float4[], ARRAY[9007199254740993]";
    let expected = ["[\"Infinity\",\"-Infinity\",\"NaN\",1.1]", "[1.1]", "[\"9007199254740993\"]"];
    assert_eq!(db.done(sql).await.rows[0], expected.map(|json| Value::Json(json.into())));
    for sql in
        ["SELECT '1e400'::jsonb AS j", "SELECT '[{\"a\": -1e309}]'::jsonb AS j", "SELECT ARRAY['1e400'::jsonb] AS j"]
    {
        let error = db.fails(sql).await;
        assert!(error.code == ErrorCode::UnsupportedType && error.message.contains("column j"), "{sql}: {error:?}");
    }
    assert_eq!(db.say("SELECT '1e400'::jsonb::text").await.len(), 401);
    // Some bytes that are a thousand digits each: what is made of them is counted while it is made.
    let large = "SELECT array_agg(0::numeric(1000, 1000)) FROM generate_series(1, 1000)";
    assert_eq!(db.fails(large).await.code, ErrorCode::TooLarge);
    db.done("SELECT 1").await;
}
