//! The usage of a tenant's components together, against its quotas.

use super::meter::{QuotaCounts, QuotaDecision, QuotaKind};
use super::request_guard::NotAdmitted;
use crate::usage_journal::UsageAccount;
use elias_api::{Code, Error, QuotaAction, Quotas};
use elias_delivery::supervision::GcraLimiter;
use elias_names::TenantId;
use elias_telemetry::sampling::TraceUse;
use futures::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The quotas of a tenant, with the use of them on this host.
pub(crate) struct TenantQuotas {
    tenant: TenantId,
    quotas: Quotas,
    rate: Option<GcraLimiter>,
    slots: Option<Arc<Semaphore>>,
    fuel: Option<GcraLimiter>,
    egress: Option<GcraLimiter>,
    pub(crate) counts: Arc<QuotaCounts>,
    /// The executions whose spans are kept.
    pub(crate) traces: TraceUse,
    /// What the tenant is billed for.
    pub(crate) usage: Arc<UsageAccount>,
}

/// A slot of the tenant's quota of concurrent executions; `None` if that is unlimited.
pub(crate) type QuotaPermit = Option<OwnedSemaphorePermit>;

/// The time by which one request waits: that of the runtime, and in tests one that passes by waiting alone.
trait Timer {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// Ends after so long.
    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send;
}

/// The runtime's timer, from the moment that its request was told.
struct RuntimeTimer {
    began: Instant,
    began_ms: u64,
}

impl RuntimeTimer {
    fn start(now_ms: u64) -> Self {
        Self { began: Instant::now(), began_ms: now_ms }
    }
}

impl Timer for RuntimeTimer {
    fn now_ms(&self) -> u64 {
        self.began_ms.saturating_add(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(wait)
    }
}

/// One request that may have to wait, for all its quotas together.
struct Waiting<T> {
    timer: T,
    /// When it gives up, in milliseconds since 1970.
    until_ms: u64,
}

impl<T: Timer> Waiting<T> {
    fn left(&self) -> Duration {
        Duration::from_millis(self.until_ms.saturating_sub(self.timer.now_ms()))
    }
}

impl TenantQuotas {
    pub(crate) fn new(
        tenant: TenantId,
        quotas: Quotas,
        counts: Arc<QuotaCounts>,
        usage: Arc<UsageAccount>,
    ) -> Arc<Self> {
        let slots = (quotas.concurrent_executions > 0).then_some(quotas.concurrent_executions as usize);
        Arc::new(Self {
            tenant,
            quotas,
            rate: GcraLimiter::new(quotas.executions_per_minute.into(), MINUTE),
            slots: slots.map(|slots| Arc::new(Semaphore::new(slots))),
            fuel: GcraLimiter::new(quotas.fuel_per_hour, HOUR),
            egress: GcraLimiter::new(quotas.egress_bytes_per_hour, HOUR),
            counts,
            traces: TraceUse::default(),
            usage,
        })
    }

    /// The settings that it was made for.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether the tenant may begin another execution, waiting for it where its quotas say so.
    pub(crate) async fn enter(&self, now_ms: u64) -> Result<QuotaPermit, NotAdmitted> {
        self.enter_by(RuntimeTimer::start(now_ms)).await
    }

    /// Like [`Self::enter`], but without a slot: for a turn of a service worker, for which a concurrent execution
    /// waits.
    pub(crate) async fn enter_without_slot(&self, now_ms: u64) -> Result<(), NotAdmitted> {
        self.enter_rates(&self.waiting(RuntimeTimer::start(now_ms))).await
    }

    /// The reason for which a quota by time refuses another execution of the tenant now: for callers that would wait
    /// elsewhere for it.
    pub(crate) fn refusal(&self, now_ms: u64) -> Option<NotAdmitted> {
        let limiters = [
            (QuotaKind::FuelPerHour, &self.fuel),
            (QuotaKind::EgressBytesPerHour, &self.egress),
            (QuotaKind::ExecutionsPerMinute, &self.rate),
        ];
        let refusing = limiters.into_iter().filter(|(kind, _)| self.action(*kind) == QuotaAction::Reject);
        refusing
            .filter_map(|(kind, limiter)| Some((kind, limiter.as_ref()?.check(now_ms).err()?)))
            .map(|(kind, wait)| self.refuse(kind, wait))
            .next()
    }

    /// Waits until what is counted by time lets another execution begin.
    async fn enter_rates<T: Timer>(&self, waiting: &Waiting<T>) -> Result<(), NotAdmitted> {
        self.wait_for(QuotaKind::FuelPerHour, self.fuel.as_ref(), waiting).await?;
        self.wait_for(QuotaKind::EgressBytesPerHour, self.egress.as_ref(), waiting).await?;
        if let Some(rate) = &self.rate {
            let kind = QuotaKind::ExecutionsPerMinute;
            let most = self.wait_max(kind, waiting);
            // Booked: who waits keeps its turn, and who would wait too long is told at once.
            match rate.reserve(waiting.timer.now_ms(), most) {
                Ok(Duration::ZERO) => {}
                Ok(wait) => {
                    self.count_wait(kind);
                    waiting.timer.sleep(wait).await;
                }
                Err(wait) => return Err(self.refuse(kind, wait)),
            }
        }
        Ok(())
    }

    async fn enter_by<T: Timer>(&self, timer: T) -> Result<QuotaPermit, NotAdmitted> {
        let waiting = self.waiting(timer);
        self.enter_rates(&waiting).await?;
        let Some(slots) = &self.slots else { return Ok(None) };
        if let Ok(permit) = Arc::clone(slots).try_acquire_owned() {
            return Ok(Some(permit));
        }
        let kind = QuotaKind::ConcurrentExecutions;
        let most = self.wait_max(kind, &waiting);
        if most > Duration::ZERO {
            self.count_wait(kind);
            let permit = pin!(Arc::clone(slots).acquire_owned());
            if let Either::Left((Ok(permit), _)) = select(permit, pin!(waiting.timer.sleep(most))).await {
                return Ok(Some(permit));
            }
        }
        Err(self.refuse(kind, Duration::ZERO))
    }

    /// Whether the tenant may begin an execution now for which nobody waits, such as a mirrored request. It counts
    /// toward the executions per minute and needs a free slot, but takes none. It neither waits nor counts as refused.
    pub(crate) fn admits_mirrored(&self, now_ms: u64) -> bool {
        let is_left = |limiter: &Option<GcraLimiter>| limiter.as_ref().is_none_or(|some| some.check(now_ms).is_ok());
        let is_free = self.slots.as_ref().is_none_or(|slots| slots.available_permits() > 0);
        let may_run = is_left(&self.fuel) && is_left(&self.egress) && is_free;
        // Last, for it is not given back.
        may_run && self.rate.as_ref().is_none_or(|rate| rate.reserve(now_ms, Duration::ZERO).is_ok())
    }

    /// Whether the tenant may send anything, waiting for it where its quota says so.
    pub(crate) async fn may_send(&self, now_ms: u64) -> Result<(), NotAdmitted> {
        self.wait_for(QuotaKind::EgressBytesPerHour, self.egress.as_ref(), &self.waiting(RuntimeTimer::start(now_ms)))
            .await
    }

    /// Counts the fuel of an execution.
    pub(crate) fn spend(&self, fuel: u64, now_ms: u64) {
        if let Some(limiter) = &self.fuel {
            limiter.spend(fuel, now_ms);
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
        let used = |kind| {
            let of = |limiter: &Option<GcraLimiter>| limiter.as_ref().map(|limiter| limiter.used(now_ms));
            match kind {
                QuotaKind::ExecutionsPerMinute => of(&self.rate),
                QuotaKind::ConcurrentExecutions => self.slots.as_ref().map(|slots| {
                    u64::from(self.quotas.concurrent_executions).saturating_sub(slots.available_permits() as u64)
                }),
                QuotaKind::FuelPerHour => of(&self.fuel),
                QuotaKind::EgressBytesPerHour => of(&self.egress),
            }
        };
        QuotaKind::ALL.into_iter().filter_map(|kind| Some((kind, used(kind)?, self.most(kind)))).collect()
    }

    fn most(&self, kind: QuotaKind) -> u64 {
        match kind {
            QuotaKind::ExecutionsPerMinute => self.quotas.executions_per_minute.into(),
            QuotaKind::ConcurrentExecutions => self.quotas.concurrent_executions.into(),
            QuotaKind::FuelPerHour => self.quotas.fuel_per_hour,
            QuotaKind::EgressBytesPerHour => self.quotas.egress_bytes_per_hour,
        }
    }

    fn action(&self, kind: QuotaKind) -> QuotaAction {
        let own = match kind {
            QuotaKind::ExecutionsPerMinute => self.quotas.executions_per_minute_action,
            QuotaKind::ConcurrentExecutions => self.quotas.concurrent_executions_action,
            QuotaKind::FuelPerHour => self.quotas.fuel_per_hour_action,
            QuotaKind::EgressBytesPerHour => self.quotas.egress_bytes_per_hour_action,
        };
        own.unwrap_or(self.quotas.action)
    }

    fn waiting<T: Timer>(&self, timer: T) -> Waiting<T> {
        let until_ms = timer.now_ms().saturating_add(self.quotas.wait_ms.into());
        Waiting { timer, until_ms }
    }

    /// How long a request may be made to wait for a quota.
    fn wait_max<T: Timer>(&self, kind: QuotaKind, waiting: &Waiting<T>) -> Duration {
        match self.action(kind) {
            QuotaAction::Reject => Duration::ZERO,
            QuotaAction::Queue | QuotaAction::Throttle => waiting.left(),
        }
    }

    /// Waits until something is left of what is counted afterwards, as long as the quota lets it.
    async fn wait_for<T: Timer>(
        &self,
        kind: QuotaKind,
        limiter: Option<&GcraLimiter>,
        waiting: &Waiting<T>,
    ) -> Result<(), NotAdmitted> {
        let Some(limiter) = limiter else { return Ok(()) };
        let mut waited = false;
        while let Err(wait) = limiter.check(waiting.timer.now_ms()) {
            if wait > self.wait_max(kind, waiting) {
                return Err(self.refuse(kind, wait));
            }
            if !waited {
                self.count_wait(kind);
                waited = true;
            }
            waiting.timer.sleep(wait).await;
        }
        Ok(())
    }

    fn count_wait(&self, kind: QuotaKind) {
        self.counts.count(
            kind,
            match self.action(kind) {
                QuotaAction::Reject => QuotaDecision::Rejected,
                QuotaAction::Queue => QuotaDecision::Queued,
                QuotaAction::Throttle => QuotaDecision::Throttled,
            },
        );
    }

    /// `wait` is after how long it may go well; zero if nobody knows.
    fn refuse(&self, kind: QuotaKind, wait: Duration) -> NotAdmitted {
        self.counts.count(kind, QuotaDecision::Rejected);
        let message =
            format!("the tenant {} has used up its quota {} of {}", self.tenant, kind.as_str(), self.most(kind));
        let seconds = wait.as_millis().div_ceil(1_000);
        let retry_after_seconds = Some(u64::try_from(seconds).unwrap_or(u64::MAX).max(1));
        NotAdmitted { error: Error::new(Code::QuotaExceeded, message), retry_after_seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn tenant(change: impl FnOnce(&mut Quotas)) -> Arc<TenantQuotas> {
        let mut quotas = Quotas::default();
        change(&mut quotas);
        TenantQuotas::new("acme".parse().expect("a name"), quotas, Arc::default(), UsageAccount::for_tests())
    }

    /// Time that passes by waiting alone, and at once.
    struct Clock(Cell<u64>);

    impl Clock {
        fn at(now_ms: u64) -> Self {
            Self(Cell::new(now_ms))
        }
    }

    impl Timer for &Clock {
        fn now_ms(&self) -> u64 {
            self.0.get()
        }

        fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send {
            let milliseconds = wait.as_nanos().div_ceil(1_000_000);
            self.0.set(self.0.get() + u64::try_from(milliseconds).expect("not for ever"));
            std::future::ready(())
        }
    }

    /// Enters at a moment; gives the milliseconds that it had to wait.
    async fn enter_at(of: &TenantQuotas, now_ms: u64) -> Result<u64, NotAdmitted> {
        let clock = Clock::at(now_ms);
        of.enter_by(&clock).await.map(|_| clock.0.get() - now_ms)
    }

    #[tokio::test]
    async fn each_quota_refuses_with_its_name() {
        let rate = tenant(|quotas| quotas.executions_per_minute = 1);
        assert!(rate.enter(0).await.is_ok());
        assert!(rate.enter(0).await.expect_err("too many").error.to_string().contains("executions-per-minute"));

        let limited = tenant(|quotas| quotas.concurrent_executions = 1);
        let inside = limited.enter(0).await.expect("the first");
        assert!(limited.enter(0).await.expect_err("too many").error.to_string().contains("concurrent-executions"));
        drop(inside);
        assert!(limited.enter(0).await.is_ok());
    }

    #[tokio::test]
    async fn who_may_queue_gets_the_slot_of_who_leaves() {
        let limited = tenant(|quotas| {
            (quotas.concurrent_executions, quotas.action, quotas.wait_ms) = (1, QuotaAction::Queue, 60_000);
        });
        let inside = limited.enter(0).await.expect("the first");
        let mut second = Box::pin(limited.enter(0));
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(inside);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn who_queues_for_a_slot_gives_up_after_the_quotas_wait() {
        let limited = tenant(|quotas| {
            (quotas.concurrent_executions, quotas.action, quotas.wait_ms) = (1, QuotaAction::Queue, 700);
        });
        let _inside = limited.enter(0).await.expect("the first");
        let clock = Clock::at(5_000);
        assert!(limited.enter_by(&clock).await.is_err());
        assert_eq!(clock.0.get(), 5_700);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_gets_what_is_free_and_counts_as_nothing_else() {
        let limited = tenant(|quotas| {
            (quotas.concurrent_executions, quotas.action, quotas.wait_ms) = (1, QuotaAction::Queue, 60_000);
        });
        let inside = limited.enter(0).await.expect("the first");
        assert!(!limited.admits_mirrored(0));
        drop(inside);
        assert!(limited.admits_mirrored(0) && limited.admits_mirrored(0), "it takes no slot");

        let rate = tenant(|quotas| (quotas.executions_per_minute, quotas.action) = (1, QuotaAction::Queue));
        assert!(rate.admits_mirrored(0) && !rate.admits_mirrored(0));

        let fuel = tenant(|quotas| quotas.fuel_per_hour = 1);
        fuel.spend(1, 0);
        let egress = tenant(|quotas| quotas.egress_bytes_per_hour = 1);
        egress.sent(2, 0);
        for used_up in [&fuel, &egress] {
            assert!(!used_up.admits_mirrored(0));
        }
        let kinds = [QuotaKind::ConcurrentExecutions, QuotaKind::ExecutionsPerMinute, QuotaKind::FuelPerHour];
        for (tenant, kind) in [&limited, &rate, &fuel].into_iter().zip(kinds) {
            for verdict in [QuotaDecision::Rejected, QuotaDecision::Queued, QuotaDecision::Throttled] {
                assert_eq!(tenant.counts.get(kind, verdict), 0, "{kind:?}");
            }
        }
    }

    #[tokio::test]
    async fn fuel_comes_back_over_the_hour() {
        let fuel = tenant(|quotas| quotas.fuel_per_hour = 3_600);
        fuel.spend(3_599, 0);
        assert!(fuel.enter(0).await.is_ok());
        fuel.spend(601, 0);
        let refused = fuel.enter(0).await.expect_err("used up");
        assert!(refused.error.to_string().contains("fuel-per-hour of 3600"), "{refused:?}");
        assert_eq!(refused.retry_after_seconds, Some(601), "600 are in debt");
        assert!(fuel.enter(600_000).await.is_err());
        assert!(fuel.enter(601_000).await.is_ok());
        assert!(fuel.enter(0).await.is_err(), "a clock that goes back gives nothing");
    }

    #[tokio::test]
    async fn each_quota_has_its_own_action_or_that_of_all() {
        let both = tenant(|quotas| {
            (quotas.executions_per_minute, quotas.concurrent_executions, quotas.wait_ms) = (60_000, 1, 60_000);
            (quotas.action, quotas.concurrent_executions_action) = (QuotaAction::Queue, Some(QuotaAction::Reject));
        });
        let inside = both.enter(0).await.expect("the first");
        assert!(both.enter(0).await.expect_err("it does not wait").error.to_string().contains("concurrent-executions"));
        drop(inside);
        while both.rate.as_ref().is_some_and(|rate| rate.reserve(0, Duration::ZERO).is_ok()) {}
        assert_eq!(enter_at(&both, 0).await.ok(), Some(1), "the next comes back in a millisecond, and is waited for");
        assert_eq!(both.counts.get(QuotaKind::ExecutionsPerMinute, QuotaDecision::Queued), 1);
    }

    #[tokio::test]
    async fn who_waits_for_the_rate_keeps_its_turn_and_who_would_wait_too_long_is_told_at_once() {
        let rate = tenant(|quotas| {
            (quotas.executions_per_minute, quotas.action, quotas.wait_ms) = (60, QuotaAction::Throttle, 2_500);
        });
        for _ in 0..60 {
            assert_eq!(enter_at(&rate, 0).await.ok(), Some(0));
        }
        assert_eq!(enter_at(&rate, 0).await.ok(), Some(1_000), "one a second comes back");
        assert_eq!(enter_at(&rate, 0).await.ok(), Some(2_000), "the next is another's");
        let refused = enter_at(&rate, 0).await.expect_err("3 s are too long");
        assert_eq!(refused.retry_after_seconds, Some(3), "two are before it");
        assert_eq!(enter_at(&rate, 1_000).await.ok(), Some(2_000), "who was refused took no turn");
    }

    #[tokio::test]
    async fn bytes_that_were_sent_come_back_over_the_hour() {
        let egress = tenant(|quotas| quotas.egress_bytes_per_hour = 3_600);
        egress.sent(3_000, 0);
        assert!(egress.enter(0).await.is_ok() && egress.may_send(0).await.is_ok());
        egress.sent(3_000, 0);
        let refused = egress.enter(0).await.expect_err("used up");
        assert!(refused.error.to_string().contains("egress-bytes-per-hour of 3600"), "{refused:?}");
        assert!(egress.may_send(0).await.is_err(), "files too");
        assert!(egress.enter(39 * 60_000).await.is_err(), "2,400 are in debt");
        assert!(egress.enter(41 * 60_000).await.is_ok());
        assert_eq!(egress.levels(0), [(QuotaKind::EgressBytesPerHour, 6_000, 3_600)]);
        assert_eq!(egress.counts.get(QuotaKind::EgressBytesPerHour, QuotaDecision::Rejected), 3);
        assert_eq!(egress.counts.bytes(), 6_000);
    }

    #[tokio::test]
    async fn who_may_wait_for_bytes_waits_as_long_as_that_and_is_counted() {
        for (action, verdict) in
            [(QuotaAction::Queue, QuotaDecision::Queued), (QuotaAction::Throttle, QuotaDecision::Throttled)]
        {
            let egress = tenant(|quotas| {
                (quotas.egress_bytes_per_hour, quotas.action, quotas.wait_ms) = (3_600_000, action, 60_000);
            });
            egress.sent(3_600_050, 0);
            assert_eq!(enter_at(&egress, 0).await.ok(), Some(51), "a byte comes back each millisecond");
            egress.sent(100_000, 100);
            assert!(enter_at(&egress, 100).await.is_err(), "longer than wait-ms");
            let count = |verdict| egress.counts.get(QuotaKind::EgressBytesPerHour, verdict);
            assert_eq!((count(verdict), count(QuotaDecision::Rejected)), (1, 1));
        }
    }

    #[tokio::test]
    async fn turns_of_workers_take_no_slot_and_are_refused_before_they_wait() {
        let slots = tenant(|quotas| quotas.concurrent_executions = 1);
        let _slot = slots.enter(0).await.expect("it is free");
        assert!(slots.enter_without_slot(0).await.is_ok(), "the request that has the slot waits for the turn");
        assert!(slots.refusal(0).is_none());

        let fuel = tenant(|quotas| quotas.fuel_per_hour = 3_600);
        assert!(fuel.refusal(0).is_none());
        fuel.spend(7_200, 0);
        let refused = fuel.refusal(0).expect("it is used up");
        assert_eq!(refused.error.code(), Code::QuotaExceeded);
        assert!(refused.error.to_string().contains("fuel-per-hour of 3600"), "{}", refused.error);
        assert!(fuel.enter_without_slot(0).await.is_err());
        let waiting = tenant(|quotas| (quotas.fuel_per_hour, quotas.action) = (3_600, QuotaAction::Queue));
        waiting.spend(7_200, 0);
        assert!(waiting.refusal(0).is_none(), "its turns wait");
    }
}
