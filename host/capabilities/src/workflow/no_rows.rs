//! The errors for transactions on a host without databases.

use super::context::BegunStep;
use super::contract::Error;
use elias_host::capability::InstanceState;
use futures::future::{BoxFuture, FutureExt, ready};

/// There is no transaction with that number.
pub(super) fn read(
    _: &mut InstanceState,
    transaction: u32,
    _: &str,
    _: BegunStep,
) -> BoxFuture<'static, Result<Option<String>, Error>> {
    ready(Err(no_transaction(transaction))).boxed()
}

/// There is no transaction with that number.
pub(super) fn write(
    _: &mut InstanceState,
    transaction: u32,
    _: &str,
    _: BegunStep,
    _: String,
) -> BoxFuture<'static, Result<(), Error>> {
    ready(Err(no_transaction(transaction))).boxed()
}

fn no_transaction(number: u32) -> Error {
    Error::invalid(format!("there is no transaction {number} on this host"))
}
