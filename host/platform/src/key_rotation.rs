//! Rotates the host's key: re-encrypts with the present key what was encrypted with the former one.
//!
//! `elias keys rotate` puts a new key in place of the old one, which stays beside it until the next start has encrypted
//! everything anew. Hosts that have the key from their environment are given both.
//!
//! A host that has the old key alone can encrypt with it what is made meanwhile, such as the data key of a new tenant.
//! So the rotation is repeated, and the old key kept, for as long as such a host is seen.

use crate::platform::{Inner, Platform};
use crate::vault::forget_former;
use elias_api::{Code, Result};
use elias_names::{ReceiverName, ServiceId, TenantId};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long to wait before a store that is away is asked again, and before what hosts with the old key have encrypted
/// is looked for again.
const RETRY: Duration = Duration::from_secs(10);

/// What is stored of a tenant, encrypted.
#[derive(Default)]
struct SealedValues {
    secrets: Vec<(ServiceId, String, String)>,
    data_key: Option<String>,
    receivers: Vec<(ReceiverName, String)>,
}

/// Re-encrypts the data of the former key, if there is one. The task ends with the platform, or when all is done.
pub(crate) fn start(platform: &Platform) {
    if !platform.serving().loader.vault.has_former() {
        return;
    }
    let inner = Arc::downgrade(&platform.inner);
    tokio::spawn(rotate(inner));
}

async fn rotate(platform: Weak<Inner>) {
    let (mut count, mut is_told) = (0, false);
    loop {
        let Some(inner) = platform.upgrade() else { return };
        let platform = Platform::of(inner);
        match platform.rotate_once().await {
            Ok((more, None)) => {
                count += more;
                tracing::info!(count, "what a former key of this host had encrypted is encrypted with the present one");
                return;
            }
            Ok((more, Some(host))) => {
                count += more;
                if !is_told {
                    is_told = true;
                    tracing::warn!(
                        %host,
                        "a host on this store has another key than this one, or is of an earlier release: the former \
                         key is kept, and what is encrypted with it is looked for, until all hosts were started with \
                         the present key"
                    );
                }
            }
            Err(error) if error.code() == Code::StoreUnavailable => {
                tracing::warn!(%error, "what a former key of this host encrypted waits for the store");
            }
            Err(error) => {
                tracing::error!(%error, "what a former key of this host encrypted cannot be encrypted anew");
                return;
            }
        }
        drop(platform);
        tokio::time::sleep(RETRY).await;
    }
}

impl Platform {
    /// Encrypts anew what the former key has encrypted; says how much, and which host may go on with the former key. If
    /// there is none, the file of the former key is removed.
    async fn rotate_once(&self) -> Result<(u64, Option<String>)> {
        // First: what a host has made that was seen last before is found.
        let host = self.host_with_other_key().await?;
        let count = self.encrypt_anew().await?;
        if host.is_none() {
            forget_former(&self.config().data_dir)?;
        }
        Ok((count, host))
    }

    /// Encrypts secrets and data keys with the present key that were encrypted with the former one, a tenant at a time;
    /// says how many. What neither key opens stays as it is.
    async fn encrypt_anew(&self) -> Result<u64> {
        let mut scope = self.store().host_read().await?;
        let mut tenants: BTreeMap<TenantId, SealedValues> = BTreeMap::new();
        for secret in scope.all_secrets().await? {
            tenants.entry(secret.0.tenant.clone()).or_default().secrets.push(secret);
        }
        for (tenant, sealed) in scope.all_data_keys().await? {
            tenants.entry(tenant).or_default().data_key = Some(sealed);
        }
        for stored in scope.all_receivers().await? {
            tenants.entry(stored.tenant).or_default().receivers.push((stored.receiver.name, stored.ciphertext));
        }
        drop(scope);
        let vault = &self.serving().loader.vault;
        let mut count = 0;
        for (tenant, SealedValues { secrets, data_key, receivers }) in tenants {
            let mut scope = self.store().write(&tenant).await?;
            for (service, name, before) in secrets {
                if let Some(after) = vault.reseal(&service, &name, &before)? {
                    scope.exchange_secret(&service, &name, &before, &after).await?;
                    count += 1;
                }
            }
            if let Some(before) = data_key
                && let Some(after) = vault.reseal_data_key(&tenant, &before)?
            {
                scope.exchange_data_key(&before, &after).await?;
                count += 1;
            }
            for (name, before) in receivers {
                if let Some(after) = vault.reseal_receiver(&tenant, &name, &before)? {
                    scope.exchange_receiver(&name, &before, &after).await?;
                    count += 1;
                }
            }
            scope.commit().await?;
        }
        if count > 0 {
            // What a service serves is also in a file of this host, secrets among it.
            self.refresh().await?;
        }
        Ok(count)
    }
}
