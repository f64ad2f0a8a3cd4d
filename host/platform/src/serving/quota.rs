//! What a tenant's components use together, against its quotas.

use super::allowance::Allowance;
use super::meter::{QuotaCounts, QuotaKind, Verdict};
use crate::error::{Code, Error, Result};
use crate::name::TenantId;
use crate::store::{QuotaAction, Quotas};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What a tenant uses on this host.
pub(crate) struct TenantUse {
    tenant: TenantId,
    quotas: Quotas,
    rate: Option<Allowance>,
    places: Option<Arc<Semaphore>>,
    fuel: Mutex<FuelHour>,
    egress: Option<Allowance>,
    pub(crate) counts: Arc<QuotaCounts>,
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

/// One request that may have to wait.
struct Waiting {
    /// When it gives up.
    until: Instant,
    began: Instant,
    began_ms: u64,
}

impl Waiting {
    fn now_ms(&self) -> u64 {
        self.began_ms.saturating_add(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl TenantUse {
    pub(crate) fn new(tenant: TenantId, quotas: Quotas, counts: Arc<QuotaCounts>) -> Arc<Self> {
        let places = (quotas.concurrent_executions > 0).then_some(quotas.concurrent_executions as usize);
        Arc::new(Self {
            tenant,
            quotas,
            rate: Allowance::new(quotas.executions_per_minute.into(), MINUTE),
            places: places.map(|places| Arc::new(Semaphore::new(places))),
            fuel: Mutex::default(),
            egress: Allowance::new(quotas.egress_bytes_per_hour, HOUR),
            counts,
        })
    }

    /// What it was made for.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether the tenant may begin another execution, waiting for it where its quota says so.
    pub(crate) async fn enter(&self, now_ms: u64) -> Result<Place> {
        if self.is_out_of_fuel(now_ms) {
            return Err(self.refuse(QuotaKind::FuelPerHour, self.quotas.fuel_per_hour));
        }
        let waiting = self.waiting(now_ms);
        self.wait_for_egress(&waiting).await?;
        if let Some(rate) = &self.rate {
            let most = self.quotas.executions_per_minute.into();
            self.wait(QuotaKind::ExecutionsPerMinute, most, &waiting, |now_ms| rate.take(now_ms)).await?;
        }
        let Some(places) = &self.places else { return Ok(None) };
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Ok(Some(place));
        }
        let (kind, most) = (QuotaKind::ConcurrentExecutions, self.quotas.concurrent_executions.into());
        if self.quotas.action == QuotaAction::Reject {
            return Err(self.refuse(kind, most));
        }
        self.count_wait(kind);
        let left = waiting.until.saturating_duration_since(Instant::now());
        match timeout(left, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            _ => Err(self.refuse(kind, most)),
        }
    }

    /// Whether the tenant may begin an execution now that nobody waits for, such as a shadow's: it neither waits nor counts as refused.
    pub(crate) fn try_enter(&self, now_ms: u64) -> Option<Place> {
        if self.is_out_of_fuel(now_ms) || self.egress.as_ref().is_some_and(|egress| egress.check(now_ms).is_err()) {
            return None;
        }
        let place = match &self.places {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().ok()?),
            None => None,
        };
        // Last, for it is not given back.
        self.rate.as_ref().is_none_or(|rate| rate.take(now_ms).is_ok()).then_some(place)
    }

    /// Whether the tenant may send anything, waiting for it where its quota says so.
    pub(crate) async fn may_send(&self, now_ms: u64) -> Result<()> {
        self.wait_for_egress(&self.waiting(now_ms)).await
    }

    /// Counts the fuel of an execution.
    pub(crate) fn spend(&self, fuel: u64, now_ms: u64) {
        if self.quotas.fuel_per_hour > 0 {
            self.fuel.lock().unwrap_or_else(PoisonError::into_inner).add(now_ms / 60_000, fuel);
        }
    }

    /// Counts bytes that were sent.
    pub(crate) fn sent(&self, bytes: u64, now_ms: u64) {
        self.counts.sent(bytes);
        if let Some(egress) = &self.egress {
            egress.spend(bytes, now_ms);
        }
    }

    /// Each quota that limits something: how much of it is used, and how much there is.
    pub(crate) fn levels(&self, now_ms: u64) -> Vec<(QuotaKind, u64, u64)> {
        let quotas = &self.quotas;
        let mut levels = Vec::new();
        if let Some(rate) = &self.rate {
            levels.push((QuotaKind::ExecutionsPerMinute, rate.used(now_ms), quotas.executions_per_minute.into()));
        }
        if let Some(places) = &self.places {
            let most = u64::from(quotas.concurrent_executions);
            levels.push((
                QuotaKind::ConcurrentExecutions,
                most.saturating_sub(places.available_permits() as u64),
                most,
            ));
        }
        if quotas.fuel_per_hour > 0 {
            levels.push((QuotaKind::FuelPerHour, self.fuel_used(now_ms), quotas.fuel_per_hour));
        }
        if let Some(egress) = &self.egress {
            levels.push((QuotaKind::EgressBytesPerHour, egress.used(now_ms), quotas.egress_bytes_per_hour));
        }
        levels
    }

    fn is_out_of_fuel(&self, now_ms: u64) -> bool {
        self.quotas.fuel_per_hour > 0 && self.fuel_used(now_ms) >= self.quotas.fuel_per_hour
    }

    fn fuel_used(&self, now_ms: u64) -> u64 {
        self.fuel.lock().unwrap_or_else(PoisonError::into_inner).total(now_ms / 60_000)
    }

    fn waiting(&self, now_ms: u64) -> Waiting {
        let began = Instant::now();
        Waiting { until: began + Duration::from_millis(self.quotas.wait_ms.into()), began, began_ms: now_ms }
    }

    async fn wait_for_egress(&self, waiting: &Waiting) -> Result<()> {
        let Some(egress) = &self.egress else { return Ok(()) };
        let most = self.quotas.egress_bytes_per_hour;
        self.wait(QuotaKind::EgressBytesPerHour, most, waiting, |now_ms| egress.check(now_ms)).await
    }

    /// Waits until `attempt` goes well, as long as the quota lets it.
    async fn wait(
        &self,
        kind: QuotaKind,
        most: u64,
        waiting: &Waiting,
        attempt: impl Fn(u64) -> Result<(), Duration>,
    ) -> Result<()> {
        let mut waited = false;
        while let Err(wait) = attempt(waiting.now_ms()) {
            let too_long = Instant::now().checked_add(wait).is_none_or(|at| at > waiting.until);
            if self.quotas.action == QuotaAction::Reject || too_long {
                return Err(self.refuse(kind, most));
            }
            if !waited {
                self.count_wait(kind);
                waited = true;
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    fn count_wait(&self, kind: QuotaKind) {
        self.counts.count(
            kind,
            match self.quotas.action {
                QuotaAction::Reject => Verdict::Rejected,
                QuotaAction::Queue => Verdict::Queued,
                QuotaAction::Throttle => Verdict::Throttled,
            },
        );
    }

    fn refuse(&self, kind: QuotaKind, most: u64) -> Error {
        self.counts.count(kind, Verdict::Rejected);
        let quota = kind.as_str();
        Error::new(Code::QuotaExceeded, format!("the tenant {} has used up its quota {quota} of {most}", self.tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(change: impl FnOnce(&mut Quotas)) -> Arc<TenantUse> {
        let mut quotas = Quotas::default();
        change(&mut quotas);
        TenantUse::new("acme".parse().expect("a name"), quotas, Arc::default())
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
    async fn what_nobody_waits_for_gets_what_is_free_and_counts_as_nothing_else() {
        let places = tenant(|quotas| {
            (quotas.concurrent_executions, quotas.action, quotas.wait_ms) = (1, QuotaAction::Queue, 60_000);
        });
        let inside = places.enter(0).await.expect("the first");
        assert!(places.try_enter(0).is_none());
        drop(inside);
        assert!(places.try_enter(0).is_some());

        let rate = tenant(|quotas| (quotas.executions_per_minute, quotas.action) = (1, QuotaAction::Queue));
        assert!(rate.try_enter(0).is_some() && rate.try_enter(0).is_none());

        let fuel = tenant(|quotas| quotas.fuel_per_hour = 1);
        fuel.spend(1, 0);
        let egress = tenant(|quotas| quotas.egress_bytes_per_hour = 1);
        egress.sent(2, 0);
        for used_up in [&fuel, &egress] {
            assert!(used_up.try_enter(0).is_none());
        }
        let kinds = [QuotaKind::ConcurrentExecutions, QuotaKind::ExecutionsPerMinute, QuotaKind::FuelPerHour];
        for (tenant, kind) in [&places, &rate, &fuel].into_iter().zip(kinds) {
            for verdict in [Verdict::Rejected, Verdict::Queued, Verdict::Throttled] {
                assert_eq!(tenant.counts.get(kind, verdict), 0, "{kind:?}");
            }
        }
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

    #[tokio::test]
    async fn bytes_that_were_sent_come_back_over_the_hour() {
        let egress = tenant(|quotas| quotas.egress_bytes_per_hour = 3_600);
        egress.sent(3_000, 0);
        assert!(egress.enter(0).await.is_ok() && egress.may_send(0).await.is_ok());
        egress.sent(3_000, 0);
        let refused = egress.enter(0).await.expect_err("used up");
        assert!(refused.to_string().contains("egress-bytes-per-hour of 3600"), "{refused}");
        assert!(egress.may_send(0).await.is_err(), "files too");
        assert!(egress.enter(39 * 60_000).await.is_err(), "2,400 are overdrawn");
        assert!(egress.enter(41 * 60_000).await.is_ok());
        assert_eq!(egress.levels(0), [(QuotaKind::EgressBytesPerHour, 6_000, 3_600)]);
        assert_eq!(egress.counts.get(QuotaKind::EgressBytesPerHour, Verdict::Rejected), 3);
        assert_eq!(egress.counts.bytes(), 6_000);
    }

    #[tokio::test]
    async fn who_may_wait_for_bytes_waits_as_long_as_that_and_is_counted() {
        for (action, verdict) in [(QuotaAction::Queue, Verdict::Queued), (QuotaAction::Throttle, Verdict::Throttled)] {
            let egress = tenant(|quotas| {
                (quotas.egress_bytes_per_hour, quotas.action, quotas.wait_ms) = (3_600_000, action, 60_000);
            });
            egress.sent(3_600_050, 0);
            let began = Instant::now();
            assert!(egress.enter(0).await.is_ok());
            assert!(began.elapsed() >= Duration::from_millis(50), "a byte comes back each millisecond");
            egress.sent(100_000, 100);
            assert!(egress.enter(100).await.is_err(), "longer than wait-ms");
            let count = |verdict| egress.counts.get(QuotaKind::EgressBytesPerHour, verdict);
            assert_eq!((count(verdict), count(Verdict::Rejected)), (1, 1));
        }
    }
}
