//! Adds the headers and the compression of a route's rules to responses.

use super::compression::compress;
use crate::body::Content;
use elias_gateway::{AdmittedRequest, Refusal, Rules};
use http::Response;
use std::sync::Arc;

/// Adds the headers and the compression of a request's route to its response, be it the component's or an error.
pub(crate) struct RouteResponseTransform {
    rules: Arc<Rules>,
    admitted: AdmittedRequest,
}

impl RouteResponseTransform {
    /// The transform for a request that the rules of its route let through.
    pub(crate) fn new(rules: Arc<Rules>, admitted: AdmittedRequest) -> Self {
        Self { rules, admitted }
    }

    /// Checks a request's body by the schema of its route.
    ///
    /// # Errors
    /// A refusal, with all headers that the client's scripts need to read it.
    pub(crate) fn check_body(&self, body: &[u8]) -> Result<(), Refusal> {
        self.rules.check_body(&self.admitted, body)
    }

    /// Adds the route's headers to the response, and compresses the body if the route's rules say so.
    pub(crate) fn apply(&self, response: Response<Content>) -> Response<Content> {
        let (mut parts, content) = response.into_parts();
        let coding = self.rules.finish(&self.admitted, &mut parts, content.bytes());
        let content = match coding {
            Some(coding) => compress(content, coding),
            None => content,
        };
        Response::from_parts(parts, content)
    }
}
