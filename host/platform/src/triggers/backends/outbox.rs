//! The relay of the outboxes of components' databases.

use super::{TriggerBackends, service_named};
use elias_api::Result;
use elias_capabilities::outbox::{OutboxRelay, RelayUnavailable};
use elias_names::ServiceId;
use elias_store::Store;
use futures::FutureExt;
use futures::future::BoxFuture;

impl OutboxRelay for TriggerBackends {
    fn remember(&self, component: &str) -> BoxFuture<'static, std::result::Result<(), RelayUnavailable>> {
        let found = self.runner().and_then(|runner| Ok((runner.store.clone(), service_named(component)?)));
        async move {
            let remembered = match found {
                Ok((store, service)) => remember(&store, &service).await,
                Err(error) => Err(error),
            };
            remembered.map_err(|error| {
                tracing::warn!(%error, "an outbox could not be remembered");
                RelayUnavailable
            })
        }
        .boxed()
    }

    fn committed(&self, component: &str) {
        // A component that commits was loaded by its service's name, on a platform that was opened.
        if let (Ok(runner), Ok(service)) = (self.runner(), service_named(component)) {
            runner.drain_outbox(service, None);
        }
    }
}

async fn remember(store: &Store, service: &ServiceId) -> Result<()> {
    let mut scope = store.write(&service.tenant).await?;
    scope.use_outbox(service).await?;
    scope.commit().await?;
    Ok(())
}
