//! The data keys of tenants, encrypted before they come here, and what is encrypted with the key of the hosts.

use super::{HostScope, TenantScope, get, text};
use crate::error::Result;
use elias_names::{ServiceId, TenantId};

impl TenantScope {
    /// The tenant's data key, encrypted; none if it has none yet.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn data_key(&mut self) -> Result<Option<String>> {
        let query = self.query("SELECT ciphertext FROM data_keys WHERE tenant = $1");
        self.row(query).await?.map(|row| get(&row, "ciphertext")).transpose()
    }

    /// Stores the tenant's data key, encrypted, unless it has one; gives the one that it has then. It never gets
    /// another one: what is encrypted with it would be lost.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_data_key(&mut self, ciphertext: &str) -> Result<String> {
        let insert = "INSERT INTO data_keys (tenant, ciphertext, created_at) VALUES ($1, $2, $3) \
                      ON CONFLICT (tenant) DO NOTHING";
        let query = self.query(insert).bind(ciphertext.to_owned()).bind(super::now_ms());
        self.run(query).await?;
        Ok(self.data_key().await?.unwrap_or_else(|| ciphertext.to_owned()))
    }

    /// Puts the data key that was encrypted anew in place of what it was, unless that is not there any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn exchange_data_key(&mut self, before: &str, after: &str) -> Result<()> {
        let query = self.query("UPDATE data_keys SET ciphertext = $3 WHERE tenant = $1 AND ciphertext = $2");
        let query = query.bind(before.to_owned()).bind(after.to_owned());
        self.run(query).await.map(drop)
    }

    /// Puts a secret that was encrypted anew in place of what it was, unless that is not there any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn exchange_secret(&mut self, id: &ServiceId, name: &str, before: &str, after: &str) -> Result<()> {
        let update = "UPDATE secrets SET ciphertext = $6 WHERE tenant = $1 AND component = $2 AND environment = $3 \
                      AND name = $4 AND ciphertext = $5";
        let query = self.query_of(update, id).bind(name.to_owned()).bind(before.to_owned()).bind(after.to_owned());
        if self.run(query).await? > 0 {
            self.service_changed(id).await?;
        }
        Ok(())
    }
}

impl HostScope {
    /// All data keys, encrypted, by tenant.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn all_data_keys(&mut self) -> Result<Vec<(TenantId, String)>> {
        let select = "SELECT tenant, ciphertext FROM data_keys ORDER BY tenant";
        let rows = sqlx::query(select).fetch_all(&mut *self.tx).await?;
        rows.iter().map(|row| Ok((text(row, "tenant")?, get(row, "ciphertext")?))).collect()
    }
}
