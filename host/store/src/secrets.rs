//! Secrets, encrypted before they come here.

use super::audit::NOTHING;
use super::host::service_id;
use super::{HostScope, TenantScope, get};
use crate::error::{Error, Result};
use elias_api::Actor;
use elias_names::ServiceId;

/// Secrets of a tenant.
pub(super) const SECRETS_MAX: u32 = 10_000;

impl HostScope {
    /// All secrets of all services, encrypted.
    pub async fn all_secrets(&mut self) -> Result<Vec<(ServiceId, String, String)>> {
        let select = "SELECT tenant, component, environment, name, ciphertext FROM secrets ORDER BY tenant, component, \
            environment, name";
        let rows = sqlx::query(select).fetch_all(&mut *self.tx).await?;
        rows.iter().map(|row| Ok((service_id(row)?, get(row, "name")?, get(row, "ciphertext")?))).collect()
    }
}

impl TenantScope {
    /// A service's secrets by name, encrypted.
    pub async fn secrets(&mut self, service: &ServiceId) -> Result<Vec<(String, String)>> {
        let select = "SELECT name, ciphertext FROM secrets WHERE tenant = $1 AND component = $2 AND environment = $3 \
            ORDER BY name";
        let query = self.query_of(select, service);
        self.rows(query).await?.iter().map(|row| Ok((get(row, "name")?, get(row, "ciphertext")?))).collect()
    }

    /// Stores a secret; an earlier one of that name is replaced.
    pub async fn set_secret(&mut self, service: &ServiceId, name: &str, ciphertext: &str, actor: &Actor) -> Result<()> {
        let upsert = "INSERT INTO secrets (tenant, component, environment, name, ciphertext, created_at, created_by) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, component, environment, name) \
                      DO UPDATE SET ciphertext = excluded.ciphertext, created_at = excluded.created_at, created_by = \
                      excluded.created_by";
        let query = self.query_of(upsert, service);
        let query = query.bind(name.to_owned()).bind(ciphertext.to_owned()).bind(super::now_ms());
        self.run(query.bind(actor.name.clone())).await?;
        self.at_most(SECRETS_MAX, "secrets", "SELECT count(*) AS rows_there FROM secrets WHERE tenant = $1").await?;
        let subject = format!("{}/{name}", service.subject());
        self.service_changed(service).await?;
        self.audit(actor, "secret.set", subject, NOTHING, NOTHING).await
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_secret(&mut self, service: &ServiceId, name: &str, actor: &Actor) -> Result<()> {
        let delete = "DELETE FROM secrets WHERE tenant = $1 AND component = $2 AND environment = $3 AND name = $4";
        let query = self.query_of(delete, service);
        if self.run(query.bind(name.to_owned())).await? == 0 {
            return Err(Error::not_listed(format_args!("secret `{name}`"), "elias secrets list"));
        }
        let subject = format!("{}/{name}", service.subject());
        self.service_changed(service).await?;
        self.audit(actor, "secret.delete", subject, NOTHING, NOTHING).await
    }
}
