//! How far readers outside of the platform have read the log of events.

use crate::error::Result;
use crate::{TenantScope, number, signed};

impl TenantScope {
    /// The position up to which a reader has read; `None` before [`start_event_cursor`](Self::start_event_cursor).
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn event_cursor(&mut self, reader: &str) -> Result<Option<u64>> {
        let query = self.query("SELECT position FROM event_cursors WHERE tenant = $1 AND reader = $2");
        let row = self.row(query.bind(reader.to_owned())).await?;
        row.as_ref().map(|row| number(row, "position")).transpose()
    }

    /// Has a reader begin with the next event, if it has not begun yet.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn start_event_cursor(&mut self, reader: &str) -> Result<()> {
        let insert = "INSERT INTO event_cursors (tenant, reader, position) VALUES ($1, $2, \
                      COALESCE((SELECT next - 1 FROM event_positions WHERE tenant = $1), 0)) \
                      ON CONFLICT (tenant, reader) DO NOTHING";
        self.run(self.query(insert).bind(reader.to_owned())).await?;
        Ok(())
    }

    /// Moves on how far a reader has read; nothing happens if it is not at `from` any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn advance_event_cursor(&mut self, reader: &str, from: u64, to: u64) -> Result<()> {
        let update = "UPDATE event_cursors SET position = $4 WHERE tenant = $1 AND reader = $2 AND position = $3";
        let query = self.query(update).bind(reader.to_owned()).bind(signed(from)).bind(signed(to));
        self.run(query).await?;
        Ok(())
    }
}
