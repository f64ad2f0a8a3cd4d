//! `elias/db` from JavaScript, on SQLite and on PostgreSQL: values, transactions and limits are the same on both, one
//! component has no access to another's tables, a database may restart, and migrations run before the first request.

use elias_tests::build::Project;
use elias_tests::platform::until;
use elias_tests::serve::{Server, refused};
use elias_tests::services;
use std::cell::Cell;

const USER: &str = r#"
import { Buffer } from "node:buffer";
import { db, sql } from "elias/db";
const failure = (promise) => promise.then(() => ["no error", null], (error) => [error.code, error.sqlstate ?? null]);
const functions = {
  async types(_, env) {
    const row = await db.first(
      sql`select ${null} as a, ${true} as b, ${7} as c, ${9007199254740993n} as d, ${1.5} as e, ${"ü"} as f`);
    return { ...row, b: Boolean(row.b), d: String(row.d), kind: typeof row.d };
  },
  async stored() {
    const at = new Date("2026-01-02T03:04:05.678Z");
    await db.query(sql`insert into things (name, size, data, at)
      values (${"one"}, ${1.5}, ${new Uint8Array([1, 2, 255])}, ${at})`);
    const row = await db.first("select name, size, data, at from things where name = $1", "one");
    return [row.name, Number(row.size), [...row.data], new Date(row.at).toISOString()];
  },
  // Bytes in whatever holds them; nothing that was tried on the way is left for an `error` event.
  async views() {
    const seen = [];
    addEventListener("error", (event) => { seen.push(event.message); event.preventDefault(); });
    const bytes = new Uint8Array([1, 2, 255, 0]);
    const { buffer } = bytes;
    const views = [bytes, bytes.subarray(1, 3), Buffer.from(bytes), new DataView(buffer, 2), new Uint16Array(buffer), buffer];
    const stored = [];
    for (const view of views) {
      await db.query("delete from things");
      await db.query("insert into things (name, data) values ($1, $2)", "view", view);
      stored.push([...(await db.first("select data from things")).data].join(" "));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await db.query("delete from things");
    return [stored, seen];
  },
  async template() {
    const where = sql`where name = ${"x'; drop table things; --"}`;
    const rows = await db.query(sql`select * from things ${where} limit ${5}`);
    const count = await db.values(sql`select count(*) from things`);
    return [rows.length, rows.columns.length, count.length];
  },
  async transaction() {
    await db.query("delete from things");
    await db.transaction(async (tx) => {
      await tx.query("insert into things (name) values ($1)", "kept");
      await tx.savepoint(async (inner) => {
        await inner.query("insert into things (name) values ($1)", "undone");
        throw new Error("no");
      }).catch(() => {});
    });
    const thrown = await db.transaction(async (tx) => {
      await tx.query("insert into things (name) values ($1)", "rolled back");
      throw new Error("on purpose");
    }).catch((error) => error.message);
    return [thrown, (await db.query("select name from things order by name")).map((row) => row.name)];
  },
  async forgotten() {
    // Never awaited, never ended: the instance goes, and the transaction with it.
    const inserted = Promise.withResolvers();
    db.transaction(async (tx) => {
      await tx.query("insert into things (name) values ($1)", "forgotten");
      inserted.resolve();
      await new Promise(() => {});
    });
    await inserted.promise;
    return "left";
  },
  async spin() {
    await db.transaction(async (tx) => {
      await tx.query("insert into things (name) values ($1)", "forgotten");
      for (;;);
    });
  },
  async leave() {
    await db.transaction(async (tx) => {
      await tx.query("insert into things (name) values ($1)", "forgotten");
      console.log("the row is in");
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });
  },
  async count() { return Number((await db.first("select count(*) as n from things where name = $1", "forgotten")).n); },
  async errors() {
    await db.query("delete from things");
    await db.query("insert into things (name) values ($1)", "twice");
    return [
      await failure(db.query("insert into things (name) values ($1)", "twice")),
      await failure(db.query("selekt 1")),
      await failure(db.query("select * from nowhere")),
    ];
  },
  async denied() {
    const statements = [
      "begin", "commit", "set role postgres", "set search_path to public", "reset role", "copy things to '/tmp/x'",
      "attach database '/tmp/x' as x", "pragma journal_mode = delete", "do $$ begin end $$", "listen x", "vacuum",
      "select set_config('role', 'postgres', false)", "select load_extension('x')", "create extension dblink",
      "select 1; select 2", "/* x */ begin", "delete from elias_migrations",
    ];
    const codes = [];
    for (const statement of statements) codes.push([statement, (await failure(db.query(statement)))[0]]);
    return codes.filter(([, code]) => code === "no error");
  },
  async hostile() {
    const args = Array(60).fill("hex(zeroblob(1900000))").join(", ");
    const statements = [
      `select length(max(${args}))`, `select ${args}`,
      "select instr(zeroblob(4000000), cast(zeroblob(2000000) as blob) || x'01') + length(zeroblob(20000000))",
      "with recursive n(i) as (select 1 union all select i + 1 from n) " +
        "select sum(length(hex(randomblob(1000000)))) from n",
    ];
    const told = [];
    for (const statement of statements) told.push((await failure(db.query(statement)))[0]);
    return told;
  },
  async names() {
    const row = await db.first(`select 1 as "__proto__", 2 as constructor, 3 as a`);
    return [Object.keys(row), row["__proto__"], Object.getPrototypeOf(row) === Object.prototype];
  },
  async arrays() {
    await db.query("delete from things");
    for (const name of ["one", "two", "three"])
      await db.query("insert into things (name, size) values ($1, $2)", name, name.length);
    const names = await db.query("select name from things where name = any($1) order by name",
      ["one", "three", "none"]);
    const sizes = await db.query("select count(*) as n from things where size = any($1::int[])", [3]);
    return [names.map(({ name }) => name), Number(sizes[0].n), await failure(db.query("select $1::int[]", [[1], [2]]))];
  },
  async stolen(request) {
    const schema = new URL(request.url).searchParams.get("schema");
    const statements = [
      "update pg_settings set setting = 'off' where name = 'standard_conforming_strings'",
      "select '\\'', set_config('role', 'elias', false) --'",
      `select * from ${schema}.things`, `insert into ${schema}.things (name) values ('written')`,
        "select current_schema()::text as s",
    ];
    const told = [];
    for (const statement of statements)
      told.push(await db.query(statement).then((rows) => rows[0]?.s ?? "no error", (error) => error.sqlstate));
    return told;
  },
  async stream() {
    let rows = 0, sum = 0;
    const numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) select i from n";
    for await (const { i } of db.stream(numbers)) { rows++; sum += Number(i); if (rows === 40000) break; }
    return [rows, sum];
  },
  async caps() {
    const numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000) select i from n";
    const endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    return [await failure(db.query(numbers)), await failure(db.query(endless)),
      await failure(db.query("select $1", "x".repeat(5_000_000)))];
  },
  async flight() {
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => db.first(sql`select ${i} as i`)));
    return all.map(({ i }) => Number(i)).join(" ");
  },
  // Values that no database has are refused, and do not become others.
  async odd() {
    const values = [new Date("garbage"), 2n ** 63n, 2n ** 64n + 5n, -(2n ** 63n) - 1n, -(10n ** 400n)];
    const outcomes = values.map((value) =>
      db.first("select $1 as value", value).then(({ value }) => `${value}`, (error) => error.name));
    const least = (await db.first("select cast($1 as bigint) as value", -(2n ** 63n))).value;
    return [...await Promise.all(outcomes), `${least}`];
  },
};
export default {
  async fetch(request, env) {
    return Response.json(await functions[new URL(request.url).pathname.slice(1)](request, env));
  },
};
"#;

const SQLITE_SCHEMA: &str = "create table things (name text unique, size real, data blob, at text);";
const POSTGRES_SCHEMA: &str =
    "create table things (name text unique, size double precision, data bytea, at timestamptz);";

/// A server for a component of this name, on the backend that the lines choose.
fn served(name: &str, schema: &str, backend: &str) -> Server {
    let project = project(name, schema, backend);
    let data = project.path("data");
    Server::of_project(project, "app.wasm", &["--data-dir", data.to_str().expect("UTF-8"), "--fuel", "3000000000"])
}

fn project(name: &str, schema: &str, backend: &str) -> Project {
    let project = Project::new(&[
        ("package.json", &format!("{{ \"name\": \"{name}\" }}")),
        ("index.js", USER),
        ("migrations/001-things.sql", schema),
    ]);
    project.write("app.wasm", project.build("index.js"));
    project.write("elias.toml", format!("[capabilities.db]\nstatement-timeout-ms = 2000\n{backend}\n"));
    project
}

async fn behaves(server: &Server) {
    let body = async |path: &str| server.get(path).await.body;
    let types = server.get("/types").await.json();
    assert_eq!(
        (&types["a"], &types["b"], &types["f"]),
        (&serde_json::Value::Null, &true.into(), &"ü".into()),
        "{types}"
    );
    assert_eq!(body("/stored").await, r#"["one",1.5,[1,2,255],"2026-01-02T03:04:05.678Z"]"#);
    assert_eq!(body("/views").await, r#"[["1 2 255 0","2 255","1 2 255 0","255 0","1 2 255 0","1 2 255 0"],[]]"#);
    assert_eq!(body("/template").await, "[0,4,1]");
    let refused = "\"RangeError\",".repeat(5);
    assert_eq!(body("/odd").await, format!("[{refused}\"-9223372036854775808\"]"));
    assert_eq!(body("/transaction").await, r#"["on purpose",["kept"]]"#);
    assert_eq!(body("/forgotten").await, "\"left\"");
    assert_eq!(server.get("/spin").await.code(), "out-of-fuel");
    assert_eq!(body("/count").await, "0", "a transaction that nobody committed leaves nothing");
    assert_eq!(body("/errors").await, r#"[["database","23505"],["database","42601"],["database","42P01"]]"#);
    assert_eq!(body("/denied").await, "[]", "all of these are refused");
    assert_eq!(body("/names").await, r#"[["__proto__","constructor","a"],1,true]"#);
    assert_eq!(body("/stream").await, "[40000,800020000]");
    let caps = server.get("/caps").await.json();
    let codes: Vec<_> =
        caps.as_array().expect("a list").iter().map(|code| code[0].as_str().unwrap_or("none")).collect();
    assert_eq!(codes, ["too-large", "timeout", "too-large"]);
    assert_eq!(body("/flight").await, "\"0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\"");
}

#[tokio::test]
async fn on_sqlite() {
    behaves(&served("sqlite-user", SQLITE_SCHEMA, "")).await;
}

fn postgres() -> String {
    format!("backend = \"postgres\"\nurl = \"{}\"", services::postgres())
}

#[tokio::test]
async fn on_postgres() {
    behaves(&served("postgres-user", POSTGRES_SCHEMA, &postgres())).await;
}

#[tokio::test]
async fn two_components_with_the_same_tables_do_not_meet() {
    let (one, other) = (served("db-a", POSTGRES_SCHEMA, &postgres()), served("db-b", POSTGRES_SCHEMA, &postgres()));
    assert!(one.get("/stored").await.body.contains("one"));
    assert_eq!(other.get("/template").await.body, "[0,4,1]");
    assert_eq!(other.get("/stored").await.status, 200, "the other has no row of this name yet");
}

#[tokio::test]
async fn a_component_stays_in_its_schema_whatever_it_sends() {
    let (one, other) = (served("db-c", POSTGRES_SCHEMA, &postgres()), served("db-d", POSTGRES_SCHEMA, &postgres()));
    assert!(one.get("/stored").await.body.contains("one"));
    let schema = |told: &serde_json::Value| told[4].as_str().unwrap_or_default().to_owned();
    let own = schema(&one.get("/stolen?schema=nowhere").await.json());
    let told = other.get(&format!("/stolen?schema={own}")).await.json();
    assert_eq!(told.as_array().map(|told| &told[2..4]), Some(&["42501".into(), "42501".into()][..]), "{told}");
    assert_eq!(told[0], "42501", "{told}");
    assert_ne!(schema(&told), own);
    assert_eq!(one.get("/arrays").await.body, r#"[["one","three"],2,["unsupported-type","0A000"]]"#);
}

/// Statements that would take gigabytes, and hours.
#[tokio::test]
async fn hostile_statements_of_one_component_leave_another_alone() {
    let (one, other) = (served("db-e", SQLITE_SCHEMA, ""), served("db-f", SQLITE_SCHEMA, ""));
    let before = one.resident_bytes();
    let hostile = async {
        let all = futures::future::join_all((0..8).map(|_| one.get("/hostile"))).await;
        assert!(all.iter().all(|answer| !answer.body.contains("no error")), "{:?}", all[0]);
    };
    let neighbour = async {
        for _ in 0..10 {
            assert_eq!(other.get("/count").await.body, "0");
        }
    };
    futures::join!(hostile, neighbour);
    let after = one.resident_bytes();
    assert!(after < before + (128 << 20), "{before} bytes before, {after} after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_and_comes_back() {
    let postgres = services::Postgres::start();
    let backend = format!("backend = \"postgres\"\nurl = \"{}\"\nconnections = 4", postgres.url());
    let server = served("restarts", POSTGRES_SCHEMA, &backend);
    assert_eq!(server.get("/transaction").await.body, r#"["on purpose",["kept"]]"#);
    let (succeeded, is_back) = (Cell::new(0), Cell::new(false));
    let load = async {
        // A statement under way when it goes fails with its code, or not at all.
        while !is_back.get() {
            let answer = server.get("/transaction").await;
            assert!(answer.status == 200 || answer.code() == "exception", "{answer:?}");
            assert!(!answer.body.contains("127.0.0.1"), "{}", answer.body);
            succeeded.set(succeeded.get() + u32::from(answer.status == 200));
        }
    };
    let restart = async {
        until("some transactions are done", async || (succeeded.get() >= 3).then_some(())).await;
        tokio::task::block_in_place(|| postgres.stop());
        assert_eq!(server.get("/count").await.code(), "exception");
        tokio::task::block_in_place(|| postgres.restart());
        until("the database answers again", async || (server.get("/count").await.status == 200).then_some(())).await;
        is_back.set(true);
    };
    futures::join!(load, restart);
    assert_eq!(server.get("/transaction").await.body, r#"["on purpose",["kept"]]"#);
    // More than there are connections: had one leaked with each failure, these would wait for ever.
    let answers = futures::future::join_all((0..16).map(|_| server.get("/count"))).await;
    for answer in answers {
        assert_eq!((answer.status, answer.body.as_str()), (200, "0"), "nothing is half done");
    }
}

/// A client goes while its request holds the only connection.
async fn check_client_that_leaves(server: Server) {
    use tokio::io::AsyncWriteExt;
    let mut client = tokio::net::TcpStream::connect(server.address).await.expect("it listens");
    client.write_all(b"GET /leave HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
    server.logged("the row is in").await;
    drop(client);
    let after =
        until("the connection is free", async || Some(server.get("/count").await).filter(|after| after.status == 200))
            .await;
    assert_eq!(after.body, "0", "the transaction is rolled back");
    let log = server.logged("cancelled").await;
    assert!(!log.contains("deadline"), "the deadline ended it: {log}");
    assert_eq!(server.get("/transaction").await.body, r#"["on purpose",["kept"]]"#);
}

#[tokio::test]
async fn a_client_that_leaves_mid_transaction_on_sqlite() {
    check_client_that_leaves(served("leaves", SQLITE_SCHEMA, "connections = 1")).await;
}

#[tokio::test]
async fn a_client_that_leaves_mid_transaction_on_postgres() {
    check_client_that_leaves(served("leaves", POSTGRES_SCHEMA, &format!("{}\nconnections = 1", postgres()))).await;
}

#[tokio::test]
async fn migrations_are_found_beside_the_elias_toml_of_the_current_folder() {
    let folder = project("here", SQLITE_SCHEMA, "").into_folder();
    let server = Server::start_file("app.wasm".as_ref(), &[], folder);
    assert_eq!(server.get("/count").await.body, "0", "{}", server.log());
}

#[test]
fn a_migration_that_fails_is_refused_by_name() {
    let project = project("broken", "create table a (x text); selekt 1;", "");
    let (config, data) = (project.path("elias.toml"), project.path("data"));
    let flags = ["--config", config.to_str().expect("UTF-8"), "--data-dir", data.to_str().expect("UTF-8")];
    let output = refused(&project.path("app.wasm"), &flags);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[bad-configuration]") && said.contains("001-things.sql"), "{said}");
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_url() {
    let backend =
        "backend = \"postgres\"\nurl = \"postgres://someone:hunter2@127.0.0.1:1/x\"\nconnect-timeout-ms = 500";
    let project = project("nobody", POSTGRES_SCHEMA, backend);
    let config = project.path("elias.toml");
    let output = refused(&project.path("app.wasm"), &["--config", config.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[capability-unavailable]") && !said.contains("hunter2"), "{said}");
}
