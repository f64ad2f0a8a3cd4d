//! The settings of a subscription to events: `[[triggers.event]]`.

use super::batch::BatchConfig;
use super::check_name;
use super::error::{InvalidTrigger, Table};
use super::retry::RetryConfig;
use super::worker::WorkerTarget;
use crate::event::{Filter, InvalidFilter, InvalidPattern, InvalidTransform, Order, Transform, TypePattern};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A subscription of a component to events: its handler `event` is run for each, or `events` for several at once, or a
/// service worker gets each as a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubscriptionConfig {
    /// The name: 1 to 40 lower-case letters and digits, with single hyphens between them. From the type by default:
    /// `order-any` for `order.*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type of the events, or a pattern: `*` is one part, `**` any number of parts.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Conditions by path, of which all must hold: `{ "data.country" = ["uz", "ru"], "data.total" = { gte = 100 } }`.
    #[serde(rename = "where", default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub filter: Map<String, Value>,
    /// A jq expression that makes the event's data from the event; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// When a delivery that failed is retried.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Which events are delivered one after another: `none` (the default), `subject` or `all`.
    #[serde(default)]
    pub order: Order,
    /// The maximum number of events that a run is for: 1 to 100; 1 by default, which the handler `event` is given. With
    /// more the handler `events` is given those that are ready at the time. With a `wait`, as in
    /// `{ size = 50, wait = "2s" }`, an event waits that long for others, unless the batch is full before.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub batch: BatchConfig,
    /// The maximum number of concurrent runs: 1 to 1,000; 10 by default.
    #[serde(default = "concurrency")]
    pub concurrency: u32,
    /// The service worker that gets the events in the place of the handler `event`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerTarget>,
}

pub(super) fn concurrency() -> u32 {
    10
}

impl SubscriptionConfig {
    /// The name, or the one that follows from the type.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| name_of_type(&self.event_type))
    }

    /// The pattern of the events' types.
    ///
    /// # Errors
    /// A text that is not a pattern.
    pub fn pattern(&self) -> Result<TypePattern, InvalidPattern> {
        self.event_type.parse()
    }

    /// The filter.
    ///
    /// # Errors
    /// A condition that cannot be used.
    pub fn filter(&self) -> Result<Filter, InvalidFilter> {
        Filter::parse(&self.filter)
    }

    /// The transformation, if there is one.
    ///
    /// # Errors
    /// An expression that cannot be compiled.
    pub fn transform(&self) -> Result<Option<Transform>, InvalidTransform> {
        self.transform.as_deref().map(Transform::compile).transpose()
    }

    pub(super) fn check(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        self.pattern().map_err(|error| table.error("type", error))?;
        check_name(&self.name()).map_err(|what| table.error("name", format!("must be another: {what}")))?;
        self.filter().map_err(|error| table.error("where", format!("cannot be used: {error}")))?;
        self.transform().map_err(|error| table.error("transform", error))?;
        self.retry.check(table)?;
        self.batch.check(table)?;
        if self.batch.size > 1 && self.order == Order::All {
            return Err(
                table.error("batch", "has no effect with order = \"all\": each event waits for the one before it")
            );
        }
        if let Some(worker) = &self.worker {
            worker.check_for_event(table)?;
            if self.batch.size > 1 {
                return Err(table.error("batch", "must not stand beside `worker`: a worker gets one event at a time"));
            }
        }
        table.within("concurrency", self.concurrency, 1..=1_000)
    }
}

/// A name from a type or pattern: `order-any` from `order.*`, `order-all` from `order.**`.
pub(super) fn name_of_type(event_type: &str) -> String {
    let spelled = event_type.replace("**", "all").replace('*', "any").to_ascii_lowercase();
    let words = spelled.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}
