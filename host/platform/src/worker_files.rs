//! Service workers as files: which there are, what happens to one, and the files that a worker serves itself by its
//! methods `onWalk`, `onRead` and `onWrite`.

use crate::access::Permission;
use crate::platform::Platform;
use crate::platform_events::SOURCE;
use crate::session::Session;
use crate::triggers::source_of;
use crate::worker_calls::{ANSWER_WAIT, check_worker, in_time, refusal, shown};
use crate::worker_events::subject_of;
use crate::workers::{MessageId, WorkerCallFrom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elias_api::{Code, Error, EventRecord, Result};
use elias_capabilities::trigger::Cause;
use elias_capabilities::workers::{Error as CallError, ErrorCode as CallErrorCode};
use elias_names::{ServiceId, TenantId};
use elias_store::now_ms;
use elias_workers::WorkerKey;
use elias_workers::value::{Content, ENCODED_BYTES_MAX, from_json, to_content};
use serde::Deserialize;
use serde_json::{Value, json};

/// Events that are looked at at once: each has up to 256 KiB.
const EVENTS_MAX: u32 = 100;

/// Entries of a directory that a worker serves.
const ENTRIES_MAX: usize = 4_096;

/// Whether a worker's file is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerFileKind {
    /// A file.
    #[default]
    File,
    /// A directory.
    Directory,
}

/// What `onWalk` says of a file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct WorkerFile {
    /// Whether it is a directory.
    #[serde(rename = "type")]
    pub kind: WorkerFileKind,
    /// Bytes of a file; 0 if they are not known.
    pub size: u64,
    /// When it was changed, in milliseconds since 1970; 0 if that is not known.
    pub modified: u64,
    /// Whether it can be written; of a directory, whether files can be made in it.
    pub writable: bool,
    /// The entries of a directory.
    pub entries: Vec<WorkerFileEntry>,
}

/// An entry of a directory: its name, or what is known of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum WorkerFileEntry {
    /// The name of a file.
    Name(String),
    /// A file or a directory.
    Known {
        /// Its name.
        name: String,
        /// What is known of it.
        #[serde(flatten)]
        file: WorkerFile,
    },
}

impl WorkerFileEntry {
    /// Name and what is known of it.
    #[must_use]
    pub fn split(self) -> (String, WorkerFile) {
        match self {
            Self::Name(name) => (name, WorkerFile::default()),
            Self::Known { name, file } => (name, file),
        }
    }
}

impl Platform {
    /// The services of a tenant that serve on this host and that the session may see, by component and environment.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn served_services(&self, session: &Session, tenant: &TenantId) -> Result<Vec<ServiceId>> {
        session.require(Permission::Read, tenant, None)?;
        let table = self.serving().table();
        let mut found: Vec<ServiceId> = table
            .services
            .keys()
            .filter(|id| id.tenant == *tenant && session.require(Permission::Read, tenant, *id).is_ok())
            .cloned()
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Whether a service serves on this host, for a session that may see it.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn is_served(&self, session: &Session, service: &ServiceId) -> Result<bool> {
        session.require(Permission::Read, &service.tenant, service)?;
        Ok(self.serving().service(service).is_some())
    }

    /// A file of a worker is opened: starts the worker if it does not exist, where the service has it so
    /// (`[workers] start-on-open`) and the session may send messages, which would start it too.
    ///
    /// # Errors
    /// As of [`Platform::send_to_worker`].
    pub async fn open_worker(&self, session: &Session, service: &ServiceId, key: &WorkerKey) -> Result<()> {
        let serving = self.serving().service(service);
        let is_started = serving.is_some_and(|service| service.state().workers.start_on_open);
        if !is_started || session.require(Permission::CallWorkers, &service.tenant, service).is_err() {
            return Ok(());
        }
        check_worker(key)?;
        self.workers().start_worker(service, key).await.map_err(refusal)
    }

    /// The events about a worker, and those that it emits, after a position of the tenant's log, and the position up to
    /// which was looked; without a position none, and where the log ends now.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn worker_events(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        after: Option<u64>,
    ) -> Result<(Vec<EventRecord>, u64)> {
        let mut scope = self.read(session, Permission::Read, &service.tenant, service).await?;
        let Some(after) = after else {
            return Ok((Vec::new(), scope.events_since(now_ms().saturating_add(1)).await?));
        };
        let mut events = scope.events(after, EVENTS_MAX).await?;
        let position = events.last().map_or(after, |event| event.position);
        let (subject, own) = (subject_of(service, key), source_of(service));
        events.retain(|event| {
            let is_about_worker = event.source == SOURCE && event.event_type.starts_with("worker.");
            event.subject.as_deref() == Some(subject.as_str()) && (is_about_worker || event.source == own)
        });
        Ok((events, position))
    }

    /// What a worker says of one of its files, by `onWalk(path)`; the empty path is its root.
    ///
    /// # Errors
    /// `not-found` if there is no such file, `forbidden`, `worker-exception` if the class serves no files; else as of
    /// [`Platform::send_to_worker`].
    pub async fn walk_worker_file(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        path: &[String],
    ) -> Result<WorkerFile> {
        let answer = self.call_for_file(session, service, key, "onWalk", arguments(&json!([path]))?).await?;
        file_of(shown(&answer)?)
    }

    /// A part of a worker's file, at most `count` bytes, by `onRead(path, offset, count)`.
    ///
    /// # Errors
    /// As of [`Platform::walk_worker_file`].
    pub async fn read_worker_file(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        path: &[String],
        (offset, count): (u64, u32),
    ) -> Result<Vec<u8>> {
        let value = arguments(&json!([path, offset, count]))?;
        let answer = self.call_for_file(session, service, key, "onRead", value).await?;
        part_of(&answer, offset, count)
    }

    /// Writes on a worker's file, by `onWrite(path, bytes, offset, { truncate })`; gives how many bytes were taken.
    ///
    /// # Errors
    /// As of [`Platform::walk_worker_file`].
    pub async fn write_worker_file(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        path: &[String],
        (bytes, offset, truncate): (&[u8], u64, bool),
    ) -> Result<usize> {
        let value = encoded_write(path, bytes, offset, truncate)?;
        let answer = self.call_for_file(session, service, key, "onWrite", value).await?;
        let taken = shown(&answer)?.as_u64().and_then(|taken| usize::try_from(taken).ok());
        // A worker that says nothing has taken all of it.
        Ok(taken.unwrap_or(bytes.len()).min(bytes.len()))
    }

    async fn call_for_file(
        &self,
        session: &Session,
        service: &ServiceId,
        key: &WorkerKey,
        method: &str,
        value: String,
    ) -> Result<String> {
        session.require(Permission::CallWorkers, &service.tenant, service)?;
        check_worker(key)?;
        let cause = Cause { traceparent: None, hops: 0 };
        let call = WorkerCallFrom {
            id: MessageId::Unique(None),
            key: key.clone(),
            method: Some(method.to_owned()),
            value,
            cause,
        };
        in_time(self.workers().call(service, call), ANSWER_WAIT).await?.map_err(failure)
    }
}

/// The encoded arguments of a call.
fn arguments(list: &Value) -> Result<String> {
    from_json(list).map_err(|error| Error::new(Code::TooLarge, error.to_string()))
}

/// The encoded arguments of `onWrite`: JSON has no bytes.
fn encoded_write(path: &[String], bytes: &[u8], offset: u64, truncate: bool) -> Result<String> {
    let mut names = vec![Value::from("array")];
    names.extend(path.iter().map(|name| Value::from(name.as_str())));
    let encoded = json!([
        1,
        [2],
        ["array", [3], [4], offset, [6]],
        names,
        ["view", "Uint8Array", [5], 0, bytes.len()],
        ["buffer", STANDARD.encode(bytes)],
        { "truncate": truncate },
    ])
    .to_string();
    if encoded.len() > ENCODED_BYTES_MAX {
        return Err(Error::new(Code::TooLarge, format!("a write has at most {ENCODED_BYTES_MAX} bytes when encoded")));
    }
    Ok(encoded)
}

/// What a worker throws, by the names that the web platform has for it.
fn failure(error: CallError) -> Error {
    match (error.code, error.name.as_str()) {
        (CallErrorCode::Exception, "NotFoundError") => Error::new(Code::NotFound, error.message),
        (CallErrorCode::Exception, "NotAllowedError") => Error::new(Code::Forbidden, error.message),
        _ => refusal(error),
    }
}

/// The answer of `onWalk`.
fn file_of(answer: Value) -> Result<WorkerFile> {
    if answer.is_null() {
        return Err(Error::not_found("the file"));
    }
    let malformed = |error: serde_json::Error| {
        let message = format!("onWalk must give nothing, or an object with `type`, `size`, `entries`: {error}");
        Error::new(Code::WorkerFailed, message)
    };
    let file: WorkerFile = serde_json::from_value(answer).map_err(malformed)?;
    if file.entries.len() > ENTRIES_MAX {
        let message = format!("onWalk gave {} entries; a directory has at most {ENTRIES_MAX}", file.entries.len());
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(file)
}

/// The bytes that the answer of `onRead` stands for: a text is the whole file, bytes are the part that was asked for.
fn part_of(answer: &str, offset: u64, count: u32) -> Result<Vec<u8>> {
    let failed = |message: String| Error::new(Code::WorkerFailed, format!("onRead: {message}"));
    match to_content(answer).map_err(|error| failed(error.to_string()))? {
        Some(Content::Bytes(mut bytes)) => {
            bytes.truncate(count as usize);
            Ok(bytes)
        }
        Some(Content::Text(text)) => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
            Ok(text.as_bytes()[start..].iter().copied().take(count as usize).collect())
        }
        None if shown(answer)?.is_null() => Err(Error::not_found("the file")),
        None => Err(failed("it must give a string, an ArrayBuffer or a view of one".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_workers::value::to_json;

    #[test]
    fn a_write_is_encoded_as_a_worker_reads_it() {
        let path = ["notes".to_owned(), "a\"b".to_owned()];
        let encoded = encoded_write(&path, b"hi", 7, true).expect("small");
        let wanted = json!([["notes", "a\"b"], "aGk=", 7, { "truncate": true }]);
        assert_eq!(to_json(&encoded).expect("encoded"), wanted);
        let large = vec![0; ENCODED_BYTES_MAX];
        assert_eq!(encoded_write(&path, &large, 0, false).expect_err("too large").code(), Code::TooLarge);
    }

    #[test]
    fn a_text_is_the_whole_file_and_bytes_are_a_part() {
        let part = |answer: &str, offset| part_of(answer, offset, 3);
        assert_eq!(part(r#"[1,"hello"]"#, 0).expect("a text"), b"hel");
        assert_eq!(part(r#"[1,"hello"]"#, 3).expect("a text"), b"lo");
        assert_eq!(part(r#"[1,"hello"]"#, 9).expect("a text"), b"");
        assert_eq!(part(r#"[1,[2],["buffer","aGVsbG8="]]"#, 3).expect("bytes"), b"hel");
        assert_eq!(part(r#"[1,["undefined"]]"#, 0).expect_err("nothing").code(), Code::NotFound);
        assert_eq!(part("[1,5]", 0).expect_err("a number").code(), Code::WorkerFailed);
    }

    #[test]
    fn what_a_worker_says_of_a_file_is_checked() {
        let directory = json!({ "type": "directory", "entries": ["a", { "name": "b", "type": "directory" }] });
        let file = file_of(directory).expect("a directory");
        assert_eq!(file.kind, WorkerFileKind::Directory);
        let entries: Vec<_> = file.entries.into_iter().map(WorkerFileEntry::split).collect();
        let kinds: Vec<_> = entries.iter().map(|(name, file)| (name.as_str(), file.kind)).collect();
        assert_eq!(kinds, [("a", WorkerFileKind::File), ("b", WorkerFileKind::Directory)]);
        assert_eq!(file_of(json!({})).expect("a file"), WorkerFile::default());
        assert_eq!(file_of(Value::Null).expect_err("none").code(), Code::NotFound);
        for malformed in [json!(5), json!({ "type": "link" }), json!({ "size": -1 }), json!({ "entries": [5] })] {
            assert_eq!(file_of(malformed).expect_err("malformed").code(), Code::WorkerFailed);
        }
        let many = json!({ "entries": vec!["a"; ENTRIES_MAX + 1] });
        assert_eq!(file_of(many).expect_err("too many").code(), Code::TooLarge);
    }

    #[test]
    fn exceptions_of_the_web_have_codes_of_their_own() {
        let thrown = |name: &str| {
            failure(CallError { code: CallErrorCode::Exception, name: name.into(), message: "m".into() }).code()
        };
        assert_eq!(thrown("NotFoundError"), Code::NotFound);
        assert_eq!(thrown("NotAllowedError"), Code::Forbidden);
        assert_eq!(thrown("RangeError"), Code::WorkerException);
    }
}
