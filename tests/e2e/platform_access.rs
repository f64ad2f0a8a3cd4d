//! Authorization: no token, another tenant's, too small a role, a token for one component.

use elias_contract::note::SigningKey;
use elias_tests::answering::{answering, answers};
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// A route of the admin API, with its parameters filled in but for `{tenant}`, and a body that it takes.
struct Route {
    method: String,
    path: String,
    body: Value,
    /// Whether a token is asked for.
    guarded: bool,
}

/// All routes, from the OpenAPI document that the server gives.
async fn routes(platform: &Platform) -> Vec<Route> {
    let document = platform.call(http::Request::get("/"), "/v1/openapi.json", "").await.json();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"), "{document}");
    let digest = elias_contract::digest(b"an artifact");
    let values = [
        ("digest", digest.as_str()),
        ("component", "shop"),
        ("number", "1"),
        ("other", "1"),
        ("environment", "production"),
        ("token", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("session", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("execution", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("issue", "0123456789abcdef"),
        ("key", "some-key"),
        ("name", "TOKEN"),
        ("role", "deployer"),
        ("rule", "errors"),
        ("receiver", "team"),
        ("silence", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("user", "ada"),
        ("organization", "analysts"),
        ("schedule", "nightly"),
        ("subscription", "orders"),
        ("job", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("class", "Cart"),
        ("draft", "shop"),
        ("flag", "banner"),
        ("path", "0/000"),
        ("*path", "0/000"),
    ];
    let mut routes = Vec::new();
    for (template, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if !["get", "put", "post", "delete", "head", "patch"].contains(&method.as_str()) {
                continue;
            }
            let path =
                values.iter().fold(template.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
            let unfilled = path.replace("{tenant}", "");
            assert!(!unfilled.contains('{'), "say here what to put into {unfilled}");
            let guarded =
                operation["security"].as_array().is_none_or(|security| security.iter().any(|one| *one != json!({})));
            routes.push(Route { method: method.to_uppercase(), body: body(method, template), path, guarded });
        }
    }
    assert!(routes.len() > 30, "{} routes", routes.len());
    routes
}

/// A body that a route takes.
fn body(method: &str, template: &str) -> Value {
    let verifier = || SigningKey::from_seed("some-key", &[7; 32]).expect("a key").verifying_key().to_string();
    match (method, template.rsplit('/').next().unwrap_or_default()) {
        ("post", "tenants") => json!({ "tenant": "brand-new" }),
        ("post", "tokens") => json!({ "name": "mine", "role": "viewer", "days": 1 }),
        ("post", "keys") => json!({ "verifier": verifier() }),
        ("post", "versions") => json!({ "digest": elias_contract::digest(answering()) }),
        ("post", "deployments") => json!({ "version": 1 }),
        ("post", "rollout") => json!({ "action": "abort" }),
        ("put", "flags") => json!({ "rules": [] }),
        ("put", "{flag}") => json!({ "variants": { "on": true, "off": false }, "defaultVariant": "off" }),
        ("put", "stages") => json!({ "implementations": [{ "name": "stage1", "version": 1, "weight": 1 }] }),
        ("post", "organizations" | "users") => json!({ "id": "mine", "settings": { "name": "mine" } }),
        ("put", "{organization}" | "{user}") => json!({ "name": "mine", "disabled": true }),
        ("put", "{rule}") => json!({ "metric": "error-percent", "threshold": 5 }),
        ("put", "{receiver}") => json!({ "kind": "events" }),
        ("post", "silences") => json!({ "matcher": { "rule": "errors" }, "seconds": 60, "reason": "known" }),
        ("put", "{role}") => json!({ "policy": "permit (principal, action, resource);" }),
        ("put", "{name}") => json!({ "value": "x" }),
        ("put", "{draft}") => json!({ "files": {} }),
        ("post", "builds") => json!({ "check": true }),
        ("post", "jobs") => json!({ "name": "resize" }),
        ("post", "events") if template.contains("{subscription}") => json!({ "after": 0 }),
        ("post", "events") => json!({ "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/shop" }),
        ("post", "messages") => json!({ "message": 1 }),
        ("post", "fork") => json!({ "name": "copy" }),
        ("post", "replay") => json!({ "after": 0 }),
        ("put" | "post" | "patch", _) => json!({}),
        _ => Value::Null,
    }
}

/// The evidence of an effect: the tenants, what serves, and the audit trail.
async fn standing(platform: &Platform, team: &Tenant<'_>) -> Value {
    let tenants = platform.admin("GET", "/v1/tenants", Value::Null).await.1;
    let mut audit = team.done("GET", "/audit?limit=1000", Value::Null).await;
    // Who asks signs in, whether or not they may do what they ask for.
    let entries = audit["items"].as_array_mut().expect("a list");
    entries.retain(|entry| entry["action"] != "session.sign-in");
    json!([
        tenants,
        audit["items"],
        team.status("shop").await["revision"],
        team.done("GET", "/keys", Value::Null).await
    ])
}

#[tokio::test]
async fn without_a_valid_token_every_route_refuses() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let admin = team.with_role("admin", None).await;
    let revoked = team.with_role("admin", None).await;
    assert_eq!(revoked.ask("GET", "/components", Value::Null).await.0, 200);
    let id = revoked.token.split('_').nth(1).expect("tokens have an id").to_owned();
    team.done("DELETE", &format!("/tokens/{id}"), Value::Null).await;
    let (whole, half) =
        (format!("Bearer {}", admin.token), format!("Bearer {}", &admin.token[..admin.token.len() - 1]));
    let authorizations = [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer elias".to_owned()),
        Some(format!("Bearer {id}")),
        Some("Bearer elias_01ARZ3NDEKTSV4RRFFQ69G5FAV_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        Some(half),
        Some(whole.replace("Bearer", "Basic")),
        Some(format!("Bearer {}", revoked.token)),
        Some(format!("Bearer {}", "x".repeat(10_000))),
    ];
    let before = standing(&platform, &team).await;
    for route in routes(&platform).await {
        let path = route.path.replace("{tenant}", "default");
        for authorization in &authorizations {
            let ask = async || {
                let mut request =
                    http::Request::builder().method(route.method.as_str()).header("content-type", "application/json");
                if let Some(authorization) = authorization {
                    request = request.header("authorization", authorization);
                }
                let body = if route.body.is_null() { String::new() } else { route.body.to_string() };
                platform.call(request, &path, body).await
            };
            // The routes are more than an address may try in vain in a minute.
            let answer = until("an address may try again", async || {
                let answer = ask().await;
                (answer.status != 429).then_some(answer)
            })
            .await;
            let what = format!("{} {path} {authorization:?}: {answer:?}", route.method);
            if route.guarded {
                assert_eq!(answer.status, 401, "{what}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer", "{what}");
                assert!(route.method == "HEAD" || answer.code() == "unauthenticated", "{what}");
            } else {
                let is_public = route.path.starts_with("/v1/log/") || route.path == "/v1/sign-in";
                assert!(is_public && route.method == "GET", "{what}");
                assert!(answer.status < 500, "{what}");
            }
        }
    }
    assert_eq!(standing(&platform, &team).await, before);
    assert_eq!(admin.ask("GET", "/components", Value::Null).await.0, 200, "the valid token still is");
}

#[tokio::test]
async fn a_token_of_another_tenant_reaches_nothing_on_any_route() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let stranger = platform.new_tenant("stranger", json!({})).await.with_role("admin", None).await;
    let before = standing(&platform, &team).await;
    for route in routes(&platform).await.iter().filter(|route| route.path.contains("{tenant}")) {
        let mut statuses = Vec::new();
        for tenant in ["default", "nobody", "system"] {
            let path = route.path.replace("{tenant}", tenant);
            let (status, answer) = platform.admin_as(&stranger.token, &route.method, &path, route.body.clone()).await;
            assert!(matches!(status, 403 | 404), "{} {path}: {status} {answer}", route.method);
            statuses.push(status);
        }
        assert!(statuses.iter().all(|status| *status == statuses[0]), "{}: who is there is told", route.path);
    }
    assert_eq!(standing(&platform, &team).await, before);
    let own = platform.admin_as(&stranger.token, "GET", "/v1/tenants", Value::Null).await.1;
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1), "{own}");
    assert_eq!(own["items"][0]["tenant"], "stranger");
    let made = platform.admin_as(&stranger.token, "POST", "/v1/tenants", json!({ "tenant": "mine" })).await;
    assert_eq!((made.0, &made.1["code"]), (403, &json!("forbidden")));
    let backup = platform.admin_as(&stranger.token, "GET", "/v1/backup", Value::Null).await;
    assert_eq!((backup.0, &backup.1["code"]), (403, &json!("forbidden")), "a backup has everybody's");
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for_and_no_more() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    team.version("shop", answering(), answers("two")).await;
    let (staging, production) =
        (service("shop", "staging", "/deployments"), service("shop", "production", "/deployments"));
    let (secret, stop) = (service("shop", "production", "/secrets/TOKEN"), service("shop", "production", "/stop"));
    let start = service("shop", "production", "/start");
    let token = json!({ "name": "x", "role": "viewer", "days": 1 });
    let version = json!({ "digest": elias_contract::digest(answering()), "settings": answers("two") });
    // The permission, and the least role that has it.
    let acts = [
        ("GET", "/components", Value::Null, "viewer"),
        ("GET", "/components/shop/versions/1/diff/2", Value::Null, "viewer"),
        ("GET", "/services", Value::Null, "viewer"),
        ("GET", "/executions", Value::Null, "viewer"),
        ("GET", "/metrics?metric=requests", Value::Null, "viewer"),
        ("GET", "/usage", Value::Null, "operator"),
        ("GET", "/usage.csv", Value::Null, "operator"),
        ("GET", "/adoption", Value::Null, "operator"),
        ("GET", production.as_str(), Value::Null, "viewer"),
        ("POST", "/components/shop/versions", version, "developer"),
        ("POST", staging.as_str(), json!({ "version": 2 }), "developer"),
        ("POST", production.as_str(), json!({ "version": 1 }), "operator"),
        ("POST", stop.as_str(), Value::Null, "operator"),
        ("POST", start.as_str(), Value::Null, "operator"),
        ("PUT", secret.as_str(), json!({ "value": "x" }), "operator"),
        ("GET", "/audit", Value::Null, "operator"),
        ("GET", "/tokens", Value::Null, "admin"),
        ("POST", "/tokens", token, "admin"),
        ("GET", "/packages", Value::Null, "viewer"),
        ("GET", "/components/shop/versions/1/packages", Value::Null, "viewer"),
        ("PUT", "/packages", json!({ "deny": ["left-pad"] }), "admin"),
        ("PUT", "", json!({}), "nobody of the tenant"),
        ("DELETE", "", Value::Null, "nobody of the tenant"),
    ];
    let roles = ["caller", "viewer", "developer", "operator", "admin"];
    for (rank, role) in roles.iter().enumerate() {
        let asking = team.with_role(role, None).await;
        for (method, path, body, least) in &acts {
            let may = roles.iter().position(|role| role == least).is_some_and(|least| rank >= least);
            let (status, answer) = asking.ask(method, path, body.clone()).await;
            let allowed = (200..300).contains(&status);
            assert_eq!(allowed, may, "{role}: {method} {path}: {status} {answer}");
            assert!(may || answer["code"] == "forbidden", "{role}: {method} {path}: {status} {answer}");
        }
        let who = platform.admin_as(&asking.token, "GET", "/v1/whoami", Value::Null).await.1;
        assert_eq!((&who["role"], &who["tenant"]), (&json!(role), &json!("default")));
    }
    let more = json!({ "name": "x", "role": "admin", "days": 1 });
    assert_eq!(team.with_role("operator", None).await.ask("POST", "/tokens", more).await.0, 403);
}

#[tokio::test]
async fn a_token_for_one_component_acts_on_that_alone() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for component in ["shop", "blog"] {
        team.serve(component, answering(), answers(component)).await;
    }
    assert_eq!(team.get("blog", "/throw").await.status, 500);
    let own = team.with_role("operator", Some(&["shop"])).await;
    assert_eq!(own.serve("shop", answering(), answers("shop two")).await, 2);
    assert_eq!(own.get("shop", "/").await.body, "shop two");
    let blog = |path: &str| service("blog", "production", path);
    for (method, path, body) in [
        ("POST", "/components/blog/versions", json!({ "digest": elias_contract::digest(answering()) })),
        ("GET", "/components/blog/versions", Value::Null),
        ("GET", "/components/blog/versions/1", Value::Null),
        ("GET", "/components/blog/versions/1/packages", Value::Null),
        ("POST", blog("/deployments").as_str(), json!({ "version": 1 })),
        ("GET", blog("/deployments").as_str(), Value::Null),
        ("POST", blog("/rollback").as_str(), json!({})),
        ("POST", blog("/stop").as_str(), Value::Null),
        ("GET", blog("/logs").as_str(), Value::Null),
        ("GET", blog("/secrets").as_str(), Value::Null),
        ("PUT", blog("/secrets/A").as_str(), json!({ "value": "x" })),
        ("GET", "/audit", Value::Null),
        ("GET", "/tokens", Value::Null),
    ] {
        assert_eq!(own.refused(method, path, body).await.0, "forbidden", "{method} {path}");
    }
    let services = own.done("GET", "/services", Value::Null).await;
    assert_eq!(services["items"].as_array().map(Vec::len), Some(1), "{services}");
    until("the failure is recorded", async || {
        let all = team.done("GET", "/executions?failed=true", Value::Null).await;
        (!all["items"].as_array().expect("a list").is_empty()).then_some(())
    })
    .await;
    let seen = own.done("GET", "/executions?failed=true", Value::Null).await;
    assert_eq!(seen["items"], json!([]), "another component's");
}

#[tokio::test]
async fn a_page_of_a_token_for_one_component_is_full_and_what_belongs_to_others_is_not_found() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for component in ["shop", "blog"] {
        team.serve(component, answering(), answers(component)).await;
    }
    // Later than the tests end: they wait.
    let enqueue = async |component: &str| {
        let job = json!({ "name": "later", "run_at": 4_102_444_800_000_u64 });
        let made = team.done("POST", &service(component, "production", "/jobs"), job).await;
        made["id"].as_str().expect("an id").to_owned()
    };
    let mut ids = Vec::new();
    for component in ["shop", "blog", "shop", "blog", "blog", "shop", "blog"] {
        ids.push(enqueue(component).await);
    }
    let own = team.with_role("operator", Some(&["shop"])).await;
    let first = own.done("GET", "/jobs?limit=2", Value::Null).await;
    let listed = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("a list").iter();
        items.map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(listed(&first), [ids[5].clone(), ids[2].clone()], "{first}");
    let next = first["next"].as_str().expect("there is more");
    let second = own.done("GET", &format!("/jobs?limit=2&after={next}"), Value::Null).await;
    assert_eq!((listed(&second), &second["next"]), (vec![ids[0].clone()], &Value::Null));
    assert_eq!(own.done("GET", "/components?limit=1", Value::Null).await["items"][0]["component"], "shop");

    // Another component's job is as one that does not exist; without the permission both are forbidden.
    let (blog, none) = (ids[1].as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let viewer = team.with_role("viewer", Some(&["shop"])).await;
    for (method, action) in [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")] {
        let refused = async |team: &Tenant<'_>, id: &str| {
            let (code, detail) = team.refused(method, &format!("/jobs/{id}{action}"), json!({})).await;
            (code, detail.replace(id, "ID"))
        };
        let there = refused(&own, blog).await;
        assert_eq!((there.0.as_str(), &there), ("not-found", &refused(&own, none).await), "{method} {action}");
        let expected = if method == "GET" { "not-found" } else { "forbidden" };
        for id in [blog, none] {
            assert_eq!(refused(&viewer, id).await.0, expected, "{method} {action} {id}");
        }
    }
    let selection = json!({ "component": "shop" });
    assert_eq!(own.done("POST", "/jobs/cancel", selection).await["jobs"], 3);
}

#[tokio::test]
async fn the_secret_of_a_token_is_shown_once_and_kept_nowhere() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let made = [team.with_role("admin", None).await, team.with_role("caller", None).await];
    let mut seen = String::new();
    for tenant in &made {
        for path in ["", "/tokens", "/audit", "/components", "/services", "/executions", "/tokens/x"] {
            seen += &tenant.ask("GET", path, Value::Null).await.1.to_string();
        }
        seen += &platform.admin_as(&tenant.token, "GET", "/v1/whoami", Value::Null).await.1.to_string();
        seen += &platform.admin_as(&tenant.token, "GET", "/v1/nothing", Value::Null).await.1.to_string();
        let request = http::Request::get("/").header("authorization", format!("Bearer {}", tenant.token));
        seen += &platform.ask_with(request, &team.host("shop"), "/log?text=x", "").await.body;
    }
    let log = platform.logged("one says x").await;
    for token in made.iter().map(|tenant| &tenant.token).chain([&platform.token]) {
        let secret = token.splitn(3, '_').nth(2).expect("tokens have a secret");
        assert!(secret.len() > 40, "256 bits");
        assert!(!seen.contains(secret), "an answer has it: {seen}");
        assert!(!log.contains(secret), "the log has it: {log}");
        assert!(!platform.keeps(secret), "the data directory has it");
    }
    for (days, fine) in [(0, false), (1, true), (3650, true), (3651, false)] {
        let (status, answer) =
            team.ask("POST", "/tokens", json!({ "name": "x", "role": "viewer", "days": days })).await;
        assert_eq!(status == 201, fine, "{days}: {answer}");
    }
}

#[tokio::test]
async fn who_knows_the_digest_of_anothers_component_has_nothing_of_it() {
    let platform = Platform::start(&[]);
    let (acme, other) = (platform.new_tenant("acme", json!({})).await, platform.new_tenant("other", json!({})).await);
    let digest = acme.upload(answering()).await;
    acme.version("shop", answering(), answers("one")).await;
    let versions = "/components/mine/versions";
    let file = json!({ "public/shop.wasm": digest });
    let own = other.upload(b"something else").await;
    for body in [
        json!({ "digest": digest }),
        json!({ "digest": own, "settings": { "files": file, "gateway": { "assets": { "folder": "public" } } } }),
    ] {
        assert_eq!(other.refused("POST", versions, body.clone()).await.0, "artifact-missing", "{body}");
    }
    // Nor does it learn whether there is such a component.
    let request = || http::Request::head("/").header("authorization", format!("Bearer {}", other.token));
    for digest in [digest.as_str(), &elias_contract::digest(b"nobody's")] {
        let path = other.path(&format!("/artifacts/{digest}"));
        assert_eq!(platform.call(request(), &path, "").await.status, 404);
    }
}
