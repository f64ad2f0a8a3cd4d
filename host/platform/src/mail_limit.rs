//! Limits the mails of a tenant: they go out by the mail server and in the name of those who run the hosts.

use elias_delivery::supervision::GcraLimiter;
use elias_names::TenantId;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// Mails of a tenant in an hour, by a host, counted for each address. All of them may go at once; they come back
/// evenly.
const MAILS_PER_HOUR: u64 = 200;
const HOUR: Duration = Duration::from_secs(3_600);
/// Tenants that are remembered; those that sent none for longest are forgotten.
const TENANTS_MAX: u64 = 100_000;

/// The mails of each tenant.
pub(crate) struct MailLimit {
    tenants: Cache<TenantId, Arc<GcraLimiter>>,
}

impl Default for MailLimit {
    fn default() -> Self {
        // A limiter that was not touched for two hours is whole again, whatever was sent at once before.
        Self { tenants: Cache::builder().max_capacity(TENANTS_MAX).time_to_idle(2 * HOUR).build() }
    }
}

impl MailLimit {
    /// Takes a mail to so many addresses.
    ///
    /// # Errors
    /// Why it may not be sent yet, and after how long it may.
    pub(super) fn take(&self, tenant: &TenantId, addresses: usize, now_ms: u64) -> Result<(), (String, Duration)> {
        let new = || GcraLimiter::new(MAILS_PER_HOUR, HOUR).map(Arc::new);
        let Some(limiter) = self.tenants.optionally_get_with(tenant.clone(), new) else { return Ok(()) };
        limiter
            .check(now_ms)
            .map_err(|wait| (format!("the tenant has used its {MAILS_PER_HOUR} mails of an hour"), wait))?;
        limiter.spend(addresses as u64, now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_sends_many_mails_waits_and_no_other_does() {
        let (limit, hour_ms) = (MailLimit::default(), 3_600_000);
        let [acme, other] = ["acme", "other"].map(|name| name.parse::<TenantId>().expect("a name"));
        for _ in 0..10 {
            limit.take(&acme, 20, hour_ms).expect("within the limit");
        }
        let (reason, wait) = limit.take(&acme, 1, hour_ms).expect_err("over it");
        assert!(reason.contains("200 mails") && wait < HOUR, "{reason}, {wait:?}");
        limit.take(&other, 20, hour_ms).expect("another tenant has its own");
        limit.take(&acme, 20, hour_ms + 60_000).expect("some have come back");
    }
}
