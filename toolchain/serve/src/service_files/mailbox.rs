//! `mailbox`: what is written in one open is a message, and what is read then is its answer.

use super::errors::refused;
use super::share::HeldBytes;
use super::tree::WorkerPath;
use super::{LOOK_EVERY, Visit};
use elias_api::{Code, Error, WorkerMessage};
use elias_nine_p::{Errno, FileError, FileResult, OpenFile, OpenMode};
use elias_platform::access::Permission;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Bytes of a message, as of a request to the admin API.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// A mailbox that is open.
pub(super) struct Mailbox {
    visit: Arc<Visit>,
    worker: WorkerPath,
    state: Mutex<State>,
}

/// How far the message is.
enum State {
    /// It is being written.
    Written(HeldBytes),
    /// The worker has it. Whoever waited for the answer may have been flushed: the next read goes on waiting.
    Sent(BoxFuture<'static, Result<Value, Error>>),
    /// The answer. `start` is the offset of its first byte: programs that write and read by one descriptor go on where
    /// the message ended.
    Answered { text: HeldBytes, start: Option<u64>, failure: Option<FileError> },
}

impl Mailbox {
    pub(super) async fn open(visit: Arc<Visit>, worker: WorkerPath, mode: OpenMode) -> FileResult<Self> {
        let permission = if mode.write { Permission::CallWorkers } else { Permission::Read };
        visit.confirm(permission, &worker.service).await?;
        Ok(Self { visit, worker, state: Mutex::new(State::Written(HeldBytes::default())) })
    }

    /// Checks that the token may still send messages and have their answers.
    async fn confirm(&self) -> FileResult<()> {
        self.visit.confirm(Permission::CallWorkers, &self.worker.service).await
    }

    async fn add(&self, offset: u64, data: &[u8]) -> FileResult<u32> {
        let mut state = self.state.lock().await;
        let State::Written(message) = &mut *state else {
            return Err(FileError::new(Errno::Invalid, "the message was sent; open the mailbox again for another"));
        };
        let length = message.as_slice().len();
        if offset != length as u64 {
            return Err(FileError::new(Errno::Invalid, "a message is written from its beginning to its end"));
        }
        if length + data.len() > MESSAGE_BYTES_MAX {
            return Err(FileError::new(Errno::TooLarge, format!("a message has at most {MESSAGE_BYTES_MAX} bytes")));
        }
        message.extend(&self.visit.share, data)?;
        // A message of the protocol has at most a u32 of bytes.
        Ok(u32::try_from(data.len()).unwrap_or(u32::MAX))
    }

    /// Sends the message if that was not done, and waits for the answer; false if nothing was written.
    async fn answer(&self, state: &mut State) -> FileResult<bool> {
        if let State::Written(message) = state {
            if message.as_slice().is_empty() {
                return Ok(false);
            }
            self.confirm().await?;
            let parsed = serde_json::from_slice::<WorkerMessage>(message.as_slice());
            *state = State::Sent(self.send(parsed));
        }
        if let State::Sent(call) = state {
            let answered = loop {
                match timeout(LOOK_EVERY, &mut *call).await {
                    Ok(answered) => break answered,
                    Err(_) => self.confirm().await?,
                }
            };
            let (text, failure) = match answered {
                Ok(answer) => (json!({ "answer": answer }), None),
                Err(error) => {
                    let text = json!({ "code": error.code().as_str(), "detail": error.to_string() });
                    (text, Some(refused(error)))
                }
            };
            let text = HeldBytes::new(&self.visit.share, format!("{text}\n").into_bytes());
            let (text, failure) = match text {
                Ok(text) => (text, failure),
                // The worker has handled it all the same.
                Err(full) => (HeldBytes::default(), Some(full)),
            };
            *state = State::Answered { text, start: None, failure };
        }
        Ok(true)
    }

    fn send(&self, message: Result<WorkerMessage, serde_json::Error>) -> BoxFuture<'static, Result<Value, Error>> {
        let (visit, WorkerPath { service, key }) = (Arc::clone(&self.visit), self.worker.clone());
        async move {
            let message = message.map_err(|error| {
                let form = "a message is JSON: {\"message\": ...}, or {\"method\": \"...\", \"args\": [...]}";
                Error::new(Code::BadInput, format!("{form}: {error}"))
            })?;
            visit.platform.send_to_worker(&visit.session, &service, key, message, None).await
        }
        .boxed()
    }

    async fn part(&self, offset: u64, count: u32) -> FileResult<Vec<u8>> {
        let mut state = self.state.lock().await;
        if !self.answer(&mut state).await? {
            return Ok(Vec::new());
        }
        self.confirm().await?;
        let State::Answered { text, start, failure } = &mut *state else { return Ok(Vec::new()) };
        match failure {
            // There was no room for the answer.
            Some(error) if text.as_slice().is_empty() => Err(error.clone()),
            _ => {
                let start = *start.get_or_insert(offset);
                Ok(text.part(offset.saturating_sub(start), count))
            }
        }
    }

    async fn finish(&self) -> FileResult<()> {
        let mut state = self.state.lock().await;
        self.answer(&mut state).await?;
        match &*state {
            State::Answered { failure: Some(failure), .. } => Err(failure.clone()),
            _ => Ok(()),
        }
    }
}

impl OpenFile for Mailbox {
    fn read(&self, offset: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>> {
        self.part(offset, count).boxed()
    }

    fn write(&self, offset: u64, data: Vec<u8>) -> BoxFuture<'_, FileResult<u32>> {
        async move { self.add(offset, &data).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, FileResult<()>> {
        self.finish().boxed()
    }
}
