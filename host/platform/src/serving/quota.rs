//! What a tenant's components use together, against its quotas.

use crate::error::{Code, Error, Result};
use crate::name::TenantId;
use crate::store::{QuotaAction, Quotas};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// What a tenant uses on this host.
pub(crate) struct TenantUse {
    tenant: TenantId,
    quotas: Quotas,
    rate: Option<DefaultDirectRateLimiter>,
    places: Option<Arc<Semaphore>>,
    fuel: Mutex<FuelHour>,
}

/// Fuel of the last hour, in minutes.
struct FuelHour {
    minute: u64,
    used: [u64; 60],
}

impl Default for FuelHour {
    fn default() -> Self {
        Self { minute: 0, used: [0; 60] }
    }
}

impl FuelHour {
    fn advance(&mut self, minute: u64) {
        if minute.saturating_sub(self.minute) >= 60 {
            self.used = [0; 60];
        } else {
            for passed in self.minute + 1..=minute {
                self.used[(passed % 60) as usize] = 0;
            }
        }
        self.minute = self.minute.max(minute);
    }

    fn add(&mut self, minute: u64, fuel: u64) {
        self.advance(minute);
        let used = &mut self.used[(minute % 60) as usize];
        *used = used.saturating_add(fuel);
    }

    fn total(&mut self, minute: u64) -> u64 {
        self.advance(minute);
        self.used.iter().fold(0, |total, used| total.saturating_add(*used))
    }
}

/// A place among the tenant's concurrent executions.
pub(crate) type Place = Option<OwnedSemaphorePermit>;

impl TenantUse {
    pub(crate) fn new(tenant: TenantId, quotas: Quotas) -> Arc<Self> {
        let per_minute = NonZeroU32::new(quotas.executions_per_minute);
        let places = (quotas.concurrent_executions > 0).then_some(quotas.concurrent_executions as usize);
        Arc::new(Self {
            tenant,
            quotas,
            rate: per_minute.map(|count| RateLimiter::direct(Quota::per_minute(count))),
            places: places.map(|places| Arc::new(Semaphore::new(places))),
            fuel: Mutex::default(),
        })
    }

    /// What it was made for.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether the tenant may begin another execution, waiting for it where its quota says so.
    pub(crate) async fn enter(&self, now_ms: u64) -> Result<Place> {
        if self.quotas.fuel_per_hour > 0 {
            let used = self.fuel.lock().unwrap_or_else(PoisonError::into_inner).total(now_ms / 60_000);
            if used >= self.quotas.fuel_per_hour {
                return Err(self.refuse("fuel-per-hour", self.quotas.fuel_per_hour));
            }
        }
        let until = Instant::now() + Duration::from_millis(self.quotas.wait_ms.into());
        if let Some(rate) = &self.rate {
            while let Err(not_until) = rate.check() {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                if self.quotas.action == QuotaAction::Reject || Instant::now() + wait > until {
                    return Err(self.refuse("executions-per-minute", self.quotas.executions_per_minute.into()));
                }
                tokio::time::sleep(wait).await;
            }
        }
        let Some(places) = &self.places else { return Ok(None) };
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Ok(Some(place));
        }
        let most = u64::from(self.quotas.concurrent_executions);
        if self.quotas.action == QuotaAction::Reject {
            return Err(self.refuse("concurrent-executions", most));
        }
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            _ => Err(self.refuse("concurrent-executions", most)),
        }
    }

    /// Counts the fuel of an execution.
    pub(crate) fn spend(&self, fuel: u64, now_ms: u64) {
        if self.quotas.fuel_per_hour > 0 {
            self.fuel.lock().unwrap_or_else(PoisonError::into_inner).add(now_ms / 60_000, fuel);
        }
    }

    fn refuse(&self, quota: &str, most: u64) -> Error {
        Error::new(Code::QuotaExceeded, format!("the tenant {} has used up its quota {quota} of {most}", self.tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(change: impl FnOnce(&mut Quotas)) -> Arc<TenantUse> {
        let mut quotas = Quotas::default();
        change(&mut quotas);
        TenantUse::new("acme".parse().expect("a name"), quotas)
    }

    #[tokio::test]
    async fn each_quota_refuses_with_its_name() {
        let rate = tenant(|quotas| quotas.executions_per_minute = 1);
        assert!(rate.enter(0).await.is_ok());
        assert!(rate.enter(0).await.expect_err("too many").to_string().contains("executions-per-minute"));

        let places = tenant(|quotas| quotas.concurrent_executions = 1);
        let inside = places.enter(0).await.expect("the first");
        assert!(places.enter(0).await.expect_err("too many").to_string().contains("concurrent-executions"));
        drop(inside);
        assert!(places.enter(0).await.is_ok());
    }

    #[tokio::test]
    async fn who_may_queue_gets_the_place_of_who_leaves() {
        let places = tenant(|quotas| {
            (quotas.concurrent_executions, quotas.action, quotas.wait_ms) = (1, QuotaAction::Queue, 60_000);
        });
        let inside = places.enter(0).await.expect("the first");
        let mut second = Box::pin(places.enter(0));
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(inside);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn fuel_comes_back_an_hour_later() {
        let fuel = tenant(|quotas| quotas.fuel_per_hour = 100);
        let minute = 60_000;
        fuel.spend(60, 0);
        assert!(fuel.enter(0).await.is_ok());
        fuel.spend(60, 30 * minute);
        assert!(fuel.enter(31 * minute).await.is_err());
        assert!(fuel.enter(59 * minute).await.is_err());
        assert!(fuel.enter(60 * minute).await.is_ok(), "the first 60 are an hour old");
        assert!(fuel.enter(0).await.is_ok(), "a clock that goes back refuses nobody");
    }
}
