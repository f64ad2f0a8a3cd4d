//! Purges a service's responses from the response cache.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Error, Result};
use elias_names::ServiceId;
use elias_store::NOTHING;

impl Platform {
    /// Removes a service's responses from the cache of this host.
    ///
    /// # Errors
    /// `forbidden`; `not-found` if the service is not served here; `store-unavailable` if it cannot be put on record,
    /// but is done.
    pub async fn purge_cache(&self, session: &Session, id: &ServiceId) -> Result<()> {
        let permission = Permission::deploy(id.environment);
        session.require(permission, &id.tenant, id)?;
        if self.serving().service(id).is_none() {
            return Err(Error::not_deployed(id));
        }
        self.response_cache().purge(id);
        let mut scope = self.write(session, permission, &id.tenant, id).await?;
        scope.audit(&session.actor(), "answers.purge", id.subject(), NOTHING, NOTHING).await?;
        Ok(scope.commit().await?)
    }
}
