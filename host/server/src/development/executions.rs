//! The executions of a development server: of the last requests, and of triggers.

use super::requests::RecordedRequest;
use super::{Console, ENVIRONMENT, TENANT};
use crate::admin::{ApiPath, ApiQuery, Page, PageQuery, Problem};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use elias_api::{Error, ExecutionFilter, ExecutionRecord, RecordedCalls};
use elias_host::Execution;
use elias_names::{ComponentName, TenantId};
use serde::Deserialize;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/tenants/{tenant}/executions", get(list)).route("/tenants/{tenant}/executions/{id}", get(show))
}

/// The path of an execution, whose tenant was looked at already.
#[derive(Debug, Deserialize)]
struct ExecutionPath {
    id: String,
}

async fn list(
    State(console): State<Console>,
    ApiQuery(filter): ApiQuery<ExecutionFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ExecutionRecord>>, Problem> {
    let mut found = all(&console);
    found.retain(|record| {
        filter.component.as_ref().is_none_or(|component| *component == record.component)
            && filter.environment.is_none_or(|environment| environment == record.environment)
            && filter.failed.is_none_or(|failed| failed == (record.outcome == "failed"))
            && filter.before.as_ref().is_none_or(|before| record.id < *before)
            // Neither jobs nor traces are recorded with them.
            && filter.job.is_none()
            && filter.trace.is_none()
    });
    Ok(Json(Page::of_ordered(found, &page, |record: &ExecutionRecord| record.id.clone())?))
}

async fn show(
    State(console): State<Console>,
    ApiPath(ExecutionPath { id }): ApiPath<ExecutionPath>,
) -> Result<Json<ExecutionRecord>, Problem> {
    let found = all(&console).into_iter().find(|record| record.id == id);
    let missing = || Error::not_found(format_args!("the execution `{}` among the last ones", id.escape_debug()));
    let mut record = found.ok_or_else(missing)?;
    if record.lines.is_none() {
        let lines = console.0.project.lines(&id);
        record.lines = (!lines.is_empty()).then(|| serde_json::json!(lines));
    }
    Ok(Json(record))
}

/// All that are kept, the newest first.
fn all(console: &Console) -> Vec<ExecutionRecord> {
    // Its name is one.
    let Ok(tenant) = TENANT.parse::<TenantId>() else { return Vec::new() };
    let component = console.0.project.component();
    let requests = console.0.requests.list();
    let of_requests = requests.iter().filter_map(|request| {
        let execution = request.execution.as_ref()?;
        Some(record_of(request, execution, &tenant, &component))
    });
    let mut all: Vec<ExecutionRecord> = console.0.project.runs();
    all.extend(of_requests);
    all.sort_by(|one, other| other.id.cmp(&one.id));
    all
}

fn record_of(
    request: &RecordedRequest,
    execution: &Execution,
    tenant: &TenantId,
    component: &ComponentName,
) -> ExecutionRecord {
    let path = request.target.split('?').next().unwrap_or_default();
    ExecutionRecord {
        tenant: tenant.clone(),
        id: execution.id.clone(),
        component: component.clone(),
        environment: ENVIRONMENT,
        version: 1,
        source: format!("{} {path}", request.method),
        run: None,
        trace: None,
        started_at: request.started_at,
        duration_us: microseconds(execution.duration),
        fuel: execution.fuel,
        memory_bytes: execution.memory_peak_bytes,
        host_calls: execution.host_calls.iter().map(calls).collect(),
        flags: execution.flags.iter().map(|flag| (flag.name.to_string(), flag.variant.to_string())).collect(),
        status: request.status,
        outcome: request.outcome().to_owned(),
        code: request.code().map(str::to_owned),
        error: request.error.clone(),
        lines: None,
    }
}

fn calls(calls: &elias_host::HostCalls) -> RecordedCalls {
    RecordedCalls { capability: calls.capability.to_owned(), calls: calls.calls, duration_us: microseconds(calls.time) }
}

fn microseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
