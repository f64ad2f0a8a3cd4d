//! The last seen state of a log, so that a later look can tell that it only grew.

use super::{AuditError, Log};
use crate::{Checkpoint, LogError};
use elias_atomic_write::{Access, Fsync};
use elias_contract::note::{NOTE_BYTES_MAX, VerifyingKey};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// A file with the last checkpoint of one log that was seen and found good: the signed note itself, so that the file is
/// evidence. The first checkpoint is trusted.
#[derive(Debug)]
pub struct StateFile(PathBuf);

/// How a log compares with what was seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// It was not seen before.
    First {
        /// How many entries it has.
        size: u64,
    },
    /// It begins with what was seen.
    Grown {
        /// How many entries were seen.
        from: u64,
        /// How many it has; the same if nothing was added.
        to: u64,
    },
}

impl StateFile {
    /// The file at `path`, which need not be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Compares a log with what was seen of it, and if it is a continuation remembers its checkpoint. `keys` are the
    /// log's, with older ones that may have signed what was seen. If it is none, the file stays as it is.
    ///
    /// # Errors
    /// [`AuditError::Forked`] and [`AuditError::Shrunk`] with both checkpoints; [`AuditError::State`] if the file
    /// cannot be used.
    pub fn follow(&self, log: &Log<'_>, keys: &[VerifyingKey]) -> Result<Consistency, AuditError> {
        let now = log.checkpoint();
        let Some(seen) = self.read(keys)? else {
            self.write(now)?;
            return Ok(Consistency::First { size: now.size });
        };
        if seen.origin != now.origin {
            return Err(self.problem(format_args!("it is of the log {}, not {}", seen.origin, now.origin)));
        }
        log.check_extends(&seen)?;
        if seen.note != now.note {
            self.write(now)?;
        }
        Ok(Consistency::Grown { from: seen.size, to: now.size })
    }

    /// The checkpoint that was seen last; none if there is no file.
    ///
    /// # Errors
    /// [`AuditError::State`] if it cannot be read, or has no checkpoint that one of `keys` signed.
    pub fn read(&self, keys: &[VerifyingKey]) -> Result<Option<Checkpoint>, AuditError> {
        let mut note = String::new();
        match File::open(&self.0).and_then(|file| file.take(NOTE_BYTES_MAX as u64 + 1).read_to_string(&mut note)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.problem(error)),
        }
        let refused =
            |error: LogError| self.problem(format_args!("{error}; give the log's former key too, if it has one"));
        Checkpoint::open(&note, keys).map(Some).map_err(refused)
    }

    /// Replaces the file atomically.
    fn write(&self, checkpoint: &Checkpoint) -> Result<(), AuditError> {
        // After a power loss an older checkpoint will do: the log must continue that too.
        elias_atomic_write::write_path(&self.0, checkpoint.note.as_bytes(), Access::Umask, Fsync::File)
            .map_err(|error| self.problem(error))
    }

    fn problem(&self, problem: impl std::fmt::Display) -> AuditError {
        AuditError::State { file: self.0.display().to_string(), problem: problem.to_string() }
    }
}
