//! Events, and the subscriptions that see them.

use super::*;

pub(in crate::tests) fn new_event(event_type: &str, number: usize) -> NewEvent {
    NewEvent {
        id: format!("event {number}"),
        event_type: event_type.to_owned(),
        source: "/shop".to_owned(),
        subject: None,
        data: "{}".to_owned(),
        time: 1,
        key: None,
        hops: 0,
        cause: None,
    }
}

/// An event with so many bytes of data.
pub(super) fn sized_event(number: usize, bytes: usize) -> NewEvent {
    NewEvent { data: format!("\"{}\"", "x".repeat(bytes - 2)), ..new_event("x", number) }
}

async fn publish(store: &Store, tenant: &TenantId, events: &[NewEvent]) -> Vec<PublishedEvent> {
    let mut scope = store.write(tenant).await.expect("a scope");
    let published = scope.publish_events(events, None).await.expect("published");
    scope.commit().await.expect("committed");
    published
}

async fn events_are_read_in_the_order_of_their_commits(TestStore { store, .. }: &TestStore) {
    const EACH: usize = 20;
    let a = create_tenant(store, "a").await;
    let publishers = (0..4).map(|publisher| {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move {
            for number in 0..EACH {
                publish(&store, &a, &[new_event("x", publisher), new_event("y", number)]).await;
            }
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let (mut cursor, mut seen) = (0, 0);
    for _ in 0..10_000 {
        let events = store.read(&a).await.expect("a scope").events(cursor, 7).await.expect("read");
        assert!(events.iter().zip(cursor + 1..).all(|(event, position)| event.position == position), "no gap");
        seen += events.len();
        cursor = events.last().map_or(cursor, |event| event.position);
        if seen == 4 * EACH * 2 {
            break;
        }
        later().await;
    }
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    assert_eq!(seen, 4 * EACH * 2);
    assert_eq!(store.host_read().await.expect("a scope").last_events().await.expect("read")[&a], cursor);
}

async fn a_reader_begins_with_the_next_event_and_moves_on(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    publish(store, &a, &[new_event("x", 1), new_event("x", 2)]).await;
    let mut scope = store.write(&a).await.expect("a scope");
    assert_eq!(scope.event_cursor("nats/out/all").await.expect("read"), None);
    scope.start_event_cursor("nats/out/all").await.expect("begun");
    scope.advance_event_cursor("nats/out/all", 2, 5).await.expect("moved");
    scope.start_event_cursor("nats/out/all").await.expect("begun before");
    scope.advance_event_cursor("nats/out/all", 2, 9).await.expect("it is not there any more");
    assert_eq!(scope.event_cursor("nats/out/all").await.expect("read"), Some(5));
    assert_eq!(scope.event_cursor("nats/out/other").await.expect("read"), None);
    scope.commit().await.expect("committed");
}

async fn a_key_has_one_event_and_a_day_has_a_quota(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let keyed = |number| NewEvent { key: Some("order 7".to_owned()), ..new_event("order.paid", number) };
    let published = publish(store, &a, &[keyed(1), new_event("x", 2), keyed(3)]).await;
    assert_eq!((published[0].position, published[0].is_known), (1, false));
    assert_eq!(published[2], PublishedEvent { position: 1, id: "event 1".to_owned(), is_known: true });
    let again = publish(store, &a, &[keyed(4)]).await;
    assert_eq!((again[0].position, again[0].id.as_str(), again[0].is_known), (1, "event 1", true));
    let mut scope = store.read(&a).await.expect("a scope");
    let events = scope.events(0, 10).await.expect("read");
    assert_eq!(events.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["event 1", "event 2"]);
    assert_eq!((events[0].event_type.as_str(), events[0].key.as_deref()), ("order.paid", Some("order 7")));
    drop(scope);
    let mut scope = store.write(&a).await.expect("a scope");
    let two = Quotas { events_per_day: 2, ..Quotas::default() };
    scope.publish_events(&[new_event("x", 5), keyed(6)], Some(&two)).await.expect("those before had no quota");
    scope.publish_events(&[new_event("x", 7)], None).await.expect("nor has this one");
    let over = scope.publish_events(&[new_event("x", 8)], Some(&two)).await.expect_err("the third");
    assert_eq!(over.code(), Code::QuotaExceeded);
    assert!(
        over.to_string().contains("the quota `events-per-day` of tenant a is 2: 2 are in use, and 1 more"),
        "{over}"
    );
}

async fn hide(store: &Store, tenant: &TenantId, before_ms: i64) -> bool {
    let mut scope = store.host_write().await.expect("a scope");
    let hidden = scope.hide_events(tenant, before_ms).await.expect("hidden");
    scope.commit().await.expect("committed");
    hidden
}

async fn time_between(store: &Store) -> i64 {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let time = store.host_read().await.expect("a scope").now().await.expect("a time");
    tokio::time::sleep(Duration::from_millis(20)).await;
    time
}

async fn the_data_of_events_have_a_quota_of_bytes_until_they_are_hidden(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let keyed = |number| NewEvent { key: Some("k".to_owned()), ..sized_event(number, 10) };
    publish(store, &a, &[keyed(1), keyed(2), sized_event(3, 20)]).await;
    assert_eq!(used_bytes(store, &a).await, 30, "an event that was there before does not count");
    let first = time_between(store).await;
    publish(store, &a, &[sized_event(4, 30)]).await;
    let second = time_between(store).await;
    assert!(begin_segment(store, 0).await);
    publish(store, &b, &[sized_event(1, 1_000)]).await;
    publish(store, &a, &[keyed(5), sized_event(6, 15), sized_event(7, 5)]).await;
    assert_eq!(used_bytes(store, &a).await, 80);
    let quotas = Quotas { trigger_bytes: 85, ..Quotas::default() };
    let mut scope = store.write(&a).await.expect("a scope");
    let over = scope.publish_events(&[sized_event(8, 6)], Some(&quotas)).await.expect_err("over it");
    assert_eq!(over.code(), Code::QuotaExceeded);
    let told = "the quota `trigger-bytes` of tenant a is 85: 80 are in use, and 6 more";
    assert!(over.to_string().contains(told), "{over}");
    drop(scope);
    let mut scope = store.write(&a).await.expect("a scope");
    scope.publish_events(&[keyed(9)], Some(&quotas)).await.expect("it is there");
    scope.publish_events(&[sized_event(8, 5)], Some(&quotas)).await.expect("within the quota");
    drop(scope);
    is_counted(store, &a).await;
    // Hidden are a part of a segment, its rest, and what is in the next one.
    assert!(hide(store, &a, first).await);
    assert_eq!(used_bytes(store, &a).await, 50);
    is_counted(store, &a).await;
    assert!(hide(store, &a, second).await);
    assert_eq!(used_bytes(store, &a).await, 20);
    assert!(empty_segment(store, 0).await);
    assert_eq!(used_bytes(store, &a).await, 20, "it had nothing that was counted");
    publish(store, &a, &[keyed(10)]).await;
    assert_eq!(used_bytes(store, &a).await, 30);
    is_counted(store, &a).await;
    assert!(hide(store, &a, i64::MAX).await);
    assert!(!hide(store, &a, i64::MAX).await);
    assert_eq!((used_bytes(store, &a).await, used_bytes(store, &b).await), (0, 1_000));
}

async fn bytes_of_segments_that_are_emptied_before_they_are_hidden_are_given_back(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    publish(store, &a, &[sized_event(1, 10), sized_event(2, 20)]).await;
    publish(store, &b, &[sized_event(1, 40)]).await;
    assert!(begin_segment(store, 0).await);
    publish(store, &a, &[sized_event(3, 5)]).await;
    let middle = time_between(store).await;
    publish(store, &a, &[sized_event(4, 7)]).await;
    assert!(empty_segment(store, 0).await);
    assert!(hide(store, &a, middle).await && hide(store, &b, middle).await);
    assert_eq!((used_bytes(store, &a).await, used_bytes(store, &b).await), (7, 0));
    is_counted(store, &a).await;
}

async fn tenants_keep_events_as_long_as_they_are_set_to(TestStore { store, .. }: &TestStore) {
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    create_tenant(store, "c").await;
    let mut settings = TenantSettings::default();
    settings.quotas.event_retention = 30;
    let mut scope = store.write(&b).await.expect("a scope");
    scope.set_tenant(&settings, None, &Actor::host()).await.expect("set");
    settings.quotas.event_retention = 31;
    assert_eq!(scope.set_tenant(&settings, None, &Actor::host()).await.expect_err("too long").code(), Code::BadInput);
    scope.commit().await.expect("committed");
    for tenant in [&a, &b] {
        publish(store, tenant, &[new_event("x", 1)]).await;
    }
    let retentions = store.host_read().await.expect("a scope").event_retentions().await.expect("read");
    assert_eq!(retentions, std::collections::HashMap::from([(a, 7), (b, 30)]), "one without events keeps none");
}

async fn old_events_are_hidden(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    publish(store, &a, &(0..10).map(|number| new_event("x", number)).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let middle = store.host_read().await.expect("a scope").now().await.expect("a time");
    tokio::time::sleep(Duration::from_millis(20)).await;
    publish(store, &a, &(10..15).map(|number| new_event("x", number)).collect::<Vec<_>>()).await;
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.events_since(middle).await.expect("read"), 10);
    assert_eq!(
        (scope.events_since(0).await.expect("read"), scope.events_since(i64::MAX).await.expect("read")),
        (0, 15)
    );
    drop(scope);
    let mut scope = store.host_write().await.expect("a scope");
    assert!(scope.hide_events(&a, middle).await.expect("hidden"));
    assert!(!scope.hide_events(&a, middle).await.expect("hidden"), "there are none any more");
    assert!(!scope.hide_events(&tenant("nobody"), middle).await.expect("hidden"), "it never published any");
    scope.commit().await.expect("committed");
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.events(0, 10).await.expect("read")[0].position, 11);
    assert_eq!(scope.events_since(0).await.expect("read"), 10);
    drop(scope);
    let mut scope = store.host_write().await.expect("a scope");
    assert!(scope.hide_events(&a, i64::MAX).await.expect("hidden"));
    assert_eq!(scope.events(&a, 0, 10).await.expect("read"), []);
    assert_eq!(scope.last_events().await.expect("read")[&a], 15, "what comes next has the next position");
}

async fn begin_segment(store: &Store, span_ms: u64) -> bool {
    let mut scope = store.host_write().await.expect("a scope");
    let begun = scope.begin_event_segment(span_ms).await.expect("asked");
    scope.commit().await.expect("committed");
    begun
}

async fn empty_segment(store: &Store, kept_ms: u64) -> bool {
    let mut scope = store.host_write().await.expect("a scope");
    let emptied = scope.empty_event_segment(kept_ms).await.expect("asked");
    scope.commit().await.expect("committed");
    emptied
}

/// How many segments are in use.
async fn segments(store: &Store) -> u64 {
    store.host_read().await.expect("a scope").event_segments(0).await.expect("read").0
}

/// The positions of all events of a tenant, read in pages.
async fn positions(store: &Store, tenant: &TenantId, page: u32) -> Vec<u64> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let events = store.read(tenant).await.expect("a scope").events(cursor, page).await.expect("read");
        assert!(events.len() <= page as usize);
        let Some(last) = events.last() else { return all };
        cursor = last.position;
        all.extend(events.iter().map(|event| event.position));
    }
}

async fn segments_follow_each_other_and_are_emptied_as_a_whole(TestStore { store, .. }: &TestStore) {
    const HOUR_MS: u64 = 3_600_000;
    let (a, b) = (create_tenant(store, "a").await, create_tenant(store, "b").await);
    let keyed = |key: usize| NewEvent { key: Some(format!("k{key}")), ..new_event("x", key) };
    publish(store, &b, &[new_event("x", 0)]).await;
    assert!(!empty_segment(store, 0).await, "new events go there");
    for segment in 0..8 {
        publish(store, &a, &[keyed(segment), new_event("x", 1), new_event("x", 2)]).await;
        // The first segment of a new store began long ago.
        assert_eq!(begin_segment(store, HOUR_MS).await, segment == 0, "{segment}");
        if segment > 0 {
            assert_eq!(begin_segment(store, 0).await, segment < 7, "there are eight tables");
        }
    }
    let all: Vec<u64> = (1..=24).collect();
    for page in [1, 5, 24, 100] {
        assert_eq!(positions(store, &a, page).await, all, "pages of {page}");
    }
    assert_eq!(positions(store, &b, 10).await, [1]);
    let again = publish(store, &a, &(0..8).map(keyed).collect::<Vec<_>>()).await;
    assert!(again.iter().all(|event| event.is_known), "a key is unique in all segments");
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(
        scope.events(17, 2).await.expect("read").iter().map(|event| event.position).collect::<Vec<_>>(),
        [18, 19]
    );
    assert_eq!(scope.events_since(0).await.expect("read"), 0);
    assert_eq!(scope.events_since(i64::MAX).await.expect("read"), 24);
    drop(scope);

    assert!(!empty_segment(store, HOUR_MS).await, "its events are kept");
    let hosts: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { u64::from(empty_segment(&store, 0).await) })
        })
        .collect();
    let mut emptied = 0;
    for host in hosts {
        emptied += host.await.expect("no panic");
    }
    assert!(emptied > 0);
    assert_eq!(segments(store).await, 8 - emptied, "none is emptied twice");
    while segments(store).await > 4 {
        assert!(empty_segment(store, 0).await);
    }
    assert_eq!(positions(store, &a, 5).await, (13..=24).collect::<Vec<u64>>());
    assert!(positions(store, &b, 5).await.is_empty());
    // A table is used again, and a key that was in it.
    assert!(begin_segment(store, 0).await);
    let published = publish(store, &a, &[keyed(0), keyed(6)]).await;
    assert_eq!((published[0].position, published[0].is_known, published[1].is_known), (33, false, true));
    assert_eq!(publish(store, &b, &[new_event("x", 1)]).await[0].position, 2, "positions go on");
    assert_eq!(positions(store, &a, 5).await, (13..=24).chain([33]).collect::<Vec<u64>>());
    assert_eq!(positions(store, &b, 5).await, [2]);
    while empty_segment(store, 0).await {}
    assert_eq!(positions(store, &a, 5).await, [33], "the latest segment stays");
}

async fn one_host_begins_the_next_segment(TestStore { store, .. }: &TestStore) {
    // The first one of a new store began at an unknown time, long ago.
    let hosts: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { usize::from(begin_segment(&store, 3_600_000).await) })
        })
        .collect();
    let mut begun = 0;
    for host in hosts {
        begun += host.await.expect("no panic");
    }
    assert_eq!(begun, 1);
}

async fn a_cursor_moves_with_the_deliveries_or_not_at_all(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    publish(store, &a, &[new_event("x", 1)]).await;
    let paid = |event_type: &str| NewSubscription { name: "paid".to_owned(), config: json!({ "type": event_type }) };
    let put = async |subscriptions: &[NewSubscription]| {
        let mut scope = store.write(&a).await.expect("a scope");
        scope.put_subscriptions(&service(&a), subscriptions).await.expect("put");
        scope.commit().await.expect("committed");
    };
    put(&[paid("order.*")]).await;
    let id = SubscriptionId { service: service(&a), name: "paid".to_owned() };
    let mut scope = store.host_read().await.expect("a scope");
    assert_eq!(scope.pending_subscriptions().await.expect("read"), [], "it begins with the next event");
    drop(scope);
    publish(store, &a, &[new_event("x", 2), new_event("x", 3)]).await;
    let mut scope = store.host_read().await.expect("a scope");
    let pending = scope.pending_subscriptions().await.expect("read");
    assert_eq!((pending.len(), pending[0].subscription.cursor, pending[0].last), (1, 1, 3));
    drop(scope);

    let hosts = (0..4).map(|number| {
        let (store, a, id) = (store.clone(), a.clone(), id.clone());
        tokio::spawn(async move {
            let mut scope = store.queue_write().await.expect("a scope");
            let moved = scope.advance_cursor(&id, 1, 1, 3).await.expect("asked");
            if moved {
                let queue = QueueId { trigger: JobTrigger::Event, ..queue("paid") };
                let delivery = NewJob { queue, ..new_job("", number) };
                scope.enqueue_jobs(&a, &[delivery], None).await.expect("enqueued");
                scope.commit().await.expect("committed");
            }
            usize::from(moved)
        })
    });
    let mut moved = 0;
    for host in hosts.collect::<Vec<_>>() {
        moved += host.await.expect("no panic");
    }
    assert_eq!(moved, 1);
    let mut scope = store.write(&a).await.expect("a scope");
    assert_eq!(scope.jobs(&JobFilter::default(), &AllowedServices::All, 10).await.expect("read").len(), 1);
    scope.set_cursor(&id, 0).await.expect("for a replay");
    scope.set_subscription_paused(&id, true).await.expect("paused");
    scope.commit().await.expect("committed");
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.pending_subscriptions().await.expect("read"), [], "it is paused");
    assert!(!scope.advance_cursor(&id, 3, 0, 3).await.expect("asked"), "it is paused");
    drop(scope);
    put(&[paid("invoice.*")]).await;
    let mut scope = store.read(&a).await.expect("a scope");
    let changed = scope.subscription(&id).await.expect("it is there");
    assert_eq!((changed.revision, changed.cursor, changed.paused), (4, 0, true));
    drop(scope);
    put(&[]).await;
    let mut scope = store.read(&a).await.expect("a scope");
    assert_eq!(scope.subscription(&id).await.expect_err("it is gone").code(), Code::NotFound);
}

async fn who_has_waited_to_publish_is_later_and_of_no_day_before(TestStore { store, .. }: &TestStore) {
    let a = create_tenant(store, "a").await;
    let mut scope = store.write(&a).await.expect("a scope");
    scope.publish_events(&[new_event("x", 1)], Some(&Quotas::default())).await.expect("published");
    let waiting = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { publish(&store, &a, &[new_event("x", 2)]).await })
    };
    let committed_at = time_between(store).await;
    scope.commit().await.expect("committed");
    waiting.await.expect("no panic");
    let events = store.read(&a).await.expect("a scope").events(0, 10).await.expect("read");
    assert!(events[0].published_at <= committed_at && committed_at <= events[1].published_at, "{events:?}");

    // As if midnight had passed for one that was faster.
    let mut scope = store.write(&a).await.expect("a scope");
    let query = scope.query("UPDATE event_positions SET day = day + 1 WHERE tenant = $1");
    scope.run(query).await.expect("updated");
    scope.commit().await.expect("committed");
    let most = |events_per_day| Quotas { events_per_day, ..Quotas::default() };
    let mut scope = store.write(&a).await.expect("a scope");
    let refused = scope.publish_events(&[new_event("x", 3)], Some(&most(1))).await;
    assert_eq!(refused.expect_err("one was published").code(), Code::QuotaExceeded);
    drop(scope);
    let mut scope = store.write(&a).await.expect("a scope");
    scope.publish_events(&[new_event("x", 3)], Some(&most(2))).await.expect("published");
    // As if a clock had been far ahead.
    let query = scope.query("UPDATE event_positions SET day = day + 9 WHERE tenant = $1");
    scope.run(query).await.expect("updated");
    scope.publish_events(&[new_event("x", 4)], Some(&most(1))).await.expect("a new day");
}

on_both! {
    who_has_waited_to_publish_is_later_and_of_no_day_before
    events_are_read_in_the_order_of_their_commits
    a_reader_begins_with_the_next_event_and_moves_on
    a_key_has_one_event_and_a_day_has_a_quota
    the_data_of_events_have_a_quota_of_bytes_until_they_are_hidden
    bytes_of_segments_that_are_emptied_before_they_are_hidden_are_given_back
    tenants_keep_events_as_long_as_they_are_set_to
    old_events_are_hidden
    segments_follow_each_other_and_are_emptied_as_a_whole
    one_host_begins_the_next_segment
    a_cursor_moves_with_the_deliveries_or_not_at_all
}
