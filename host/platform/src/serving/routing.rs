//! Routes a request: applies the rules of its route, then admits it to its service.

use super::release::{CircuitKind, Release};
use super::request_guard::{self, AdmittedExecution, NotAdmitted, RequestGuard};
use super::service::{ReleaseChoice, Route, Service, State};
use super::{LoadContext, Serving, gateway_now};
use elias_api::{Code, Error, Result};
use elias_delivery::rollout::Caller;
use elias_delivery::supervision::{CircuitPermit, ResourceUsage};
use elias_gateway::{AdmittedRequest, Client, Identity, LocalReply, Refusal, Rules};
use elias_host::App;
use elias_names::{ComponentName, ServiceId};
use elias_store::ReleaseTarget;
use elias_telemetry::usage::UsageAmounts;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// A request that has met the rules of its route.
pub struct RoutedRequest {
    /// The service that it is for.
    pub service: Arc<Service>,
    /// The rules, which add to the response.
    pub rules: Arc<Rules>,
    /// The results of the rules.
    pub admitted: AdmittedRequest,
}

impl Serving {
    /// Finds a request's route, and has it meet the route's rules.
    ///
    /// # Errors
    /// The gateway's response in the component's place: no such host, path or method; a rate limit; no credentials.
    pub async fn route(&self, parts: &http::request::Parts, client: Client) -> Result<RoutedRequest, LocalReply> {
        let table = self.table.load_full();
        let found = table.router.find_parts(parts).map_err(|mut refusal| {
            table.router.nearest(parts).find(|route| route.rules.add_cors_headers(&parts.headers, &mut refusal));
            refusal
        })?;
        let Route { service, rules } = found.value.clone();
        let now = gateway_now(&self.clock);
        let limited = rules.limit(parts, &found.matched, client, now)?;
        if let Some(key) = rules.api_key(&parts.headers)
            && let Err(error) = self.access.learn(key, client.ip).await
        {
            let refusal = Refusal::new(elias_gateway::Code::RateLimited).with_reason(error.to_string());
            return Err(rules.refuse(&limited, refusal.with_header(RETRY_AFTER, HeaderValue::from_static("1"))));
        }
        let admitted = rules.identify(limited, parts, &found.matched, client, now)?;
        Ok(RoutedRequest { service, rules, admitted })
    }

    /// Counts a request that the middleware of its route let go on against the limits by what they set.
    ///
    /// # Errors
    /// One of the limits is used up.
    pub fn limit_after_middleware(&self, rules: &Rules, headers: &HeaderMap, client: Client) -> Result<(), Refusal> {
        rules.limit_after_middleware(headers, client, gateway_now(&self.clock))
    }

    /// The service of another component beside this one: of the same tenant, in the same environment. None if nothing
    /// was deployed to it.
    #[must_use]
    pub fn beside(&self, service: &Service, component: &ComponentName) -> Option<Arc<Service>> {
        self.service(&ServiceId { component: component.clone(), ..service.id.clone() })
    }

    /// The usage of this host, as the server in front counts it.
    #[must_use]
    pub fn usage(&self) -> &Arc<ResourceUsage> {
        &self.meters.usage
    }

    /// Admits a response that no component makes, such as a file, to a service's egress.
    ///
    /// # Errors
    /// Its tenant's quota.
    pub async fn may_send(&self, service: &Service) -> Result<(), NotAdmitted> {
        let tenant = Arc::clone(&service.state().tenant);
        tenant.may_send(self.clock.now().unix_ms()).await
    }

    /// Counts the bytes of such a response toward the tenant's quota, once they are sent.
    pub fn sent(&self, service: &Service, bytes: u64) {
        service.state().tenant.sent(bytes, self.clock.now().unix_ms());
    }

    /// Counts bytes of such a response toward the tenant's usage, before they leave.
    pub fn book_sent(&self, service: &Service, bytes_out: u64) {
        let amounts = UsageAmounts { bytes_out, ..UsageAmounts::default() };
        service.state().tenant.usage.book(amounts, self.clock.now().unix_ms());
    }

    /// The number of further attempts of an idempotent request to a service that failed without a response.
    #[must_use]
    pub fn retries(&self, service: &Service) -> u32 {
        service.state().supervision.retries
    }

    /// Admits a request to the service that its route named: chooses its release, and takes its permits.
    ///
    /// # Errors
    /// Stopped, open circuit, quota, no free slot, or a component that cannot be loaded.
    pub async fn admit(
        &self,
        service: &Arc<Service>,
        headers: &HeaderMap,
        address: Option<IpAddr>,
        identity: Option<&Identity>,
    ) -> Result<RequestGuard, NotAdmitted> {
        self.admit_by(service, CircuitKind::Requests, headers, address, identity).await
    }

    async fn admit_by(
        &self,
        service: &Arc<Service>,
        circuit: CircuitKind,
        headers: &HeaderMap,
        address: Option<IpAddr>,
        identity: Option<&Identity>,
    ) -> Result<RequestGuard, NotAdmitted> {
        let started = Instant::now();
        let state = Arc::clone(&service.state());
        require_started(service, &state)?;
        let now = self.clock.now();
        let random = if state.chooses() { rand::random() } else { 0 };
        let mut chosen = state.choose(&Caller { headers, address, random }, identity);
        let circuit_permit = match chosen.release.breaker(circuit).try_admit(now) {
            // The version that serves takes over from a canary or another variant whose circuit is open.
            Err(_) if chosen.is_beside() => {
                chosen = chosen.without(&state);
                chosen.release.breaker(circuit).try_admit(now)
            }
            entered => entered,
        };
        let circuit_permit = (circuit, request_guard::require_circuit_permit(service, circuit_permit)?);
        self.begin(service, &state, chosen, circuit_permit, started).await
    }

    /// Admits the run of a trigger to a service, like a request without headers but by the circuit of triggers. It runs
    /// on the version `version`, if that serves or did lately; if this host does not remember it, as `former`; else on
    /// the version that serves.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub(crate) async fn admit_run(
        &self,
        service: &Arc<Service>,
        version: Option<u32>,
        former: Option<ReleaseTarget>,
    ) -> Result<RequestGuard, NotAdmitted> {
        let started = Instant::now();
        let state = Arc::clone(&service.state());
        let pinned = version.and_then(|version| match state.of_version(version) {
            Some((release, is_canary)) => Some((Arc::clone(release), is_canary)),
            None => {
                let remembered = state.snapshot.history.iter().find(|release| release.version == version);
                let remembered = remembered.cloned().or(former)?;
                let lines = Arc::clone(&service.lines);
                let now = self.clock.now();
                let make = || Release::new(remembered, &state.supervision, lines, now);
                Some((service.former(version, make), false))
            }
        });
        let Some((release, is_canary)) = pinned.filter(|_| !state.snapshot.target.stopped) else {
            return self.admit_by(service, CircuitKind::Triggers, &HeaderMap::new(), None, None).await;
        };
        let circuit = CircuitKind::Triggers;
        let circuit_permit =
            request_guard::require_circuit_permit(service, release.breaker(circuit).try_admit(self.clock.now()))?;
        let circuit_permit = (circuit, circuit_permit);
        let chosen = ReleaseChoice { release: &release, is_canary, assignment: None };
        self.begin(service, &state, chosen, circuit_permit, started).await
    }

    /// Admits a turn of a service worker, in the component of a release that is loaded, by the circuit of workers.
    ///
    /// It takes no slot of the component's and none of the tenant's concurrent executions: requests that have these
    /// wait for turns. Turns have places of their own.
    ///
    /// # Errors
    /// Stopped, open circuit, quota.
    pub(crate) async fn admit_turn(
        &self,
        service: &Arc<Service>,
        release: &Arc<Release>,
        app: &App,
    ) -> Result<RequestGuard, NotAdmitted> {
        let started = Instant::now();
        let state = Arc::clone(&service.state());
        require_started(service, &state)?;
        let (circuit, now) = (CircuitKind::Workers, self.clock.now());
        // As a request does: or the component would be loaded once more for the next one.
        release.loaded(now);
        let circuit_permit = request_guard::require_circuit_permit(service, release.breaker(circuit).try_admit(now))?;
        state.tenant.enter_without_slot(now.unix_ms()).await?;
        let is_canary = state.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(&canary.release, release));
        let entered = AdmittedExecution {
            state,
            circuit_permit: (circuit, circuit_permit),
            permits: None,
            app: app.clone(),
            started,
            is_mirrored: false,
        };
        let chosen = ReleaseChoice { release, is_canary, assignment: None };
        Ok(RequestGuard::begin(self, service, chosen, entered))
    }

    /// The release of a version of a service that serves no more: the one that runs already, if one does. Two releases
    /// may run one component with settings of their own, and with their grants.
    pub(crate) fn former_release(&self, service: &Service, target: ReleaseTarget) -> Arc<Release> {
        let state = service.state();
        let is_it = |release: &Arc<Release>| {
            let ReleaseTarget { version, digest, settings, .. } = &release.target;
            *version == target.version && *digest == target.digest && *settings == target.settings
        };
        if let Some(release) = state.releases().find(|release| is_it(release)) {
            return Arc::clone(release);
        }
        let make = || Release::new(target.clone(), &state.supervision, Arc::clone(&service.lines), self.clock.now());
        let release = service.former(target.version, make);
        if is_it(&release) { release } else { make() }
    }

    /// Takes the permits of a release that was chosen, and loads it.
    async fn begin(
        &self,
        service: &Arc<Service>,
        state: &Arc<State>,
        chosen: ReleaseChoice<'_>,
        circuit_permit: (CircuitKind, CircuitPermit),
        started: Instant,
    ) -> Result<RequestGuard, NotAdmitted> {
        let release = chosen.release;
        let permit = state.admission.enter().await.ok_or_else(|| {
            Error::new(
                Code::BulkheadFull,
                format!("{}: as many requests as allowed are under way, and wait", service.id),
            )
        })?;
        let quota = state.tenant.enter(self.clock.now().unix_ms()).await?;
        service.meter.record_wait(started.elapsed());
        let app = match load(self, service, state, release).await {
            Ok(app) => app,
            Err(error) => {
                let failed = Unloadable { serving: self, service, state, release, error: &error };
                failed.count(circuit_permit, chosen.is_canary, started);
                return Err(error.into());
            }
        };
        let permits = Some((permit, quota));
        let entered =
            AdmittedExecution { state: Arc::clone(state), circuit_permit, permits, app, started, is_mirrored: false };
        Ok(RequestGuard::begin(self, service, chosen, entered))
    }
}

/// Refuses what is for a service that was stopped.
fn require_started(service: &Service, state: &State) -> Result<()> {
    if !state.snapshot.target.stopped {
        return Ok(());
    }
    let message = format!("{} was stopped; start it with: elias start {}", service.id, service.id.component);
    Err(Error::new(Code::Stopped, message))
}

/// A release's component, loaded.
pub(super) async fn load(serving: &Serving, service: &Arc<Service>, state: &State, release: &Release) -> Result<App> {
    let now = serving.clock.now();
    if let Some(app) = release.loaded(now) {
        return Ok(app);
    }
    let target = &state.snapshot.target;
    let observer = Arc::clone(&service.lines) as _;
    let context = LoadContext { service: &service.id, tenant: &target.tenant, secrets: &target.secrets, observer };
    release.load(&serving.loader, &context, now).await
}

/// A release that a request found impossible to load.
struct Unloadable<'a> {
    serving: &'a Serving,
    service: &'a Arc<Service>,
    state: &'a State,
    release: &'a Release,
    error: &'a Error,
}

impl Unloadable<'_> {
    /// The request has failed, if by the release's fault. A canary ends here: it serves nobody.
    fn count(self, circuit_permit: (CircuitKind, CircuitPermit), is_canary: bool, started: Instant) {
        let Self { serving, service, state, release, error } = self;
        let now = serving.clock.now();
        if !request_guard::tell_unloadable(service, release, circuit_permit, error, now) {
            return;
        }
        release.stats.record(true, started.elapsed(), 0);
        if is_canary {
            serving.roll_back_unloadable(service, state, error);
        }
    }
}
