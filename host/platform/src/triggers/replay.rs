//! Replays events of the log to a subscription, by selection. The deliveries are ordinary jobs that say who replayed
//! the event.

use super::deliver::{Compiled, cloud_event};
use elias_api::{Code, Error, EventRecord, ReplaySelection, Result};
use elias_store::{NewJob, SubscriptionId};
use elias_triggers::event::{Filter, TypePattern};
use serde_json::Value;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long events are matched at a time: what is left is for the next time.
const MATCH_MAX: Duration = Duration::from_secs(1);
/// Ids of a selection.
const IDS_MAX: usize = 1_000;

/// A selection of events for a subscription.
pub(crate) struct Replay {
    id: SubscriptionId,
    compiled: Compiled,
    ids: HashSet<String>,
    pattern: Option<TypePattern>,
    subject: Option<String>,
    filter: Option<Filter>,
    until: Option<i64>,
    version: Option<u32>,
    /// The actor who replays them.
    by: String,
}

/// The matches among some events.
#[derive(Default)]
pub(crate) struct ReplayPage {
    /// The deliveries.
    pub(crate) jobs: Vec<NewJob>,
    /// The position of the last event that was looked at.
    pub(crate) position: Option<u64>,
    /// Whether no later event is of the selection.
    pub(crate) is_over: bool,
}

impl Replay {
    /// A selection for a subscription with this configuration, asked for by `by`.
    ///
    /// # Errors
    /// `bad-input` for a selection that cannot be used; `internal` for a configuration that cannot be read.
    pub(crate) fn new(id: SubscriptionId, config: &Value, selection: &ReplaySelection, by: &str) -> Result<Self> {
        let bad = |message: String| Error::new(Code::BadInput, message);
        let ReplaySelection { until, ids, event_type, subject, filter, version, .. } = selection;
        if ids.len() > IDS_MAX {
            return Err(bad(format!("ids: must be at most {IDS_MAX}")));
        }
        if version.is_some() && config.get("worker").is_some() {
            let why = "a service worker runs in the version that serves";
            return Err(bad(format!("version: events for workers cannot be replayed with one: {why}")));
        }
        let pattern = event_type.as_deref().map(str::parse::<TypePattern>).transpose();
        let filter = (!filter.is_empty()).then(|| Filter::parse(filter)).transpose();
        Ok(Self {
            compiled: Compiled::new(config).map_err(|error| Error::new(Code::Internal, error))?,
            ids: ids.iter().cloned().collect(),
            pattern: pattern.map_err(|error| bad(format!("type: {error}")))?,
            subject: subject.clone(),
            filter: filter.map_err(|error| bad(format!("where: {error}")))?,
            until: *until,
            version: *version,
            by: by.to_owned(),
            id,
        })
    }

    /// The deliveries of these events, which follow one another in the log; at most `most`.
    pub(crate) fn deliveries(&self, events: &[EventRecord], most: usize) -> ReplayPage {
        let (began, mut page) = (Instant::now(), ReplayPage::default());
        for record in events {
            if page.jobs.len() >= most || (page.position.is_some() && began.elapsed() >= MATCH_MAX) {
                break;
            }
            if self.until.is_some_and(|until| record.published_at >= until) {
                page.is_over = true;
                break;
            }
            page.position = Some(record.position);
            page.jobs.extend(self.delivery(record));
        }
        page
    }

    /// The delivery of an event, if it is of the selection and for the subscription.
    fn delivery(&self, record: &EventRecord) -> Option<NewJob> {
        let is_selected = (self.ids.is_empty() || self.ids.contains(&record.id))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&record.event_type))
            && self.subject.as_ref().is_none_or(|subject| record.subject.as_ref() == Some(subject))
            && self.filter.as_ref().is_none_or(|filter| filter.matches(&cloud_event(record)));
        if !is_selected {
            return None;
        }
        let delivery = self.compiled.delivery(&self.id, record)?;
        Some(NewJob { replayed_by: Some(self.by.clone()), version: self.version, ..delivery })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::{Environment, ServiceId};
    use elias_store::JobOrder;
    use serde_json::json;

    fn record(position: u64, event_type: &str, subject: Option<&str>) -> EventRecord {
        EventRecord {
            position,
            id: format!("e{position}"),
            event_type: event_type.to_owned(),
            source: "/shop/production".to_owned(),
            subject: subject.map(str::to_owned),
            data: json!({ "total": position }).to_string(),
            time: 0,
            key: None,
            hops: 2,
            cause: None,
            published_at: i64::try_from(position).expect("small") * 10,
        }
    }

    fn replay(selection: Value) -> Result<Replay> {
        let service = ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        let id = SubscriptionId { service, name: "orders".to_owned() };
        let selection: ReplaySelection = serde_json::from_value(selection).expect("a selection");
        Replay::new(id, &json!({ "type": "order.*", "order": "subject" }), &selection, "ada")
    }

    fn delivered(selection: Value, most: usize) -> (Vec<u64>, Option<u64>, bool) {
        let events = [
            record(1, "order.paid", Some("a")),
            record(2, "user.made", Some("a")),
            record(3, "order.sent", Some("b")),
            record(4, "order.paid", None),
        ];
        let found = replay(selection).expect("it can be used").deliveries(&events, most);
        let total = |job: &NewJob| {
            let event: Value = serde_json::from_str(&job.input).expect("JSON");
            event["data"]["total"].as_u64().expect("a number")
        };
        (found.jobs.iter().map(total).collect(), found.position, found.is_over)
    }

    #[test]
    fn a_selection_narrows_what_the_subscription_gets() {
        assert_eq!(delivered(json!({}), 10), (vec![1, 3, 4], Some(4), false), "user.made is not for it");
        assert_eq!(delivered(json!({}), 2), (vec![1, 3], Some(3), false), "the rest begins behind the third");
        assert_eq!(delivered(json!({ "type": "*.paid" }), 10).0, [1, 4]);
        assert_eq!(delivered(json!({ "subject": "a" }), 10).0, [1]);
        assert_eq!(delivered(json!({ "ids": ["e2", "e3"] }), 10).0, [3]);
        assert_eq!(delivered(json!({ "where": { "data.total": { "gte": 3 } } }), 10).0, [3, 4]);
        assert_eq!(delivered(json!({ "until": 30 }), 10), (vec![1], Some(2), true));
    }

    #[test]
    fn a_replayed_delivery_says_so_and_keeps_its_turn() {
        let found =
            replay(json!({ "version": 7 })).expect("a replay").deliveries(&[record(5, "order.paid", Some("a"))], 1);
        let job = &found.jobs[0];
        assert_eq!((job.replayed_by.as_deref(), job.hops, job.version), (Some("ada"), 2, Some(7)));
        assert_eq!(job.order, Some(JobOrder { key: "a".to_owned(), position: 5 }));
    }

    #[test]
    fn events_for_a_worker_are_replayed_without_a_version() {
        let config = json!({ "type": "order.*", "worker": { "class": "Cart", "name": "{subject}" } });
        let new = |version: Option<u32>| {
            let selection = ReplaySelection { version, ..ReplaySelection::default() };
            Replay::new(replay(json!({})).expect("a replay").id, &config, &selection, "ada").map(drop)
        };
        assert!(new(None).is_ok());
        let error = new(Some(7)).expect_err("a worker has no former version");
        assert!(error.code() == Code::BadInput && error.to_string().starts_with("version: "), "{error}");
    }

    #[test]
    fn what_cannot_be_selected_is_refused_with_its_member() {
        for (selection, member) in [
            (json!({ "type": "a..b" }), "type: "),
            (json!({ "where": { "data.x": { "like": 1 } } }), "where: "),
            (json!({ "ids": vec!["e"; 1_001] }), "ids: "),
        ] {
            let error = replay(selection).err().expect("refused");
            assert!(error.code() == Code::BadInput && error.to_string().contains(member), "{error}");
        }
    }
}
