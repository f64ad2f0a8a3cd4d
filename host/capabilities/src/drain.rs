//! Handing over what is in the outbox of a loaded component, to the queue and the log of events. See [`crate::outbox`].

use crate::db::{Database, Db, Error, is_plain};
use crate::events::{EventLog, Events, EventsGrant};
use crate::jobs::{JobQueue, Jobs, JobsGrant};
use crate::outbox::HandOverOutcome;
use elias_host::App;
use futures::future::join_all;
use std::sync::Arc;

/// How often rows are read at most: what is left then is for the next time.
const ROUNDS_MAX: u32 = 20;

/// Characters of an id that are written into the log.
const ID_CHARS_MAX: usize = 40;

/// How much of an outbox was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOutcome {
    /// Nothing is left in it.
    All,
    /// Rows are left: there are many, or the queue or the log of events does not take them now.
    Part,
}

/// Hands over the rows in the outbox of a component, some thousand at most, in the order of their ids, and deletes
/// those that were taken. A row that can never be taken is deleted with a warning in the log of the host; one that
/// refers to a job that does not exist stays as long as an earlier row waits.
///
/// # Errors
/// If the component's database cannot be read or written to; what was handed over is then handed over again, which does
/// no harm.
pub async fn drain_outbox(
    app: &App,
    queue: &Arc<dyn JobQueue>,
    log: &Arc<dyn EventLog>,
) -> Result<DrainOutcome, Error> {
    let Some(database) = app.grant::<Db>() else { return Ok(DrainOutcome::All) };
    let grants = Grants { jobs: app.grant::<Jobs>(), events: app.grant::<Events>() };
    hand_over(&database, &grants, queue, log).await
}

/// The limits on jobs and events of the component; none if it imports no such capability.
struct Grants {
    jobs: Option<Arc<JobsGrant>>,
    events: Option<Arc<EventsGrant>>,
}

async fn hand_over(
    database: &Database,
    grants: &Grants,
    queue: &Arc<dyn JobQueue>,
    log: &Arc<dyn EventLog>,
) -> Result<DrainOutcome, Error> {
    let component = database.outbox().component();
    for _ in 0..ROUNDS_MAX {
        let rows = database.read_outbox().await?;
        if rows.is_empty() {
            return Ok(DrainOutcome::All);
        }
        // Started in their order, and so enqueued in it; waited for together.
        let handed = join_all(rows.into_iter().map(|row| async move {
            if !is_plain(&row.id) {
                return (row.id, HandOverOutcome::Refused("its id is not one that the host gives".to_owned()));
            }
            let Some(body) = row.body else {
                return (row.id, HandOverOutcome::Refused("its body is missing or too large".to_owned()));
            };
            let outcome = match (row.kind.as_str(), &grants.jobs, &grants.events) {
                ("job", Some(grant), _) => {
                    crate::jobs::hand_over(queue.as_ref(), grant, component, row.id.clone(), &body).await
                }
                ("event", _, Some(grant)) => {
                    crate::events::hand_over(log.as_ref(), grant, component, row.id.clone(), &body).await
                }
                ("job" | "event", ..) => HandOverOutcome::Refused("the component has no such capability".to_owned()),
                _ => HandOverOutcome::Refused("its kind is neither job nor event".to_owned()),
            };
            (row.id, outcome)
        }))
        .await;
        let (mut done, mut is_left) = (Vec::new(), false);
        for (id, outcome) in handed {
            match outcome {
                HandOverOutcome::Done => done.push(id),
                HandOverOutcome::Missing(why) if is_left => {
                    // The job that it refers to may be in the row that waits.
                    tracing::debug!(component, id, "a row of the component's outbox waits for another: {why}");
                }
                HandOverOutcome::Refused(why) | HandOverOutcome::Missing(why) => {
                    let shown: String = id.chars().take(ID_CHARS_MAX).collect();
                    tracing::warn!(component, id = ?shown, "a row of the component's outbox was dropped: {why}");
                    done.push(id);
                }
                HandOverOutcome::Later(why) => {
                    tracing::debug!(component, id, "a row of the component's outbox waits: {why}");
                    is_left = true;
                }
            }
        }
        database.delete_from_outbox(&done).await?;
        if is_left {
            return Ok(DrainOutcome::Part);
        }
    }
    Ok(DrainOutcome::Part)
}

#[cfg(test)]
mod tests;
