//! The service worker that a schedule or a subscription is for: `worker` of `[[triggers.schedule]]` and
//! `[[triggers.event]]`.

use super::TriggersConfig;
use super::error::{InvalidTrigger, Table};
use crate::event::EventPath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Characters of the name of a class, a worker or a method, as JavaScript counts them: what service workers take.
const NAME_CHARACTERS_MAX: usize = 256;
/// The most parameters and texts that a name is made of.
const NAME_PARTS_MAX: usize = 16;

/// A service worker that a trigger sends a message to, in the place of the component's handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkerTarget {
    /// The worker's class, which the component exports.
    pub class: String,
    /// The worker's name. For an event, of texts and of its attributes and data in braces: `{subject}`, `{type}`,
    /// `{source}`, `{data.cart.id}`.
    pub name: String,
    /// The method that is called with the event or the tick; `onMessage` gets it by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// A message to a service worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerMessage {
    /// The worker's class.
    pub class: String,
    /// The worker's name.
    pub name: String,
    /// The method; none for `onMessage`.
    pub method: Option<String>,
    /// The message; with a method, the list of its arguments.
    pub value: Value,
}

/// A part of a worker's name.
enum NamePart {
    Text(String),
    Event(EventPath),
}

impl WorkerTarget {
    /// The message that an event, in the JSON format of CloudEvents, is to its worker.
    ///
    /// # Errors
    /// Why the event has no worker: an attribute or a member of the data that the name is made of is not there, or is
    /// neither a text nor an integer, or the name would be empty or too long.
    pub fn message_of_event(&self, event: &Map<String, Value>) -> Result<WorkerMessage, String> {
        let mut name = String::new();
        for part in name_parts(&self.name)? {
            match part {
                NamePart::Text(text) => name.push_str(&text),
                NamePart::Event(path) => match path.value_in(event) {
                    Some(Value::String(text)) => name.push_str(text),
                    Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                        name.push_str(&number.to_string());
                    }
                    _ => return Err(format!("the event has no text and no integer for the worker `{}`", self.name)),
                },
            }
        }
        if !is_name(&name) {
            return Err(format!("the name of the worker `{}` {}", self.name, name_bounds()));
        }
        Ok(self.message(name, Value::Object(event.clone())))
    }

    /// The message that a tick, in JSON, is to its worker.
    #[must_use]
    pub fn message_of_tick(&self, tick: Value) -> WorkerMessage {
        self.message(self.name.clone(), tick)
    }

    fn message(&self, name: String, value: Value) -> WorkerMessage {
        let value = if self.method.is_some() { json!([value]) } else { value };
        WorkerMessage { class: self.class.clone(), name, method: self.method.clone(), value }
    }

    /// Checks a target of events.
    pub(super) fn check_for_event(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        self.check_names(table)?;
        name_parts(&self.name).map_err(|what| table.error("worker.name", what))?;
        Ok(())
    }

    /// Checks a target of ticks, which have nothing that its name could be made of.
    pub(super) fn check_for_schedule(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        self.check_names(table)?;
        if self.name.contains(['{', '}']) {
            return Err(table.error("worker.name", "must have no braces: a tick has nothing to make a name of"));
        }
        if !is_name(&self.name) {
            return Err(table.error("worker.name", name_bounds()));
        }
        Ok(())
    }

    fn check_names(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        let method = self.method.as_deref().map(|method| ("worker.method", method));
        for (key, name) in [("worker.class", self.class.as_str())].into_iter().chain(method) {
            if !is_name(name) {
                return Err(table.error(key, name_bounds()));
            }
        }
        Ok(())
    }
}

impl TriggersConfig {
    /// Checks that the component exports the classes of the workers that its triggers are for.
    pub(super) fn check_classes(&self, classes: &[String]) -> Result<(), InvalidTrigger> {
        let schedules = self.schedule.iter().map(|schedule| ("schedule", schedule.worker.as_ref())).enumerate();
        let subscriptions = self.event.iter().map(|subscription| ("event", subscription.worker.as_ref())).enumerate();
        for (position, (kind, worker)) in schedules.chain(subscriptions) {
            let Some(WorkerTarget { class, .. }) = worker else { continue };
            if !classes.contains(class) {
                let what = format!(
                    "is `{0}`, and the component exports no worker class of this name; add it to the entry module: \
                     export class {0} extends worker.Worker {{ }}",
                    class.escape_debug()
                );
                return Err(InvalidTrigger::new(format!("triggers.{kind}[{position}].worker.class"), what));
            }
        }
        Ok(())
    }
}

/// Reads the pattern of a name: texts, and paths into the event in braces.
fn name_parts(pattern: &str) -> Result<Vec<NamePart>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (text, parameter) = rest.split_once('{').map_or((rest, None), |(text, after)| (text, Some(after)));
        if text.contains('}') {
            return Err("has a `}` without a `{`".to_owned());
        }
        if !text.is_empty() {
            parts.push(NamePart::Text(text.to_owned()));
        }
        let Some(parameter) = parameter else { break };
        let (path, after) = parameter.split_once('}').ok_or("has a `{` without a `}`")?;
        let path = EventPath::parse(path).map_err(|what| format!("has `{{{}}}`, which {what}", path.escape_debug()))?;
        parts.push(NamePart::Event(path));
        rest = after;
    }
    if parts.is_empty() || parts.len() > NAME_PARTS_MAX {
        return Err(format!("must have from 1 to {NAME_PARTS_MAX} texts and parameters"));
    }
    let texts = parts.iter().map(|part| if let NamePart::Text(text) = part { characters(text) } else { 0 });
    if texts.sum::<usize>() > NAME_CHARACTERS_MAX {
        return Err(format!("must have at most {NAME_CHARACTERS_MAX} characters"));
    }
    Ok(parts)
}

fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX).contains(&characters(text))
}

fn name_bounds() -> String {
    format!("must have from 1 to {NAME_CHARACTERS_MAX} characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> WorkerTarget {
        WorkerTarget { class: "Cart".to_owned(), name: name.to_owned(), method: None }
    }

    fn event() -> Map<String, Value> {
        let event = json!({
            "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/shop", "subject": "user-42",
            "data": { "cart": 7, "total": 9.5, "empty": "", "long": "x".repeat(257), "items": [{ "sku": "A1" }] },
        });
        let Value::Object(event) = event else { panic!("an object") };
        event
    }

    #[test]
    fn the_name_of_a_worker_is_made_of_the_event() {
        for (pattern, name) in [
            ("{subject}", "user-42"),
            ("carts/{data.cart}", "carts/7"),
            ("{type}:{source}:{data.items.0.sku}!", "order.paid:/shop:A1!"),
            ("the-only-one", "the-only-one"),
        ] {
            let message = target(pattern).message_of_event(&event()).expect(pattern);
            assert_eq!((message.class.as_str(), message.name.as_str()), ("Cart", name));
            assert_eq!((message.method, message.value), (None, Value::Object(event())));
        }
        for pattern in ["{data.total}", "{data}", "{data.other}", "{time}", "{data.empty}", "{data.long}"] {
            let error = target(pattern).message_of_event(&event()).expect_err(pattern);
            assert!(error.contains(pattern), "{error}");
        }
    }

    #[test]
    fn a_method_gets_the_event_or_the_tick_as_its_argument() {
        let target = WorkerTarget { method: Some("add".to_owned()), ..target("nightly") };
        let message = target.message_of_event(&event()).expect("a worker");
        assert_eq!((message.method.as_deref(), message.value), (Some("add"), json!([event()])));
        let tick = json!({ "name": "nightly" });
        let message = target.message_of_tick(tick.clone());
        assert_eq!((message.name.as_str(), message.value), ("nightly", json!([tick])));
    }

    #[test]
    fn a_name_that_can_never_be_is_refused() {
        let table = Table("triggers.event[0]");
        let (long, many) = ("x".repeat(257), "{id}".repeat(17));
        for (name, part) in [
            ("", "from 1 to 16"),
            ("{", "without a `}`"),
            ("a}b", "without a `{`"),
            ("{}", "must be a path"),
            ("{subject.part}", "must begin with data"),
            (long.as_str(), "at most 256"),
            (many.as_str(), "from 1 to 16"),
        ] {
            let error = target(name).check_for_event(table).expect_err(name);
            assert_eq!(error.key(), "triggers.event[0].worker.name");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(target(&many[4..]).check_for_event(table), Ok(()));
        assert_eq!(target(&long[1..]).check_for_schedule(table), Ok(()));
        for name in ["{subject}", "", long.as_str()] {
            let error = target(name).check_for_schedule(table).expect_err(name);
            assert_eq!(error.key(), "triggers.event[0].worker.name");
        }
        let unnamed = WorkerTarget { class: String::new(), ..target("a") };
        assert_eq!(unnamed.check_for_event(table).expect_err("no class").key(), "triggers.event[0].worker.class");
        let unnamed = WorkerTarget { method: Some(long), ..target("a") };
        assert_eq!(unnamed.check_for_schedule(table).expect_err("too long").key(), "triggers.event[0].worker.method");
    }
}
