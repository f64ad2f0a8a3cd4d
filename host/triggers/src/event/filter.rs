//! Filters of events.

use super::Event;
use super::path::{EventPath, PATH_BYTES_MAX};
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

/// Conditions of the largest filter, with those in lists and tables.
const CONDITIONS_MAX: usize = 200;
/// How deep `not` may stand in `not`.
const DEPTH_MAX: usize = 4;
/// Bytes of the longest text that is compared with.
const TEXT_BYTES_MAX: usize = 1_024;

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct InvalidFilter {
    what: String,
}

impl InvalidFilter {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// Which events a subscription gets, beside their type. Each path must fulfil its condition.
///
/// A path is the name of an attribute (`subject`, `source`, an extension), or `data` with members of the data:
/// `data.country`, `data.items.0.sku`. A condition is
///
/// - a text, number, boolean or null: the value is equal to it;
/// - a list: the value is equal to one of them;
/// - a table, of which all must hold: `eq`, `ne`, `gt`, `gte`, `lt`, `lte` (numbers with numbers, texts with texts),
///   `prefix`, `suffix`, `any` (a list), `exists` (whether there is a value), `not` (a condition).
///
/// Where there is no value, `ne`, `not` and `exists = false` hold and everything else does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Vec<(EventPath, Condition)>);

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    Equal(Value),
    AnyOf(Vec<Value>),
    Compare(Comparison, Value),
    Prefix(String),
    Suffix(String),
    Exists(bool),
    Not(Box<Condition>),
    All(Vec<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

impl Filter {
    /// Reads the table `where` of a subscription.
    ///
    /// # Errors
    /// The path with what is wrong about it or its condition; more than 200 conditions.
    pub fn parse(table: &Map<String, Value>) -> Result<Self, InvalidFilter> {
        let mut left = CONDITIONS_MAX;
        let parse = |(path, condition): (&String, &Value)| {
            let condition = Condition::parse(condition, DEPTH_MAX, &mut left);
            let shown: String = path.chars().take(PATH_BYTES_MAX).collect();
            let of = |error: InvalidFilter| InvalidFilter::new(format!("`{}` {}", shown.escape_debug(), error.what));
            Ok((EventPath::parse(path).map_err(|what| of(InvalidFilter::new(what)))?, condition.map_err(of)?))
        };
        table.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an event fulfils every condition.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.0.iter().all(|(path, condition)| condition.holds(path.value(event).as_deref()))
    }
}

impl Condition {
    fn parse(value: &Value, depth: usize, left: &mut usize) -> Result<Self, InvalidFilter> {
        *left = left.checked_sub(1).ok_or_else(|| InvalidFilter::new("is one condition too many: use at most 200"))?;
        match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| scalar(item, left)).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::AnyOf(items))
            }
            Value::Object(operators) if operators.is_empty() => {
                Err(InvalidFilter::new("must have a condition, such as { gte = 100 }"))
            }
            Value::Object(operators) => {
                let conditions = operators.iter().map(|(name, operand)| Self::operator(name, operand, depth, left));
                conditions.collect::<Result<Vec<_>, _>>().map(Self::All)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => scalar(value, left).map(Self::Equal),
        }
    }

    fn operator(name: &str, operand: &Value, depth: usize, left: &mut usize) -> Result<Self, InvalidFilter> {
        let compare = |comparison| match operand {
            Value::Number(_) | Value::String(_) => Ok(Self::Compare(comparison, operand.clone())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(InvalidFilter::new(format!("has {name} with a value that is neither a number nor a text")))
            }
        };
        match (name, operand) {
            ("eq", operand) => scalar(operand, left).map(Self::Equal),
            ("ne", operand) => scalar(operand, left).map(|operand| Self::Not(Box::new(Self::Equal(operand)))),
            ("gt", _) => compare(Comparison::Greater),
            ("gte", _) => compare(Comparison::GreaterOrEqual),
            ("lt", _) => compare(Comparison::Less),
            ("lte", _) => compare(Comparison::LessOrEqual),
            ("prefix", Value::String(text)) if text.len() <= TEXT_BYTES_MAX => Ok(Self::Prefix(text.clone())),
            ("suffix", Value::String(text)) if text.len() <= TEXT_BYTES_MAX => Ok(Self::Suffix(text.clone())),
            ("exists", Value::Bool(exists)) => Ok(Self::Exists(*exists)),
            ("any", Value::Array(_)) => Self::parse(operand, depth, left),
            ("not", operand) => {
                let depth = depth.checked_sub(1).ok_or_else(|| InvalidFilter::new("has too many not in each other"))?;
                Self::parse(operand, depth, left).map(|condition| Self::Not(Box::new(condition)))
            }
            ("prefix" | "suffix", _) => Err(InvalidFilter::new(format!("has {name}, which must be a text"))),
            ("exists", _) => Err(InvalidFilter::new("has exists, which must be true or false")),
            ("any", _) => Err(InvalidFilter::new("has any, which must be a list")),
            (other, _) => {
                let other: String = other.chars().take(40).collect();
                Err(InvalidFilter::new(format!(
                    "has the unknown condition `{}`: use eq, ne, gt, gte, lt, lte, prefix, suffix, any, exists or not",
                    other.escape_debug()
                )))
            }
        }
    }

    fn holds(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Equal(expected) => value.is_some_and(|value| equal(value, expected)),
            Self::AnyOf(expected) => value.is_some_and(|value| expected.iter().any(|expected| equal(value, expected))),
            Self::Compare(comparison, operand) => {
                value.and_then(|value| order(value, operand)).is_some_and(|ordering| comparison.holds(ordering))
            }
            Self::Prefix(prefix) => value.and_then(Value::as_str).is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => value.and_then(Value::as_str).is_some_and(|text| text.ends_with(suffix)),
            Self::Exists(exists) => value.is_some() == *exists,
            Self::Not(condition) => !condition.holds(value),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(value)),
        }
    }
}

/// A value that can be compared with: neither a list nor an object.
fn scalar(value: &Value, left: &mut usize) -> Result<Value, InvalidFilter> {
    *left = left.checked_sub(1).ok_or_else(|| InvalidFilter::new("is one condition too many: use at most 200"))?;
    match value {
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            Err(InvalidFilter::new("must be compared with texts of at most 1024 bytes"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        Value::Array(_) | Value::Object(_) => {
            Err(InvalidFilter::new("must be compared with texts, numbers, booleans and null"))
        }
    }
}

/// Equality as JSON has it: 1 and 1.0 are the same number.
fn equal(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Number(value), Value::Number(expected)) => order_numbers(value, expected) == Some(Ordering::Equal),
        (value, expected) => value == expected,
    }
}

fn order(value: &Value, operand: &Value) -> Option<Ordering> {
    match (value, operand) {
        (Value::Number(value), Value::Number(operand)) => order_numbers(value, operand),
        (Value::String(value), Value::String(operand)) => Some(value.cmp(operand)),
        _ => None,
    }
}

/// Whole numbers are compared exactly, others as JavaScript does.
fn order_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventData;
    use super::*;
    use serde_json::json;

    fn filter(table: Value) -> Result<Filter, InvalidFilter> {
        let Value::Object(table) = table else { panic!("a table") };
        Filter::parse(&table)
    }

    fn order_event() -> Event {
        let mut event = Event::new("1", "order.paid", "/shop");
        event.subject = Some("order-42".to_owned());
        event.data = EventData::Json(json!({
            "country": "uz", "total": 100, "paid": true, "note": null, "items": [{ "sku": "a-1" }],
            "at": "2026-03-29T12:00:00Z",
        }));
        event
    }

    #[test]
    fn conditions_hold_for_the_value_at_their_path() {
        for table in [
            json!({}),
            json!({ "data.country": "uz", "data.total": 100.0, "data.paid": true, "data.note": null }),
            json!({ "data.country": ["ru", "uz"] }),
            json!({ "data.total": { "gte": 100, "lt": 101 } }),
            json!({ "data.items.0.sku": { "prefix": "a-", "suffix": "1" } }),
            json!({ "data.at": { "gt": "2026-03-29T00:00:00Z" } }),
            json!({ "subject": { "prefix": "order-" }, "type": "order.paid", "source": { "ne": "/other" } }),
            json!({ "data.none": { "exists": false }, "data.note": { "exists": true } }),
            json!({ "data.none": { "ne": 1 }, "data.country": { "not": ["ru", "de"] } }),
            json!({ "data.total": { "not": { "not": { "gt": 99 } } } }),
        ] {
            assert!(filter(table.clone()).expect("a filter").matches(&order_event()), "{table}");
        }
        for table in [
            json!({ "data.country": "ru" }),
            json!({ "data.country": [] }),
            json!({ "data.total": "100" }),
            json!({ "data.total": { "gt": 100 } }),
            json!({ "data.total": { "gt": "1" } }),
            json!({ "data.none": null }),
            json!({ "data.none": { "lt": 1 } }),
            json!({ "data.items.1.sku": "a-1" }),
            json!({ "data.country.x": { "exists": true } }),
            json!({ "data.country": "uz", "data.paid": false }),
        ] {
            assert!(!filter(table.clone()).expect("a filter").matches(&order_event()), "{table}");
        }
    }

    #[test]
    fn large_whole_numbers_are_compared_exactly() {
        let mut event = order_event();
        event.data = EventData::Json(json!({ "id": 9_007_199_254_740_993u64 }));
        assert!(!filter(json!({ "data.id": 9_007_199_254_740_992u64 })).expect("a filter").matches(&event));
        assert!(filter(json!({ "data.id": { "gt": 9_007_199_254_740_992u64 } })).expect("a filter").matches(&event));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_path() {
        let nested = json!({ "not": { "not": { "not": { "not": { "not": 1 } } } } });
        let deep = format!("data{}", ".a".repeat(16));
        for (table, expected) in [
            (json!({ "data..a": 1 }), "`data..a` must be a path"),
            (json!({ "subject.a": 1 }), "must begin with data"),
            (json!({ "a".repeat(201): 1 }), "must be a path"),
            (json!({ deep: 1 }), "of at most 200 bytes and 16 parts"),
            (json!({ "data.a": "x".repeat(1_025) }), "texts of at most 1024 bytes"),
            (json!({ "data.a": {} }), "must have a condition"),
            (json!({ "data.a": { "like": "x" } }), "unknown condition `like`"),
            (json!({ "data.a": { "gte": true } }), "gte with a value that is neither"),
            (json!({ "data.a": { "prefix": 1 } }), "prefix, which must be a text"),
            (json!({ "data.a": { "exists": "yes" } }), "exists, which must be true or false"),
            (json!({ "data.a": { "any": 1 } }), "any, which must be a list"),
            (json!({ "data.a": [[1]] }), "must be compared with texts"),
            (json!({ "data.a": nested }), "too many not"),
            (json!({ "data.a": vec![1; 300] }), "use at most 200"),
        ] {
            let error = filter(table).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.len() < 500, "{expected}: {error}");
        }
    }
}
