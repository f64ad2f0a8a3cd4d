//! The error of the crate: its code, its message, the JavaScript exception behind it, and the execution that failed.

use crate::execution::Execution;
use elias_contract::{ErrorCode, hint};
use std::fmt;

/// A JavaScript exception that left a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The error's class, such as `TypeError`.
    pub name: String,
    /// The error's message.
    pub message: String,
    /// The stack, in positions of the original source where the component has a source map.
    pub stack: String,
}

impl Exception {
    /// The remedy, if many people meet this exception.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        hint::for_exception(&self.name, &self.message)
    }
}

/// A failure: its code, its message for the operator, and the cost of the execution, if there was one.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: ErrorCode,
    message: String,
    exception: Option<Exception>,
    backtrace: Option<String>,
    execution: Option<Execution>,
}

impl Error {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner { code, message: message.into(), exception: None, backtrace: None, execution: None }),
        }
    }

    /// A file that cannot be read, for servers that send files in a component's place.
    #[must_use]
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Io, message)
    }

    /// A client that reads too slowly, for servers that end an execution for it.
    #[must_use]
    pub fn slow_client(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::SlowClient, message)
    }

    pub(crate) fn with_exception(mut self, exception: Exception) -> Self {
        self.inner.exception = Some(exception);
        self
    }

    pub(crate) fn with_backtrace(mut self, stack: String) -> Self {
        self.inner.backtrace = Some(stack);
        self
    }

    pub(crate) fn with_execution(mut self, execution: Execution) -> Self {
        self.inner.execution = Some(execution);
        self
    }

    /// The reason.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// The execution that failed; none if none was begun.
    #[must_use]
    pub fn execution(&self) -> Option<&Execution> {
        self.inner.execution.as_ref()
    }

    /// The exception, if one left the handler.
    #[must_use]
    pub fn exception(&self) -> Option<&Exception> {
        self.inner.exception.as_ref()
    }

    /// The stack in positions of the original source: of the exception, or of the code that was running when the guest
    /// was ended.
    #[must_use]
    pub fn stack(&self) -> Option<&str> {
        self.inner.exception.as_ref().map(|thrown| &thrown.stack).or(self.inner.backtrace.as_ref()).map(String::as_str)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.message)
    }
}

impl std::error::Error for Error {}
