//! The state that all connections of a server share.

use crate::body::StalledExecutions;
use crate::config::{ServerConfig, milliseconds};
use crate::development::Development;
use crate::limits::{AddressUsages, MIRRORED_BYTES_MAX};
use crate::source::Ingress;
use elias_delivery::supervision::{ResourceUsage, SharedAdmission, SharedPermit};
use elias_names::TenantId;
use rand::Rng;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use yawc::DeflatePool;

/// How long a request waits for a permit until it looks for an execution that waits for a slow client again. Not the
/// same for all: requests that began to wait at one moment do not look at one moment again.
const EVICTION_PAUSE_MS: std::ops::Range<u64> = 100..300;

/// Compressors and decompressors that are kept while no message needs them.
const DEFLATE_STATES_MAX: usize = 16;

/// The state that all connections share.
pub(crate) struct ServerState {
    pub(crate) config: ServerConfig,
    pub(crate) ingress: Ingress,
    pub(crate) admission: SharedAdmission,
    /// The usage, in all and by client address.
    pub(crate) usage: Arc<ResourceUsage>,
    pub(crate) addresses: AddressUsages,
    /// Executions that wait for their clients.
    pub(crate) stalled: Arc<StalledExecutions>,
    /// Threads for transformations of responses.
    pub(crate) transforms: SharedAdmission,
    /// Bytes of request bodies that may still be kept for mirrored requests.
    pub(crate) mirror_budget: Arc<Semaphore>,
    /// What compresses messages of WebSockets, lent for one message at a time.
    pub(crate) deflate_pool: DeflatePool,
    /// The console of a development server.
    pub(crate) development: Option<Development>,
    draining: watch::Sender<bool>,
    /// Tasks that go on after their response is out: `waitUntil`, mirrored requests, revalidation of cached responses.
    background: TaskTracker,
}

impl ServerState {
    /// The state of a server that listens on `address`.
    pub(crate) fn new(config: ServerConfig, ingress: Ingress, address: SocketAddr) -> Self {
        let development = ingress.project().filter(|_| config.dev);
        let development = development.map(|(source, project)| Development::new(source.clone(), project, address));
        let queue_timeout = milliseconds(config.queue_timeout_ms);
        let admission = SharedAdmission::new(config.concurrent_executions, config.queued_requests, queue_timeout);
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u32);
        let transforms = SharedAdmission::new(threads, config.queued_requests, queue_timeout);
        let usage = match &ingress {
            Ingress::Platform(platform) => Arc::clone(platform.serving().usage()),
            Ingress::Component(_) | Ingress::Admin(_) => Arc::default(),
        };
        Self {
            config,
            ingress,
            admission,
            transforms,
            usage,
            addresses: AddressUsages::default(),
            stalled: Arc::default(),
            mirror_budget: Arc::new(Semaphore::new(MIRRORED_BYTES_MAX)),
            deflate_pool: DeflatePool::new(DEFLATE_STATES_MAX),
            development,
            draining: watch::Sender::new(false),
            background: TaskTracker::new(),
        }
    }

    /// Whether the server is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// The server is about to end.
    pub(crate) fn begin_drain(&self) {
        self.draining.send_replace(true);
    }

    /// Resolves when the server is about to end.
    pub(crate) fn drains(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut draining = self.draining.subscribe();
        async move {
            // An error means that the server is gone.
            let _ = draining.wait_for(|draining| *draining).await;
        }
    }

    /// A permit for an execution of the tenant's, or of the only component: a free one, that of an execution which
    /// waits for a slow client, or in turn the next one.
    pub(crate) async fn admit(&self, tenant: Option<&TenantId>) -> Option<SharedPermit> {
        if let Some(permit) = self.admission.try_admit(tenant) {
            return Some(permit);
        }
        let mut entering = pin!(self.admission.enter(tenant));
        loop {
            self.stalled.evict(tenant, &self.admission);
            let pause = Duration::from_millis(rand::thread_rng().gen_range(EVICTION_PAUSE_MS));
            if let Ok(entered) = tokio::time::timeout(pause, &mut entering).await {
                return entered;
            }
        }
    }

    /// Runs work that only a drain waits for.
    pub(crate) fn spawn_in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.background.spawn_on(work, &runtime);
        }
    }

    /// Waits until nothing goes on in the background.
    pub(crate) async fn wait_for_background(&self) {
        self.background.close();
        self.background.wait().await;
    }
}
