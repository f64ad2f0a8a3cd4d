//! Jobs as people see them: lists, cancelling, retrying, retention; and whose they are.

use super::*;
use crate::triggers::plans::EVENT_TABLES;

async fn jobs_are_listed_by_filter_and_page(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut jobs: Vec<_> = (1..=5).map(|number| new_job("resize", number)).collect();
    jobs.push(NewJob { start: JobStart::In(600_000), ..new_job("report", 6) });
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let claimed = claim(store, "me", LEASE_MS, share(&a, "resize", 3)).await;
    finish(store, "me", &[end(&claimed[0], done()), end(&claimed[1], dead())]).await;
    let mut scope = store.read(&a).await.expect("a scope");
    let mut listed = async |filter: &JobFilter, limit| {
        let found = scope.jobs(filter, &AllowedServices::All, limit).await.expect("read");
        found.iter().map(|job| job.id.trim_start_matches('0').to_owned()).collect::<Vec<_>>().join(" ")
    };
    let all = JobFilter::default();
    assert_eq!(listed(&all, 10).await, "6 5 4 3 2 1");
    assert_eq!(listed(&all, 2).await, "6 5");
    let before = JobFilter { before: Some(jobs[2].id.clone()), ..all.clone() };
    assert_eq!(listed(&before, 10).await, "2 1");
    for (state, ids) in [
        (JobState::Waiting, "6"),
        (JobState::Ready, "5 4"),
        (JobState::Leased, "3"),
        (JobState::Done, "1"),
        (JobState::Dead, "2"),
        (JobState::Cancelled, ""),
    ] {
        assert_eq!(listed(&JobFilter { state: Some(state), ..all.clone() }, 10).await, ids, "{state:?}");
    }
    let by_name = JobFilter { name: Some("report".to_owned()), component: Some(shop()), ..all.clone() };
    assert_eq!(listed(&by_name, 10).await, "6");
    assert_eq!(listed(&JobFilter { trigger: Some(JobTrigger::Event), ..all.clone() }, 10).await, "");
    assert_eq!(listed(&JobFilter { deliveries: true, ..all.clone() }, 10).await, "");
    assert_eq!(listed(&JobFilter { environment: Some(Environment::Dev), ..all }, 10).await, "");
}

async fn a_page_of_the_jobs_of_some_services_is_full(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let jobs: Vec<_> = (1..=12)
        .map(|number| {
            let name = if number % 3 == 0 { "shop" } else { "blog" };
            let component = name.parse().expect("a name");
            let environment = if number % 2 == 0 { Environment::Production } else { Environment::Dev };
            let job = new_job("resize", number);
            NewJob { queue: QueueId { component, environment, ..job.queue }, ..job }
        })
        .collect();
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let mut scope = store.read(&a).await.expect("a scope");
    let mut listed = async |services: &[(&str, Environment)], before: Option<usize>, limit| {
        let services = services.iter().map(|(name, environment)| (name.parse().expect("a name"), *environment));
        let allowed = AllowedServices::Only(services.collect());
        let filter = JobFilter { before: before.map(|number| format!("{number:026}")), ..JobFilter::default() };
        let found = scope.jobs(&filter, &allowed, limit).await.expect("read");
        found.iter().map(|job| job.id.trim_start_matches('0').to_owned()).collect::<Vec<_>>().join(" ")
    };
    let shops = [("shop", Environment::Production), ("shop", Environment::Dev)];
    assert_eq!(listed(shops.as_slice(), None, 3).await, "12 9 6");
    assert_eq!(listed(shops.as_slice(), Some(6), 3).await, "3");
    assert_eq!(listed(&shops[..1], None, 3).await, "12 6");
    assert_eq!(listed([("blog", Environment::Dev)].as_slice(), None, 2).await, "11 7");
    assert_eq!(listed([].as_slice(), None, 3).await, "");
}

async fn jobs_are_cancelled_before_and_while_they_run(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let after = NewJob { after: vec![format!("{:026}", 1)], ..new_job("late", 4) };
    let jobs = [new_job("resize", 1), new_job("resize", 2), new_job("other", 3), after];
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let running = claim(store, "me", LEASE_MS, share(&a, "other", 1)).await;
    let mut scope = store.write(&a).await.expect("a scope");
    for (job, outcome) in [(0, CancelledJob::Cancelled), (0, CancelledJob::Finished), (2, CancelledJob::Leased)] {
        let cancelled = scope.cancel_job(&jobs[job].id, "not wanted", KEEP_MS).await.expect("it is there");
        assert_eq!(cancelled, outcome, "{job}");
    }
    assert_eq!(scope.cancel_job("unknown", "", 0).await.expect_err("no such job").code(), Code::NotFound);
    scope.commit().await.expect("committed");
    assert_eq!(move_due(store).await.dead, 1, "the job that was to run after it");
    let first = job(store, &a, &jobs[0].id).await;
    assert_eq!((first.state, first.error.as_deref()), (JobState::Cancelled, Some("not wanted")));
    assert!(job(store, &a, &jobs[2].id).await.cancelling);

    let mut scope = store.queue_write().await.expect("a scope");
    let lease = running[0].lease.clone();
    let found = scope.extend_jobs("me", std::slice::from_ref(&lease), LEASE_MS).await.expect("extended");
    scope.commit().await.expect("committed");
    assert_eq!((found.lost, found.cancelled), (vec![], vec![lease]));
    let retry = JobOutcome::Retry { in_ms: 1, error: "it was interrupted".to_owned() };
    assert_eq!(finish(store, "me", &[end(&running[0], retry)]).await, []);
    assert_eq!(state(store, &a, 3).await, JobState::Cancelled, "it is not run again");
    is_counted(store, &a).await;
}

async fn dead_jobs_are_retried(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &[new_job("resize", 1), new_job("other", 2)]).await.expect("enqueued");
    run(store, &a, "resize", dead()).await;
    let mut scope = store.write(&a).await.expect("a scope");
    let ready = scope.retry_job(&format!("{:026}", 2)).await;
    assert_eq!(ready.expect_err("it is not dead").code(), Code::WrongState);
    assert_eq!(scope.retry_job("unknown").await.expect_err("no such job").code(), Code::NotFound);
    scope.retry_job(&format!("{:026}", 1)).await.expect("it is dead");
    scope.commit().await.expect("committed");
    let again = claim(store, "me", LEASE_MS, share(&a, "resize", 1)).await;
    assert_eq!((again[0].attempt, again[0].lease.epoch), (1, 2), "attempts begin anew, epochs do not");
    finish(store, "me", &[end(&again[0], dead())]).await;
    run(store, &a, "other", dead()).await;
    let mut scope = store.write(&a).await.expect("a scope");
    let filter = JobFilter { name: Some("other".to_owned()), ..JobFilter::default() };
    assert_eq!(scope.retry_jobs(&filter, &AllowedServices::All, 10).await.expect("retried"), 1);
    scope.commit().await.expect("committed");
    assert_eq!((state(store, &a, 1).await, state(store, &a, 2).await), (JobState::Dead, JobState::Ready));
    is_counted(store, &a).await;
}

async fn dead_jobs_are_discarded(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let key = || Some(JobKey { key: "k".to_owned(), for_ms: KEEP_MS });
    let keyed = NewJob { key: key(), ..new_job("resize", 1) };
    let jobs = [keyed, new_job("other", 2), new_job("other", 3), new_job("waits", 4)];
    enqueue(store, &a, &jobs).await.expect("enqueued");
    run(store, &a, "resize", dead()).await;
    for job in claim(store, "me", LEASE_MS, share(&a, "other", 9)).await {
        finish(store, "me", &[end(&job, dead())]).await;
    }
    let mut scope = store.write(&a).await.expect("a scope");
    let ready = scope.discard_job(&jobs[3].id).await;
    assert_eq!(ready.expect_err("it is not dead").code(), Code::WrongState);
    assert_eq!(scope.discard_job("unknown").await.expect_err("no such job").code(), Code::NotFound);
    scope.discard_job(&jobs[0].id).await.expect("it is dead");
    let before = JobFilter { before: Some(jobs[2].id.clone()), ..JobFilter::default() };
    let none = AllowedServices::Only(Vec::new());
    assert_eq!(scope.discard_jobs(&before, &none, 10).await.expect("none may be discarded"), 0);
    assert_eq!(scope.discard_jobs(&before, &AllowedServices::All, 10).await.expect("discarded"), 1);
    assert_eq!(scope.discard_jobs(&before, &AllowedServices::All, 10).await.expect("none is left"), 0);
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.job(&jobs[0].id).await.expect_err("it is gone").code(), Code::NotFound);
    assert_eq!(scope.job(&jobs[2].id).await.expect("it is there").state, JobState::Dead);
    drop(scope);
    let again = NewJob { key: key(), ..new_job("resize", 5) };
    assert_eq!(enqueue(store, &a, &[again]).await.expect("enqueued"), [EnqueueOutcome::New], "the key is free");
    is_counted(store, &a).await;
}

async fn keys_that_are_discarded_and_taken_at_once_do_not_deadlock(TestStore { store, .. }: &TestStore) {
    // Collations sort these in another order than that of their bytes.
    const KEYS: [&str; 5] = ["a-b", "ab", "B", "b", "_"];
    const ROUNDS: usize = 20;
    let a = create_tenant(store, "a").await;
    let publisher = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let keyed = |(place, key): (usize, &&str)| NewJob {
                    key: Some(JobKey { key: (*key).to_owned(), for_ms: KEEP_MS }),
                    ..new_job("resize", round * KEYS.len() + place)
                };
                let jobs: Vec<_> = KEYS.iter().enumerate().map(keyed).collect();
                enqueue(&store, &a, &jobs).await.expect("enqueued");
            }
        })
    };
    while !publisher.is_finished() {
        let jobs = claim(store, "me", LEASE_MS, share(&a, "resize", 9)).await;
        let ends: Vec<_> = jobs.iter().map(|job| end(job, dead())).collect();
        finish(store, "me", &ends).await;
        let mut scope = store.write(&a).await.expect("a scope");
        scope.discard_jobs(&JobFilter::default(), &AllowedServices::All, 100).await.expect("discarded");
        scope.commit().await.expect("committed");
        later().await;
    }
    publisher.await.expect("no panic");
    is_counted(store, &a).await;
}

async fn jobs_that_are_counted_in_parts_of_a_transaction_are_counted_in_one_row(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    for number in 0..20 {
        scope.enqueue_jobs(&[new_job("resize", number)], None).await.expect("enqueued");
    }
    let query = scope.query("SELECT COUNT(*) AS rows_there FROM job_counts WHERE tenant = $1");
    let row = scope.row(query).await.expect("read").expect("a row");
    assert_eq!(get::<i64>(&row, "rows_there").expect("a number"), 1);
    scope.commit().await.expect("committed");
    is_counted(store, &a).await;
}

async fn records_are_deleted_when_their_time_is_over(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    enqueue(store, &a, &(1..=4).map(|number| new_job("resize", number)).collect::<Vec<_>>()).await.expect("enqueued");
    let jobs = claim(store, "me", LEASE_MS, share(&a, "resize", 9)).await;
    let ends: Vec<_> =
        jobs.iter().zip([0, 1, 1, KEEP_MS]).map(|(job, keep_ms)| JobEnd { keep_ms, ..end(job, done()) }).collect();
    finish(store, "me", &ends).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut scope = store.queue_write().await.expect("a scope");
    assert_eq!(scope.prune_jobs(1).await.expect("pruned"), 1);
    assert_eq!(scope.prune_jobs(10).await.expect("pruned"), 1);
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    let kept = scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read");
    assert_eq!(kept.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), [jobs[3].lease.id.as_str()]);
    is_counted(store, &a).await;
}

async fn jobs_of_a_later_release_are_left_out(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let waiting = NewJob { start: JobStart::In(3_600_000), ..new_job("new", 3) };
    enqueue(store, &a, &[new_job("new", 1), new_job("resize", 2), waiting, new_job("resize", 4)])
        .await
        .expect("enqueued");
    for table in ["jobs", "waiting_jobs"] {
        let update = format!(
            "UPDATE {table} SET queue = 'shop/production/of-a-later-release/new', trigger = 'of-a-later-release' \
             WHERE name = 'new'"
        );
        sqlx::query(AssertSqlSafe(update)).execute(&store.pool).await.expect("changed");
    }
    let mut scope = store.read(&a).await.expect("a scope");
    let listed = scope.jobs(&JobFilter::default(), &AllowedServices::All, 2).await.expect("what is known is listed");
    let numbers: Vec<_> = listed.iter().map(|job| job.id.trim_start_matches('0')).collect();
    assert_eq!(numbers, ["4", "2"], "the page is full");
    assert_eq!(scope.job(&format!("{:026}", 1)).await.expect_err("unknown").code(), Code::NotFound);
}

async fn jobs_of_all_triggers_are_listed(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let triggers = [JobTrigger::Schedule, JobTrigger::Job, JobTrigger::Event, JobTrigger::Webhook];
    let of_trigger = |(number, trigger)| NewJob { queue: QueueId { trigger, ..queue("x") }, ..new_job("x", number) };
    let jobs: Vec<_> = (1..).zip(triggers).map(of_trigger).collect();
    enqueue(store, &a, &jobs).await.expect("enqueued");
    let mut scope = store.read(&a).await.expect("a scope");
    let listed = scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("listed");
    assert_eq!(listed.iter().rev().map(|job| job.queue.trigger).collect::<Vec<_>>(), triggers);
}

/// The tables of triggers with a tenant's rows.
const TABLES: [&str; 25] = [
    "schedules",
    "ticks",
    "jobs",
    "waiting_jobs",
    "finished_jobs",
    "job_keys",
    "job_dependencies",
    "ordering_keys",
    "job_counts",
    "queue_limits",
    "steps",
    "event_positions",
    "event_cursors",
    "event_segment_starts",
    "events_0",
    "events_1",
    "events_2",
    "events_3",
    "events_4",
    "events_5",
    "events_6",
    "events_7",
    "subscriptions",
    "outboxes",
    "outbox_receipts",
];

/// Puts a row into each of the tables.
async fn fill_each_table(store: &Store, tenant: &TenantId) {
    let id = service(tenant);
    let mut scope = store.write(tenant).await.expect("a scope");
    let schedule = NewSchedule { name: "nightly".to_owned(), config: json!({ "every": "1m" }), next_due: Some(1) };
    scope.put_schedules(&id, &[schedule]).await.expect("put");
    let subscription = NewSubscription { name: "paid".to_owned(), config: json!({ "type": "order.*" }) };
    scope.put_subscriptions(&id, &[subscription]).await.expect("put");
    scope.start_event_cursor("nats/out/all").await.expect("begun");
    let first = NewJob {
        key: Some(JobKey { key: "k".to_owned(), for_ms: KEEP_MS }),
        order: Some(JobOrder { key: "o".to_owned(), position: 1 }),
        ..new_job("first", 1)
    };
    let waiting = NewJob { after: vec![first.id.clone()], ..new_job("waiting", 2) };
    scope.enqueue_jobs(&[first, waiting, new_job("short", 3)], None).await.expect("enqueued");
    scope.use_outbox(&id).await.expect("remembered");
    scope.commit().await.expect("committed");
    for number in 0..EVENT_TABLES {
        let mut scope = store.write(tenant).await.expect("a scope");
        let event = new_event("order.paid", usize::try_from(number).expect("a number"));
        scope.publish_events(&[event], None).await.expect("published");
        scope.commit().await.expect("committed");
        let mut scope = store.host_write().await.expect("a scope");
        scope.begin_event_segment(0).await.expect("asked");
        scope.commit().await.expect("committed");
    }
    run(store, tenant, "short", done()).await;
    let first = claim(store, "me", LEASE_MS, share(tenant, "first", 1)).await;
    let mut scope = store.queue_write().await.expect("a scope");
    let step = Step { position: 0, name: "s".to_owned(), input_hash: "h".to_owned(), outcome: "1".to_owned() };
    let step = NewStep { lease: first[0].lease.clone(), step };
    assert_eq!(scope.append_steps("me", &[step]).await.expect("appended"), []);
    scope.lock_queue_limits(&[(tenant.clone(), queue("first"))]).await.expect("locked");
    assert_eq!(scope.take_receipts(tenant, &["handed over".to_owned()]).await.expect("taken"), [true]);
    let id = ScheduleId { service: id, name: "nightly".to_owned() };
    let tick = NewTick { due: 1, action: TickAction::Skip { reason: "late".to_owned() } };
    assert_eq!(scope.fire_schedule(&id, "me", &[tick], None, None).await.expect("recorded"), 1);
    scope.commit().await.expect("committed");
}

async fn count(store: &Store, table: &str) -> i64 {
    let select = format!("SELECT count(*) AS rows_there FROM {table}");
    let row = sqlx::query(AssertSqlSafe(select)).fetch_one(&store.pool).await.expect("read");
    get(&row, "rows_there").expect("a number")
}

async fn a_tenant_sees_only_its_own_triggers(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    fill_each_table(store, &a).await;
    let mut scope = store.write(&b).await.expect("a scope");
    assert_eq!(scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read"), []);
    assert_eq!(scope.job(&format!("{:026}", 1)).await.expect_err("another tenant's").code(), Code::NotFound);
    assert!(scope.cancel_job(&format!("{:026}", 1), "", 0).await.is_err());
    assert_eq!(scope.journal(&format!("{:026}", 1)).await.expect("read"), []);
    assert_eq!(scope.schedules(&AllowedServices::All).await.expect("read"), []);
    assert_eq!(scope.subscriptions(&AllowedServices::All).await.expect("read"), []);
    assert_eq!(scope.events(0, 10).await.expect("read"), []);
    assert_eq!(scope.trigger_use().await.expect("read"), TriggerUse::default());
    drop(scope);
    for table in TABLES {
        assert!(count(store, table).await > 0, "{table}");
        // PostgreSQL guards the rows also from a statement that forgets the tenant.
        if store.dialect == Dialect::Postgres {
            let mut scope = store.write(&b).await.expect("a scope");
            let delete = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *scope.tx).await;
            assert_eq!(delete.expect("it runs").rows_affected(), 0, "{table}");
        }
    }
    if store.dialect == Dialect::Postgres {
        let mut scope = store.write(&b).await.expect("a scope");
        let leases = sqlx::query("SELECT name FROM leases").fetch_all(&mut *scope.tx).await.expect("read");
        assert!(leases.is_empty(), "they are the host's own, but for those of processes that own workers");
        drop(scope);
        let insert = "INSERT INTO job_counts (tenant, slot, unfinished, bytes) VALUES ('a', 99, 5, 5)";
        let mut scope = store.write(&b).await.expect("a scope");
        assert!(sqlx::query(insert).execute(&mut *scope.tx).await.is_err(), "a row of another tenant");
    }
    // The same, as the tenant that they belong to.
    fill_each_table(store, &b).await;
}

async fn a_transaction_that_is_dropped_leaves_nothing(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    let first = NewJob {
        key: Some(JobKey { key: "k".to_owned(), for_ms: KEEP_MS }),
        order: Some(JobOrder { key: "o".to_owned(), position: 1 }),
        ..new_job("first", 1)
    };
    let waiting = NewJob { after: vec![first.id.clone()], ..new_job("waiting", 2) };
    scope.enqueue_jobs(&[first, waiting], None).await.expect("enqueued");
    scope.publish_events(&[new_event("order.paid", 1)], None).await.expect("published");
    let schedule = NewSchedule { name: "nightly".to_owned(), config: json!({}), next_due: Some(1) };
    scope.put_schedules(&service(&a), &[schedule]).await.expect("put");
    drop(scope);
    for table in TABLES {
        assert_eq!(count(store, table).await, 0, "{table}");
    }
}

on_both! {
    jobs_are_listed_by_filter_and_page
    a_page_of_the_jobs_of_some_services_is_full
    jobs_are_cancelled_before_and_while_they_run
    jobs_of_a_later_release_are_left_out
    jobs_of_all_triggers_are_listed
    dead_jobs_are_retried
    dead_jobs_are_discarded
    keys_that_are_discarded_and_taken_at_once_do_not_deadlock
    jobs_that_are_counted_in_parts_of_a_transaction_are_counted_in_one_row
    records_are_deleted_when_their_time_is_over
    a_tenant_sees_only_its_own_triggers
    a_transaction_that_is_dropped_leaves_nothing
}
