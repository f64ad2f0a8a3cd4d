//! Tests that no statement takes more memory than its component has, or goes on after its time.

use super::super::bindings::{Batch, Error, ErrorCode, Value};
use super::super::dialect::Dialect;
use super::super::grant::DbGrant;
use super::super::output::{Caps, channel};
use super::super::statement::Statement;
use super::connection::{Session, Settings};
use serde_json::{Value as Json, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn settings(folder: &Path, grant: Json) -> Arc<Settings> {
    let grant: DbGrant = serde_json::from_value(grant).unwrap();
    Arc::new(Settings::new(folder.to_owned(), "test.sqlite".into(), &grant))
}

/// The first rows of a statement.
fn ask(session: &Session, sql: &str) -> Result<Batch, Error> {
    let (output, mut parts) = channel(Caps { rows: 1_000, bytes: 16 << 20 }, None);
    session.run(&Statement::guest(sql, Vec::new(), Dialect::Sqlite)?, &output)?;
    parts.try_next().unwrap().0
}

/// How long this thread has been on a core.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn no_statement_has_more_memory_than_its_component() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), json!({ "memory-bytes": 16 << 20, "statement-timeout-ms": 60_000 }));
    let session = Session::open_for_guest(&settings).unwrap();
    let many = |count: usize, what: &str| vec![what; count].join(", ");
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) ";
    for sql in [
        // As many arguments, columns and rows as it takes.
        format!("SELECT length(max({}))", many(60, "hex(zeroblob(1000000))")),
        format!("SELECT {}", many(60, "hex(zeroblob(1000000))")),
        format!("SELECT length(json_array({}))", many(60, "hex(zeroblob(1000000))")),
        format!("SELECT length(coalesce(nullif(1, 1), {}))", many(60, "nullif(hex(randomblob(1000000)), 'a') || 'x'")),
        format!("{numbers} SELECT count(*) FROM (SELECT DISTINCT hex(randomblob(1000)) FROM n)"),
        format!("{numbers} SELECT json_group_array(hex(randomblob(1000))) FROM n"),
        format!("{numbers} SELECT group_concat(hex(randomblob(1000))) FROM n"),
        "SELECT length(replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000))))".to_owned(),
        "SELECT length(printf('%.2000000000c', 'x'))".to_owned(),
        "SELECT zeroblob(2000000000)".to_owned(),
    ] {
        let short: String = sql.chars().take(120).collect();
        match ask(&session, &sql) {
            Err(error) => assert!(matches!(error.code, ErrorCode::TooLarge | ErrorCode::Timeout), "{short}: {error:?}"),
            // A text that is too long to be made is NULL for `printf`.
            Ok(batch) => assert!(matches!(batch.rows[0][0], Value::Integer(_) | Value::Null), "{short}"),
        }
        assert!(session.tidy());
        assert!(settings.account.used() < 8 << 20, "{short}: {} bytes are kept", settings.account.used());
        assert!(ask(&session, "SELECT 1").is_ok(), "{short}");
    }
    // Statements within it work, and say so.
    assert!(ask(&session, "SELECT length(hex(zeroblob(1900000)))").is_ok());
    let error = ask(&session, &format!("SELECT length(max({}))", many(30, "hex(zeroblob(1000000))"))).unwrap_err();
    assert!(error.code == ErrorCode::TooLarge && error.message.contains("memory-bytes"), "{error:?}");
    drop(session);
    assert!(settings.account.used() < 1 << 20, "{} bytes are kept", settings.account.used());
}

/// The CPU time that a statement takes, which its timeout may end.
fn work(session: &Session, sql: &str) -> Duration {
    let started = cpu_time();
    if let Err(error) = ask(session, sql) {
        assert!(matches!(error.code, ErrorCode::Timeout | ErrorCode::TooLarge), "{sql:.180}: {error:?}");
    }
    let worked = cpu_time() - started;
    assert!(session.tidy());
    worked
}

/// Asserts that a statement ends within twice its timeout of 200 ms. Another program's load is not counted; a machine
/// that stands still while this thread has its core is, but not each time.
fn ends_in_time(session: &Session, sql: &str) {
    let bound = Duration::from_millis(400);
    let worked: Vec<_> =
        std::iter::repeat_with(|| work(session, sql)).take(5).take_while(|worked| *worked >= bound).collect();
    assert!(worked.len() < 5, "{sql:.180}: {worked:?} of 200 ms");
    // On a machine with much else to do even this may take too long, but not each time.
    while let Err(error) = ask(session, "SELECT 1") {
        assert_eq!(error.code, ErrorCode::Timeout, "{sql:.180}");
    }
}

#[test]
fn no_statement_goes_on_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), json!({ "statement-timeout-ms": 200 }));
    let session = Session::open_for_guest(&settings).unwrap();
    let large = "WITH v AS MATERIALIZED (SELECT hex(zeroblob(2000000)) AS a, hex(zeroblob(1000000)) || '1' AS b) ";
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) ";
    for sql in [
        format!("{endless} SELECT count(*) FROM n"),
        format!(
            "{endless}, v AS MATERIALIZED (SELECT hex(zeroblob(2000000)) AS a) SELECT sum(instr(a, '1')) FROM n, v"
        ),
        format!("{endless}, v AS MATERIALIZED (SELECT hex(zeroblob(2000000)) AS a) SELECT sum(a = a || '') FROM n, v"),
        format!("{endless} SELECT sum(length(hex(randomblob(1000000)))) FROM n"),
        format!(
            "{endless} SELECT sum(length(c)) FROM (SELECT group_concat(i) OVER \
             (ORDER BY i ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW) AS c FROM n)"
        ),
        format!("{endless} SELECT count(*) FROM n, json_each('[1,2,3]') WHERE i % 7 = 8"),
        format!("{large} SELECT a LIKE '%' || substr(b, -900) FROM v"),
        format!(
            "{large} SELECT {} FROM v",
            vec!["length(replace(a, '00', '111'))"; 900].join(" + ").replace(" + ", ", ")
        ),
        format!("{large} SELECT {} FROM v", vec!["length(upper(a))"; 900].join(", ")),
        format!("{large} SELECT {} FROM v", vec!["length(trim(a, '0'))"; 900].join(", ")),
        format!("{large} SELECT {} FROM v", vec!["a GLOB '*0*0*0*0*1*'"; 900].join(", ")),
    ] {
        // Some are quick enough to be done in their time.
        ends_in_time(&session, &sql);
    }
}

#[test]
fn what_walks_over_a_large_table_ends_at_its_time_and_leaves_it_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let grant = |timeout: u64| json!({ "statement-timeout-ms": timeout, "memory-bytes": 16 << 20 });
    let patient = Session::open_for_guest(&settings(folder.path(), grant(600_000))).unwrap();
    ask(&patient, "CREATE TABLE large (a)").unwrap();
    // Each 100 MB, which take some 300 ms to be dropped; a machine that is quicker has more to do.
    let filled = "INSERT INTO large WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 33000) \
                  SELECT zeroblob(3000) FROM n";
    // Where this machine has too much else to do the time is over before the file is open.
    let hurried = settings(folder.path(), grant(20));
    let hurry = |sql: &str| {
        std::iter::repeat_with(|| Session::open_for_guest(&hurried))
            .find_map(|session| Some(ask(&session.ok()?, sql)))
            .unwrap()
    };
    let mut rows = 0;
    for sql in ["DROP TABLE large", "DELETE FROM large"] {
        let ended = loop {
            ask(&patient, filled).unwrap();
            rows += 33_000;
            match hurry(sql) {
                Err(ended) => break ended,
                Ok(_) if sql.starts_with("DROP") => drop(ask(&patient, "CREATE TABLE large (a)").unwrap()),
                Ok(_) => {}
            }
            assert!(rows < 200_000, "{sql} ended too late again and again");
            for _ in 0..rows / 33_000 {
                ask(&patient, filled).unwrap();
            }
        };
        assert_eq!(ended.code, ErrorCode::Timeout, "{sql}: {ended:?}");
        let count = ask(&patient, "SELECT count(*) FROM large").unwrap();
        assert!(matches!(count.rows[0][0], Value::Integer(found) if found == rows), "{sql}: {rows} of {count:?}");
    }
    assert!(ask(&patient, "DROP TABLE large").is_ok());
}

#[test]
fn no_search_goes_on_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let open = |timeout: u64| {
        Session::open_for_guest(&settings(folder.path(), json!({ "statement-timeout-ms": timeout }))).unwrap()
    };
    let patient = open(60_000);
    for sql in [
        "CREATE VIRTUAL TABLE words USING fts5(a)",
        // As many matches as words.
        "INSERT INTO words VALUES (replace(hex(zeroblob(400000)), '00', 'a '))",
    ] {
        ask(&patient, sql).unwrap();
    }
    let ranked = "rank MATCH 'snippet(0, '''', '''', '''', 10)'";
    ask(&patient, "INSERT INTO words (words, rank) VALUES ('rank', 'snippet(0, '''', '''', '''', 10)')").unwrap();
    assert!(ask(&patient, "SELECT rank FROM words('a')").is_ok());
    ask(&patient, "INSERT INTO words (words, rank) VALUES ('rank', 'bm25()')").unwrap();
    assert!(ask(&patient, "SELECT rank FROM words('a') ORDER BY rank").is_ok());
    assert!(ask(&patient, "SELECT highlight(words, 0, '<', '>') FROM words('b')").is_ok());
    let session = open(200);
    for sql in [
        // SQLite's own compares each match with each other one, and would take a quarter of an hour for each of these.
        "SELECT snippet(words, 0, '', '', '', 10) FROM words('a')",
        "SELECT length(SNIPPET(words, -1, '', '', '', 1000000)) FROM words WHERE words MATCH 'a'",
        &format!("SELECT rank FROM words WHERE words MATCH 'a' AND {ranked}"),
        &format!("SELECT rowid FROM words WHERE words MATCH 'a' AND {ranked} ORDER BY rank"),
        "SELECT length(highlight(words, 0, '<', '>')) FROM words('a')",
        "SELECT rowid FROM words('a OR a OR a OR a') ORDER BY rank",
        "INSERT INTO words (words) VALUES ('rebuild')",
        "INSERT INTO words VALUES (replace(hex(zeroblob(1300000)), '00', 'ab '))",
    ] {
        ends_in_time(&session, sql);
    }
}

#[test]
fn searches_are_bounded_before_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::open_for_guest(&settings(folder.path(), json!({}))).unwrap();
    for sql in [
        "CREATE VIRTUAL TABLE words USING fts5(a)",
        "CREATE VIRTUAL TABLE parts USING fts5(a, tokenize = 'trigram')",
        "INSERT INTO words VALUES ('one two. three four five')",
        "INSERT INTO parts VALUES ('one two')",
    ] {
        ask(&session, sql).unwrap();
    }
    let snippet = "SELECT snippet(words, 0, '<b>', '</b>', '...', 2) FROM words WHERE words MATCH 'four'";
    let found = ask(&session, snippet).unwrap();
    assert!(matches!(&found.rows[0][0], Value::Text(text) if text == "...three <b>four</b>..."), "{found:?}");
    let words = |count: usize| vec!["one"; count].join(" ");
    let many = words(128);
    for sql in [
        format!("SELECT rowid FROM words('{many}')"),
        format!("SELECT rowid FROM words('NEAR({})')", words(7)),
        format!("SELECT rowid FROM words('\"{}\"')", words(64)),
        format!("SELECT rowid FROM words('{}')", vec!["\"one two\""; 32].join(" OR ")),
        format!("SELECT rowid FROM parts('{}')", "a".repeat(66)),
        format!("SELECT rowid FROM parts WHERE a LIKE '%{}%'", "a".repeat(60)),
        "SELECT rowid FROM parts WHERE a LIKE '%two%'".to_owned(),
        "SELECT rowid FROM words WHERE rowid = 1 AND words MATCH 'one'".to_owned(),
    ] {
        assert!(ask(&session, &sql).is_ok(), "{sql:.90}");
    }
    // Of a row with many words some of these would take minutes in one call, however it is asked for.
    let near = format!("NEAR({})", words(8));
    let long = words(300);
    for sql in [
        format!("SELECT rowid FROM words('{many} one')"),
        format!("SELECT rowid FROM words WHERE words MATCH '{near}'"),
        format!("SELECT rowid FROM words WHERE words = '{near}'"),
        format!("SELECT rowid FROM words WHERE words MATCH CAST('{near}' AS BLOB)"),
        format!("SELECT rowid FROM words WHERE a MATCH 'one' AND words MATCH '{many}'"),
        format!("SELECT rowid FROM words('\"{long}\"')"),
        format!("SELECT rowid FROM words('\"{}\"')", words(65)),
        format!("SELECT rowid FROM words('\"{}\"')", words(65).replace(' ', ".")),
        format!("SELECT rowid FROM words('{}')", vec!["one"; 65].join(" + ")),
        format!("SELECT rowid FROM words('{}')", vec!["\"one\""; 65].concat()),
        format!("SELECT rowid FROM words('{}')", vec!["\"one two\""; 33].join(" OR ")),
        format!("SELECT rowid FROM parts('{}')", "a".repeat(67)),
        format!("SELECT rowid FROM parts WHERE a LIKE '%{}%'", "aa-".repeat(30)),
        format!("SELECT rowid FROM parts WHERE a LIKE '%{long}%'"),
        format!("SELECT bm25(words) FROM words('{}')", vec!["one"; 129].join(" OR ")),
    ] {
        let error = ask(&session, &sql).unwrap_err();
        assert!(error.code == ErrorCode::TooLarge && error.message.contains("1024 bytes"), "{sql:.90}: {error:?}");
    }
    // These lead to what FTS5 keeps for the connection.
    for sql in ["SELECT fts5(1)", "SELECT fts5_locale('en', 'a')", "SELECT fts5_insttoken('a')"] {
        assert!(ask(&session, sql).is_err(), "{sql}");
    }
    assert!(session.tidy());
    assert!(ask(&session, "DROP TABLE words").is_ok());
}

#[test]
fn values_are_bounded_by_what_a_statement_can_do_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), json!({}));
    let session = Session::open_for_guest(&settings).unwrap();
    assert!(ask(&session, "SELECT length(zeroblob(4000000))").is_ok());
    // Thousands of comparisons of four million bytes each, one after the other.
    let compared = vec!["a = b"; 3_000].join(", ");
    let some = "WITH v AS MATERIALIZED (SELECT zeroblob(4000000) AS a, zeroblob(4000000) AS b)";
    let short = some.replace("4000000", "400000");
    let sql = format!("{short} SELECT max({}) FROM v", ["a = b"; 10].join(", "));
    assert!(ask(&session, &sql).is_ok());
    let rows = format!("{some} SELECT count(*) FROM v WHERE 1 IN ({compared})");
    assert_eq!(ask(&session, &rows).unwrap_err().code, ErrorCode::TooLarge);
}

#[test]
fn arguments_columns_and_patterns_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::open_for_guest(&settings(folder.path(), json!({}))).unwrap();
    let numbers = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    let columns = |count: usize| (0..count).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ");
    for (allowed, refused) in [
        (format!("SELECT max({})", numbers(127)), format!("SELECT max({})", numbers(128))),
        (format!("SELECT {}", numbers(1_000)), format!("SELECT {}", numbers(1_001))),
        (format!("CREATE TABLE fits ({})", columns(1_000)), format!("CREATE TABLE wide ({})", columns(1_001))),
        (format!("SELECT 'a' LIKE '{}'", "a".repeat(1_000)), format!("SELECT 'a' LIKE '{}'", "a".repeat(1_001))),
        (format!("SELECT 'a' GLOB '{}'", "a".repeat(1_000)), format!("SELECT 'a' GLOB '{}'", "a".repeat(1_001))),
    ] {
        ask(&session, &allowed).unwrap_or_else(|error| panic!("{allowed:.40}: {error:?}"));
        assert_eq!(ask(&session, &refused).unwrap_err().code, ErrorCode::Database, "{refused:.40}");
    }
}

#[test]
fn what_takes_a_product_of_sizes_is_not_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::open_for_guest(&settings(folder.path(), json!({}))).unwrap();
    for sql in ["SELECT JSONB_PATCH('{}', '{}')", "SELECT load_extension('x')"] {
        assert_eq!(ask(&session, sql).unwrap_err().code, ErrorCode::Denied, "{sql}");
    }
}

#[test]
fn modules_that_nobody_listed_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::open_for_guest(&settings(folder.path(), json!({}))).unwrap();
    for sql in [
        "CREATE VIRTUAL TABLE words USING fts5(a)",
        "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT path FROM json_tree('[1, 2]')",
        "SELECT name FROM pragma_table_info('words')",
    ] {
        ask(&session, sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    // They would read the whole file in one step.
    for sql in ["SELECT name FROM dbstat", "SELECT pageno FROM dbstat('main', 1)"] {
        assert_eq!(ask(&session, sql).unwrap_err().code, ErrorCode::Database, "{sql}");
    }
}

#[test]
fn a_components_files_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("below/db");
    let settings = settings(&place, json!({}));
    super::check_place(&settings).unwrap();
    let session = Session::open_for_guest(&settings).unwrap();
    ask(&session, "CREATE TABLE t (a)").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = ["test.sqlite", "test.sqlite-wal", "test.sqlite-shm"].map(|name| place.join(name));
    assert_eq!(files.each_ref().map(|file| mode(file)), [0o600; 3]);
    assert_eq!([mode(&place), mode(place.parent().unwrap())], [0o700; 2]);
    for file in &files {
        std::fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
    }
    // As another version of the component is loaded, beside the one that has the file open.
    super::check_place(&settings).unwrap();
    assert_eq!(files.each_ref().map(|file| mode(file)), [0o600; 3]);
    assert!(ask(&session, "INSERT INTO t VALUES (1)").is_ok());
    // A link is not followed.
    std::fs::remove_file(&files[0]).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &files[0]).unwrap();
    assert!(super::check_place(&settings).is_err());
}

#[test]
fn one_components_statements_leave_room_for_anothers() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hour = json!({ "statement-timeout-ms": 3_600_000 });
    let hostile = settings(one.path(), hour.clone());
    Session::open_for_guest(&hostile).unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    // They end when their results are dropped.
    let (threads, results): (Vec<_>, Vec<_>) = (0..8)
        .map(|_| {
            let (settings, ended) = (Arc::clone(&hostile), Arc::clone(&ended));
            let (output, result) = channel(Caps { rows: 1_000, bytes: 16 << 20 }, None);
            let thread = std::thread::spawn(move || {
                let session = Session::open_for_guest(&settings).unwrap();
                let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                               SELECT sum(length(hex(randomblob(500000)))) FROM n";
                let endless = Statement::guest(endless, Vec::new(), Dialect::Sqlite).unwrap();
                let _ = session.run(&endless, &output);
                ended.fetch_add(1, Ordering::Relaxed);
            });
            (thread, result)
        })
        .unzip();
    let session = Session::open_for_guest(&settings(other.path(), hour)).unwrap();
    for _ in 0..20 {
        let numbers =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT sum(i) FROM n";
        assert!(ask(&session, numbers).is_ok());
    }
    assert_eq!(ended.load(Ordering::Relaxed), 0, "the others were waited for");
    drop(results);
    for thread in threads {
        thread.join().unwrap();
    }
}
