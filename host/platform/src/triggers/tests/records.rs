//! The records of jobs that have ended, within the quota of bytes.

use super::*;
use crate::triggers::retention::trim_records;

#[tokio::test(flavor = "multi_thread")]
async fn records_give_way_before_the_quota_refuses_jobs() {
    const QUOTA: u64 = 4_000;
    let handler: Handler = Box::new(|run| {
        let ending = match &run.message {
            Message::Job(job) if job.name == "fails" => AttemptResult::Rejected("no".to_owned()),
            _ => AttemptResult::Returned(format!("\"{}\"", "x".repeat(998))),
        };
        async move { ending }.boxed()
    });
    let bench = bench(json!({}), handler).await;
    let small = ServiceId { tenant: "small".parse().expect("a name"), ..shop() };
    let quotas = Quotas { trigger_bytes: QUOTA, ..Quotas::default() };
    let mut scope = bench.store.write(&small.tenant).await.expect("a scope");
    let settings = TenantSettings { quotas, ..TenantSettings::default() };
    scope.create_tenant(&settings, &Actor::host()).await.expect("made");
    scope.commit().await.expect("committed");
    let runner = bench.runner("one");
    runner.start();
    for name in ["fails", "first", "second", "third"] {
        let request = JobRequest { service: small.clone(), ..request(name, &json!(1)) };
        let (id, _) = runner.enqueue_request(request).await.expect("enqueued");
        let job = async || bench.store.read(&small.tenant).await.expect("a scope").job(&id).await;
        until("it is over", async || job().await.expect("it is there").finished_at.is_some()).await;
    }
    trim_records(&bench.store).await.expect("trimmed");
    let mut scope = bench.store.read(&small.tenant).await.expect("a scope");
    let used = scope.trigger_use().await.expect("read").bytes;
    let kept = scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("a list");
    let names: Vec<_> = kept.iter().map(|job| job.queue.name.as_str()).collect();
    assert!(used <= QUOTA / 4 * 3 && names.contains(&"fails"), "{used}: {names:?}");
    assert!(!names.contains(&"first") && names.contains(&"third"), "the oldest give way: {names:?}");
}
