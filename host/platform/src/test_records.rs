//! Execution records for tests.

use elias_api::ExecutionRecord;
use elias_names::Environment;
use std::collections::BTreeMap;

/// A request to the component `shop` of the tenant `acme` that completed.
pub(crate) fn completed() -> ExecutionRecord {
    ExecutionRecord {
        tenant: "acme".parse().expect("a name"),
        id: ulid::Ulid::new().to_string(),
        component: "shop".parse().expect("a name"),
        environment: Environment::Production,
        version: 1,
        source: "GET /".to_owned(),
        run: None,
        trace: None,
        started_at: 1_000,
        duration_us: 1,
        fuel: 1,
        memory_bytes: 1,
        host_calls: Vec::new(),
        flags: BTreeMap::new(),
        status: 200,
        outcome: "completed".to_owned(),
        code: None,
        error: None,
        lines: None,
    }
}

/// One whose handler threw this error.
pub(crate) fn failed(error: &str) -> ExecutionRecord {
    ExecutionRecord {
        status: 500,
        outcome: "failed".to_owned(),
        code: Some("exception".to_owned()),
        error: Some(error.to_owned()),
        ..completed()
    }
}
