//! Statements on the database of a component.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The statement to run on the database of a component.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseQuery {
    /// The SQL statement, at most 16 KiB; null or absent to list the tables and views.
    #[serde(default)]
    pub sql: Option<String>,
    /// The values of the placeholders `$1`, `$2` and so on: null, booleans, numbers and strings. Arrays and objects are
    /// passed as JSON.
    #[serde(default)]
    pub parameters: Vec<Value>,
    /// The maximum number of rows to return: 1 to 10,000; 100 if absent.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Whether the statement may write. Without it the statement runs read-only.
    #[serde(default)]
    pub write: bool,
}

/// The result of a statement.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DatabaseResult {
    /// The names of the columns, in order.
    pub columns: Vec<String>,
    /// The rows; each is an array with one value per column. Binary values are hexadecimal text such as `0x00ff`.
    pub rows: Vec<Vec<Value>>,
    /// Whether the statement has more rows than `limit`.
    pub more: bool,
    /// The number of rows that the statement inserted, updated or deleted.
    pub affected: u64,
}
