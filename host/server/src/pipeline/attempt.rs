//! Attempts to have a service of the platform respond.

use super::component;
use crate::body::Content;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::features::mirroring::{Mirroring, TeeBody};
use bytes::Bytes;
use elias_gateway::Identity;
use elias_host::{Caller, ErrorCode};
use elias_platform::{Platform, Service};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Empty;
use std::net::IpAddr;
use std::sync::Arc;

/// An attempt to have a service respond to a request.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) platform: &'a Platform,
    pub(super) service: &'a Arc<Service>,
    pub(super) caller: &'a Caller,
    pub(super) identity: Option<&'a Identity>,
    pub(super) ip: IpAddr,
}

impl Attempt<'_> {
    /// Retries as often as the service allows, as long as it fails without a response.
    pub(super) async fn execute_with_retries(
        &self,
        exchange: &mut Exchange,
        parts: Parts,
        body: Empty<Bytes>,
    ) -> Result<Response<Content>, Failure> {
        for _ in 0..self.platform.serving().retries(self.service) {
            match self.execute(exchange, Request::from_parts(parts.clone(), body)).await {
                Err(Failure::Component(error)) if is_worth_another(error.code()) => exchange.end_attempt(&error),
                outcome => return outcome,
            }
        }
        self.execute(exchange, Request::from_parts(parts, body)).await
    }

    /// Admits the request to the service, waits for a permit of the host's, and has the component respond.
    pub(super) async fn execute<B>(
        &self,
        exchange: &mut Exchange,
        mut request: Request<B>,
    ) -> Result<Response<Content>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut guard =
            self.platform.serving().admit(self.service, request.headers(), Some(self.ip), self.identity).await?;
        guard.set_request(request.method(), request.uri());
        guard.prepare(&mut request, self.caller.clone());
        let app = guard.app().clone();
        let budget = &exchange.connection.server.mirror_budget;
        exchange.mirroring = Mirroring::begin(&guard, &request, self.caller, budget);
        let request = request.map(|body| TeeBody::request(body, exchange.mirroring.as_deref()));
        let running = guard.running().clone();
        exchange.hold_guard(guard);
        // Last, so that a request that waits for one component takes no permit from the others.
        if let Err(refusal) = exchange.enter(&running, Some(self.service.tenant())).await {
            exchange.refuse_guard();
            return Err(refusal.into());
        }
        component::fetch(exchange, &app, request).await
    }
}

/// Whether the next attempt may succeed: not if someone ended this one, and not if it took all that it was given.
fn is_worth_another(code: ErrorCode) -> bool {
    use ErrorCode::{Cancelled, Deadline, OutOfFuel, Overloaded};
    !matches!(code, Cancelled | Deadline | OutOfFuel | Overloaded)
}

/// Whether a request may be repeated (RFC 9110, section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// On whose behalf a component runs.
pub(super) fn caller(identity: Option<&Identity>, ip: IpAddr) -> Caller {
    let anonymous = Caller { client_address: Some(ip), ..Caller::default() };
    let Some(identity) = identity else { return anonymous };
    Caller {
        user_id: identity.user_id.clone().or_else(|| Some(identity.subject.clone())),
        organization_id: identity.organization_id.clone(),
        claims: (!identity.claims.is_empty()).then(|| serde_json::Value::Object(identity.claims.clone()).to_string()),
        ..anonymous
    }
}
