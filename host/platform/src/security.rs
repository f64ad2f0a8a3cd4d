//! Security events of a platform: the task that stores them, and the list of them.

use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::{QuotaDecision, QuotaKind};
use crate::session::Session;
use crate::ticks::PlatformTicks;
use elias_api::{Code, Result, SecurityEvent, SecurityFilter, SecurityKind};
use elias_names::TenantId;
use elias_store::{SecurityEventQuery, SecurityEventRow};
use elias_telemetry::security::{SecurityEventKey, SecurityEventKind};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How often what was gathered is stored.
const FLUSH: Duration = Duration::from_secs(1);

/// Stores what was gathered as long as there is a platform.
pub(crate) fn start(platform: &Platform) {
    tokio::spawn(gather(PlatformTicks::new(platform, FLUSH)));
}

async fn gather(mut ticks: PlatformTicks) {
    let mut rejected = HashMap::new();
    while let Some(platform) = ticks.next().await {
        platform.quota_events(&mut rejected);
        platform.update_reports();
        if let Err(error) = platform.store_security().await {
            tracing::debug!(%error, "security events cannot be stored; retrying");
        }
    }
}

impl Platform {
    /// Stores security events and notes for the audit trail.
    pub(crate) async fn store_security(&self) -> Result<()> {
        let log = self.access().security();
        let table = self.serving().table.load_full();
        for service in table.services.values() {
            log.notices(&service.id, service.lines.take_notices());
        }
        log.flush(self.store()).await
    }

    /// Says which servers for errors the tenants have now.
    fn update_reports(&self) {
        let table = self.serving().table.load_full();
        let mut wanted = BTreeMap::new();
        for service in table.services.values() {
            let state = service.state();
            let settings = &state.snapshot.target.tenant;
            if let Some(dsn) = &settings.sentry_dsn {
                wanted.insert(service.id.tenant.clone(), (dsn.clone(), settings.trusted));
            }
        }
        self.reports().update(&wanted);
    }

    /// Makes events of what the quotas have refused since the last look, which `before` has.
    fn quota_events(&self, before: &mut HashMap<(TenantId, &'static str), u64>) {
        let (tenants, _) = self.serving().meters.tenants.all();
        let mut seen = HashMap::new();
        for (tenant, counts) in tenants {
            for kind in QuotaKind::ALL {
                let subject = kind.as_str();
                let rejected = counts.get(kind, QuotaDecision::Rejected);
                let known = before.get(&(tenant.clone(), subject)).copied().unwrap_or(0);
                seen.insert((tenant.clone(), subject), rejected);
                // The counts of a tenant that was gone for a while begin anew.
                let count = rejected.checked_sub(known).unwrap_or(rejected);
                if count > 0 {
                    let key = SecurityEventKey {
                        kind: SecurityEventKind::LimitHit,
                        actor: String::new(),
                        address: String::new(),
                        service: None,
                        subject: subject.to_owned(),
                        code: Code::QuotaExceeded.to_string(),
                    };
                    self.access().security().note(&tenant, key, count);
                }
            }
        }
        *before = seen;
    }

    /// Notes that a request of a session was refused, whose method and route `subject` names.
    pub fn note_denial(&self, session: &Session, subject: &str, code: Code) {
        self.access().security().denied(&session.principal.tenant, session.actor(), subject, code);
    }

    /// The security events of a tenant, those of the newest hour first, from before the one with the id `before`.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn security_events(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &SecurityFilter,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<SecurityEvent>> {
        let mut scope = self.read(session, Permission::Audit, tenant, None).await?;
        let kind = filter.kind.map(|kind| match kind {
            SecurityKind::Denied => SecurityEventKind::Denied,
            SecurityKind::EgressRefused => SecurityEventKind::EgressRefused,
            SecurityKind::SignInFailed => SecurityEventKind::SignInFailed,
            SecurityKind::LimitHit => SecurityEventKind::LimitHit,
        });
        let wanted = SecurityEventQuery { kind, since_ms: filter.since.unwrap_or(0), before };
        let found = scope.security_events(&wanted, limit).await?;
        Ok(found.into_iter().map(shown).collect())
    }
}

/// An event as the API has it.
fn shown(row: SecurityEventRow) -> SecurityEvent {
    let SecurityEventRow { id, key, repeats } = row;
    let kind = match key.kind {
        SecurityEventKind::Denied => SecurityKind::Denied,
        SecurityEventKind::EgressRefused => SecurityKind::EgressRefused,
        SecurityEventKind::SignInFailed => SecurityKind::SignInFailed,
        SecurityEventKind::LimitHit => SecurityKind::LimitHit,
    };
    let (component, environment) = key.service.unzip();
    SecurityEvent {
        id,
        kind,
        actor: key.actor,
        address: key.address,
        component,
        environment,
        subject: key.subject,
        code: key.code,
        count: repeats.count,
        first_at: repeats.first_ms,
        last_at: repeats.last_ms,
    }
}
