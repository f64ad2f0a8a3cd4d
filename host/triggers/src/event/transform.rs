//! Transformations of events by jq.

use super::Event;
use elias_jq::{InvalidTransform, TransformError};
use serde_json::Value;

/// A jq expression that makes an event's data from the event, which it is given in the JSON format. Bounded, as
/// [`elias_jq::Transform`] says.
#[derive(Debug, Clone)]
pub struct Transform(elias_jq::Transform);

impl Transform {
    /// Compiles an expression, on a thread of its own.
    ///
    /// # Errors
    /// The fault, and where it is.
    pub fn compile(expression: &str) -> Result<Self, InvalidTransform> {
        elias_jq::Transform::compile(expression).map(Self)
    }

    /// The new data of an event; none if the expression has no output, as `select` has for what it leaves out: then the
    /// event is not delivered.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run(&self, event: &Event) -> Result<Option<Value>, TransformError> {
        let output = self.0.run(event.to_json().to_string().as_bytes())?;
        output.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| TransformError::NotJson)
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventData;
    use super::*;
    use serde_json::json;

    #[test]
    fn data_are_made_from_the_event_and_no_output_drops_it() {
        let mut event = Event::new("1", "order.paid", "/shop");
        event.data = EventData::Json(json!({ "total": 100 }));
        let run = |expression| Transform::compile(expression).expect("an expression").run(&event);
        assert_eq!(run("{ (.type): .data.total }"), Ok(Some(json!({ "order.paid": 100 }))));
        assert_eq!(run(".data | select(.total > 1000)"), Ok(None));
        assert_eq!(run(".data.total, .id"), Err(TransformError::SeveralOutputs));
        assert!(Transform::compile("def f: f; f").is_err());
    }
}
