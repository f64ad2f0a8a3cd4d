//! What turns of service workers call outside of them: once, however often a turn is tried.

use elias_tests::build::{Project, component};
use elias_tests::serve::Server;
use elias_tests::upstream::Upstream;
use serde_json::json;

/// A component with a worker, both of which reach the upstream.
async fn served() -> (Server, Upstream) {
    let upstream = Upstream::start().await;
    let address = upstream.address();
    let source = format!(
        r#"
        import {{ db, jobs, step, worker, workers }} from "elias";
        const upstream = "http://{address}";
        const post = async (headers, body) =>
          (await fetch(upstream + "/keys", {{ method: "POST", headers, body }})).text();
        // The first attempt runs out of fuel, and the second goes on.
        const endFirst = async () => {{ if (await (await fetch(upstream + "/count")).text() === "1") for (;;); }};
        export class Shop extends worker.Worker {{
          ran = 0;
          async order() {{
            const paid = [await post(), await post()];
            const job = await jobs.enqueue("ship", {{ paid }});
            await endFirst();
            return [...paid, job, await post({{ "idempotency-key": "mine" }})];
          }}
          async store() {{
            await db.query("create table if not exists orders (paid text not null)");
            const paid = await step("post", () => post({{ "idempotency-key": "" + Math.random() }}));
            const count = await step.transaction("store", async (tx) => {{
              await tx.query("insert into orders (paid) values ($1)", paid);
              return (await tx.first("select count(*) as n from orders")).n;
            }});
            await endFirst();
            const refused = await step.sleep("a day", 86_400_000).catch((error) => error.code);
            return [paid, count, (await db.first("select count(*) as n from orders")).n, refused];
          }}
          async charge() {{
            const isFirst = await (await fetch(upstream + "/count")).text() === "1";
            const paid = {{}};
            for (const amount of isFirst ? ["5", "7"] : ["7", "5"]) paid[amount] = await post({{}}, amount);
            if (isFirst) for (;;);
            return paid;
          }}
          spin() {{ for (;;); }}
          async stray() {{
            const first = this.ran === 0 && await (await fetch(upstream + "/count")).text() === "1";
            if (first) {{ await post(); for (;;); }}
          }}
        }}
        export default {{
          async fetch(request) {{
            const [, method] = new URL(request.url).pathname.split("/");
            if (method === "post") return new Response(await post());
            try {{
              return Response.json(await workers.get(Shop, "a")[method]() ?? null);
            }} catch (error) {{
              return Response.json({{ message: error.message, code: error.code }}, {{ status: 500 }});
            }}
          }},
          job(job) {{ console.log(`shipped ${{job.input.paid}} ${{job.id}} ${{typeof job.key}}`); }},
        }};
        "#
    );
    let project = Project::new(&[]);
    project.write("app.wasm", component(&source));
    let grant = format!(
        "[capabilities.workers]\n[capabilities.jobs]\n[capabilities.db]\n[capabilities.workflow]\n\
         [workers.limits]\nfuel = 300000000\n\
         [capabilities.http]\nallow = [\"http://{address}\"]\nprivate = [\"127.0.0.1/32\"]\n"
    );
    project.write("elias.toml", grant);
    (Server::of_project(project, "app.wasm", &[]), upstream)
}

#[tokio::test]
async fn a_turn_that_is_tried_again_calls_once() {
    let (server, upstream) = served().await;
    let answer = server.get("/order").await.json();
    let job = answer[2].as_str().expect("an id").to_owned();
    assert_eq!(answer, json!(["1", "2", job, "3"]), "{}", server.log());
    let keys = upstream.keys();
    let [first, second, own] = keys.as_slice() else { panic!("three requests: {keys:?}") };
    // A string of structured fields, with a UUID.
    assert!(first.len() == 38 && first.starts_with('"') && first.ends_with('"') && first != second, "{keys:?}");
    assert_eq!(own, "mine");
    server.logged(&format!("shipped 1,2 {job} string")).await;
    assert_eq!(server.get("/post").await.body, "4");
    assert_eq!(upstream.keys()[3], "none", "what is no turn has no key");
    assert_eq!(server.log().matches("shipped").count(), 1, "{}", server.log());
}

#[tokio::test]
async fn a_turn_that_goes_another_way_when_it_is_tried_again_is_undone() {
    let (server, upstream) = served().await;
    let refused = server.get("/stray").await;
    assert_eq!((refused.status, &refused.json()["code"]), (500, &json!("failed")), "{refused:?}");
    let message = refused.json()["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("nondeterministic-turn") && message.contains("http.request"), "{message}");
    assert_eq!(upstream.keys().len(), 1);
}

#[tokio::test]
async fn a_request_gets_the_response_to_its_own_body_in_whatever_order_a_further_attempt_sends() {
    let (server, upstream) = served().await;
    assert_eq!(server.get("/charge").await.json(), json!({ "5": "1", "7": "2" }), "{}", server.log());
    let keys = upstream.keys();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_step_of_a_turn_that_is_tried_again_is_done_once_and_so_is_its_transaction() {
    let (server, upstream) = served().await;
    let answer = server.get("/store").await;
    assert_eq!(answer.json(), json!(["1", 1, 1, "not-in-a-job"]), "{answer:?}\n{}", server.log());
    assert_eq!(upstream.keys().len(), 1);
}

#[tokio::test]
async fn a_turn_ends_where_its_own_fuel_is_used_up() {
    let (server, _upstream) = served().await;
    let refused = server.get("/spin").await.json();
    let message = refused["message"].as_str().expect("a message");
    let wanted = "a turn has 300000000 at most (fuel of [workers.limits])";
    assert!(message.contains("out-of-fuel") && message.contains(wanted), "{refused}");
}
