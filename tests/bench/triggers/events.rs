//! Events: how many are published durably a second, and how many are matched against subscriptions.

use super::Subject;
use crate::report::Report;
use elias_tests::tenant::Tenant;
use elias_triggers::event::{Event, EventData, Filter, PatternIndex, TypePattern};
use futures::future::join_all;
use http::Request;
use serde_json::json;
use std::time::{Duration, Instant};

/// Events of one transaction, and transactions.
const BATCH: u32 = 100;
const TRANSACTIONS: u32 = 300;
/// Clients of the API, and how long they publish.
const CLIENTS: usize = 4;
const PUBLISH_FOR: Duration = Duration::from_secs(5);
/// The filters that events are matched against, the number of events, and how often they are matched.
const SUBSCRIPTIONS: usize = 1_000;
const EVENTS: usize = 1_000;
const ROUNDS: usize = 100;

/// Events a second that a platform stores: by the statements alone, and through its API.
pub(super) async fn published(subject: &Subject<'_>, report: &mut Report) {
    let team = subject.platform.default_tenant();
    let bare = subject.queue(&team).publish(TRANSACTIONS, BATCH).await;
    let what = format!("events published, every commit synced, {}", subject.database);
    report.row(
        &format!("{what}: the store's statements, {BATCH} a commit"),
        &format!("{bare:.0}/s"),
        "15000/s",
        Some(bare >= 15_000.0),
    );
    let started = Instant::now();
    let clients = (0..CLIENTS).map(|client| publish_until(subject, &team, client, started + PUBLISH_FOR));
    let events: u64 = join_all(clients).await.into_iter().sum();
    let api = events as f64 / started.elapsed().as_secs_f64();
    report.row(
        &format!("{what}: `POST /v1/.../events`, {CLIENTS} clients, {BATCH} a request"),
        &format!("{api:.0}/s"),
        "15000/s",
        Some(api >= 15_000.0),
    );
}

/// Publishes batches of events by the API until a time; says how many.
async fn publish_until(subject: &Subject<'_>, team: &Tenant<'_>, client: usize, end: Instant) -> u64 {
    let mut published = 0;
    while Instant::now() < end {
        let event = |number: u32| {
            json!({
                "specversion": "1.0", "id": format!("{client}-{published}-{number}"), "type": "order.paid",
                "source": "/bench", "subject": "o-1", "data": { "total": 100, "country": "uz" },
            })
        };
        let batch: Vec<_> = (0..BATCH).map(event).collect();
        let request = Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/cloudevents-batch+json");
        let body = serde_json::to_string(&batch).expect("JSON");
        let answer = subject.platform.call(request, &team.path("/events"), body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        published += u64::from(BATCH);
    }
    published
}

/// Events a second that one thread matches against subscriptions of which few match.
pub(super) fn matching(report: &mut Report) {
    let subscription = |number: usize| {
        let (event_type, filter) = if number.is_multiple_of(100) {
            ("*.paid".to_owned(), json!({ "data.country": format!("c{number}") }))
        } else {
            (format!("area{number}.*"), json!({ "data.total": { "gte": 100 } }))
        };
        let pattern: TypePattern = event_type.parse().expect("a pattern");
        (pattern, Filter::parse(filter.as_object().expect("a table")).expect("a filter"))
    };
    let index: PatternIndex<Filter> = (0..SUBSCRIPTIONS).map(subscription).collect();
    let event = |number: usize| {
        let mut event = Event::new(number.to_string(), format!("area{number}.paid"), "/bench");
        event.data = EventData::Json(json!({ "total": number, "country": "c100" }));
        event
    };
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let (started, mut matched) = (Instant::now(), 0_usize);
    for _ in 0..ROUNDS {
        for event in std::hint::black_box(&events) {
            matched += index.matching(&event.event_type).filter(|filter| filter.matches(event)).count();
        }
    }
    let count = (EVENTS * ROUNDS) as f64;
    let (per_second, each) = (count / started.elapsed().as_secs_f64(), matched as f64 / count);
    report.row(
        &format!("events matched against {SUBSCRIPTIONS} subscriptions by one thread"),
        &format!("{per_second:.0}/s; each matches {each:.1}"),
        "100000/s",
        Some(per_second >= 100_000.0),
    );
}
