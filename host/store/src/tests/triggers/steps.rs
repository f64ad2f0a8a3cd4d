//! Steps that survive a crash, waits, and leases.

use super::*;

fn step(position: u32, name: &str) -> Step {
    Step {
        position,
        name: name.to_owned(),
        input_hash: "h".to_owned(),
        outcome: "{\"value\":\"a\\u0000b\"}".to_owned(),
    }
}

async fn append(store: &Store, owner: &str, job: &ClaimedJob, steps: &[Step]) -> Vec<JobLease> {
    let new: Vec<_> = steps.iter().map(|step| NewStep { lease: job.lease.clone(), step: step.clone() }).collect();
    let mut scope = store.queue_write().await.expect("a scope");
    let late = scope.append_steps(owner, &new).await.expect("appended");
    scope.commit().await.expect("committed");
    late
}

async fn journal(store: &Store, tenant: &TenantId, job: &ClaimedJob) -> Vec<Step> {
    store.read(tenant).await.expect("a scope").journal(&job.lease.id).await.expect("read")
}

async fn steps_are_stored_once_and_only_by_who_has_the_job(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &[new_job("order", 1)]).await.expect("enqueued");
    let first = claim(store, "one", 1, share(&a, "order", 1)).await.remove(0);
    assert_eq!(append(store, "one", &first, &[step(0, "charge"), step(1, "mail")]).await, []);
    assert_eq!(append(store, "one", &first, &[step(1, "another")]).await, [], "what is there stays");
    assert_eq!(journal(store, &a, &first).await, [step(0, "charge"), step(1, "mail")]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.expire_jobs(10).await.expect("expired"), 1);
    scope.commit().await.expect("committed");
    assert_eq!(
        append(store, "one", &first, &[step(2, "late")]).await,
        std::slice::from_ref(&first.lease),
        "nobody has it"
    );
    let second = claim(store, "two", LEASE_MS, share(&a, "order", 1)).await.remove(0);
    assert_eq!(
        append(store, "one", &first, &[step(2, "late")]).await,
        std::slice::from_ref(&first.lease),
        "another has it"
    );
    assert_eq!(append(store, "two", &second, &[step(2, "ship")]).await, []);
    assert_eq!(journal(store, &a, &second).await.len(), 3);
    let large = Step { outcome: format!("{{\"step\":\"{}\"}}", "é".repeat(5_000)), ..step(3, "large") };
    assert_eq!(append(store, "two", &second, &[large]).await, []);
    let mut scope = store.read(&a).await.expect("a scope");
    let listed = scope.list_steps(&second.lease.id, 1, 2).await.expect("a list");
    assert_eq!(listed.iter().map(|step| step.position).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(listed[0].outcome, step(1, "mail").outcome);
    let listed = scope.list_steps(&second.lease.id, 3, 2).await.expect("a list");
    drop(scope);
    assert_eq!((listed.len(), listed[0].outcome.as_str()), (1, "{\"step\":\"ééééééééééé"));
    // A dead job keeps its journal, so that it goes on from there.
    finish(store, "two", &[end(&second, dead())]).await;
    assert_eq!(journal(store, &a, &second).await.len(), 4);
    let mut scope = store.write(&a).await.expect("a scope");
    scope.retry_job(&second.lease.id).await.expect("it is dead");
    scope.commit().await.expect("committed");
    run(store, &a, "order", done()).await;
    assert_eq!(journal(store, &a, &second).await, [], "it is done");
}

async fn a_job_waits_for_a_time_or_an_event(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &[new_job("order", 1)]).await.expect("enqueued");
    let job = claim(store, "me", LEASE_MS, share(&a, "order", 1)).await.remove(0);
    let until = store.host_read().await.expect("a scope").now().await.expect("a time") + 5;
    let sleep = JobOutcome::Suspended { until: Some(until), wait: None, version: Some(3) };
    assert_eq!(finish(store, "me", &[end(&job, sleep)]).await, []);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(move_due(store).await.ready, 1);
    let job = claim(store, "me", LEASE_MS, share(&a, "order", 1)).await.remove(0);
    assert_eq!((job.attempt, job.lease.epoch, job.version), (1, 2, Some(3)), "the same attempt");

    let wait = "{\"type\":\"order.paid\"}";
    let outcome = JobOutcome::Suspended { until: None, wait: Some(wait.to_owned()), version: None };
    assert_eq!(finish(store, "me", &[end(&job, outcome)]).await, []);
    assert_eq!(move_due(store).await, MovedJobs::default(), "it has no timeout");
    let mut scope = store.queue_write().await.expect("a scope");
    let waits = scope.event_waits(&a, "", 10).await.expect("read");
    assert_eq!(waits, [EventWait { id: job.lease.id.clone(), queue: queue("order"), wait: wait.to_owned() }]);
    assert_eq!(scope.event_waits(&a, &job.lease.id, 10).await.expect("read"), []);
    assert!(scope.wake_job(&a, &job.lease.id, &step(0, "paid")).await.expect("woken"));
    assert!(!scope.wake_job(&a, &job.lease.id, &step(1, "paid")).await.expect("read"), "it waits no more");
    scope.commit().await.expect("committed");
    let job = claim(store, "me", LEASE_MS, share(&a, "order", 1)).await.remove(0);
    assert_eq!((job.version, journal(store, &a, &job).await), (Some(3), vec![step(0, "paid")]));

    let outcome = JobOutcome::Suspended { until: Some(1), wait: Some(wait.to_owned()), version: None };
    assert_eq!(finish(store, "me", &[end(&job, outcome)]).await, []);
    assert_eq!(move_due(store).await.ready, 1, "it has waited long enough");
    is_counted(store, &a).await;
}

async fn a_lease_has_one_owner_at_a_time(TestStore { store, .. }: &TestStore) {
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.lease("sweep").await.expect("read"), None);
    let first = scope.acquire_lease("sweep", "one", LEASE_MS).await.expect("asked").expect("it is free");
    assert_eq!((first.epoch, first.owner.as_str()), (1, "one"));
    for owner in ["one", "two"] {
        assert_eq!(scope.acquire_lease("sweep", owner, LEASE_MS).await.expect("asked"), None, "{owner}");
    }
    assert!(scope.renew_lease(&first, 1).await.expect("asked"));
    scope.commit().await.expect("committed");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut scope = store.host_write().await.expect("a scope");
    assert!(!scope.renew_lease(&first, LEASE_MS).await.expect("asked"), "it has ended");
    let second = scope.acquire_lease("sweep", "two", LEASE_MS).await.expect("asked").expect("it has ended");
    assert_eq!(second.epoch, 2);
    assert!(!scope.release_lease(&first).await.expect("asked"));
    assert_eq!(scope.lease("sweep").await.expect("read").as_ref(), Some(&second));
    assert!(scope.release_lease(&second).await.expect("asked"));
    let third = scope.acquire_lease("sweep", "one", LEASE_MS).await.expect("asked").expect("it was released");
    assert_eq!(third.epoch, 3);
    scope.commit().await.expect("committed");

    let hosts = (0..6).map(|host| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut scope = store.host_write().await.expect("a scope");
            let lease = scope.acquire_lease("other", &format!("host {host}"), LEASE_MS).await.expect("asked");
            scope.commit().await.expect("committed");
            lease
        })
    });
    let mut acquired = 0;
    for host in hosts.collect::<Vec<_>>() {
        acquired += usize::from(host.await.expect("no panic").is_some());
    }
    assert_eq!(acquired, 1);
}

on_both! {
    steps_are_stored_once_and_only_by_who_has_the_job
    a_job_waits_for_a_time_or_an_event
    a_lease_has_one_owner_at_a_time
}
