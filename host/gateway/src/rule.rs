//! One rule of a route, from its table in elias.toml: the trait that every rule implements, its error, and checks of
//! values that several tables have. `config` reads all rules of a route, `rules` applies them.

use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// The most names in a list of header names.
pub const MAX_HEADERS: usize = 64;

/// An error in the table `[gateway]`, with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    at: String,
    message: String,
}

impl ConfigError {
    /// The stable name of the error.
    pub const CODE: &'static str = "invalid-gateway-config";

    pub(crate) fn new(at: &str, message: impl Into<String>) -> Self {
        Self { at: at.to_owned(), message: message.into() }
    }

    /// The location, a table or a key: `gateway.routes[2].cors`.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.at, self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A rule of a route that is a table in elias.toml.
pub(crate) trait Rule: Sized {
    /// The table, as serde reads it.
    type Table: DeserializeOwned;

    /// Checks the table's values and makes the rule. `at` is the location for errors.
    fn check(table: Self::Table, at: &str) -> Result<Self, ConfigError>;
}

/// Reads and checks one rule.
pub(crate) fn parse_rule<R: Rule>(value: &Value, at: &str) -> Result<R, ConfigError> {
    R::check(parse_table(value, at)?, at)
}

/// Reads a table without checking its values. Unknown keys are errors.
pub(crate) fn parse_table<T: DeserializeOwned>(value: &Value, at: &str) -> Result<T, ConfigError> {
    if !value.is_object() {
        return Err(ConfigError::new(at, "must be a table"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string() {
        path if path == "." => ConfigError::new(at, error.inner().to_string()),
        path => ConfigError::new(&format!("{at}.{path}"), error.inner().to_string()),
    })
}

/// Reads a header name of at most 128 bytes.
pub(crate) fn header_name(text: &str, at: &str) -> Result<HeaderName, ConfigError> {
    let wrong = || ConfigError::new(at, format!("\"{}\" is not a header name", crate::problem::bounded(text)));
    if text.len() > 128 {
        return Err(wrong());
    }
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| wrong())
}

/// Reads at most [`MAX_HEADERS`] header names.
pub(crate) fn header_names(texts: &[String], at: &str) -> Result<Vec<HeaderName>, ConfigError> {
    if texts.len() > MAX_HEADERS {
        return Err(ConfigError::new(at, format!("lists more than {MAX_HEADERS} headers")));
    }
    texts.iter().map(|text| header_name(text, at)).collect()
}

/// Reads a header value of at most 4 KiB.
pub(crate) fn header_value(text: &str, at: &str) -> Result<HeaderValue, ConfigError> {
    let wrong = || ConfigError::new(at, "must be a header value of at most 4096 bytes");
    if text.len() > 4096 { Err(wrong()) } else { HeaderValue::from_str(text).map_err(|_| wrong()) }
}

/// The value, if it is within the bounds, both of which are allowed.
pub(crate) fn within<T: PartialOrd + fmt::Display + Copy>(
    value: T,
    [least, most]: [T; 2],
    at: &str,
    key: &str,
) -> Result<T, ConfigError> {
    if value < least || value > most {
        return Err(ConfigError::new(at, format!("`{key}` must be from {least} to {most}, not {value}")));
    }
    Ok(value)
}
