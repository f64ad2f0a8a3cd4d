//! The databases of components by the admin API and `elias db`: rows come back, nothing is changed without the flag,
//! and nobody reaches another tenant's.

use elias_tests::build::component;
use elias_tests::platform::Platform;
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::process::Output;

/// Adds an order with each request.
const ORDERS: &str = r#"
    import { db } from "elias/db";
    export default { async fetch() {
        await db.query("create table if not exists orders (id integer, paid boolean, note text)");
        await db.query("insert into orders values ((select count(*) from orders) + 1, true, 'new')");
        return new Response("done");
    } };
"#;

/// Serves a component with three orders; `db` is its grant.
async fn serve_orders(team: &Tenant<'_>, db: Value) {
    let settings = json!({ "capabilities": { "db": db }, "smoke": { "path": "" } });
    team.serve("shop", &component(ORDERS), settings).await;
    for _ in 0..3 {
        assert_eq!(team.get("shop", "/").await.body, "done");
    }
}

/// The path of the queries on a component's database in production.
fn path(component: &str) -> String {
    service(component, "production", "/database/query")
}

async fn rows(team: &Tenant<'_>, sql: &str) -> Value {
    team.done("POST", &path("shop"), json!({ "sql": sql })).await["rows"].clone()
}

async fn code(team: &Tenant<'_>, sql: &str) -> String {
    team.refused("POST", &path("shop"), json!({ "sql": sql })).await.0
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn the_command_line_shows_rows_and_writes_with_the_flag_only() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve_orders(&team, json!({})).await;
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let db = |more: &[&str]| terminal.output("", &[&["db", "shop"], more].concat());

    let select = "select id, paid, note from orders where id < $1 order by id";
    let remote = db(&[select, "--params", "[3]"]);
    assert_eq!(printed(&remote), "id  paid  note\n1   true  new\n2   true  new\n");
    let local = db(&[select, "--params", "[3]", "--data-dir", &data]);
    assert_eq!(printed(&local), printed(&remote), "a file is shown as the platform shows it");
    assert!(printed(&db(&[])).contains("CREATE TABLE orders"), "without a statement the tables");
    assert!(printed(&db(&["select 1 as one", "--json"])).contains("\"one\": 1"));
    let cut = printed(&db(&["select id from orders order by id", "--limit", "2"]));
    assert!(cut.starts_with("id\n1\n2\n") && cut.contains("--limit 2 was reached"), "{cut}");

    for (statement, code) in [
        ("delete from orders", "read-only"),
        ("insert into orders (id) values (7) returning id", "read-only"),
        ("drop table orders", "read-only"),
        ("attach 'x' as y", "sql"),
        ("pragma journal_mode = off", "sql"),
        ("select 1; select 2", "sql"),
        ("select nothing from orders", "sql"),
    ] {
        let refused = db(&[statement]);
        assert!(!refused.status.success(), "{statement}");
        assert!(printed(&refused).contains(&format!("error[{code}]")), "{statement}: {}", printed(&refused));
    }
    assert_eq!(rows(&team, "select count(*) from orders").await, json!([[3]]));
    let update = ["update orders set note = $1 where id = 2", "--params", "[\"late\"]", "--write"];
    assert_eq!(printed(&db(&update)), "1 rows changed\n");
    assert_eq!(rows(&team, "select note from orders order by id").await, json!([["new"], ["late"], ["new"]]));
    let local = db(&["delete from orders", "--write", "--data-dir", &data]);
    assert!(printed(&local).contains("error[read-only]"), "{}", printed(&local));
}

#[tokio::test]
async fn who_may_not_is_refused_and_every_use_is_in_the_audit_trail() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve_orders(&team, json!({})).await;
    team.serve("plain", &component("export default { fetch: () => new Response('x') };"), json!({})).await;
    let write = json!({ "sql": "delete from orders", "write": true });

    let operator = team.with_role("operator", None).await;
    assert_eq!(rows(&operator, "select count(*) from orders").await, json!([[3]]));
    assert_eq!(operator.refused("POST", &path("shop"), write.clone()).await.0, "forbidden", "it takes an admin");
    let developer = team.with_role("developer", None).await;
    assert_eq!(code(&developer, "select 1").await, "forbidden");
    let of_another_component = team.with_role("admin", Some(&["plain"])).await;
    assert_eq!(code(&of_another_component, "select 1").await, "forbidden");
    let other = platform.new_tenant("other", json!({})).await.with_role("admin", None).await;
    let select = json!({ "sql": "select 1" });
    let (status, by_other) = platform.admin_as(&other.token, "POST", &team.path(&path("shop")), select.clone()).await;
    assert_eq!((status, &by_other["code"]), (403, &json!("forbidden")), "{by_other}");
    assert_eq!(code(&other, "select 1").await, "not-found", "its own tenant has no such component");
    assert_eq!(team.refused("POST", &path("plain"), select).await.0, "not-found");

    let admin = team.with_role("admin", None).await;
    let hidden = json!({ "sql": "select count(*) from orders where note = $1", "parameters": ["a-customer"] });
    assert_eq!(admin.done("POST", &path("shop"), hidden).await["rows"], json!([[0]]));
    assert_eq!(admin.done("POST", &path("shop"), write).await["affected"], 3);
    let trail = team.done("GET", "/audit", Value::Null).await.to_string();
    for wanted in ["database.read", "database.write", "where note = $1", "delete from orders"] {
        assert!(trail.contains(wanted), "{wanted} is missing in {trail}");
    }
    assert!(!trail.contains("a-customer"), "values of parameters are not in it: {trail}");
}

#[tokio::test]
async fn statements_and_results_have_bounds() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve_orders(&team, json!({ "statement-timeout-ms": 2_000 })).await;
    let limited = team.done("POST", &path("shop"), json!({ "sql": "select id from orders", "limit": 2 })).await;
    assert_eq!((limited["rows"].as_array().map(Vec::len), &limited["more"]), (Some(2), &json!(true)), "{limited}");
    for (request, wanted) in [
        (json!({ "sql": "select 1", "limit": 0 }), "bad-input"),
        (json!({ "sql": "select 1", "limit": 10_001 }), "bad-input"),
        (json!({ "sql": "select 1", "colour": "red" }), "bad-input"),
        (json!({ "sql": format!("select '{}'", "x".repeat(16 << 10)) }), "too-large"),
        (json!({ "sql": "select $1" }), "sql"),
    ] {
        assert_eq!(team.refused("POST", &path("shop"), request.clone()).await.0, wanted, "{request}");
    }
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    assert_eq!(code(&team, endless).await, "statement-timeout");
    let wide = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) \
                select hex(zeroblob(50000)) from n";
    assert_eq!(code(&team, wide).await, "result-too-large");
    // More than its result may have: nothing of it is kept.
    let returning = "insert into orders with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) \
                     select i, true, hex(zeroblob(50000)) from n returning note";
    let refused = team.refused("POST", &path("shop"), json!({ "sql": returning, "write": true })).await;
    assert_eq!(refused.0, "result-too-large");
    assert_eq!(rows(&team, "select count(*) from orders").await, json!([[3]]));

    // Rows are not kept for idempotency keys.
    for _ in 0..2 {
        let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/json").header("idempotency-key", "same");
        let body = json!({ "sql": "select count(*) from orders" }).to_string();
        let answer = platform.call(request, &team.path(&path("shop")), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.headers.contains_key("idempotency-replayed"), "{answer:?}");
    }
}

#[tokio::test]
async fn in_postgresql_statements_run_as_the_components_own_login() {
    let postgres = Postgres::start();
    let platform = Platform::start(&[]);
    let db = json!({ "backend": "postgres", "url": postgres.url() });
    let acme = platform.new_tenant("acme", json!({ "trusted": true })).await;
    let other = platform.new_tenant("other", json!({ "trusted": true })).await;
    serve_orders(&acme, db.clone()).await;
    serve_orders(&other, db).await;
    assert_eq!(rows(&acme, "select id, paid from orders order by id").await, json!([[1, true], [2, true], [3, true]]));
    let tables = acme.done("POST", &path("shop"), json!({})).await["rows"].to_string();
    assert!(tables.contains("orders") && tables.contains("id integer"), "{tables}");

    let schema = rows(&acme, "select current_schema()::text").await[0][0].as_str().expect("a schema").to_owned();
    assert_eq!(rows(&acme, &format!("select count(*) from {schema}.orders")).await, json!([[3]]));
    assert_eq!(code(&other, &format!("select count(*) from {schema}.orders")).await, "sql", "another login's");
    for (statement, wanted) in [
        ("delete from orders", "read-only"),
        ("with gone as (delete from orders returning id) select id from gone", "read-only"),
        ("set role elias", "sql"),
        ("copy orders to '/tmp/orders'", "sql"),
        ("select pg_read_file('/etc/passwd')", "sql"),
    ] {
        assert_eq!(code(&acme, statement).await, wanted, "{statement}");
    }
    let write = json!({ "sql": "delete from orders where id = any($1)", "parameters": [[1, 2]], "write": true });
    assert_eq!(acme.done("POST", &path("shop"), write).await["affected"], 2);
    assert_eq!(rows(&acme, "select id from orders").await, json!([[3]]));
    assert_eq!(rows(&other, "select count(*) from orders").await, json!([[3]]));
}
