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
    let kept = journal(store, &a, &second).await;
    assert_eq!((kept.len(), kept[1].outcome.as_str()), (4, step(1, "mail").outcome.as_str()), "as long as its record");
    assert_eq!(kept[3].outcome, "{\"step\":\"ééééééééééé", "nobody needs all of it any more");
}

/// Runs a job that does these steps and ends so.
async fn run_steps(store: &Store, tenant: &TenantId, number: usize, steps: &[Step], end: JobEnd) {
    enqueue(store, tenant, &[new_job("order", number)]).await.expect("enqueued");
    let job = claim(store, "me", LEASE_MS, share(tenant, "order", 1)).await.remove(0);
    assert_eq!(append(store, "me", &job, steps).await, []);
    assert_eq!(finish(store, "me", &[JobEnd { lease: job.lease.clone(), ..end }]).await, []);
}

async fn steps_are_kept_with_the_records_of_their_jobs(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let lease = JobLease { tenant: a.clone(), id: String::new(), epoch: 0 };
    let ended = |outcome, keep_ms| JobEnd { lease: lease.clone(), outcome, keep_ms };
    let steps = [step(0, "charge"), step(2, "mail")];
    run_steps(store, &a, 1, &steps, ended(done(), KEEP_MS)).await;
    run_steps(store, &a, 2, &steps, ended(done(), 0)).await;
    run_steps(store, &a, 3, &steps, ended(dead(), KEEP_MS)).await;
    run_steps(store, &a, 4, &[], ended(done(), KEEP_MS)).await;
    run_steps(store, &a, 5, &steps[..1], ended(JobOutcome::Cancelled { reason: "x".to_owned() }, KEEP_MS)).await;
    let with_steps = async |state: Option<JobState>, limit: u32| {
        let filter = JobFilter { state, ..JobFilter::default() };
        let mut scope = store.read(&a).await.expect("a scope");
        let jobs = scope.jobs_with_steps(&filter, &AllowedServices::All, limit).await.expect("a list");
        jobs.into_iter().map(|job| job.id.trim_start_matches('0').to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with_steps(None, 10).await, ["5", "3", "1"], "neither without a record nor without steps");
    assert_eq!(with_steps(None, 2).await, ["5", "3"]);
    assert_eq!(with_steps(Some(JobState::Dead), 10).await, ["3"]);

    let ids: Vec<String> = (1..=5).map(|number| format!("{number:026}")).collect();
    let last = store.read(&a).await.expect("a scope").last_steps(&ids, 2).await.expect("read");
    let name = |number: usize| last.get(&ids[number - 1]).map(|rows| (rows.len(), rows[0].name.as_str()));
    let found: Vec<_> = (1..=5).map(name).collect();
    assert_eq!(found, [Some((1, "mail")), None, Some((1, "mail")), None, Some((1, "charge"))]);

    // Beyond so many rows of a tenant the oldest go, but never those that a dead job needs.
    let prune_beyond = async |keep: u32, bytes: u64, most: u32| {
        let mut scope = store.queue_write().await.expect("a scope");
        let mut deleted = 0;
        for (tenant, last) in scope.surplus_steps(keep, bytes).await.expect("read") {
            deleted += scope.prune_steps(&tenant, &last, most).await.expect("pruned");
        }
        scope.commit().await.expect("committed");
        deleted
    };
    let prune = async |keep: u32, most: u32| prune_beyond(keep, u64::MAX, most).await;
    assert_eq!(prune(5, 10).await, 0, "there are five");
    assert_eq!(prune(4, 10).await, 2, "all of the oldest job");
    assert_eq!(with_steps(None, 10).await, ["5", "3"]);
    assert_eq!(prune(0, 10).await, 1);
    assert_eq!(with_steps(None, 10).await, ["3"]);

    // And beyond so many bytes, however few the rows are.
    let large = Step { outcome: "o".repeat(1_000), ..step(0, "large") };
    for number in 6..=8 {
        run_steps(store, &a, number, std::slice::from_ref(&large), ended(done(), KEEP_MS)).await;
    }
    assert_eq!(prune_beyond(100, 10_000, 10).await, 0);
    assert_eq!(prune_beyond(100, 2_500, 10).await, 1, "the third of these is beyond it");
    assert_eq!(with_steps(None, 10).await, ["8", "7", "3"]);
    assert_eq!(prune_beyond(100, 0, 10).await, 2);
    assert_eq!(with_steps(None, 10).await, ["3"]);
}

async fn a_last_step_has_all_its_rows(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &[new_job("order", 1)]).await.expect("enqueued");
    let job = claim(store, "me", LEASE_MS, share(&a, "order", 1)).await.remove(0);
    assert_eq!(append(store, "me", &job, &[step(0, "one"), step(2, "wait"), step(3, "came")]).await, []);
    let ids = [job.lease.id.clone(), "another".to_owned()];
    let last = store.read(&a).await.expect("a scope").last_steps(&ids, 2).await.expect("read");
    let positions: Vec<_> = last[&ids[0]].iter().map(|row| row.position).collect();
    assert_eq!((positions, last.len()), (vec![2, 3], 1));
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
    steps_are_kept_with_the_records_of_their_jobs
    a_last_step_has_all_its_rows
    a_job_waits_for_a_time_or_an_event
    a_lease_has_one_owner_at_a_time
}
