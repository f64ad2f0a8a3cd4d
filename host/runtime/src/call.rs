//! Calls a component's `call` handler: JSON in, JSON out.

use crate::error::Error;
use crate::execution::{Execution, Outcome};
use crate::instance::LoadedComponent;
use crate::json_export::{self, CallOptions, GuestException, JsonHandler};
use crate::recycling::{InstancePool, InstanceSource};
use std::sync::Arc;

/// The interface and function that this calls.
pub(crate) const INTERFACE: &str = "elias:component/call@0.1.0";
pub(crate) const FUNCTION: &str = "call";

/// A component's `call` handler, in an instance.
pub(crate) type CallHandler = JsonHandler<Result<String, GuestException>>;

/// The result of a `call` handler.
#[derive(Debug, Clone)]
pub struct CallOutput {
    /// The handler's result.
    pub value: serde_json::Value,
    /// The record of the execution, with its cost.
    pub execution: Execution,
}

/// Calls the component's handler.
pub(crate) async fn call(
    component: &Arc<LoadedComponent>,
    pool: &Arc<InstancePool<CallHandler>>,
    input: &serde_json::Value,
    options: CallOptions,
) -> Result<CallOutput, Error> {
    let (result, record) = json_export::run(component, InstanceSource::Pool(Arc::clone(pool)), input, options).await?;
    match result {
        Ok(output) => {
            let value = json_export::read_output(&record, &output)?;
            Ok(CallOutput { value, execution: record.end(Outcome::Completed) })
        }
        Err(exception) => Err(exception.fail(&record)),
    }
}
