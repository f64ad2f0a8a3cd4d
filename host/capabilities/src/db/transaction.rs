//! Transactions, as a resource, and what is sent to the task that holds their connection.

use super::bindings::{Error, Isolation};
use super::outbox::Outbox;
use super::output::Output;
use super::statement::Statement;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a transaction may lie idle before PostgreSQL rolls it back. What ends first is almost always its instance.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// The mode with which a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BeginOptions {
    pub(crate) isolation: Isolation,
    pub(crate) read_only: bool,
}

/// `elias:db/db.transaction`. When it is dropped, and what it has sent is done, an open transaction is rolled back.
pub struct Transaction {
    commands: Option<mpsc::UnboundedSender<Command>>,
    /// The outbox that it has written to.
    outbox: Option<Arc<Outbox>>,
}

/// One thing to do in a transaction.
pub(crate) struct Command {
    pub(crate) action: Action,
    pub(crate) output: Output,
    /// Of a commit: the outbox that the transaction has written to, which is to be told when it has succeeded.
    pub(crate) outbox: Option<Arc<Outbox>>,
}

/// The act.
pub(crate) enum Action {
    Run(Statement),
    Savepoint(u32),
    Release(u32),
    RollbackTo(u32),
    Commit,
    Rollback,
}

/// Where a transaction's commands come from. Their number is bounded by the budget that each one's output holds.
pub(crate) type Commands = mpsc::UnboundedReceiver<Command>;

impl Transaction {
    pub(crate) fn new() -> (Self, Commands) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { commands: Some(sender), outbox: None }, receiver)
    }

    /// It writes to the outbox of its database, which is told when it is committed.
    pub(super) fn uses_outbox(&mut self, outbox: &Arc<Outbox>) {
        self.outbox = Some(Arc::clone(outbox));
    }

    /// Sends a command; its output says what came of it.
    pub(crate) fn send(&mut self, action: Action, output: Output) {
        let Some(commands) = &self.commands else {
            return output.fail(Error::transaction_over());
        };
        let ends = matches!(action, Action::Commit | Action::Rollback);
        let outbox = if matches!(action, Action::Commit) { self.outbox.take() } else { None };
        let command = Command { action, output, outbox };
        if let Err(mpsc::error::SendError(Command { output, .. })) = commands.send(command) {
            output.fail(Error::transaction_over());
        }
        if ends {
            self.commands = None;
        }
    }
}

/// Answers what was sent to a transaction that is over, or could not begin.
pub(crate) fn refuse(mut commands: Commands, error: &Error) {
    commands.close();
    while let Ok(command) = commands.try_recv() {
        command.output.fail(error.clone());
    }
}

/// The name of a savepoint in the database.
pub(crate) fn savepoint(name: u32) -> String {
    format!("elias_{name}")
}
