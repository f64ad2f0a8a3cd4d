//! The record of one request, for the access log and for the record of its execution.

use crate::body::RequestProgress;
use crate::failure::describe;
use elias_gateway::{TraceContext, trace};
use elias_host::{App, Error, Execution};
use elias_platform::RequestOutcome;
use http::{Method, Request, Uri, Version};
use std::sync::Arc;
use std::time::Instant;

/// The record of one request. It exists only while the access log is on or the request is a platform's: a log that
/// is off costs nothing.
pub(crate) struct RequestRecord {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) started: Instant,
    /// Whether the access log is on.
    pub(super) is_logged: bool,
    /// The id that a trusted proxy gave the request.
    pub(super) request_id: Option<Box<str>>,
    /// The trace that the request belongs to, on a platform.
    pub(crate) trace: Option<TraceContext>,
    /// The response's status; 0 if the client left before there was one.
    pub(super) status: u16,
    /// The error's code, if the server or the host refused.
    pub(super) code: Option<&'static str>,
    /// The reason for it that the client is not told, if the gateway refused.
    pub(super) reason: Option<String>,
    /// Whether the response was sent whole.
    pub(super) is_complete: bool,
    /// The outcome of the request by its idempotency key, if it has one.
    pub(crate) idempotency: Option<&'static str>,
    /// The component.
    pub(crate) app: Option<App>,
    /// The execution with its cost, if there was one.
    pub(crate) execution: Option<Execution>,
    /// The part of the request's body that was read.
    pub(super) received: Option<Arc<RequestProgress>>,
    /// Bytes of the response's body.
    pub(super) sent_bytes: u64,
    /// The error with its stack, for the record of the execution.
    pub(super) error: Option<String>,
}

impl RequestRecord {
    /// The record of a request that begins. `trusts_proxy`: whether the request comes from a proxy of the operator's,
    /// whose request ids are believed.
    pub(super) fn new<B>(request: &Request<B>, is_logged: bool, trusts_proxy: bool) -> Self {
        let takes_id = is_logged && trusts_proxy;
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            started: Instant::now(),
            is_logged,
            request_id: takes_id.then(|| trace::request_id(request.headers())).flatten().map(Into::into),
            trace: None,
            status: 0,
            code: None,
            reason: None,
            is_complete: false,
            idempotency: None,
            app: None,
            execution: None,
            received: None,
            sent_bytes: 0,
            error: None,
        }
    }

    /// The bytes of the request's body that were read.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received.as_ref().map_or(0, |received| received.bytes())
    }

    /// The outcome of the request, for the platform.
    pub(super) fn outcome(&mut self) -> RequestOutcome<'_> {
        let error = self.error.take();
        RequestOutcome {
            method: self.method.as_str(),
            path: self.uri.path(),
            received: Some(self.started),
            status: self.status,
            sent_bytes: self.sent_bytes,
            received_bytes: self.received_bytes(),
            execution: self.execution.as_ref(),
            error,
        }
    }

    /// The outcome of an attempt that another one follows.
    pub(super) fn outcome_of_attempt<'a>(&'a self, error: &'a Error) -> RequestOutcome<'a> {
        RequestOutcome {
            method: self.method.as_str(),
            path: self.uri.path(),
            received: None,
            status: error.code().status(),
            sent_bytes: 0,
            received_bytes: 0, // the attempt that follows has them
            execution: error.execution(),
            error: Some(describe(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_that_of_a_trusted_proxy() {
        let request = Request::builder().header("x-request-id", "01HX-a").body(()).expect("a request");
        let id = |is_logged, trusts_proxy| RequestRecord::new(&request, is_logged, trusts_proxy).request_id;
        assert_eq!(id(true, true).as_deref(), Some("01HX-a"));
        assert_eq!(id(true, false), None);
        assert_eq!(id(false, true), None);
    }
}
