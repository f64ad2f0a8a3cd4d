//! The database of a component, which its instances share, and its limits.

use super::backend::Backend;
use super::bindings::{Error, Value};
use super::grant::DbGrant;
use super::outbox::Outbox;
use super::statement::Statement;
#[cfg(feature = "workflow")]
use super::steps::StepTable;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Statements of people that run on one component's database at a time. Each takes one of the component's connections.
pub(super) const CONSOLE_STATEMENTS: usize = 2;

/// A component's database, and the component's limits on it.
pub struct Database {
    pub(super) limits: DbGrant,
    pub(super) backend: Arc<dyn Backend>,
    /// One permit for each statement of people that may run at a time.
    pub(super) console: Semaphore,
    pub(super) outbox: Arc<Outbox>,
    #[cfg(feature = "workflow")]
    pub(super) steps: Arc<StepTable>,
}

impl Database {
    pub(super) fn new(limits: DbGrant, backend: Arc<dyn Backend>, outbox: Outbox) -> Self {
        Self {
            limits,
            backend,
            console: Semaphore::new(CONSOLE_STATEMENTS),
            outbox: Arc::new(outbox),
            #[cfg(feature = "workflow")]
            steps: Arc::new(StepTable::new()),
        }
    }

    /// Checks a statement of the component against the grant and the rules for statements; with the bytes of its
    /// parameters.
    pub(super) fn check(&self, sql: &str, parameters: Vec<Value>) -> Result<(Statement, u64), Error> {
        let size = self.check_sizes(sql, &parameters)?;
        Ok((Statement::guest(sql, parameters, self.backend.dialect())?, size))
    }

    /// Checks a statement of people: they may also look into the host's own table, and put it in order.
    pub(super) fn check_of_people(&self, sql: &str, parameters: Vec<Value>) -> Result<Statement, Error> {
        self.check_sizes(sql, &parameters)?;
        Statement::own(sql, parameters, self.backend.dialect())
    }

    /// The bytes of a statement's parameters, if they and the statement are within the grant.
    fn check_sizes(&self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        let limits = &self.limits;
        if sql.len() as u64 > limits.statement_bytes {
            let limit = limits.statement_bytes;
            return Err(Error::too_large(format!(
                "the statement has more than {limit} bytes (the grant's key statement-bytes)"
            )));
        }
        if parameters.len() > limits.parameters as usize {
            let limit = limits.parameters;
            return Err(Error::too_large(format!(
                "the statement has more than {limit} parameters (the grant's key parameters)"
            )));
        }
        let size = parameters.iter().map(Value::size).sum::<u64>();
        if size > limits.parameter_bytes {
            let limit = limits.parameter_bytes;
            return Err(Error::too_large(format!(
                "the parameters have more than {limit} bytes (the grant's key parameter-bytes)"
            )));
        }
        Ok(size)
    }
}
