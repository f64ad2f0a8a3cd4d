//! Files with what is so when they are opened, and the file of commands.

use super::Visit;
use super::errors::refused;
use super::names;
use super::share::HeldBytes;
use super::tree::WorkerPath;
use elias_api::{WorkerForkRequest, WorkerStopRequest};
use elias_nine_p::{Errno, FileError, FileResult, OpenFile, OpenMode};
use elias_platform::access::Permission;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Bytes of a command.
const COMMAND_BYTES_MAX: usize = 4_096;

/// What a read of `ctl` gives.
const COMMANDS: &str = "start\nstop [REASON]\nrestart [REASON]\nfork NAME [TURN]\n";

/// A text as it was when the file was opened, for whom may still read it.
pub(super) struct Snapshot {
    visit: Arc<Visit>,
    worker: WorkerPath,
    permission: Permission,
    text: HeldBytes,
}

impl Snapshot {
    /// What a worker does.
    pub(super) async fn of_status(visit: Arc<Visit>, worker: WorkerPath) -> FileResult<Self> {
        visit.open(Permission::Read, &worker).await?;
        let status = visit.platform.worker(&visit.session, &worker.service, &worker.key).await.map_err(refused)?;
        Self::of_json(visit, worker, Permission::Read, &status)
    }

    /// The state of a worker.
    pub(super) async fn of_state(visit: Arc<Visit>, worker: WorkerPath) -> FileResult<Self> {
        visit.open(Permission::ReadData, &worker).await?;
        let state = visit.platform.worker_state(&visit.session, &worker.service, &worker.key, None).await;
        Self::of_json(visit, worker, Permission::ReadData, &state.map_err(refused)?)
    }

    fn of_json(
        visit: Arc<Visit>,
        worker: WorkerPath,
        permission: Permission,
        value: &impl serde::Serialize,
    ) -> FileResult<Self> {
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|error| FileError::new(Errno::Io, error.to_string()))? + "\n";
        let text = HeldBytes::new(&visit.share, text.into_bytes())?;
        Ok(Self { visit, worker, permission, text })
    }
}

impl OpenFile for Snapshot {
    fn read(&self, offset: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>> {
        async move {
            self.visit.confirm(self.permission, &self.worker.service).await?;
            Ok(self.text.part(offset, count))
        }
        .boxed()
    }

    fn write(&self, _: u64, _: Vec<u8>) -> BoxFuture<'_, FileResult<u32>> {
        std::future::ready(Err(FileError::not_permitted())).boxed()
    }

    fn close(&self) -> BoxFuture<'_, FileResult<()>> {
        std::future::ready(Ok(())).boxed()
    }
}

/// `ctl`: each write is one or more commands, a line each.
pub(super) struct Control {
    visit: Arc<Visit>,
    worker: WorkerPath,
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Start,
    Stop(WorkerStopRequest),
    Restart(WorkerStopRequest),
    Fork(WorkerForkRequest),
}

impl Command {
    fn read(line: &str) -> FileResult<Self> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let reason = || WorkerStopRequest { reason: (!rest.is_empty()).then(|| rest.to_owned()) };
        Ok(match command {
            "start" if rest.is_empty() => Self::Start,
            "stop" => Self::Stop(reason()),
            "restart" => Self::Restart(reason()),
            "fork" if !rest.is_empty() => {
                let (name, at) = match rest.split_once(' ') {
                    None => (rest, None),
                    Some((name, turn)) => (name, Some(turn.trim().parse().map_err(|_| unknown())?)),
                };
                Self::Fork(WorkerForkRequest { name: names::decode(name).map_err(|_| unknown())?, at })
            }
            _ => return Err(unknown()),
        })
    }
}

/// The commands of a write, a line each.
fn read_all(commands: &[u8]) -> FileResult<Vec<Command>> {
    if commands.len() > COMMAND_BYTES_MAX {
        return Err(FileError::new(Errno::TooLarge, format!("commands have at most {COMMAND_BYTES_MAX} bytes")));
    }
    let lines = std::str::from_utf8(commands).map_err(|_| unknown())?.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).map(Command::read).collect()
}

fn unknown() -> FileError {
    let message = "commands are start, stop [REASON], restart [REASON] and fork NAME [TURN], with NAME percent-encoded";
    FileError::new(Errno::Invalid, message)
}

impl Control {
    pub(super) async fn open(visit: Arc<Visit>, worker: WorkerPath, mode: OpenMode) -> FileResult<Self> {
        let permission = if mode.write { Permission::OperateWorkers } else { Permission::Read };
        visit.confirm(permission, &worker.service).await?;
        Ok(Self { visit, worker })
    }

    /// All commands are read before the first is obeyed.
    async fn obey(&self, commands: &[u8]) -> FileResult<()> {
        let commands = read_all(commands)?;
        let (platform, session) = (&self.visit.platform, &self.visit.session);
        let WorkerPath { service, key } = &self.worker;
        for command in commands {
            self.visit.confirm(Permission::OperateWorkers, service).await?;
            match command {
                Command::Start => platform.start_worker(session, service, key).await.map(drop),
                Command::Stop(request) => platform.stop_worker(session, service, key, request).await,
                Command::Restart(request) => platform.restart_worker(session, service, key, request).await.map(drop),
                Command::Fork(request) => platform.fork_worker(session, service, key, &request).await.map(drop),
            }
            .map_err(refused)?;
        }
        Ok(())
    }
}

impl OpenFile for Control {
    fn read(&self, offset: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(COMMANDS.len());
        let part = COMMANDS.as_bytes()[start..].iter().copied().take(count as usize).collect();
        std::future::ready(Ok(part)).boxed()
    }

    fn write(&self, _: u64, data: Vec<u8>) -> BoxFuture<'_, FileResult<u32>> {
        async move {
            self.obey(&data).await?;
            // It was bounded by the length of commands.
            Ok(u32::try_from(data.len()).unwrap_or(u32::MAX))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, FileResult<()>> {
        std::future::ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let stop = |reason: Option<&str>| WorkerStopRequest { reason: reason.map(str::to_owned) };
        let fork = |name: &str, at| Command::Fork(WorkerForkRequest { name: name.to_owned(), at });
        for (line, command) in [
            ("start", Command::Start),
            ("stop", Command::Stop(stop(None))),
            ("stop out of season", Command::Stop(stop(Some("out of season")))),
            ("restart", Command::Restart(stop(None))),
            ("fork copy", fork("copy", None)),
            ("fork a%2Fb 7", fork("a/b", Some(7))),
        ] {
            assert_eq!(Command::read(line).expect(line), command);
        }
        for line in ["", "start now", "fork", "fork a/b", "fork a x", "fork a 1 2", "halt", "STOP"] {
            assert_eq!(Command::read(line).expect_err(line).errno, Errno::Invalid, "{line}");
        }
        assert_eq!(read_all(b"start\n\n stop\n").expect("two"), [Command::Start, Command::Stop(stop(None))]);
        assert_eq!(read_all(b"start\nhalt").expect_err("one is none").errno, Errno::Invalid);
        assert_eq!(read_all(b"stop \xff").expect_err("no text").errno, Errno::Invalid);
        assert!(read_all(&[b'\n'; COMMAND_BYTES_MAX]).expect("within").is_empty());
        assert_eq!(read_all(&[b'\n'; COMMAND_BYTES_MAX + 1]).expect_err("beyond").errno, Errno::TooLarge);
    }
}
