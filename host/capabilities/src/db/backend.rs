//! The trait of backends, which run statements and transactions.

use super::dialect::Dialect;
use super::output::{Caps, Output, Part};
use super::statement::Statement;
use super::transaction::{BeginOptions, Commands};
use futures::future::BoxFuture;

/// A component's database. The futures are run to their ends and never dropped before: a statement ends early because
/// its output was closed, so that the connection it used can be put in order.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Which SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// Runs a statement at once, if that is a matter of microseconds. None: nothing was done, and the statement is one
    /// for [`Backend::run`].
    fn run_now(&self, statement: &Statement, caps: Caps) -> Option<Part> {
        let _ = (statement, caps);
        None
    }

    /// Runs a statement on any connection, in a transaction of its own.
    fn run(&self, statement: Statement, output: Output) -> BoxFuture<'static, ()>;

    /// Begins a transaction, does what it is told in order, and rolls back when the commands end without a commit.
    fn transaction(&self, begin: BeginOptions, commands: Commands) -> BoxFuture<'static, ()>;
}
