//! Lists with the records of some services only.

use super::{Dialect, Query, to_json};
use crate::error::Result;
use elias_names::{ComponentName, Environment};
use serde_json::{Value, json};

/// The services whose records a list may have. It is part of the statement, so that a page is full as long as there are
/// more records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedServices {
    /// All of the tenant's.
    All,
    /// These.
    Only(Vec<(ComponentName, Environment)>),
}

impl AllowedServices {
    /// The end of a condition: that `component` and `environment` are those of such a service. The services are
    /// parameter `place`, which [`bind`](Self::bind) binds.
    pub(crate) fn condition(&self, dialect: Dialect, place: u8) -> String {
        match self {
            Self::All => String::new(),
            Self::Only(_) => format!(
                "AND (component, environment) IN (SELECT item.value->>'component', item.value->>'environment' FROM {})",
                dialect.each(place)
            ),
        }
    }

    /// Binds the parameter of the condition, if it has one.
    pub(crate) fn bind(&self, query: Query) -> Result<Query> {
        let Self::Only(services) = self else { return Ok(query) };
        let service = |(component, environment): &(ComponentName, Environment)| -> Value {
            json!({ "component": component, "environment": environment })
        };
        Ok(query.bind(to_json(&services.iter().map(service).collect::<Vec<_>>())?))
    }
}
