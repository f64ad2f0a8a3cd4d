//! Artifacts in a bucket: a real server that speaks S3, hosts that share it, and what becomes of objects behind their
//! backs.

use elias_tests::answering::{answering, answers};
use elias_tests::platform::Platform;
use elias_tests::s3::S3;
use elias_tests::services::Postgres;
use serde_json::{Value, json};

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A host that shares its store and its bucket with others.
fn host(postgres: &Postgres, environment: &[(&'static str, String)]) -> Platform {
    let mut environment = environment.to_vec();
    environment.push(("ELIAS_SECRET_KEY", KEY.to_owned()));
    let store = postgres.url();
    Platform::start_with(&["--store", &store, "--artifacts", "s3://components"], &environment)
}

/// Loses an artifact on a host's own disk.
fn lose(platform: &Platform, digest: &str) {
    std::fs::remove_file(platform.artifact(digest)).expect("it was there");
}

#[tokio::test]
async fn hosts_share_components_by_a_bucket() {
    let (postgres, bucket) = (Postgres::start(), S3::start().await);
    let first = host(&postgres, &bucket.environment());
    let team = first.default_tenant();
    let digest = team.upload(answering()).await;
    assert_eq!(std::fs::read(bucket.object(&digest)).expect("it is in the bucket"), answering());
    team.serve("shop", answering(), answers("one")).await;

    // Another host has nothing on its disk, and fetches what it serves.
    let second = host(&postgres, &bucket.environment());
    assert!(!second.artifact(&digest).exists());
    assert_eq!(second.default_tenant().get("shop", "/").await.body, "one");
    assert_eq!(std::fs::read(second.artifact(&digest)).expect("it keeps it"), answering());

    // An altered object of the bucket is neither served nor kept, and uploading it again mends it.
    let settings = json!({ "digest": digest, "settings": answers("two") });
    lose(&second, &digest);
    std::fs::write(bucket.object(&digest), b"something else").expect("altered");
    let there = second.default_tenant();
    let (code, said) = there.refused("POST", "/components/shop/versions", settings.clone()).await;
    assert!(code == "artifact-missing" && said.contains("upload it again"), "{code} {said}");
    assert!(!second.artifact(&digest).exists(), "what is not what its name says is not kept");
    let request = || http::Request::head("/").header("authorization", format!("Bearer {}", second.token));
    let path = there.path(&format!("/artifacts/{digest}"));
    assert_eq!(second.call(request(), &path, "").await.status, 404, "so that whoever deploys sends it again");
    there.upload(answering()).await;
    assert_eq!(there.version("shop", answering(), answers("two")).await, 2);

    // The same for what was deleted there.
    lose(&second, &digest);
    std::fs::remove_file(bucket.object(&digest)).expect("deleted");
    assert_eq!(second.call(request(), &path, "").await.status, 404);
    let settings = json!({ "digest": digest, "settings": answers("three") });
    assert_eq!(there.refused("POST", "/components/shop/versions", settings).await.0, "artifact-missing");
    let (status, doctor) = second.admin("GET", "/v1/doctor", Value::Null).await;
    assert_eq!(status, 200);
    let artifacts = doctor["items"].as_array().expect("findings").iter().find(|one| one["subject"] == "artifacts");
    assert_eq!(artifacts.expect("it looks at artifacts")["good"], false, "{doctor}");
}

#[tokio::test]
async fn a_bucket_that_refuses_or_is_away_is_told_soon_and_what_serves_goes_on() {
    let (postgres, mut bucket) = (Postgres::start(), S3::start().await);
    let stranger = host(&postgres, &bucket.environment_with("not the secret"));
    let digest = elias_contract::digest(answering());
    let answer = stranger.default_tenant().put_artifact(&digest, answering()).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "store-unavailable"), "{answer:?}");
    assert!(!answer.body.contains("not the secret"), "{answer:?}");
    assert!(!bucket.object(&digest).exists() && !stranger.artifact(&digest).exists(), "nothing half done");

    let platform = host(&postgres, &bucket.environment());
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    bucket.stop().await;
    assert_eq!(team.get("shop", "/").await.body, "one");
    // Nothing answers within the minute that a test waits if the host goes on trying.
    let other = b"not uploaded before";
    let answer = team.put_artifact(&elias_contract::digest(other), other).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "store-unavailable"), "{answer:?}");
    // An artifact on the disk needs no bucket.
    let version = json!({ "digest": digest, "settings": answers("two") });
    assert_eq!(team.done("POST", "/components/shop/versions", version).await["number"], 2);
}
