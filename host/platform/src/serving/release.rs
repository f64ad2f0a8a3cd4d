//! A release: a version that serves, and its component while that is loaded.

use super::lines::Lines;
use super::loader::{LoadContext, Loader};
use arc_swap::ArcSwapOption;
use elias_api::{Error, Result};
use elias_delivery::clock::Now;
use elias_delivery::rollout::ReleaseStats;
use elias_delivery::supervision::{Breaker, SupervisionConfig};
use elias_gateway::middleware::{FromMiddleware, headers_of_middleware};
use elias_host::App;
use elias_store::ReleaseTarget;
use http::{HeaderName, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// The kinds of causes of executions. Each kind has its own circuit in each release: a nightly job that fails must not
/// keep requests out, requests that fail must not delay jobs, and a poisoned queue must still pause. One worker that
/// fails is stopped by its own supervision before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitKind {
    /// HTTP requests, mirrored ones included.
    Requests,
    /// Ticks of schedules, jobs and deliveries of events.
    Triggers,
    /// Turns of service workers.
    Workers,
}

impl CircuitKind {
    pub(crate) const ALL: [Self; 3] = [Self::Requests, Self::Triggers, Self::Workers];

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Triggers => "triggers",
            Self::Workers => "workers",
        }
    }
}

/// A version that serves. Requests hold it to their end; it is unloaded when no service serves it and no request holds
/// it.
pub(crate) struct Release {
    pub(crate) target: ReleaseTarget,
    /// No other release of this process has it.
    pub(crate) serial: u64,
    pub(crate) stats: ReleaseStats,
    requests: Breaker,
    triggers: Breaker,
    workers: Breaker,
    /// The log of its component: of the service, whichever release serves it.
    pub(crate) lines: Arc<Lines>,
    app: ArcSwapOption<App>,
    /// Why its component could not be loaded last.
    problem: ArcSwapOption<Error>,
    /// Held while loading, so that a hundred first requests load it once.
    loading: Mutex<()>,
    used_ms: AtomicU64,
    /// The request headers that its component believes, since middleware sets them by the routes of its version.
    reserved_headers: Vec<HeaderName>,
}

impl Release {
    /// A release that is not loaded yet.
    pub(crate) fn new(
        target: ReleaseTarget,
        supervision: &SupervisionConfig,
        lines: Arc<Lines>,
        now: Now,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let reserved_headers = target.settings.gateway.as_ref().map(headers_of_middleware).unwrap_or_default();
        Arc::new(Self {
            target,
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
            stats: ReleaseStats::default(),
            requests: Breaker::new(supervision, rand::random(), now),
            triggers: Breaker::new(supervision, rand::random(), now),
            workers: Breaker::new(supervision, rand::random(), now),
            lines,
            app: ArcSwapOption::empty(),
            problem: ArcSwapOption::empty(),
            loading: Mutex::new(()),
            used_ms: AtomicU64::new(now.unix_ms()),
            reserved_headers,
        })
    }

    /// Removes the headers of a request that its component would believe and that middleware did not set. The request
    /// may have come past the routes of the service, or by those of another version: a canary gets requests by the
    /// routes of the version that serves, and so does a version that is deployed while a request is under way.
    pub(crate) fn remove_reserved_headers<B>(&self, request: &mut Request<B>) {
        for name in &self.reserved_headers {
            if !request.extensions().get::<FromMiddleware>().is_some_and(|known| known.has(name)) {
                request.headers_mut().remove(name);
            }
        }
    }

    /// The circuit breaker of a kind of executions.
    pub(crate) fn breaker(&self, circuit: CircuitKind) -> &Breaker {
        match circuit {
            CircuitKind::Requests => &self.requests,
            CircuitKind::Triggers => &self.triggers,
            CircuitKind::Workers => &self.workers,
        }
    }

    /// Its component, if it is loaded.
    pub(crate) fn loaded(&self, now: Now) -> Option<App> {
        let app = self.app.load();
        let app = app.as_deref()?.clone();
        self.used_ms.store(now.unix_ms(), Ordering::Relaxed);
        Some(app)
    }

    /// Its component, loaded if it is not.
    pub(crate) async fn load(&self, loader: &Loader, context: &LoadContext<'_>, now: Now) -> Result<App> {
        if let Some(app) = self.loaded(now) {
            return Ok(app);
        }
        let _turn = self.loading.lock().await;
        if let Some(app) = self.loaded(now) {
            return Ok(app);
        }
        let app = match loader.load(context, &self.target).await {
            Ok(app) => app,
            Err(error) => {
                // Once, and not with each request that it refuses.
                if self.problem.load().as_ref().is_none_or(|known| known.to_string() != error.to_string()) {
                    let (service, version, code) = (context.service, self.target.version, error.code());
                    let message = "the component cannot be loaded: its requests get 503";
                    tracing::error!(%service, version, %code, %error, "{message}");
                }
                self.problem.store(Some(Arc::new(error.clone())));
                return Err(error);
            }
        };
        self.problem.store(None);
        self.app.store(Some(Arc::new(app.clone())));
        self.used_ms.store(now.unix_ms(), Ordering::Relaxed);
        Ok(app)
    }

    /// Why its component cannot be loaded, if the last try failed.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.load().as_ref().map(|error| format!("{}: {error}", error.code()))
    }

    /// Gives its component's memory back. Requests that run keep theirs; the next one loads it again.
    pub(crate) fn unload(&self) {
        self.app.store(None);
    }

    /// When it was last used, if it is loaded.
    pub(crate) fn idle_since_ms(&self) -> Option<u64> {
        self.app.load().is_some().then(|| self.used_ms.load(Ordering::Relaxed))
    }
}
