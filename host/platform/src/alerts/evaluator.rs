//! The task that counts for alert rules and, on the host that has the lease, evaluates them.

use super::baselines::Baselines;
use super::counts::HostCounts;
use super::delivery::Deliveries;
use super::evaluation::{AddressedNotification, EvaluationChanges, TenantAlerts, evaluate};
use super::logs::{LogSearch, SEARCH_TIME_MAX};
use super::readings::StoredReadings;
use crate::platform::Platform;
use crate::platform_events;
use crate::ticks::PlatformTicks;
use crate::triggers::{FAILING_RUNS, LATE};
use elias_api::Result;
use elias_names::{ReceiverName, TenantId};
use elias_store::{HostScope, Lease, NewNotification, TargetFilter};
use elias_telemetry::alert::{BASELINE_MS, HostPoint, POINT_INTERVAL_MS, PointWindow, built_in_rules};
use elias_telemetry::notification::ReceiverKind;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// The lease of the host that evaluates.
const LEASE: &str = "alerts";
/// How long it lasts after an evaluation, in milliseconds: three may be missed.
const LEASE_MS: u64 = 35_000;
/// How long ago the last evaluation may be, in milliseconds, before each host says so in its log.
const OVERDUE_MS: i64 = 60_000;
/// How long points are kept, in milliseconds, and how often old ones are deleted.
const KEPT_MS: i64 = 2 * BASELINE_MS;
const PRUNE_EVERY: u64 = 60;
/// Points are read again from so long before the newest one: those of another host may have come late.
const LATE_MS: i64 = 60_000;
/// Notifications that wait for a receiver; the oldest are given up for new ones.
const WAITING_MAX: u32 = 1_000;

/// Starts the task; it ends with the platform.
pub(crate) fn start(platform: &Platform) {
    let every = Duration::from_millis(POINT_INTERVAL_MS.unsigned_abs());
    tokio::spawn(run(PlatformTicks::new(platform, every)));
}

impl Platform {
    /// Lets another host evaluate the alert rules at once, at the end of the process.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn leave_alerts(&self) -> Result<()> {
        let mut scope = self.store().host_write().await?;
        if let Some(lease) = scope.lease(LEASE).await?
            && lease.owner == self.run_id()
        {
            scope.release_lease(&lease).await?;
        }
        Ok(scope.commit().await?)
    }
}

async fn run(mut ticks: PlatformTicks) {
    let mut evaluator = Evaluator::new();
    while let Some(platform) = ticks.next().await {
        if let Err(error) = evaluator.tick(&platform).await {
            // Everything is there for the next time.
            tracing::warn!(%error, "alert rules cannot be evaluated; retrying");
        }
    }
}

/// What a host remembers between evaluations; all but the counts can be read again.
struct Evaluator {
    counts: HostCounts,
    lease: Option<Lease>,
    /// When this host or, before it acquired the lease, another one evaluated last.
    evaluated_at: Option<i64>,
    points: PointWindow,
    /// The newest point of each host that was read.
    seen: HashMap<String, i64>,
    baselines: Baselines,
    logs: LogSearch,
    deliveries: Deliveries,
    ticks: u64,
}

impl Evaluator {
    fn new() -> Self {
        Self {
            counts: HostCounts::new(),
            lease: None,
            evaluated_at: None,
            points: PointWindow::default(),
            seen: HashMap::new(),
            baselines: Baselines::default(),
            logs: LogSearch::default(),
            deliveries: Deliveries::default(),
            ticks: 0,
        }
    }

    async fn tick(&mut self, platform: &Platform) -> Result<()> {
        let point = self.counts.take(platform).await;
        self.ticks += 1;
        match self.count_and_acquire(platform, &point).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                self.counts.put_back(point);
                return Err(error);
            }
        }
        if let Err(error) = self.evaluate(platform).await {
            // Another host may do better: this one waits for the end of its lease like the others.
            self.lose();
            return Err(error);
        }
        self.deliveries.start_due(platform).await
    }

    fn lose(&mut self) {
        self.lease = None;
        self.forget_points();
        self.logs = LogSearch::default();
    }

    fn forget_points(&mut self) {
        (self.points, self.seen) = (PointWindow::default(), HashMap::new());
    }

    /// Stores what this host counted; whether it has the lease, or could acquire it.
    async fn count_and_acquire(&mut self, platform: &Platform, point: &HostPoint) -> Result<bool> {
        let mut scope = platform.store().host_write().await?;
        let now = scope.now().await?;
        scope.add_alert_point(platform.run_id(), now, point).await?;
        let mut acquired = None;
        if self.lease.is_none() {
            // No other process has this store: a former one of this host has the lease, or this one could not evaluate.
            if !platform.store().is_shared()
                && let Some(former) = scope.lease(LEASE).await?
            {
                scope.release_lease(&former).await?;
            }
            acquired = scope.acquire_lease(LEASE, platform.run_id(), LEASE_MS).await?;
            self.evaluated_at = scope.alerts_evaluated_at().await?;
            if self.evaluated_at.is_some_and(|at| now.saturating_sub(at) > OVERDUE_MS) {
                tracing::error!("no host has evaluated the alert rules for more than a minute");
            }
        }
        scope.commit().await?;
        self.lease = self.lease.take().or(acquired);
        Ok(self.lease.is_some())
    }

    async fn evaluate(&mut self, platform: &Platform) -> Result<()> {
        let Some(lease) = self.lease.clone() else { return Ok(()) };
        let mut scope = platform.store().host_read().await?;
        let now = scope.now().await?;
        self.read_points(&mut scope, now).await?;
        let tenants = known_alerts(platform, &mut scope).await?;
        let late_ms = u64::try_from(LATE.as_millis()).unwrap_or(u64::MAX);
        let mut ready_since: HashMap<TenantId, i64> = HashMap::new();
        for queue in scope.look_at_all().await?.queues {
            let since = ready_since.entry(queue.tenant).or_insert(queue.ready_at);
            *since = queue.ready_at.min(*since);
        }
        self.baselines.refresh(&mut scope, now).await?;
        let end = Instant::now() + SEARCH_TIME_MAX;
        self.logs.search(&mut scope, &tenants, now, self.ticks, end).await?;
        let readings = StoredReadings {
            now_ms: now,
            points: &self.points,
            baselines: &self.baselines,
            rollbacks: scope.rollbacks_since(now.saturating_sub(BASELINE_MS)).await?,
            ready_since,
            schedules: scope.schedule_counts(FAILING_RUNS, late_ms).await?,
            log_matches: self.logs.matches(),
            evaluation_age_ms: self.evaluated_at.map(|at| now.saturating_sub(at)),
        };
        drop(scope);
        let mut changes = EvaluationChanges::default();
        for (tenant, known) in tenants {
            evaluate(&tenant, known, &readings, now, &mut changes);
            // Requests are served by the same threads.
            tokio::task::yield_now().await;
        }
        drop(readings);
        let mut scope = platform.store().host_write().await?;
        // First: if another host has taken over, this one must not write.
        if !scope.renew_lease(&lease, LEASE_MS).await? {
            drop(scope);
            tracing::warn!("another host evaluates the alert rules from now on: this one took too long");
            self.lose();
            return Ok(());
        }
        self.store(platform, &mut scope, changes, now).await?;
        scope.alerts_evaluated(platform.run_id(), now).await?;
        scope.commit().await?;
        self.evaluated_at = Some(now);
        platform.runner().look();
        Ok(())
    }

    async fn store(
        &self,
        platform: &Platform,
        scope: &mut HostScope,
        changes: EvaluationChanges,
        now: i64,
    ) -> Result<()> {
        scope.put_alerts(&changes.alerts).await?;
        scope.put_alert_groups(&changes.groups).await?;
        let mut waiting: BTreeSet<(TenantId, ReceiverName)> = BTreeSet::new();
        for AddressedNotification { notification, receivers } in changes.notifications {
            let tenant = &notification.tenant;
            let body = notification.data().to_string();
            for (receiver, kind) in receivers {
                if kind == ReceiverKind::Events {
                    let subject = notification.rule.to_string();
                    let event = platform_events::event(notification.event_type(), subject, &notification.data());
                    scope.publish_events(tenant, &[event], None).await?;
                    continue;
                }
                let new = NewNotification {
                    tenant: tenant.clone(),
                    id: notification.id.clone(),
                    receiver: receiver.clone(),
                    body: body.clone(),
                };
                scope.add_notifications(&[new], now).await?;
                waiting.insert((tenant.clone(), receiver));
            }
        }
        for (tenant, receiver) in waiting {
            let given_up = scope.bound_notifications(&tenant, &receiver, WAITING_MAX).await?;
            platform.notification_meters().given_up(given_up);
        }
        if self.ticks % PRUNE_EVERY == 1 {
            scope.prune_alert_points(now.saturating_sub(KEPT_MS)).await?;
        }
        Ok(())
    }

    /// Reads the points that came since the last evaluation, or all that are kept.
    async fn read_points(&mut self, scope: &mut HostScope, now: i64) -> Result<()> {
        // The database's clock was set back, or another database has taken its place: points from before that would
        // hide those that come now until the clock is there again.
        let latest = now.saturating_add(LATE_MS);
        if self.seen.values().any(|at| *at > latest) {
            self.forget_points();
        }
        let newest = self.seen.values().max();
        let after = newest.map_or(now.saturating_sub(KEPT_MS), |newest| newest.saturating_sub(LATE_MS));
        for stored in scope.alert_points(after, latest).await? {
            let seen = self.seen.entry(stored.host.clone()).or_insert(i64::MIN);
            if stored.at > *seen {
                *seen = stored.at;
                self.points.add(&stored.host, stored.at, stored.point);
            }
        }
        self.points.prune(now);
        self.seen.retain(|_, at| *at > now.saturating_sub(KEPT_MS));
        Ok(())
    }
}

/// What is known of each tenant that has something that rules can be about.
async fn known_alerts(platform: &Platform, scope: &mut HostScope) -> Result<BTreeMap<TenantId, TenantAlerts>> {
    let deleted = scope.deleted_tenants(TargetFilter::All).await?;
    let now = scope.now().await?;
    let mut tenants: BTreeMap<TenantId, TenantAlerts> = BTreeMap::new();
    tenants.entry(TenantId::system()).or_default();
    for id in platform.serving().table().services.keys() {
        tenants.entry(id.tenant.clone()).or_default().services.push(id.clone());
    }
    // A tenant can have schedules and jobs of services that do not serve now.
    for tenant in scope.trigger_use_by_tenant().await?.into_keys() {
        tenants.entry(tenant).or_default();
    }
    for (tenant, rule) in scope.all_alert_rules().await? {
        tenants.entry(tenant).or_default().rules.push((rule.name, rule.settings));
    }
    for (tenant, silence) in scope.all_silences(now).await? {
        tenants.entry(tenant).or_default().silences.push(silence);
    }
    for stored in scope.all_receivers().await? {
        let receiver = (stored.receiver.name, stored.receiver.kind);
        tenants.entry(stored.tenant).or_default().receivers.push(receiver);
    }
    for row in scope.all_alerts().await? {
        tenants.entry(row.tenant).or_default().alerts.insert((row.rule, row.target), row.tracker);
    }
    for row in scope.all_alert_groups().await? {
        tenants.entry(row.tenant).or_default().groups.insert((row.rule, row.name), row.known);
    }
    for (tenant, known) in &mut tenants {
        if deleted.contains(tenant) {
            known.rules.clear();
            continue;
        }
        let set: BTreeSet<_> = known.rules.iter().map(|(name, _)| name.clone()).collect();
        known.rules.extend(built_in_rules(tenant).into_iter().filter(|(name, _)| !set.contains(name)));
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_store::{create_tenant, postgres, sqlite};
    use elias_store::Store;
    use elias_telemetry::alert::MetricName;

    async fn age(store: &Store) -> Option<i64> {
        store.host_read().await.expect("a scope").alert_evaluation_age_ms().await.expect("read")
    }

    /// Every host sees when the rules were evaluated last, and a host whose lease has ended writes nothing more.
    async fn the_lease_goes_to_another_host_and_the_age_is_seen_by_all(store: &Store) {
        create_tenant(store, &"acme".parse().expect("a name")).await;
        assert_eq!(age(store).await, None, "nobody has evaluated yet");
        let mut scope = store.host_write().await.expect("a scope");
        let lease = scope.acquire_lease(LEASE, "one", LEASE_MS).await.expect("acquired").expect("it is free");
        assert_eq!(scope.acquire_lease(LEASE, "two", LEASE_MS).await.expect("asked"), None);
        let now = scope.now().await.expect("the time");
        scope.alerts_evaluated("one", now - 90_000).await.expect("stored");
        scope.commit().await.expect("committed");
        let found = age(store).await.expect("somebody has evaluated");
        assert!(found >= 90_000, "acquiring the lease is no evaluation: {found}");
        let mut scope = store.host_write().await.expect("a scope");
        assert!(scope.renew_lease(&lease, LEASE_MS).await.expect("renewed"));
        scope.release_lease(&lease).await.expect("released");
        let next = scope.acquire_lease(LEASE, "two", LEASE_MS).await.expect("acquired").expect("it is free");
        assert!(!scope.renew_lease(&lease, LEASE_MS).await.expect("asked"), "the former host notices");
        assert!(next.epoch > lease.epoch);
        scope.alerts_evaluated("two", now).await.expect("stored");
        scope.commit().await.expect("committed");
        let found = age(store).await.expect("somebody has evaluated");
        assert!(found < 90_000, "{found}"); // the test itself takes less
    }

    #[tokio::test]
    async fn the_lease_goes_to_another_host_on_sqlite() {
        the_lease_goes_to_another_host_and_the_age_is_seen_by_all(&sqlite().0).await;
    }

    #[tokio::test]
    async fn the_lease_goes_to_another_host_on_postgres() {
        if let Some((store, _folder)) = postgres() {
            the_lease_goes_to_another_host_and_the_age_is_seen_by_all(&store).await;
        }
    }

    #[tokio::test]
    async fn points_are_read_once_and_all_of_them_by_a_host_that_takes_over() {
        let (store, _folder) = sqlite();
        let point = |disk| HostPoint { host: [(MetricName::DiskPercent, disk)].into(), ..HostPoint::default() };
        let mut scope = store.host_write().await.expect("a scope");
        for (host, at, disk) in [("one", 1_000_000, 10.0), ("two", 1_005_000, 20.0)] {
            scope.add_alert_point(host, at, &point(disk)).await.expect("added");
        }
        let (mut first, mut second) = (Evaluator::new(), Evaluator::new());
        first.read_points(&mut scope, 1_010_000).await.expect("read");
        assert_eq!(first.points.host_value(MetricName::DiskPercent, 1_010_000), Some(20.0));
        // The first host's point is committed late.
        scope.add_alert_point("one", 1_004_000, &point(30.0)).await.expect("added");
        for evaluator in [&mut first, &mut second] {
            evaluator.read_points(&mut scope, 1_010_000).await.expect("read");
            assert_eq!(evaluator.points.host_value(MetricName::DiskPercent, 1_010_000), Some(30.0));
        }
    }

    #[tokio::test]
    async fn points_of_a_clock_that_was_set_back_hide_nothing() {
        let (store, _folder) = sqlite();
        let point = |disk| HostPoint { host: [(MetricName::DiskPercent, disk)].into(), ..HostPoint::default() };
        let mut scope = store.host_write().await.expect("a scope");
        let mut evaluator = Evaluator::new();
        scope.add_alert_point("one", 9_000_000, &point(90.0)).await.expect("added");
        evaluator.read_points(&mut scope, 9_000_000).await.expect("read");
        assert_eq!(evaluator.points.host_value(MetricName::DiskPercent, 9_000_000), Some(90.0));
        scope.add_alert_point("one", 1_000_000, &point(10.0)).await.expect("added");
        for now in [1_000_000, 1_010_000] {
            evaluator.read_points(&mut scope, now).await.expect("read");
            assert_eq!(evaluator.points.host_value(MetricName::DiskPercent, now), Some(10.0));
        }
    }
}
