//! Schedules: each due time has one tick, whichever host is first.

use super::*;
use elias_api::TickOutcome;

fn new_schedule(name: &str, every: &str, next_due: Option<i64>) -> NewSchedule {
    NewSchedule { name: name.to_owned(), config: json!({ "every": every }), next_due }
}

fn schedule_id(tenant: &TenantId, name: &str) -> ScheduleId {
    ScheduleId { service: service(tenant), name: name.to_owned() }
}

async fn put(store: &Store, tenant: &TenantId, schedules: &[NewSchedule]) {
    let mut scope = store.write(tenant).await.expect("a scope");
    scope.put_schedules(&service(tenant), schedules).await.expect("put");
    scope.commit().await.expect("committed");
}

fn run_at(due: i64, number: usize) -> NewTick {
    let job = NewJob { queue: QueueId { trigger: JobTrigger::Schedule, ..queue("nightly") }, ..new_job("", number) };
    NewTick { due, action: TickAction::Run { job: Box::new(job), reason: None } }
}

async fn hosts_at_once_fire_a_due_time_once(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let future = store.host_read().await.expect("a scope").now().await.expect("a time") + 600_000;
    put(store, &a, &[new_schedule("nightly", "1m", Some(1_000)), new_schedule("later", "1m", Some(future))]).await;
    let hosts = (0..6).map(|host| {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move {
            let mut scope = store.host_write().await.expect("a scope");
            let due = scope.due_schedules(10).await.expect("read");
            let mut fired = 0;
            for DueSchedule { schedule, now, .. } in &due {
                assert!(schedule.name == "nightly" && *now > 1_000);
                let from = schedule.next_due;
                let next = NextDue { revision: schedule.revision, from, next_due: Some(future) };
                let tick = run_at(from.expect("it is due"), host);
                let id = schedule_id(&a, &schedule.name);
                fired += scope.fire_schedule(&id, &host.to_string(), &[tick], Some(next), None).await.expect("fired");
            }
            scope.commit().await.expect("committed");
            fired
        })
    });
    let mut fired = 0;
    for host in hosts.collect::<Vec<_>>() {
        fired += host.await.expect("no panic");
    }
    assert_eq!(fired, 1);
    let mut scope = store.read(&a).await.expect("a scope");
    let ticks = scope.ticks(&schedule_id(&a, "nightly"), None, 10).await.expect("read");
    assert_eq!((ticks.len(), ticks[0].due, ticks[0].outcome), (1, 1_000, TickOutcome::Run));
    assert!(ticks[0].fired_at > 1_000);
    let jobs = scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read");
    assert_eq!((jobs.len(), Some(&jobs[0].id)), (1, ticks[0].job.as_ref()));
    let schedule = scope.schedule(&schedule_id(&a, "nightly")).await.expect("it is there");
    assert_eq!((schedule.next_due, schedule.last_due), (Some(future), Some(1_000)));
}

async fn each_due_time_has_one_row_run_or_skipped(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    put(store, &a, &[new_schedule("nightly", "1m", Some(1_000))]).await;
    let id = schedule_id(&a, "nightly");
    let skip = |due| NewTick { due, action: TickAction::Skip { reason: "too late".to_owned() } };
    let next = NextDue { revision: 1, from: Some(1_000), next_due: Some(4_000) };
    let mut scope = store.host_write().await.expect("a scope");
    let ticks = [skip(1_000), skip(2_000), run_at(3_000, 1)];
    assert_eq!(scope.fire_schedule(&id, "me", &ticks, Some(next), None).await.expect("recorded"), 3);
    // Read before it was fired, before it was changed, and by hand.
    assert_eq!(scope.fire_schedule(&id, "me", &[run_at(1_500, 2)], Some(next), None).await.expect("refused"), 0);
    let stale = NextDue { revision: 7, from: Some(4_000), next_due: None };
    assert_eq!(scope.fire_schedule(&id, "me", &[run_at(4_000, 3)], Some(stale), None).await.expect("refused"), 0);
    assert_eq!(scope.fire_schedule(&id, "me", &[run_at(3_000, 4)], None, None).await.expect("there"), 0);
    assert_eq!(scope.fire_schedule(&id, "me", &[run_at(3_500, 5)], None, None).await.expect("recorded"), 1);
    assert_eq!(scope.schedule_ended(&id, JobState::Dead).await.expect("noted"), 1);
    assert_eq!(scope.schedule_ended(&id, JobState::Dead).await.expect("noted"), 2);
    let counts = scope.schedule_counts(2, 60_000).await.expect("counted");
    assert_eq!(counts.get(&a).map(|counts| counts.failing), Some(1));
    assert_eq!(scope.schedule_counts(3, 60_000).await.expect("counted").get(&a).map(|counts| counts.failing), Some(0));
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    let schedule = scope.schedule(&id).await.expect("it is there");
    assert_eq!((schedule.next_due, schedule.last_due, schedule.failures), (Some(4_000), Some(3_500), 2));
    assert_eq!(schedule.last_outcome.as_deref(), Some("dead"));
    let ticks = scope.ticks(&id, Some(3_500), 2).await.expect("read");
    assert_eq!(ticks.iter().map(|tick| tick.due).collect::<Vec<_>>(), [3_000, 2_000]);
    assert_eq!((ticks[1].outcome, ticks[1].reason.as_deref()), (TickOutcome::Skipped, Some("too late")));
    assert_eq!(scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read").len(), 2);
    drop(scope);
    let mut scope = store.host_write().await.expect("a scope");
    scope.schedule_ended(&id, JobState::Done).await.expect("noted");
    assert_eq!(scope.prune_ticks(i64::MAX, 3).await.expect("pruned"), 3);
    assert_eq!(scope.prune_ticks(i64::MAX, 3).await.expect("pruned"), 1);
    scope.commit().await.expect("committed");
    let schedule = store.read(&a).await.expect("a scope").schedule(&id).await.expect("it is there");
    assert_eq!(schedule.failures, 0);
}

async fn schedules_keep_their_state_when_a_service_changes(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    put(store, &a, &[new_schedule("stays", "1m", Some(1)), new_schedule("changes", "1m", Some(1))]).await;
    let (stays, changes) = (schedule_id(&a, "stays"), schedule_id(&a, "changes"));
    let mut scope = store.write(&a).await.expect("a scope");
    scope.pause_schedule(&changes).await.expect("paused");
    scope.commit().await.expect("committed");
    let new = [new_schedule("stays", "1m", Some(9)), new_schedule("changes", "2m", Some(9))];
    put(store, &a, &new).await;
    let mut scope = store.write(&a).await.expect("a scope");
    let all = scope.schedules_of(&service(&a)).await.expect("read");
    let all: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.revision, one.next_due, one.paused)).collect();
    assert_eq!(all, [("changes", 3, Some(9), true), ("stays", 1, Some(1), false)]);
    scope.resume_schedule(&changes, None).await.expect("resumed");
    assert_eq!(scope.pause_schedule(&schedule_id(&a, "none")).await.expect_err("none").code(), Code::NotFound);
    scope.commit().await.expect("committed");
    let mut scope = store.host_read().await.expect("a scope");
    let due = scope.due_schedules(10).await.expect("read");
    assert_eq!(due.iter().map(|due| due.schedule.name.as_str()).collect::<Vec<_>>(), ["stays"]);
    let unarmed = scope.unarmed_schedules(10).await.expect("read");
    assert_eq!(unarmed.iter().map(|due| due.schedule.name.as_str()).collect::<Vec<_>>(), ["changes"]);
    drop(scope);
    put(store, &a, &[]).await;
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.schedule(&stays).await.expect_err("it is gone").code(), Code::NotFound);
    assert_eq!(scope.schedules(&AllowedServices::All).await.expect("read"), []);
}

async fn those_who_change_several_schedules_at_once_take_turns(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let names = ["x", "y", "z"];
    put(store, &a, &names.map(|name| new_schedule(name, "1m", None))).await;
    let hosts = (0..6).map(|host| {
        let (store, mut ids) = (store.clone(), names.map(|name| schedule_id(&a, name)));
        if host % 2 == 0 {
            ids.reverse();
        }
        tokio::spawn(async move {
            for _ in 0..5 {
                let mut scope = store.queue_write().await.expect("a scope");
                scope.lock_schedules(&ids).await.expect("locked");
                for id in &ids {
                    scope.schedule_ended(id, JobState::Dead).await.expect("noted");
                }
                scope.commit().await.expect("committed");
            }
        })
    });
    for host in hosts.collect::<Vec<_>>() {
        host.await.expect("no panic");
    }
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.schedule(&schedule_id(&a, "y")).await.expect("it is there").failures, 30);
    drop(scope);
    store.queue_write().await.expect("a scope").lock_schedules(&[]).await.expect("nothing to lock");
}

async fn the_next_due_time_is_that_of_a_schedule_or_of_a_job(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let upcoming =
        async |after: i64| store.host_read().await.expect("a scope").upcoming_due(after).await.expect("read");
    let now = upcoming(0).await.now;
    assert_eq!(upcoming(now).await.due, None, "nothing waits");
    put(
        store,
        &a,
        &[
            new_schedule("past", "1m", Some(now - 5_000)),
            new_schedule("next", "1m", Some(now + 600_000)),
            new_schedule("paused", "1m", Some(now + 100_000)),
        ],
    )
    .await;
    let mut scope = store.write(&a).await.expect("a scope");
    scope.pause_schedule(&schedule_id(&a, "paused")).await.expect("paused");
    scope.commit().await.expect("committed");
    assert_eq!(upcoming(now).await.due, Some(now + 600_000), "what was due before is not upcoming");
    assert_eq!(upcoming(now - 6_000).await.due, Some(now - 5_000));
    let later = NewJob { start: JobStart::At(now + 300_000), ..new_job("later", 1) };
    enqueue(store, &a, &[new_job("at once", 2), later]).await.expect("enqueued");
    assert_eq!(upcoming(now).await.due, Some(now + 300_000));
}

on_both! {
    the_next_due_time_is_that_of_a_schedule_or_of_a_job
    those_who_change_several_schedules_at_once_take_turns
    hosts_at_once_fire_a_due_time_once
    each_due_time_has_one_row_run_or_skipped
    schedules_keep_their_state_when_a_service_changes
}
