//! Files of which a read waits for what comes: events, and log lines.
//!
//! A read that is dropped, because it was flushed or its file closed, loses nothing: the next one goes on. The offsets
//! of reads mean nothing here.

use super::errors::refused;
use super::tree::WorkerPath;
use super::{LOOK_EVERY, Visit};
use elias_api::{EventRecord, FollowedLine};
use elias_nine_p::{Errno, FileError, FileResult, OpenFile};
use elias_platform::access::Permission;
use elias_platform::{Followed, Follower};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// Bytes of events that wait to be read, with which no further event is added to them.
const PENDING_BYTES: usize = 64 << 10;

/// The events of a worker from the opening of the file on, a JSON object a line.
pub(super) struct EventStream {
    visit: Arc<Visit>,
    worker: WorkerPath,
    state: Mutex<EventState>,
}

struct EventState {
    /// The position of the log up to which was looked, or the last event of which was read.
    after: u64,
    /// Bytes that were not read yet.
    pending: Vec<u8>,
}

impl EventStream {
    pub(super) async fn open(visit: Arc<Visit>, worker: WorkerPath) -> FileResult<Self> {
        visit.confirm(Permission::Read, &worker.service).await?;
        let end = visit.platform.worker_events(&visit.session, &worker.service, &worker.key, None).await;
        let after = end.map_err(refused)?.1;
        Ok(Self { visit, worker, state: Mutex::new(EventState { after, pending: Vec::new() }) })
    }

    async fn next(&self, count: u32) -> FileResult<Vec<u8>> {
        let WorkerPath { service, key } = &self.worker;
        let mut state = self.state.lock().await;
        loop {
            self.visit.confirm(Permission::Read, service).await?;
            if !state.pending.is_empty() {
                return Ok(take(&mut state.pending, count));
            }
            let after = Some(state.after);
            let found = self.visit.platform.worker_events(&self.visit.session, service, key, after).await;
            let (events, position) = found.map_err(refused)?;
            let is_end = position == state.after;
            state.after = add_lines(&mut state.pending, &events)?.unwrap_or(position);
            if is_end {
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Adds events, a line each, until there are enough to be read; gives the position of the last one then, behind which
/// there may be others.
fn add_lines(pending: &mut Vec<u8>, events: &[EventRecord]) -> FileResult<Option<u64>> {
    for event in events {
        serde_json::to_writer(&mut *pending, event).map_err(|error| FileError::new(Errno::Io, error.to_string()))?;
        pending.push(b'\n');
        if pending.len() >= PENDING_BYTES {
            return Ok(Some(event.position));
        }
    }
    Ok(None)
}

/// The log lines of a worker on this host from the opening of the file on, a JSON object a line.
pub(super) struct LogStream {
    visit: Arc<Visit>,
    worker: WorkerPath,
    state: Mutex<LogState>,
}

struct LogState {
    lines: Follower<FollowedLine>,
    /// Bytes that were not read yet.
    pending: Vec<u8>,
}

impl LogStream {
    pub(super) async fn open(visit: Arc<Visit>, worker: WorkerPath) -> FileResult<Self> {
        visit.confirm(Permission::Read, &worker.service).await?;
        let lines = visit.platform.follow_log(&visit.session, &worker.service, None).map_err(refused)?;
        Ok(Self { visit, worker, state: Mutex::new(LogState { lines, pending: Vec::new() }) })
    }

    async fn next(&self, count: u32) -> FileResult<Vec<u8>> {
        let name = self.worker.key.to_string();
        let mut state = self.state.lock().await;
        loop {
            self.visit.confirm(Permission::Read, &self.worker.service).await?;
            if !state.pending.is_empty() {
                return Ok(take(&mut state.pending, count));
            }
            // Lines of others must not put off the next look at the token.
            let line = timeout(LOOK_EVERY, next_line(&mut state.lines, &name)).await;
            match line {
                Ok(Some(mut line)) => {
                    line.push('\n');
                    state.pending = line.into_bytes();
                }
                // The service does not serve here any more.
                Ok(None) => return Ok(Vec::new()),
                Err(_) => {}
            }
        }
    }
}

/// The next line of a worker as JSON, or how many lines of the service were lost; none if there will be no more.
async fn next_line(lines: &mut Follower<FollowedLine>, worker: &str) -> Option<String> {
    loop {
        if let Some(text) = line_of(lines.next().await?, worker) {
            return Some(text);
        }
    }
}

/// A line as JSON if it is the worker's, or how many lines of the service were lost.
fn line_of(followed: Followed<FollowedLine>, worker: &str) -> Option<String> {
    match followed {
        Followed::Item(_, line) if line.worker.as_deref() == Some(worker) => serde_json::to_string(&line).ok(),
        Followed::Item(..) => None,
        Followed::Lost(lost) => Some(json!({ "lost": lost }).to_string()),
    }
}

/// The first bytes, which are read then.
fn take(pending: &mut Vec<u8>, count: u32) -> Vec<u8> {
    let rest = pending.split_off(pending.len().min(count as usize));
    std::mem::replace(pending, rest)
}

/// A stream is only read.
macro_rules! read_only {
    ($($stream:ident),*) => {$(
        impl OpenFile for $stream {
            fn read(&self, _: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>> {
                self.next(count).boxed()
            }

            fn write(&self, _: u64, _: Vec<u8>) -> BoxFuture<'_, FileResult<u32>> {
                std::future::ready(Err(FileError::not_permitted())).boxed()
            }

            fn close(&self) -> BoxFuture<'_, FileResult<()>> {
                std::future::ready(Ok(())).boxed()
            }
        }
    )*};
}

read_only!(EventStream, LogStream);

#[cfg(test)]
mod tests {
    use super::*;

    fn line(worker: Option<&str>, message: &str) -> FollowedLine {
        FollowedLine {
            execution: "01".to_owned(),
            worker: worker.map(str::to_owned),
            message_id: None,
            level: "INFO",
            message: message.to_owned(),
            fields: String::new(),
        }
    }

    #[test]
    fn lines_of_other_workers_are_left_out_and_lost_ones_counted() {
        let of = |followed: Followed<FollowedLine>| line_of(followed, "Cart/ada");
        for other in [line(None, "a"), line(Some("Cart/bo"), "b")] {
            assert_eq!(of(Followed::Item(1, other)), None);
        }
        let own = of(Followed::Item(2, line(Some("Cart/ada"), "c"))).expect("its line");
        assert!(own.contains(r#""message":"c""#), "{own}");
        assert_eq!(of(Followed::Lost(5)).as_deref(), Some(r#"{"lost":5}"#));
    }

    #[test]
    fn few_events_wait_to_be_read() {
        let event = |position: u64| EventRecord {
            position,
            id: position.to_string(),
            event_type: "a".to_owned(),
            source: "/a".to_owned(),
            subject: None,
            data: format!("\"{}\"", "x".repeat(PENDING_BYTES / 3)),
            time: 0,
            key: None,
            hops: 0,
            cause: None,
            published_at: 0,
        };
        let events: Vec<_> = (1..=9).map(event).collect();
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        let mut pending = Vec::new();
        assert_eq!(add_lines(&mut pending, &events).expect("added"), Some(3));
        assert_eq!(lines(&pending), 3);
        pending.clear();
        assert_eq!(add_lines(&mut pending, &events[7..]).expect("added"), None);
        assert_eq!(lines(&pending), 2);
    }

    #[test]
    fn bytes_are_read_once() {
        let mut pending = b"hello".to_vec();
        assert_eq!(
            (take(&mut pending, 2), take(&mut pending, 9), take(&mut pending, 9)),
            (b"he".to_vec(), b"llo".to_vec(), vec![])
        );
    }
}
