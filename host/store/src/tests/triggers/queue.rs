//! The queue: claims, leases, keys, dependencies, turns.

use super::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn owners_at_once_never_get_the_same_job(TestStore { store, .. }: &TestStore) {
    const JOBS: usize = 300;
    let a = create_tenant(store, "a").await;
    let jobs: Vec<_> = (0..JOBS).map(|number| new_job("resize", number)).collect();
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let claimed = Arc::new(AtomicUsize::new(0));
    let owners = (0..4).map(|owner| {
        let (store, a, claimed) = (store.clone(), a.clone(), Arc::clone(&claimed));
        tokio::spawn(async move {
            let (owner, mut ids) = (format!("owner {owner}"), Vec::new());
            while claimed.load(Ordering::SeqCst) < JOBS {
                let jobs = claim(&store, &owner, LEASE_MS, share(&a, "resize", 7)).await;
                claimed.fetch_add(jobs.len(), Ordering::SeqCst);
                let ends: Vec<_> = jobs.iter().map(|job| end(job, done())).collect();
                assert_eq!(finish(&store, &owner, &ends).await, []);
                ids.extend(jobs.into_iter().map(|job| job.lease.id));
            }
            ids
        })
    });
    let mut ids = Vec::new();
    for owner in owners.collect::<Vec<_>>() {
        ids.extend(owner.await.expect("no panic"));
    }
    assert_eq!(ids.len(), JOBS);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), JOBS, "each job once");
    is_counted(store, &a).await;
}

async fn a_late_end_is_refused_and_the_attempt_counts(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &[new_job("resize", 1), new_job("resize", 2)]).await.expect("enqueued");
    let slow = claim(store, "slow", 1, share(&a, "resize", 1)).await;
    let others = claim(store, "slow", LEASE_MS, share(&a, "resize", 9)).await;
    assert_eq!((slow[0].attempt, slow[0].lease.epoch, others.len()), (1, 1, 1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.expire_jobs(10).await.expect("expired"), 1, "the other lease goes on");
    scope.commit().await.expect("committed");
    let fast = claim(store, "fast", LEASE_MS, share(&a, "resize", 9)).await;
    assert_eq!((fast.len(), fast[0].attempt, fast[0].lease.epoch), (1, 2, 2));

    let both = [slow[0].lease.clone(), others[0].lease.clone()];
    let mut scope = store.queue_write().await.expect("a scope");
    let found = scope.extend_jobs("slow", &both, LEASE_MS).await.expect("extended");
    scope.commit().await.expect("committed");
    assert_eq!((found.lost, found.cancelled), (vec![slow[0].lease.clone()], vec![]));
    let ends = [end(&slow[0], dead()), end(&others[0], done())];
    assert_eq!(finish(store, "slow", &ends).await, [slow[0].lease.clone()]);
    let mut zombie = slow[0].clone();
    zombie.lease.epoch = 2;
    assert_eq!(finish(store, "slow", &[end(&zombie, dead())]).await.len(), 1, "the epoch of another owner");
    assert_eq!(state(store, &a, 1).await, JobState::Leased);
    let twice = [end(&fast[0], done()), end(&fast[0], done())];
    assert_eq!(finish(store, "fast", &twice).await.len(), 1, "once is enough");
    let record = job(store, &a, &fast[0].lease.id).await;
    assert_eq!((record.state, record.attempt, record.result.as_deref()), (JobState::Done, 2, Some("1")));
    assert_eq!(record.error, None, "it succeeded in the end");
    is_counted(store, &a).await;
}

async fn ends_and_claims_are_one_transaction(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut second = new_job("resize", 1);
    second.head_start_ms = -1_000;
    let mut first = new_job("resize", 2);
    first.head_start_ms = 1_000;
    let kept = [second, first, new_job("resize", 3)];
    enqueue(store, &a, &kept).await.expect("enqueued");
    let one = claim(store, "me", LEASE_MS, share(&a, "resize", 1)).await;
    assert_eq!(one[0].lease.id, kept[1].id, "by its head start");
    for commits in [false, true] {
        let mut scope = store.queue_write().await.expect("a scope");
        let shares = [share(&a, "resize", 1), share(&a, "other", 5)];
        let (finished, next) =
            scope.finish_and_claim("me", &[end(&one[0], done())], LEASE_MS, &shares).await.expect("both");
        assert_eq!((finished, next.len()), (FinishedJobs::default(), 1));
        assert_eq!(next[0].lease.id, kept[2].id);
        if commits {
            scope.commit().await.expect("committed");
        }
    }
    assert_eq!((state(store, &a, 2).await, state(store, &a, 3).await), (JobState::Done, JobState::Leased));
    let mut scope = store.host_read().await.expect("a scope");
    let ready = scope.ready_queues().await.expect("read");
    assert_eq!(ready.len(), 1);
    assert_eq!((&ready[0].tenant, &ready[0].queue, ready[0].rank - ready[0].ready_at), (&a, &queue("resize"), 1_000));
    let leased = scope.leased_queues(0).await.expect("read");
    assert_eq!((leased.len(), &leased[0].queue, leased[0].leased), (1, &queue("resize"), 1));
    let unfinished = scope.unfinished_of(&a, &queue("resize"), 10).await.expect("read");
    assert_eq!(BTreeSet::from_iter(unfinished), BTreeSet::from([kept[0].id.clone(), kept[2].id.clone()]));
}

async fn queues_with_ready_jobs_are_found_of_all_tenants(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let mut scope = store.host_read().await.expect("a scope");
    assert_eq!(scope.ready_queues().await.expect("read"), []);
    drop(scope);
    enqueue(store, &a, &[new_job("x", 1), new_job("y", 2), new_job("y", 3)]).await.expect("enqueued");
    enqueue(store, &b, &[new_job("x", 4)]).await.expect("enqueued");
    let mut scope = store.host_read().await.expect("a scope");
    let found = scope.ready_queues().await.expect("read");
    let found: Vec<_> = found.iter().map(|ready| (ready.tenant.as_str(), ready.queue.name.as_str())).collect();
    assert_eq!(found, [("a", "x"), ("a", "y"), ("b", "x")]);
    let used = scope.trigger_use_by_tenant().await.expect("read");
    assert_eq!(
        (used[&a], used[&b]),
        (TriggerUse { unfinished_jobs: 3, bytes: 6 }, TriggerUse { unfinished_jobs: 1, bytes: 2 })
    );
    assert_eq!(scope.trigger_use(&a).await.expect("read"), used[&a]);
    drop(scope);
    // A host of a later release has enqueued what this one does not know.
    let update =
        "UPDATE jobs SET queue = 'shop/production/of-a-later-release/y' WHERE tenant = 'a' AND queue LIKE '%/y'";
    sqlx::query(update).execute(&store.pool).await.expect("changed");
    let mut scope = store.host_read().await.expect("a scope");
    let found = scope.ready_queues().await.expect("what is known is found");
    let found: Vec<_> = found.iter().map(|ready| (ready.tenant.as_str(), ready.queue.name.as_str())).collect();
    assert_eq!(found, [("a", "x"), ("b", "x")]);
}

async fn a_unique_key_has_one_job(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let keyed = |number, input: &str, for_ms| NewJob {
        key: Some(JobKey { key: "order 7".to_owned(), for_ms }),
        input: input.to_owned(),
        ..new_job("resize", number)
    };
    let existing = |number: usize, same_input| EnqueueOutcome::Existing { id: format!("{number:026}"), same_input };
    let jobs = [keyed(1, "1", KEEP_MS), keyed(2, "1", KEEP_MS), new_job("resize", 3)];
    let enqueued = enqueue(store, &a, &jobs).await.expect("enqueued");
    assert_eq!(enqueued, [EnqueueOutcome::New, existing(1, true), EnqueueOutcome::New], "in one batch");
    let enqueued = enqueue(store, &a, &[keyed(4, "2", KEEP_MS)]).await.expect("enqueued");
    assert_eq!(enqueued, [existing(1, false)]);
    let other = NewJob { queue: queue("other"), ..keyed(5, "1", 1) };
    assert_eq!(enqueue(store, &a, &[other]).await.expect("enqueued"), [EnqueueOutcome::New], "another queue");
    // Its time is over, but the job is not.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let again = NewJob { queue: queue("other"), ..keyed(6, "1", 1) };
    assert_eq!(enqueue(store, &a, std::slice::from_ref(&again)).await.expect("enqueued"), [existing(5, true)]);
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.prune_job_keys(10).await.expect("pruned"), 0);
    scope.commit().await.expect("committed");
    run(store, &a, "other", done()).await;
    assert_eq!(enqueue(store, &a, &[again]).await.expect("enqueued"), [existing(5, true)], "it was extended");
    is_counted(store, &a).await;
}

async fn a_key_at_once_is_one_job_s(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let hosts = (0..6).map(|number| {
        let (store, a) = (store.clone(), a.clone());
        let key = JobKey { key: "order 7".to_owned(), for_ms: KEEP_MS };
        let job = NewJob { key: Some(key), ..new_job("resize", number) };
        tokio::spawn(async move { enqueue(&store, &a, &[job]).await.expect("enqueued").remove(0) })
    });
    let mut new = 0;
    for host in hosts.collect::<Vec<_>>() {
        new += usize::from(host.await.expect("no panic") == EnqueueOutcome::New);
    }
    assert_eq!(new, 1);
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read").len(), 1);
}

async fn quotas_of_unfinished_jobs_hold(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    let two = Quotas { jobs: 2, ..Quotas::default() };
    scope.enqueue_jobs(&[new_job("resize", 1), new_job("resize", 2)], Some(&two)).await.expect("within the quota");
    scope.commit().await.expect("committed");
    let mut scope = store.write(&a).await.expect("a scope");
    let over = scope.enqueue_jobs(&[new_job("resize", 3)], Some(&two)).await.expect_err("over it");
    assert_eq!(over.code(), Code::QuotaExceeded);
    assert!(over.to_string().contains("the quota `jobs` of tenant a is 2: 2 are in use, and 1 more"), "{over}");
    drop(scope);
    let jobs = claim(store, "me", LEASE_MS, share(&a, "resize", 1)).await;
    finish(store, "me", &[end(&jobs[0], dead())]).await;
    let mut scope = store.write(&a).await.expect("a scope");
    scope.enqueue_jobs(&[new_job("resize", 3)], Some(&two)).await.expect("one has ended");
    scope.commit().await.expect("committed");
    is_counted(store, &a).await;
}

async fn jobs_have_a_quota_of_bytes_as_long_as_they_are_kept(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let sized = |number, bytes: usize| NewJob {
        input: format!("\"{}\"", "ü".repeat(bytes / 2 - 1)),
        ..new_job("resize", number)
    };
    let quotas = Quotas { jobs: 0, trigger_bytes: 100, ..Quotas::default() };
    let mut scope = store.write(&a).await.expect("a scope");
    let waiting = NewJob { start: JobStart::In(3_600_000), ..sized(2, 30) };
    scope.enqueue_jobs(&[sized(1, 50), waiting], Some(&quotas)).await.expect("within the quota");
    scope.commit().await.expect("committed");
    assert_eq!(used_bytes(store, &a).await, 80);
    let mut scope = store.write(&a).await.expect("a scope");
    let over = scope.enqueue_jobs(&[sized(3, 22)], Some(&quotas)).await.expect_err("over it");
    assert_eq!(over.code(), Code::QuotaExceeded);
    let told = "the quota `trigger-bytes` of tenant a is 100: 80 are in use, and 22 more";
    assert!(over.to_string().contains(told), "{over}");
    drop(scope);
    let mut scope = store.write(&a).await.expect("a scope");
    let over = scope.publish_events(&[sized_event(1, 22)], Some(&quotas)).await.expect_err("over it");
    assert!(over.code() == Code::QuotaExceeded && over.to_string().contains(told), "{over}");
    drop(scope);
    // A job that has ended counts as long as its record is kept, with its error or its result.
    run(store, &a, "resize", dead()).await;
    assert_eq!(used_bytes(store, &a).await, 88);
    let mut scope = store.write(&a).await.expect("a scope");
    scope.cancel_job(&format!("{:026}", 2), "no", KEEP_MS).await.expect("cancelled");
    scope.retry_job(&format!("{:026}", 1)).await.expect("retried");
    scope.commit().await.expect("committed");
    assert_eq!(used_bytes(store, &a).await, 82);
    is_counted(store, &a).await;
    run(store, &a, "resize", dead()).await;
    let mut scope = store.write(&a).await.expect("a scope");
    scope.discard_job(&format!("{:026}", 1)).await.expect("discarded");
    scope.enqueue_jobs(&[sized(3, 22)], Some(&quotas)).await.expect("there is room again");
    scope.cancel_job(&format!("{:026}", 3), "no", 0).await.expect("cancelled, and not kept");
    scope.commit().await.expect("committed");
    assert_eq!(used_bytes(store, &a).await, 32);
    is_counted(store, &a).await;
}

async fn the_oldest_records_give_way_and_dead_jobs_stay(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    for (number, outcome) in [(1, done()), (2, dead()), (3, done()), (4, done())] {
        enqueue(store, &a, &[new_job("resize", number)]).await.expect("enqueued");
        run(store, &a, "resize", outcome).await;
    }
    assert_eq!(used_bytes(store, &a).await, 3 * 3 + 10);
    let trim = async |bytes, most| {
        let mut scope = store.queue_write().await.expect("a scope");
        let deleted = scope.trim_jobs(&a, bytes, most).await.expect("trimmed");
        scope.commit().await.expect("committed");
        is_counted(store, &a).await;
        deleted
    };
    assert_eq!((trim(0, 10).await, trim(4, 1).await), (0, 1), "no more than are needed, or than may be");
    let mut scope = store.read(&a).await.expect("a scope");
    let kept = scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read");
    drop(scope);
    assert!(kept.iter().all(|job| job.id != format!("{:026}", 1)), "the oldest: {kept:?}");
    assert_eq!(trim(1_000, 10).await, 2);
    assert_eq!((state(store, &a, 2).await, used_bytes(store, &a).await), (JobState::Dead, 10));
}

async fn jobs_run_after_others_and_die_with_them(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let after = |name: &str, number, after: &[usize]| NewJob {
        after: after.iter().map(|number| format!("{number:026}")).collect(),
        ..new_job(name, number)
    };
    let jobs = [new_job("one", 1), new_job("two", 2), after("both", 3, &[1, 2]), after("last", 4, &[3, 3])];
    enqueue(store, &a, &jobs).await.expect("enqueued");
    assert_eq!(job(store, &a, &jobs[2].id).await.waits_for.as_deref(), Some("jobs"));
    run(store, &a, "one", done()).await;
    assert_eq!(state(store, &a, 3).await, JobState::Waiting);
    run(store, &a, "two", done()).await;
    assert_eq!(state(store, &a, 3).await, JobState::Ready);
    // A job that is done is not an obstacle; one that is not known is.
    enqueue(store, &a, &[after("late", 5, &[1])]).await.expect("enqueued");
    assert_eq!(state(store, &a, 5).await, JobState::Ready);
    let unknown = enqueue(store, &a, &[after("late", 6, &[77])]).await;
    assert_eq!(unknown.expect_err("it is not known").code(), Code::NotFound);
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.job(&format!("{:026}", 6)).await.expect_err("nothing is left of it").code(), Code::NotFound);
    drop(scope);

    run(store, &a, "both", dead()).await;
    assert_eq!(move_due(store).await, MovedJobs { ready: 0, dead: 1 });
    let last = job(store, &a, &jobs[3].id).await;
    assert_eq!(last.state, JobState::Dead);
    assert!(last.error.is_some_and(|error| error.contains(&jobs[2].id) && error.contains("dead")));
    enqueue(store, &a, &[after("late", 7, &[3])]).await.expect("enqueued");
    assert_eq!(move_due(store).await.dead, 1, "it is dead already");
    is_counted(store, &a).await;
}

async fn of_a_turn_the_first_alone_is_ready(TestStore { store, .. }: &TestStore) {
    use JobState::{Cancelled, Dead, Leased, Ready, Waiting};
    let a = create_tenant(store, "a").await;
    let ordered = |number, key: &str, position| NewJob {
        order: Some(JobOrder { key: key.to_owned(), position }),
        ..new_job("ship", number)
    };
    enqueue(store, &a, &[ordered(1, "x", 1), ordered(9, "x", 2), ordered(3, "y", 3)]).await.expect("enqueued");
    enqueue(store, &a, &[ordered(4, "x", 4)]).await.expect("enqueued");
    let states = async || {
        let numbers = [1, 9, 3, 4];
        let mut states = Vec::new();
        for number in numbers {
            states.push(state(store, &a, number).await);
        }
        states
    };
    assert_eq!(states().await, [Ready, Waiting, Ready, Waiting]);
    // An attempt that failed keeps its turn.
    let jobs = claim(store, "me", LEASE_MS, share(&a, "ship", 1)).await;
    finish(store, "me", &[end(&jobs[0], JobOutcome::Retry { in_ms: 0, error: "not yet".to_owned() })]).await;
    assert_eq!(states().await, [Waiting, Waiting, Ready, Waiting]);
    assert_eq!(move_due(store).await.ready, 1);
    // One that is dead does not block it.
    let jobs = claim(store, "me", LEASE_MS, share(&a, "ship", 9)).await;
    let ends: Vec<_> = jobs.iter().map(|job| end(job, dead())).collect();
    finish(store, "me", &ends).await;
    assert_eq!(states().await, [Dead, Ready, Dead, Waiting]);
    let mut scope = store.write(&a).await.expect("a scope");
    let cancelled = scope.cancel_job(&format!("{:026}", 9), "not wanted", KEEP_MS).await.expect("it is there");
    assert_eq!(cancelled, CancelledJob::Cancelled);
    assert_eq!(scope.retry_jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("retried"), 2);
    scope.commit().await.expect("committed");
    assert_eq!(states().await, [Waiting, Cancelled, Ready, Ready], "the dead one waits for its turn again");
    let jobs = claim(store, "me", LEASE_MS, share(&a, "ship", 9)).await;
    assert_eq!(states().await, [Waiting, Cancelled, Leased, Leased]);
    let ends: Vec<_> = jobs.iter().map(|job| end(job, done())).collect();
    finish(store, "me", &ends).await;
    assert_eq!(state(store, &a, 1).await, Ready);
    run(store, &a, "ship", done()).await;
    enqueue(store, &a, &[ordered(5, "x", 5)]).await.expect("enqueued");
    assert_eq!(state(store, &a, 5).await, Ready, "nobody has the turn");
    is_counted(store, &a).await;
}

async fn turns_at_once_lose_nothing(TestStore { store, .. }: &TestStore) {
    const JOBS: usize = 24;
    let a = create_tenant(store, "a").await;
    let publisher = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move {
            for number in 0..JOBS {
                let order = JobOrder { key: "x".to_owned(), position: number as u64 };
                let job = NewJob { order: Some(order), ..new_job("ship", number) };
                enqueue(&store, &a, &[job]).await.expect("enqueued");
            }
        })
    };
    let mut ids = Vec::new();
    for _ in 0..10_000 {
        let jobs = claim(store, "me", LEASE_MS, share(&a, "ship", 9)).await;
        assert!(jobs.len() < 2, "one after the other");
        let ends: Vec<_> = jobs.iter().map(|job| end(job, done())).collect();
        finish(store, "me", &ends).await;
        ids.extend(jobs.into_iter().map(|job| job.lease.id));
        if ids.len() == JOBS {
            break;
        }
        later().await;
    }
    publisher.await.expect("no panic");
    assert_eq!(ids, (0..JOBS).map(|number| format!("{number:026}")).collect::<Vec<_>>());
}

async fn turns_of_many_keys_do_not_deadlock(TestStore { store, .. }: &TestStore) {
    // Collations sort these in another order than that of their bytes.
    const KEYS: [&str; 5] = ["a-b", "ab", "B", "b", "_"];
    const ROUNDS: usize = 20;
    let a = create_tenant(store, "a").await;
    let publishers = (0..2).map(|publisher| {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let first = (publisher * ROUNDS + round) * KEYS.len();
                let ordered = |(place, key): (usize, &&str)| {
                    let order = JobOrder { key: (*key).to_owned(), position: (first + place) as u64 };
                    NewJob { order: Some(order), ..new_job("ship", first + place) }
                };
                let jobs: Vec<_> = KEYS.iter().enumerate().map(ordered).collect();
                enqueue(&store, &a, &jobs).await.expect("enqueued");
            }
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let mut ended = 0;
    while ended < 2 * ROUNDS * KEYS.len() {
        let jobs = claim(store, "me", LEASE_MS, share(&a, "ship", 9)).await;
        let ends: Vec<_> = jobs.iter().map(|job| end(job, done())).collect();
        assert_eq!(finish(store, "me", &ends).await, []);
        ended += ends.len();
        later().await;
    }
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    is_counted(store, &a).await;
}

async fn jobs_that_end_may_get_others_to_run_after_them(TestStore { store, .. }: &TestStore) {
    const JOBS: usize = 4;
    let a = create_tenant(store, "a").await;
    for first in (0..20).map(|round| round * (JOBS + 1)) {
        let jobs: Vec<_> = (first..first + JOBS).map(|number| new_job("resize", number)).collect();
        enqueue(store, &a, &jobs).await.expect("enqueued");
        let claimed = claim(store, "me", LEASE_MS, share(&a, "resize", 9)).await;
        let after = jobs.iter().rev().map(|job| job.id.clone()).collect();
        let last = NewJob { after, ..new_job("after", first + JOBS) };
        let enqueued = {
            let (store, a) = (store.clone(), a.clone());
            tokio::spawn(async move { enqueue(&store, &a, &[last]).await.map(drop) })
        };
        let ends: Vec<_> = claimed.iter().map(|job| end(job, done())).collect();
        assert_eq!(finish(store, "me", &ends).await, []);
        enqueued.await.expect("no panic").expect("enqueued");
        assert_eq!(run(store, &a, "after", done()).await, format!("{:026}", first + JOBS));
    }
    is_counted(store, &a).await;
}

async fn leases_are_extended_while_steps_are_stored(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let jobs: Vec<_> = (0..6).map(|number| new_job("resize", number)).collect();
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let claimed = claim(store, "me", LEASE_MS, share(&a, "resize", 9)).await;
    let leases: Vec<_> = claimed.into_iter().map(|job| job.lease).collect();
    let tasks = (0..3).map(|task| {
        let (store, mut leases) = (store.clone(), leases.clone());
        if task == 0 {
            leases.reverse();
        }
        tokio::spawn(async move {
            for position in 0..10 {
                let mut scope = store.queue_write().await.expect("a scope");
                if task < 2 {
                    let found = scope.extend_jobs("me", &leases, LEASE_MS).await.expect("extended");
                    assert!(found.lost.is_empty() && found.cancelled.is_empty(), "{found:?}");
                } else {
                    let text = || "1".to_owned();
                    let step = Step { position, name: text(), input_hash: text(), outcome: text() };
                    let steps = leases.iter().map(|lease| NewStep { lease: lease.clone(), step: step.clone() });
                    let late = scope.append_steps("me", &steps.collect::<Vec<_>>()).await.expect("stored");
                    assert_eq!(late, []);
                }
                scope.commit().await.expect("committed");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let journal = store.read(&a).await.expect("a scope").journal(&jobs[0].id).await.expect("read");
    assert_eq!(journal.len(), 10);
}

async fn a_job_starts_when_it_is_due(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let at = |number, start| NewJob { start, ..new_job("resize", number) };
    let jobs = [at(1, JobStart::In(1)), at(2, JobStart::In(600_000)), at(3, JobStart::At(1))];
    enqueue(store, &a, &jobs).await.expect("enqueued");
    assert_eq!(state(store, &a, 3).await, JobState::Ready, "long ago");
    assert_eq!(state(store, &a, 1).await, JobState::Waiting);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(move_due(store).await, MovedJobs { ready: 1, dead: 0 });
    assert_eq!(move_due(store).await, MovedJobs::default());
    assert_eq!((state(store, &a, 1).await, state(store, &a, 2).await), (JobState::Ready, JobState::Waiting));
    let jobs = claim(store, "me", LEASE_MS, share(&a, "resize", 9)).await;
    let released: Vec<_> = jobs.iter().map(|job| end(job, JobOutcome::Released)).collect();
    assert_eq!(finish(store, "me", &released).await, []);
    let jobs = claim(store, "me", LEASE_MS, share(&a, "resize", 9)).await;
    assert_eq!(jobs.iter().map(|job| (job.attempt, job.lease.epoch)).collect::<Vec<_>>(), [(1, 2), (1, 2)]);
    is_counted(store, &a).await;
}

on_both! {
    owners_at_once_never_get_the_same_job
    a_late_end_is_refused_and_the_attempt_counts
    ends_and_claims_are_one_transaction
    queues_with_ready_jobs_are_found_of_all_tenants
    a_unique_key_has_one_job
    a_key_at_once_is_one_job_s
    quotas_of_unfinished_jobs_hold
    jobs_have_a_quota_of_bytes_as_long_as_they_are_kept
    the_oldest_records_give_way_and_dead_jobs_stay
    jobs_run_after_others_and_die_with_them
    of_a_turn_the_first_alone_is_ready
    turns_at_once_lose_nothing
    turns_of_many_keys_do_not_deadlock
    jobs_that_end_may_get_others_to_run_after_them
    leases_are_extended_while_steps_are_stored
    a_job_starts_when_it_is_due
}
