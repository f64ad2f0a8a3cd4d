//! The triggers of elias.toml as tests ask for them: the capability behind `clock` and `triggers` of `elias/test`. When
//! ticks are due, what subscriptions match and when runs are tried again is so decided by what serves the component.

use elias_delivery::clock::Now;
use elias_host::capability::pricing::{Payload, Price, size, size_of_state};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, wasmtime,
};
use elias_triggers::config::{InvalidTrigger, TRIGGERS_MAX, TriggersConfig};
use elias_triggers::duration::DurationText;
use elias_triggers::event::{Event, EventData, Filter, Transform, TypePattern};
use elias_triggers::queue::RetryPolicy;
use elias_triggers::schedule::Recurrence;
use serde_json::Value;
use std::sync::Arc;

/// The contract, and the name of its file.
pub(super) const WIT: &str = include_str!("triggers.wit");
pub(super) const WIT_FILE: &str = "triggers.wit";
/// The module of its functions, and these.
pub(super) const MODULE: &str = "elias-test:triggers/settings";
pub(super) const FUNCTIONS: &str = "deliveries, duration, matches, nextTicks, retryDelay";

/// Units of fuel of a question, of a schedule that is looked at, and of a byte of an event or a filter, which are read
/// as JSON.
const QUESTION: u64 = 10_000;
const SCHEDULE: u64 = 20_000;
const BYTE: u64 = 20;

/// Bytes of an event and a filter together. A test that gives more is ended.
const JSON_BYTES_MAX: u64 = 256 << 10;

/// The triggers of a project, for its tests. Cloning it is cheap.
#[derive(Clone)]
pub(super) struct TestTriggers(Arc<Settings>);

/// The enabled schedules and the subscriptions that are for handlers, compiled: workers do not run in a test.
pub(super) struct Settings {
    config: TriggersConfig,
    schedules: Vec<Schedule>,
    subscriptions: Vec<Subscription>,
}

struct Schedule {
    name: String,
    recurrence: Recurrence,
    /// A JSON text.
    input: String,
}

struct Subscription {
    name: String,
    pattern: TypePattern,
    filter: Filter,
    transform: Option<Transform>,
    retry: RetryPolicy,
    batch: u32,
}

/// `elias-test:triggers/settings.tick`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Tick {
    schedule: String,
    due: f64,
    input: String,
}

/// `elias-test:triggers/settings.delivery`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Delivery {
    subscription: String,
    event: String,
    batch: u32,
}

/// `elias-test:triggers/settings.handler`.
#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[cfg_attr(not(test), expect(dead_code, reason = "the derived Lift makes the variants of their numbers"))]
enum Handler {
    #[component(name = "job")]
    Job,
    #[component(name = "event")]
    Event,
}

impl Payload for Tick {
    fn units(&self) -> u64 {
        self.schedule.units() + self.input.units()
    }
}

impl Payload for Delivery {
    fn units(&self) -> u64 {
        self.subscription.units() + self.event.units()
    }
}

impl Payload for Handler {}

impl TestTriggers {
    /// The triggers of the table `[triggers]`.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(super) fn new(config: TriggersConfig) -> Result<Self, InvalidTrigger> {
        config.check()?;
        // A checked pattern can be compiled.
        let schedules = config.schedule.iter().filter(|schedule| schedule.enabled && schedule.worker.is_none());
        let schedules = schedules.filter_map(|one| {
            let input = one.input.clone().unwrap_or_default().to_string();
            Some(Schedule { name: one.name.clone(), recurrence: one.schedule().ok()?.recurrence, input })
        });
        let subscriptions = config.event.iter().filter(|one| one.worker.is_none()).filter_map(|one| {
            Some(Subscription {
                name: one.name(),
                pattern: one.pattern().ok()?,
                filter: one.filter().ok()?,
                transform: one.transform().ok()?,
                retry: one.retry.policy(),
                batch: one.batch.size,
            })
        });
        let (schedules, subscriptions) = (schedules.collect(), subscriptions.collect());
        Ok(Self(Arc::new(Settings { config, schedules, subscriptions })))
    }
}

impl Settings {
    fn next_ticks(&self, after: f64, until: f64) -> Vec<Tick> {
        let (after, until) = (at(after), at(until));
        let due = self.schedules.iter().filter_map(|schedule| {
            let due = schedule.recurrence.next_after(after).filter(|due| *due <= until)?;
            Some((schedule, due))
        });
        let due: Vec<(&Schedule, Now)> = due.collect();
        let first = due.iter().map(|(_, due)| *due).min();
        let tick = |(schedule, due): (&Schedule, Now)| Tick {
            schedule: schedule.name.clone(),
            due: due.unix_ms() as f64,
            input: schedule.input.clone(),
        };
        due.into_iter().filter(|(_, due)| Some(*due) == first).map(tick).collect()
    }

    fn retry_delay(&self, handler: Handler, name: &str, attempt: u32) -> Option<f64> {
        let policy = match handler {
            Handler::Job => self.config.jobs.get(name).cloned().unwrap_or_default().retry.policy(),
            Handler::Event => self.subscriptions.iter().find(|known| known.name == name)?.retry,
        };
        // The longest of the delays that jitter may come to: each test has the same.
        policy.delay(attempt, 1.0).map(|delay| delay.as_millis() as f64)
    }

    fn deliveries(&self, event: &str) -> Result<Vec<Delivery>, String> {
        let event = read(event)?;
        let matching = self.subscriptions.iter().filter(|subscription| {
            subscription.pattern.matches(&event.event_type) && subscription.filter.matches(&event)
        });
        let mut deliveries = Vec::new();
        for subscription in matching {
            let Subscription { name, batch, .. } = subscription;
            let transformed = match &subscription.transform {
                None => Some(event.clone()),
                Some(transform) => {
                    let data = transform.run(&event);
                    let data = data.map_err(|error| format!("the transformation of {name} failed: {error}"))?;
                    data.map(|data| Event { data: EventData::Json(data), ..event.clone() })
                }
            };
            deliveries.extend(transformed.map(|event| Delivery {
                subscription: name.clone(),
                event: event.to_json().to_string(),
                batch: *batch,
            }));
        }
        Ok(deliveries)
    }
}

fn at(time: f64) -> Now {
    Now::from_unix_ms(time.max(0.0) as u64)
}

fn read(event: &str) -> Result<Event, String> {
    let value: Value = serde_json::from_str(event).map_err(|error| error.to_string())?;
    Event::from_json(value).map_err(|error| error.to_string())
}

fn matches(event_type: &str, filter: &str, event: &str) -> bool {
    let Ok(event) = read(event) else { return false };
    let is_of_type = event_type.parse::<TypePattern>().is_ok_and(|pattern| pattern.matches(&event.event_type));
    let filter = serde_json::from_str(filter).ok().and_then(|table| Filter::parse(&table).ok());
    is_of_type && filter.is_some_and(|filter| filter.matches(&event))
}

type Store<'a> = StoreContextMut<'a, InstanceState>;

impl Capability for TestTriggers {
    type Grant = ();
    type Context = Arc<Settings>;

    fn name(&self) -> &'static str {
        "test-triggers"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &[MODULE]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let mut settings = linker.interface("elias-test:triggers/settings@0.1.0")?;
        let schedules =
            size_of_state("schedules", |state, _: &(f64, f64)| state.context::<Self>().schedules.len() as u64);
        settings.func(
            "next-ticks",
            Price::of(QUESTION).per(SCHEDULE, schedules.at_most(TRIGGERS_MAX as u64)),
            |mut store: Store<'_>, (after, until): (f64, f64)| {
                Ok((store.data_mut().context::<Self>().next_ticks(after, until),))
            },
        )?;
        settings.func(
            "retry-delay",
            Price::of(QUESTION),
            |mut store: Store<'_>, (handler, name, attempt): (Handler, String, u32)| {
                Ok((store.data_mut().context::<Self>().retry_delay(handler, &name, attempt),))
            },
        )?;
        let bytes = size("bytes of the event", |(event,): &(String,)| event.len() as u64);
        settings.func(
            "deliveries",
            Price::of(QUESTION).per(BYTE, bytes.at_most(JSON_BYTES_MAX)),
            |mut store: Store<'_>, (event,): (String,)| Ok((store.data_mut().context::<Self>().deliveries(&event),)),
        )?;
        let bytes = size("bytes of the filter and the event", |(_, filter, event): &(String, String, String)| {
            filter.len() as u64 + event.len() as u64
        });
        settings.func(
            "matches",
            Price::of(QUESTION).per(BYTE, bytes.at_most(JSON_BYTES_MAX)),
            |_: Store<'_>, (event_type, filter, event): (String, String, String)| {
                Ok((matches(&event_type, &filter, &event),))
            },
        )?;
        settings.func("duration", Price::of(QUESTION), |_: Store<'_>, (text,): (String,)| {
            let duration = text.parse::<DurationText>();
            Ok((duration.map(|duration| duration.as_millis() as f64).map_err(|error| error.to_string()),))
        })
    }

    async fn configure(&self, _: &ComponentInfo, _: Option<&Value>) -> Result<(), ConfigureError> {
        Ok(())
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) -> Arc<Settings> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(table: Value) -> Arc<Settings> {
        let config = serde_json::from_value(table).expect("the table's shape is right");
        TestTriggers::new(config).expect("it can be used").0
    }

    #[test]
    fn ticks_are_those_of_the_first_time() {
        let settings = settings(json!({ "schedule": [
            { "name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "input": { "full": true } },
            { "name": "often", "every": "1h" },
            { "name": "never", "every": "1s", "enabled": false },
            { "name": "report", "every": "1s", "worker": { "class": "Report", "name": "a" } },
        ] }));
        let next = |after, until| {
            let ticks = settings.next_ticks(after, until);
            ticks.into_iter().map(|tick| (tick.schedule, tick.due)).collect::<Vec<_>>()
        };
        // 2026-03-29: clocks are set forward at 01:00 UTC.
        let day = 1_774_742_400_000.0;
        let (nightly, often) = (("nightly".to_owned(), day + 3_600_000.0), ("often".to_owned(), day + 3_600_000.0));
        assert_eq!(next(day, day + 86_400_000.0), [nightly, often]);
        let inputs: Vec<_> = settings.next_ticks(day, day + 86_400_000.0).into_iter().map(|tick| tick.input).collect();
        assert_eq!(inputs, [r#"{"full":true}"#, "null"]);
        assert!(next(day, day + 3_599_999.0).is_empty());
        assert_eq!(next(day + 3_600_000.0, day + 7_200_000.0), [("often".to_owned(), day + 7_200_000.0)]);
    }

    #[test]
    fn events_go_to_the_subscriptions_that_match_and_runs_are_tried_again_as_the_table_says() {
        let retry = json!({ "attempts": 2, "first": "1m", "jitter": false });
        let settings = settings(json!({
            "event": [
                { "name": "large", "type": "order.*", "where": { "data.total": { "gte": 10 } }, "retry": retry },
                { "name": "total", "type": "order.paid", "transform": ".data.total", "batch": 3 },
                { "name": "carts", "type": "order.*", "worker": { "class": "Cart", "name": "{id}" } },
            ],
            "jobs": { "resize": { "retry": retry } },
        }));
        let event = |total| {
            let event = json!({
                "specversion": "1.0", "id": "1", "source": "test", "type": "order.paid", "data": { "total": total },
            });
            event.to_string()
        };
        let names = |total| {
            let deliveries = settings.deliveries(&event(total)).expect("they can be transformed");
            deliveries.into_iter().map(|delivery| delivery.subscription).collect::<Vec<_>>()
        };
        assert_eq!((names(10), names(9)), (vec!["large".to_owned(), "total".to_owned()], vec!["total".to_owned()]));
        let total = settings.deliveries(&event(9)).expect("they can be transformed").remove(0);
        assert_eq!(serde_json::from_str::<Value>(&total.event).expect("JSON")["data"], json!(9));
        assert_eq!(total.batch, 3);
        assert!(settings.deliveries("{}").is_err());
        assert!(matches("order.*", r#"{"data.total":[9]}"#, &event(9)) && !matches("order", "{}", &event(9)));
        let delay = |handler, name, attempt| settings.retry_delay(handler, name, attempt);
        assert_eq!(delay(Handler::Job, "resize", 1), Some(60_000.0));
        assert_eq!(delay(Handler::Event, "large", 2), None, "the attempts are used up");
        assert_eq!(delay(Handler::Job, "other", 2), Some(2_000.0), "the default");
    }
}
