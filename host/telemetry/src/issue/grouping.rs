//! Which failures are one issue: those of one service with the same code, message and first own frames.
//!
//! The frames are compared by function and file, so that an edit elsewhere in the file makes no new issue. The line of
//! the innermost own frame is compared too where nothing else tells two defects apart: in a function without a name,
//! and for errors of the engine itself, whose messages are as general as `not a function`.

use super::message::normalise;
use crate::text::cut;
use elias_contract::ErrorCode;
use elias_contract::stack::parse_stack;
use elias_names::ServiceId;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Own frames that are compared.
const FRAMES: usize = 3;
/// Frames of a stack that are looked at.
const STACK_FRAMES_MAX: usize = 64;
/// Bytes of an issue's title.
const TITLE_BYTES_MAX: usize = 300;
/// Bytes of a function's or file's name that are compared and shown.
const NAME_BYTES_MAX: usize = 300;
/// Hexadecimal digits of an id: 64 bits, for some thousand issues of a tenant.
const ID_DIGITS: usize = 16;
/// Packages that others wrote.
const PACKAGES: &str = "node_modules/";
/// The errors that the engine throws by itself.
const ENGINE_ERRORS: [&str; 5] = ["TypeError", "ReferenceError", "RangeError", "SyntaxError", "InternalError"];
/// The kinds of sources that are no requests; see `ExecutionRecord::source`.
const TRIGGERS: [&str; 6] = ["schedule", "job", "event", "webhook", "outbox", WORKER];
const WORKER: &str = "worker";

/// A failed execution, as far as it matters to which issue it belongs.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// The error code; `None` for a handler that answered with an error itself.
    pub code: Option<&'a str>,
    /// The status of the response; 0 without one.
    pub status: u16,
    /// What started it: method and path of a request, kind and name of a trigger.
    pub source: &'a str,
    /// The message with the stack, in positions of the original source.
    pub error: Option<&'a str>,
}

/// A place in the author's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The function, unless it is anonymous.
    pub function: Option<String>,
    /// The file, relative to the project.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// The issue to which a failure belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The id of the issue, 16 hexadecimal digits: the same on every host.
    pub id: String,
    /// The first line of the message, bounded; without one what was responded.
    pub title: String,
    /// The innermost place in the author's own files; `None` without a stack.
    pub place: Option<Place>,
}

/// The issue to which a failure of a service belongs.
#[must_use]
pub fn group(service: &ServiceId, failure: &Failure<'_>) -> Group {
    let (message, stack) = split(failure.error.unwrap_or_default());
    let own = own_frames(stack);
    let mut key = Key::default();
    key.add(service.component.as_str());
    key.add(service.environment.as_str());
    let code = failure.code.unwrap_or_default();
    key.add(code);
    if ends_anywhere(code) {
        // Where such a guest is ended is chance, but not by which handler it came there.
        if let Some(outermost) = own.last() {
            key.frame(outermost);
        }
    } else {
        let name = message.split(':').next().unwrap_or_default();
        let is_engine_error = code == ErrorCode::Exception.as_str() && ENGINE_ERRORS.contains(&name);
        key.add(&normalise(message, is_engine_error));
        // A function that calls itself is one, however deep.
        let mut frames = own.clone();
        frames.dedup_by(|one, other| (&one.function, &one.file) == (&other.function, &other.file));
        frames.iter().take(FRAMES).for_each(|frame| key.frame(frame));
        if let Some(innermost) = own.first().filter(|frame| is_engine_error || frame.function.is_none()) {
            key.add(&innermost.line.to_string());
        }
    }
    if own.is_empty() {
        key.add(trigger(failure.source));
        if failure.code.is_none() && failure.error.is_none() {
            key.add(&failure.status.to_string());
        }
    }
    Group { id: key.id(), title: title(failure, message), place: own.into_iter().next() }
}

/// The parts by which failures are compared, each with its length, so that no two lists of parts are one text.
#[derive(Default)]
struct Key(Sha256);

impl Key {
    fn add(&mut self, part: &str) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part.as_bytes());
    }

    fn frame(&mut self, frame: &Place) {
        self.add(frame.function.as_deref().unwrap_or_default());
        self.add(&frame.file);
    }

    fn id(self) -> String {
        let mut id = String::with_capacity(ID_DIGITS);
        for byte in self.0.finalize().iter().take(ID_DIGITS / 2) {
            let _ = write!(id, "{byte:02x}"); // writing to a String cannot fail
        }
        id
    }
}

/// Whether a guest that fails with this code was ended wherever it happened to be.
fn ends_anywhere(code: &str) -> bool {
    [ErrorCode::OutOfFuel, ErrorCode::OutOfMemory, ErrorCode::Deadline].iter().any(|one| one.as_str() == code)
}

/// The message and the stack of an error's text: the stack begins with the first line that is a frame.
fn split(error: &str) -> (&str, &str) {
    match error.find("\n    at ") {
        Some(at) => (&error[..at], &error[at..]),
        None => (error, ""),
    }
}

/// Whether a file is the author's own, and not one of a package.
pub(crate) fn is_own_file(file: &str) -> bool {
    !file.contains(PACKAGES)
}

/// The frames in the author's own files, the innermost first; those in packages if there are no others.
fn own_frames(stack: &str) -> Vec<Place> {
    let lines = stack.lines().take(STACK_FRAMES_MAX);
    let frames: Vec<_> = lines.flat_map(parse_stack).filter(|frame| frame.line > 0).collect();
    let has_own = frames.iter().any(|frame| is_own_file(&frame.file));
    let frames = frames.into_iter().filter(|frame| !has_own || is_own_file(&frame.file));
    let place = frames.map(|frame| Place {
        function: frame.function.map(|name| cut(&name, NAME_BYTES_MAX)),
        file: cut(&frame.file, NAME_BYTES_MAX),
        line: frame.line,
        column: frame.column,
    });
    place.collect()
}

/// The trigger that started an execution, by kind and name, a worker by its class; empty for a request, whose path is
/// the client's word.
fn trigger(source: &str) -> &str {
    let kind = source.split(' ').next().unwrap_or_default();
    if !TRIGGERS.contains(&kind) {
        return "";
    }
    if kind == WORKER { source.split('/').next().unwrap_or_default() } else { source }
}

fn title(failure: &Failure<'_>, message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    if !line.is_empty() {
        return cut(line, TITLE_BYTES_MAX);
    }
    match failure.code {
        Some(code) => code.to_owned(),
        None => format!("The handler responded with {}", failure.status),
    }
}

#[cfg(test)]
mod tests;
