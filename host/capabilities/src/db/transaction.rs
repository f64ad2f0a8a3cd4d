//! Transactions, as a resource, and the commands for the task that holds their connection.

use super::bindings::{Error, Isolation};
use super::outbox::Outbox;
use super::output::Output;
use super::statement::Statement;
#[cfg(feature = "workflow")]
use super::steps::StepTable;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a transaction may be idle before PostgreSQL rolls it back. Its instance almost always ends earlier.
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
    used: UsedTables,
}

/// The host's own tables that a transaction has used, which are to be told when it was committed.
#[derive(Default)]
pub(crate) struct UsedTables {
    outbox: Option<Arc<Outbox>>,
    #[cfg(feature = "workflow")]
    steps: Option<Arc<StepTable>>,
}

impl UsedTables {
    /// The transaction was committed.
    pub(crate) fn committed(self) {
        if let Some(outbox) = self.outbox {
            outbox.committed();
        }
        #[cfg(feature = "workflow")]
        if let Some(steps) = self.steps {
            steps.committed();
        }
    }
}

/// One thing to do in a transaction.
pub(crate) struct Command {
    pub(crate) action: Action,
    pub(crate) output: Output,
    /// Of a commit: whom it is told to when it has succeeded.
    pub(crate) used: UsedTables,
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

impl Action {
    /// The name of the operation, and the statement if it runs one.
    pub(super) fn described(&self) -> (&'static str, &str) {
        match self {
            Self::Run(statement) => ("query", statement.sql.as_str()),
            Self::Savepoint(_) => ("savepoint", ""),
            Self::Release(_) => ("release", ""),
            Self::RollbackTo(_) => ("rollback to", ""),
            Self::Commit => ("commit", ""),
            Self::Rollback => ("rollback", ""),
        }
    }
}

/// The receiver of a transaction's commands. The budget that each command's output holds bounds their number.
pub(crate) type Commands = mpsc::UnboundedReceiver<Command>;

impl Transaction {
    pub(crate) fn new() -> (Self, Commands) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { commands: Some(sender), used: UsedTables::default() }, receiver)
    }

    /// Notes that it writes to the outbox of its database, which is told when it is committed.
    pub(super) fn uses_outbox(&mut self, outbox: &Arc<Outbox>) {
        self.used.outbox = Some(Arc::clone(outbox));
    }

    /// Notes that it uses the table of steps of its database, which is told when it is committed.
    #[cfg(feature = "workflow")]
    pub(super) fn uses_steps(&mut self, steps: &Arc<StepTable>) {
        self.used.steps = Some(Arc::clone(steps));
    }

    /// Sends a command; its output says what came of it.
    pub(crate) fn send(&mut self, action: Action, output: Output) {
        let Some(commands) = &self.commands else {
            return output.fail(Error::transaction_over());
        };
        let ends = matches!(action, Action::Commit | Action::Rollback);
        let commits = matches!(action, Action::Commit);
        let used = if commits { std::mem::take(&mut self.used) } else { UsedTables::default() };
        let command = Command { action, output, used };
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
