//! Hints from host to host that there are jobs to be run, by PostgreSQL's NOTIFY.
//!
//! A hint that is lost does no harm: hosts look at the queue several times a second. Hints are sent beside the
//! transactions that they are about, and not in them: PostgreSQL has all transactions that notify commit one after the
//! other.

use crate::error::Result;
use crate::{Dialect, Store};
use sqlx::postgres::PgListener;

/// The channel.
const CHANNEL: &str = "elias_jobs";

/// What other hosts have to say.
pub struct Hints {
    listener: PgListener,
}

impl Store {
    /// Listens to hints from now on, by a connection of its own; none on SQLite, which has one host.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn hints(&self) -> Result<Option<Hints>> {
        if self.dialect == Dialect::Sqlite {
            return Ok(None);
        }
        self.ready().await?;
        let mut listener = PgListener::connect(&self.shared.url).await?;
        listener.listen(CHANNEL).await?;
        Ok(Some(Hints { listener }))
    }

    /// Tells all hosts that `sender` knows of jobs that it does not take. Does nothing on SQLite.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn hint(&self, sender: &str) -> Result<()> {
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        // The function gives a type that the driver does not read.
        let notify = sqlx::query("SELECT count(*) AS sent FROM pg_notify($1, $2)").bind(CHANNEL);
        let sent = notify.bind(sender.to_owned()).execute(self.ready().await?).await;
        sent.map(drop).map_err(|error| self.explain(error))
    }
}

impl Hints {
    /// Waits for the next hint; gives its sender.
    ///
    /// # Errors
    /// `store-unavailable`. A connection that was lost is made again before that; hints are lost meanwhile.
    pub async fn next(&mut self) -> Result<String> {
        Ok(self.listener.recv().await?.payload().to_owned())
    }
}
