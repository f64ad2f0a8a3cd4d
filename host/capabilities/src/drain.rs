//! Hands over the rows in the outbox of a loaded component, to the queue and the log of events. See [`crate::outbox`].

use crate::db::{Database, Db, Error, StoredRow, is_plain};
use crate::events::hand_over::{self as event_rows, ReadEvent};
use crate::events::{EventLog, Events, EventsGrant};
use crate::jobs::hand_over::{self as job_rows, ReadJob};
use crate::jobs::{JobQueue, Jobs, JobsGrant};
use crate::outbox::{DrainOutcome, HandOverOutcome};
use elias_host::App;
use futures::future::join_all;
use std::sync::Arc;

/// How often rows are read at most: what is left then is for the next time.
const ROUNDS_MAX: u32 = 20;

/// Characters of an id that are shown.
const ID_CHARS_MAX: usize = 40;

/// Hands over the rows in the outbox of a component, some thousand at most, in the order of their ids, and deletes
/// those that were taken. A row that can never be taken is deleted, and the result says so; one that refers to a job
/// that does not exist stays as long as an earlier row waits.
///
/// Rows are read on the threads for work that blocks, some megabytes of JSON at a time: no poll of this future parses
/// any.
///
/// # Errors
/// If the component's database cannot be read or written to, or, with the SQLSTATE 42809, its table is not the one that
/// the host made, before any row was refused and deleted. What was handed over is then handed over again, which does no
/// harm.
pub async fn drain_outbox(
    app: &App,
    queue: &Arc<dyn JobQueue>,
    log: &Arc<dyn EventLog>,
) -> Result<DrainOutcome, Error> {
    let Some(database) = app.grant::<Db>() else {
        return Ok(DrainOutcome { is_empty: true, ..DrainOutcome::default() });
    };
    let grants = Grants { jobs: app.grant::<Jobs>(), events: app.grant::<Events>() };
    hand_over(&database, &Arc::new(grants), queue, log).await
}

/// The limits on jobs and events of the component; none if it imports no such capability.
struct Grants {
    jobs: Option<Arc<JobsGrant>>,
    events: Option<Arc<EventsGrant>>,
}

/// What a row is.
enum Content {
    Job(ReadJob),
    Event(ReadEvent),
}

/// The id of a row, and what it is or why it is refused.
type ReadRow = (String, Result<Content, String>);

impl Grants {
    /// Reads a row of a component.
    ///
    /// # Errors
    /// Why it is refused.
    fn read(&self, component: &str, row: &StoredRow) -> Result<Content, String> {
        if !is_plain(&row.id) {
            return Err("its id is not one that the host gives".to_owned());
        }
        let Some(body) = &row.body else { return Err("its body is missing or too large".to_owned()) };
        #[cfg(test)]
        tests::note_read(body.len());
        match (row.kind.as_str(), &self.jobs, &self.events) {
            ("job", Some(grant), _) => job_rows::read(grant, component, body).map(Content::Job),
            ("event", _, Some(grant)) => event_rows::read(grant, component, body).map(Content::Event),
            ("job" | "event", ..) => Err("the component has no such capability".to_owned()),
            _ => Err("its kind is neither job nor event".to_owned()),
        }
    }
}

/// Reads rows aside: a megabyte of JSON takes milliseconds, in which the thread of a poll would do nothing else.
async fn read_aside(grants: &Arc<Grants>, component: &str, rows: Vec<StoredRow>) -> Result<Vec<ReadRow>, Error> {
    let (grants, component) = (Arc::clone(grants), component.to_owned());
    let read = move || {
        let row = |row: StoredRow| {
            let content = grants.read(&component, &row);
            (row.id, content)
        };
        rows.into_iter().map(row).collect::<Vec<ReadRow>>()
    };
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|_| Error::unavailable("the rows of the outbox could not be read"))
}

async fn hand_over(
    database: &Database,
    grants: &Arc<Grants>,
    queue: &Arc<dyn JobQueue>,
    log: &Arc<dyn EventLog>,
) -> Result<DrainOutcome, Error> {
    let mut drained = DrainOutcome::default();
    for _ in 0..ROUNDS_MAX {
        match hand_over_rows(database, grants, queue, log, &mut drained).await {
            Ok(true) => {}
            Ok(false) => break,
            // The rows that were refused are gone: nobody would say so later. The error comes again with the next
            // drain.
            Err(error) if drained.refused > 0 => {
                let component = database.outbox().component();
                tracing::warn!(component, "the rest of the component's outbox was not handed over: {}", error.message);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(drained)
}

/// Hands over the first rows, and notes in `drained` what became of them. Says whether there may be more to hand over
/// now.
async fn hand_over_rows(
    database: &Database,
    grants: &Arc<Grants>,
    queue: &Arc<dyn JobQueue>,
    log: &Arc<dyn EventLog>,
    drained: &mut DrainOutcome,
) -> Result<bool, Error> {
    let component = database.outbox().component();
    let rows = database.read_outbox().await?;
    if rows.is_empty() {
        drained.is_empty = true;
        return Ok(false);
    }
    let rows = read_aside(grants, component, rows).await?;
    // Started in their order, and so enqueued in it; waited for together.
    let handed = join_all(rows.into_iter().map(|(id, content)| async move {
        let outcome = match content {
            Ok(Content::Job(job)) => job_rows::enqueue(queue.as_ref(), id.clone(), job).await,
            Ok(Content::Event(event)) => event_rows::publish(log.as_ref(), id.clone(), event).await,
            Err(why) => HandOverOutcome::Refused(why),
        };
        (id, outcome)
    }))
    .await;
    let (mut done, mut refused, mut is_left) = (Vec::new(), Vec::new(), false);
    for (id, outcome) in handed {
        match outcome {
            HandOverOutcome::Done => done.push(id),
            HandOverOutcome::Missing(why) if is_left => {
                // The job that it refers to may be in the row that waits.
                tracing::debug!(component, id, "a row of the component's outbox waits for another: {why}");
            }
            HandOverOutcome::Refused(why) | HandOverOutcome::Missing(why) => {
                let shown: String = id.chars().take(ID_CHARS_MAX).flat_map(char::escape_debug).collect();
                tracing::warn!(component, id = %shown, "a row of the component's outbox is dropped: {why}");
                refused.push((shown, why));
                done.push(id);
            }
            HandOverOutcome::Later(why) => {
                tracing::debug!(component, id, "a row of the component's outbox waits: {why}");
                is_left = true;
            }
        }
    }
    database.delete_from_outbox(&done).await?;
    refused.iter().for_each(|(id, why)| drained.refuse(id, why));
    Ok(!is_left)
}

#[cfg(test)]
mod tests;
