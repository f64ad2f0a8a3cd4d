//! The backend of the capability `workers` on a platform.

use super::runner::{MessageId, WorkerCallFrom, WorkerRunner};
use elias_capabilities::Workers;
use elias_capabilities::trigger::Origin;
use elias_capabilities::workers::{Error, ErrorCode, WorkerBackend, WorkerCall};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::{Arc, OnceLock, Weak};

/// The workers of a platform, for the host that it is opened with: made first, since the host is built before.
#[derive(Clone, Default)]
pub struct WorkerBackends {
    /// A component must not keep the runner, which leads back to it.
    runner: Arc<OnceLock<Weak<WorkerRunner>>>,
}

impl WorkerBackends {
    /// Those of a platform that is about to be opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The capability `workers` over the platform's workers: a component calls those of its own service.
    #[must_use]
    pub fn capability(&self) -> Workers {
        Workers::new(Arc::new(self.clone()))
    }

    /// Says what runs the platform's workers. Said once.
    pub(crate) fn bind(&self, runner: Weak<WorkerRunner>) {
        let _ = self.runner.set(runner);
    }
}

impl WorkerBackend for WorkerBackends {
    fn call(&self, origin: Arc<Origin>, call: WorkerCall) -> BoxFuture<'static, Result<String, Error>> {
        let runner = self.runner.get().and_then(Weak::upgrade);
        async move {
            let unavailable = |message: &str| Error::new(ErrorCode::Unavailable, message);
            let runner = runner.ok_or_else(|| unavailable("the platform is about to start, or to end; try again"))?;
            // Components are loaded under the name of their service.
            let service = origin.component.parse::<ServiceId>();
            let service = service.map_err(|_| unavailable("the component is no service of a platform"))?;
            let WorkerCall { class, name, method, value, id } = call;
            let (key, cause) = (WorkerKey::new(class, name), origin.cause.clone());
            let call = WorkerCallFrom { id: MessageId::Unique(id), key, method, value, cause };
            runner.call(&service, call).await
        }
        .boxed()
    }
}
