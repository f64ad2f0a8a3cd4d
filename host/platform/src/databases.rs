//! Statements that users run on the database of a component.

use crate::access::Permission;
use crate::component_databases::{ComponentDatabases, DatabaseBounds};
use crate::config::PlatformConfig;
use crate::platform::Platform;
use crate::serving::{LoadContext, Serving};
use crate::session::Session;
use crate::triggers::TriggerBackends;
use elias_api::{Code, DatabaseQuery, DatabaseResult, Error, Result};
use elias_capabilities::events::EventLog;
use elias_capabilities::jobs::JobQueue;
use elias_capabilities::outbox::DrainOutcome;
use elias_host::App;
use elias_names::ServiceId;
use elias_store::NOTHING;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a statement: the audit trail has the whole.
const STATEMENT_BYTES_MAX: usize = 16 << 10;
/// Rows of a result, unless the request says otherwise, and the most that it can ask for.
const ROWS_DEFAULT: u32 = 100;
const ROWS_MAX: u32 = 10_000;
/// Bytes of a result.
const RESULT_BYTES_MAX: u64 = 4 << 20;
/// How long a statement may run and wait for a connection.
const DEADLINE: Duration = Duration::from_secs(30);

impl DatabaseBounds {
    /// The bounds that a query asks for: 100 rows by default, at most 10,000; 4 MiB and 30 s.
    ///
    /// # Errors
    /// `too-large` for a statement of more than 16 KiB; `bad-input` for a limit that is out of its bounds.
    pub fn of(query: &DatabaseQuery) -> Result<Self> {
        if query.sql.as_ref().is_some_and(|sql| sql.len() > STATEMENT_BYTES_MAX) {
            let message = format!("the statement has more than {STATEMENT_BYTES_MAX} bytes");
            return Err(Error::new(Code::TooLarge, message));
        }
        let rows = query.limit.unwrap_or(ROWS_DEFAULT);
        if !(1..=ROWS_MAX).contains(&rows) {
            return Err(Error::new(Code::BadInput, format!("limit: must be between 1 and {ROWS_MAX}")));
        }
        Ok(Self { rows: rows.into(), bytes: RESULT_BYTES_MAX, deadline: DEADLINE })
    }
}

impl Platform {
    /// Runs a statement on the database that a component has in an environment, as seen by this host. The audit trail
    /// gets the statement before it runs, without the values of its parameters.
    ///
    /// # Errors
    /// `forbidden`, `bad-input`, `not-found`; those of [`ComponentDatabases::query`]; those of loading the component;
    /// `store-unavailable`, for a statement that cannot be audited does not run.
    pub async fn query_database(
        &self,
        session: &Session,
        id: &ServiceId,
        query: &DatabaseQuery,
    ) -> Result<DatabaseResult> {
        let (permission, action) = if query.write {
            (Permission::WriteData, "database.write")
        } else {
            (Permission::ReadData, "database.read")
        };
        session.require(permission, &id.tenant, id)?;
        let bounds = DatabaseBounds::of(query)?;
        let databases = component_databases(self.config())?;
        if self.serving().service(id).is_none() {
            return Err(Error::not_deployed(id));
        }
        let mut scope = self.store().write(&id.tenant).await?;
        let audited = json!({ "statement": query.sql, "parameters": query.parameters.len() });
        scope.audit(&session.actor(), action, id.subject(), NOTHING, Some(&audited)).await?;
        scope.commit().await?;
        let app = load(self.serving(), id).await?;
        databases.query(&app, query, bounds).await
    }
}

fn component_databases(config: &PlatformConfig) -> Result<Arc<dyn ComponentDatabases>> {
    let databases = config.databases.clone();
    databases.ok_or_else(|| Error::new(Code::DatabaseUnavailable, "this host gives no access to databases"))
}

/// The component that serves, loaded.
async fn load(serving: &Serving, id: &ServiceId) -> Result<App> {
    let service = serving.service(id).ok_or_else(|| Error::not_deployed(id))?;
    let state = Arc::clone(&service.state());
    let target = &state.snapshot.target;
    let observer = Arc::clone(&service.lines) as _;
    let context = LoadContext { service: id, tenant: &target.tenant, secrets: &target.secrets, observer };
    state.release.load(&serving.loader, &context, serving.clock.now()).await
}

/// Hands over the jobs and events in the outbox of the database that a component has in an environment.
///
/// # Errors
/// `not-found` if it is not deployed; those of loading it; `database-unavailable`; `sql` if its table is not the one
/// that the host made.
pub(crate) async fn drain_outbox(
    config: &PlatformConfig,
    serving: &Serving,
    id: &ServiceId,
    backends: TriggerBackends,
) -> Result<DrainOutcome> {
    let databases = component_databases(config)?;
    let app = load(serving, id).await?;
    let (queue, log): (Arc<dyn JobQueue>, Arc<dyn EventLog>) = (Arc::new(backends.clone()), Arc::new(backends));
    databases.drain_outbox(&app, &queue, &log).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_limits_have_bounds() {
        let query = |sql: String, limit| DatabaseQuery { sql: Some(sql), parameters: Vec::new(), limit, write: false };
        let code =
            |query: DatabaseQuery| DatabaseBounds::of(&query).map(|bounds| bounds.rows).map_err(|error| error.code());
        assert_eq!(code(query("select 1".into(), None)), Ok(100));
        assert_eq!(code(query("select 1".into(), Some(10_000))), Ok(10_000));
        assert_eq!(code(query("select 1".into(), Some(0))), Err(Code::BadInput));
        assert_eq!(code(query("select 1".into(), Some(10_001))), Err(Code::BadInput));
        assert_eq!(code(query("x".repeat(STATEMENT_BYTES_MAX + 1), None)), Err(Code::TooLarge));
    }
}
