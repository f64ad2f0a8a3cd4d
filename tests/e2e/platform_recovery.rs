//! A platform after failures: killed, robbed of its files, left by its database.

use elias_contract::note::{self, VerifyingKey};
use elias_tests::answering::{answering, answers};
use elias_tests::platform::{Broken, Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

/// The acknowledged deployment: its id and the version's number.
type Acknowledged = (String, u64);

/// Makes a version that answers `text` and deploys it.
async fn deploy(platform: &Platform, digest: &str, text: &str) -> Result<Acknowledged, Broken> {
    let path = |rest: &str| format!("/v1/tenants/default/components/shop{rest}");
    let version = json!({ "digest": digest, "settings": answers(text) });
    let (status, made) = platform.try_admin(&platform.token, "POST", &path("/versions"), version).await?;
    assert_eq!(status, 201, "{made}");
    let request = json!({ "version": made["number"] });
    let path = path("/environments/production/deployments");
    let (status, deployed) = platform.try_admin(&platform.token, "POST", &path, request).await?;
    assert_eq!(status, 201, "{deployed}");
    Ok((deployed["id"].as_str().expect("an id").to_owned(), made["number"].as_u64().expect("a number")))
}

/// The size of the transparency log, by a checkpoint that its key has signed.
async fn log_size(platform: &Platform) -> u64 {
    let key = platform.call(http::Request::get("/"), "/v1/log/key", "").await.body;
    let key = VerifyingKey::parse(key.trim()).expect("a key");
    let checkpoint = platform.call(http::Request::get("/"), "/v1/log/checkpoint", "").await.body;
    let opened = note::open(&checkpoint, &[key]).unwrap_or_else(|error| panic!("{error}: {checkpoint}"));
    opened.text.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or_else(|| panic!("{checkpoint}"))
}

/// Checks that what serves is the last deployment that was acknowledged, or one in flight that came after it; and that
/// nothing is half there.
async fn is_whole(team: &Tenant<'_>, platform: &Platform, acknowledged: &[Acknowledged], rounds: usize) {
    let path = service("shop", "production", "/deployments?limit=1000");
    let history = team.done("GET", &path, Value::Null).await;
    let history = history["items"].as_array().expect("a list");
    let ids: BTreeSet<_> = history.iter().filter_map(|deployment| deployment["id"].as_str()).collect();
    for (id, version) in acknowledged {
        assert!(ids.contains(id.as_str()), "the deployment {id} of version {version} was acknowledged, and is lost");
    }
    assert!(history.len() <= acknowledged.len() + rounds, "one more in each round at most was in flight");
    for (place, deployment) in history.iter().enumerate() {
        let wanted = if place == 0 { "active" } else { "superseded" };
        assert_eq!(deployment["state"], wanted, "{place}: {deployment}");
    }
    let last = acknowledged.last().expect("something was acknowledged");
    let serving = &history[0];
    assert!(serving["id"].as_str().is_some_and(|id| id >= last.0.as_str()), "{serving} serves, after {last:?}");
    assert!(history.iter().take(2).any(|deployment| deployment["id"] == last.0.as_str()), "{last:?} was passed over");

    let number = serving["version"].as_u64().expect("a number");
    let version = team.done("GET", &format!("/components/shop/versions/{number}"), Value::Null).await;
    let wanted = version["settings"]["capabilities"]["config"]["answer"].as_str().expect("it has an answer").to_owned();
    let answer = team.get("shop", "/").await;
    assert_eq!((answer.status, answer.body), (200, wanted));

    let versions = team.done("GET", "/components/shop/versions?limit=1000", Value::Null).await;
    let versions = versions["items"].as_array().expect("a list");
    assert_eq!(log_size(platform).await, versions.len() as u64, "each version is an entry of the log");
    let mut places: Vec<_> = versions.iter().filter_map(|version| version["log_index"].as_u64()).collect();
    places.reverse();
    assert_eq!(places, (0..versions.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn killed_while_it_is_deployed_to_it_loses_nothing_that_was_acknowledged() {
    const ROUNDS: usize = 20;
    let mut platform = Platform::start(&[]);
    let digest = platform.default_tenant().upload(answering()).await;
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let count = Cell::new(0);
        let deploys = async {
            let mut done = Vec::new();
            while let Ok(deployed) = deploy(&platform, &digest, &format!("{round}.{}", count.get())).await {
                done.push(deployed);
                count.set(count.get() + 1);
            }
            done
        };
        let kill = async {
            until("some deployments are done", async || (count.get() > round % 3).then_some(())).await;
            // Somewhere else in the next deployment each time.
            tokio::time::sleep(Duration::from_micros(1_700 * round as u64)).await;
            platform.signal("-KILL");
        };
        let (done, ()) = tokio::join!(deploys, kill);
        acknowledged.extend(done);
        platform.restart();
        is_whole(&platform.default_tenant(), &platform, &acknowledged, round + 1).await;
    }
}

#[tokio::test]
async fn a_second_process_is_kept_out_of_the_data_directory() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let second = platform.second();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("in-use") && said.contains("another process") && !said.contains("panicked"), "{said}");
    assert_eq!(team.get("shop", "/").await.body, "one");
}

#[tokio::test]
async fn an_artifact_that_is_removed_or_altered_behind_its_back_is_noticed_and_mended() {
    let mut platform = Platform::start(&[]);
    let digest = elias_contract::digest(answering());
    let file = platform.artifact(&digest);
    platform.default_tenant().serve("shop", answering(), answers("one")).await;
    let other = elias_tests::build::component("export default { fetch: () => new Response('fine') };");
    platform.default_tenant().serve("neighbour", &other, json!({})).await;
    let altered = || std::fs::write(&file, [answering(), b"more"].concat()).expect("the folder is ours");
    let cut = || std::fs::write(&file, &answering()[..1000]).expect("the folder is ours");
    let removed = || std::fs::remove_file(&file).expect("the folder is ours");
    let harms: [(&str, &dyn Fn()); 3] = [("altered", &altered), ("cut", &cut), ("removed", &removed)];
    for (what, harm) in harms {
        harm();
        let team = platform.default_tenant();
        assert_eq!(team.get("shop", "/").await.body, "one", "{what}: what runs goes on");
        let deployments = service("shop", "production", "/deployments");
        let staging = service("shop", "staging", "/deployments");
        let version = json!({ "digest": digest, "settings": answers(what) });
        for (path, request) in [
            (deployments.as_str(), json!({ "version": 1 })),
            (staging.as_str(), json!({ "version": 1 })),
            ("/components/shop/versions", version),
        ] {
            let (code, detail) = team.refused("POST", path, request).await;
            assert!(code == "artifact-missing" && detail.contains(&digest), "{what}: {path}: {code}: {detail}");
        }
        assert_eq!(team.get("shop", "/").await.body, "one", "{what}");
        platform.restart();
        let team = platform.default_tenant();
        assert_eq!(team.get("shop", "/").await.status, 503, "{what}: what is not itself does not run");
        assert_eq!(team.get("neighbour", "/").await.body, "fine", "{what}");
        team.upload(answering()).await;
        assert_eq!(team.get("shop", "/").await.body, "one", "{what}: uploading mends it");
        team.deploy("shop", "production", 1, Value::Null).await;
        assert_eq!(team.get("shop", "/").await.body, "one", "{what}");
    }
}

/// Waits until a host answers this.
async fn answered(team: &Tenant<'_>, text: &str) {
    until(&format!("the answer is {text}"), async || (team.get("shop", "/").await.body == text).then_some(())).await;
}

#[tokio::test]
async fn hosts_share_a_store_and_serve_on_without_it() {
    let postgres = Postgres::start();
    let mut first = Platform::start(&["--store", &postgres.url()]);
    let second = Platform::start(&["--store", &postgres.url()]);
    let there = second.default_tenant();
    // Without a bucket each host has artifacts of its own.
    there.upload(answering()).await;
    let here = first.default_tenant();
    here.serve("shop", answering(), answers("one")).await;
    assert_eq!(here.get("shop", "/").await.body, "one");
    answered(&there, "one").await;
    there.serve("shop", answering(), answers("two")).await;
    assert_eq!(there.get("shop", "/").await.body, "two");
    answered(&here, "two").await;

    // A host of an earlier release counts a change, and does not write beside the service that it was this one.
    for (stopped, status) in [(1, 503), (0, 200)] {
        let change = "revision = revision + 1 WHERE component = 'shop'";
        postgres.sql(&format!("UPDATE services SET stopped = {stopped}, {change}")).await;
        postgres.sql("UPDATE counters SET value = value + 1 WHERE name = 'changes'").await;
        let followed = async || (here.get("shop", "/").await.status == status).then_some(());
        until("what it changed is followed", followed).await;
        until("by all", async || (there.get("shop", "/").await.status == status).then_some(())).await;
    }

    postgres.stop();
    for team in [&here, &there] {
        assert_eq!(team.get("shop", "/").await.body, "two");
        let (code, _) =
            team.refused("POST", &service("shop", "production", "/deployments"), json!({ "version": 1 })).await;
        assert_eq!(code, "store-unavailable");
    }
    // With a key, as the command line sends it: that cannot be looked up either.
    let request = http::Request::post("/").header("authorization", format!("Bearer {}", here.token));
    let request = request.header("content-type", "application/json").header("idempotency-key", "rollback-1");
    let back = first.call(request, &here.path(&service("shop", "production", "/rollback")), "{}").await;
    assert_eq!(back.status, 201, "{back:?}");
    let back = back.json();
    assert_eq!(back["version"], 1);
    assert_eq!(here.get("shop", "/").await.body, "one", "a rollback does without the store");
    assert_eq!(here.status("shop").await["pending"], true);
    assert_eq!(there.get("shop", "/").await.body, "two", "of which the other host cannot know");
    first.restart();
    let here = first.default_tenant();
    assert_eq!(here.get("shop", "/").await.body, "one", "what is known serves after a restart");

    postgres.restart();
    answered(&there, "one").await;
    until("the store was told", async || (here.status("shop").await["pending"] == false).then_some(())).await;
    for team in [&here, &there] {
        let history = team.history("shop").await;
        assert_eq!((&history[0]["version"], &history[0]["state"]), (&json!(1), &json!("active")), "{history:?}");
        assert_eq!(history[0]["reason"], "rolled back while the store was unavailable");
        assert_eq!((&history[1]["version"], &history[1]["state"]), (&json!(2), &json!("rolled-back")), "{history:?}");
        assert_eq!(team.get("shop", "/").await.body, "one");
    }
    here.deploy("shop", "production", 2, Value::Null).await;
    answered(&there, "two").await;
}
