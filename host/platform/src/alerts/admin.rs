//! What users see of alerts and do with them: rules, silences and receivers.

use crate::access::{AccessTarget, Permission};
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Alert, AlertRule, Code, Error, Receiver, ReceiverTest, Result, Silence};
use elias_names::{AlertRuleName, ComponentName, Environment, ReceiverName, ServiceId, TenantId};
use elias_store::now_ms;
use elias_telemetry::alert::{AlertRuleSettings, AlertSeverity, SilenceSettings, built_in_rules};
use elias_telemetry::notification::{Notification, ReceiverSettings};
use elias_triggers::event::webhook::WebhookSecret;
use std::collections::BTreeMap;

impl Platform {
    /// The alerts of a tenant that are not inactive and that the session may see, by rule and service. Those of the
    /// hosts belong to the tenant `system`.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn alerts(&self, session: &Session, tenant: &TenantId) -> Result<Vec<Alert>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let (rows, silences) = (scope.alerts().await?, scope.silences().await?);
        let rules: BTreeMap<_, _> =
            rules_of(tenant, scope.alert_rules().await?).into_iter().map(|rule| (rule.name.clone(), rule)).collect();
        drop(scope);
        let mut alerts = Vec::with_capacity(rows.len());
        for row in rows {
            let service = row.target.split_once('/').and_then(|(component, environment)| {
                Some((component.parse::<ComponentName>().ok()?, environment.parse::<Environment>().ok()?))
            });
            if let Some((component, environment)) = &service
                && session.require(Permission::Read, tenant, AccessTarget::Service(component, *environment)).is_err()
            {
                continue;
            }
            // A rule that was deleted since the last evaluation.
            let Some(rule) = rules.get(&row.rule) else { continue };
            let id = service.clone().map(|(component, environment)| ServiceId {
                tenant: tenant.clone(),
                component,
                environment,
            });
            let silence =
                silences.iter().find(|silence| silence.matcher.matches(&row.rule, rule.settings.severity, id.as_ref()));
            let (component, environment) = service.unzip();
            alerts.push(Alert {
                rule: row.rule,
                component,
                environment,
                state: row.tracker.state,
                since: row.tracker.since,
                fired_at: row.tracker.fired_at,
                value: row.tracker.value,
                severity: rule.settings.severity,
                summary: rule.settings.summary.clone(),
                runbook: rule.settings.runbook.clone(),
                silence: silence.map(|silence| silence.id.clone()),
            });
        }
        Ok(alerts)
    }

    /// The rules that hold for a tenant, by name: those that it has set, and the other built-in ones.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn alert_rules(&self, session: &Session, tenant: &TenantId) -> Result<Vec<AlertRule>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        Ok(rules_of(tenant, scope.alert_rules().await?))
    }

    /// A rule that holds for a tenant.
    ///
    /// # Errors
    /// `not-found`, `forbidden`.
    pub async fn alert_rule(&self, session: &Session, tenant: &TenantId, name: &AlertRuleName) -> Result<AlertRule> {
        let found = self.alert_rules(session, tenant).await?.into_iter().find(|rule| rule.name == *name);
        found.ok_or_else(|| Error::not_listed(format_args!("alert rule `{name}`"), "elias alerts rules"))
    }

    /// Sets a rule, if it is still at `revision`; that of a built-in one that was not changed is 0.
    ///
    /// # Errors
    /// `bad-input` with the member that is wrong, also for receivers that do not exist; `stale`, `quota-exceeded`,
    /// `not-found` for the tenant, `forbidden`.
    pub async fn set_alert_rule(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &AlertRuleName,
        settings: AlertRuleSettings,
        revision: Option<u64>,
    ) -> Result<AlertRule> {
        let mut scope = self.write(session, Permission::ManageAlerts, tenant, None).await?;
        settings.check(tenant).map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        scope.this_tenant().await?;
        for receiver in &settings.receivers {
            if scope.receiver(receiver).await?.is_none() {
                let message = format!("`receivers`: the receiver {receiver} does not exist");
                return Err(Error::new(Code::BadInput, message));
            }
        }
        let before = scope.alert_rule(name).await?;
        check_revision("alert rule", name.as_str(), revision, before.as_ref().map(|before| before.revision))?;
        let actor = session.actor();
        let next = AlertRule {
            name: name.clone(),
            settings,
            built_in: is_built_in(tenant, name),
            revision: before.as_ref().map_or(1, |before| before.revision + 1),
            changed_at: now_ms(),
            changed_by: actor.name.clone(),
        };
        scope.set_alert_rule(&next, before.as_ref(), &actor).await?;
        scope.commit().await?;
        Ok(next)
    }

    /// Deletes a rule that the tenant has set. A built-in one of its name holds again.
    ///
    /// # Errors
    /// `not-found`, `forbidden`.
    pub async fn delete_alert_rule(&self, session: &Session, tenant: &TenantId, name: &AlertRuleName) -> Result<()> {
        let mut scope = self.write(session, Permission::ManageAlerts, tenant, None).await?;
        scope.delete_alert_rule(name, &session.actor()).await?;
        Ok(scope.commit().await?)
    }

    /// The silences of a tenant that have not ended, the newest first.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn silences(&self, session: &Session, tenant: &TenantId) -> Result<Vec<Silence>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        Ok(scope.silences().await?)
    }

    /// Makes a silence.
    ///
    /// # Errors
    /// `bad-input` with the member that is wrong; `quota-exceeded`, `not-found` for the tenant, `forbidden`.
    pub async fn create_silence(
        &self,
        session: &Session,
        tenant: &TenantId,
        settings: SilenceSettings,
    ) -> Result<Silence> {
        let mut scope = self.write(session, Permission::ManageAlerts, tenant, None).await?;
        settings.check().map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        scope.this_tenant().await?;
        let (now, actor) = (now_ms(), session.actor());
        let lasts_ms = i64::try_from(settings.seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let silence = Silence {
            id: ulid::Ulid::new().to_string(),
            matcher: settings.matcher,
            reason: settings.reason,
            until: now.saturating_add(lasts_ms),
            created_at: now,
            created_by: actor.name.clone(),
        };
        scope.add_silence(&silence, &actor).await?;
        scope.commit().await?;
        Ok(silence)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// `not-found`, `forbidden`.
    pub async fn delete_silence(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::ManageAlerts, tenant, None).await?;
        scope.delete_silence(id, &session.actor()).await?;
        Ok(scope.commit().await?)
    }

    /// The receivers of a tenant, by name.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn receivers(&self, session: &Session, tenant: &TenantId) -> Result<Vec<Receiver>> {
        let mut scope = self.read(session, Permission::ManageAlerts, tenant, None).await?;
        Ok(scope.receivers().await?.into_iter().map(|stored| stored.receiver).collect())
    }

    /// Sets a receiver, if it is still at `revision`.
    ///
    /// # Errors
    /// `bad-input` with the member that is wrong, also for a private address and for mail on a host without a mail
    /// server; `stale`, `quota-exceeded`, `not-found` for the tenant, `forbidden`.
    pub async fn set_receiver(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &ReceiverName,
        settings: &ReceiverSettings,
        revision: Option<u64>,
    ) -> Result<Receiver> {
        let mut scope = self.write(session, Permission::ManageAlerts, tenant, None).await?;
        self.check_receiver(settings).map_err(|message| Error::new(Code::BadInput, message))?;
        scope.this_tenant().await?;
        let before = scope.receiver(name).await?.map(|stored| stored.receiver);
        check_revision("receiver", name.as_str(), revision, before.as_ref().map(|before| before.revision))?;
        let actor = session.actor();
        let next = Receiver {
            name: name.clone(),
            kind: settings.kind(),
            target: settings.shown_target(),
            revision: before.as_ref().map_or(1, |before| before.revision + 1),
            changed_at: now_ms(),
            changed_by: actor.name.clone(),
            delivered_at: None,
            error: None,
        };
        let text = serde_json::to_string(settings).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let ciphertext = self.serving().loader.vault.seal_receiver(tenant, name, &text)?;
        scope.set_receiver(&next, &ciphertext, before.as_ref(), &actor).await?;
        scope.commit().await?;
        Ok(next)
    }

    fn check_receiver(&self, settings: &ReceiverSettings) -> std::result::Result<(), String> {
        settings.check().map_err(|error| error.to_string())?;
        if let ReceiverSettings::Events {} = settings {
            return Ok(());
        }
        let notifier = self.config().notifier.as_ref().ok_or("this host sends no notifications")?;
        match settings {
            ReceiverSettings::Webhook { url, secret } => {
                let is_secret = secret.parse::<WebhookSecret>().map(drop);
                is_secret.map_err(|error| format!("`secret` {error}"))?;
                notifier.check_url(url).map_err(|error| format!("`url` {error}"))
            }
            ReceiverSettings::Slack { url } => notifier.check_url(url).map_err(|error| format!("`url` {error}")),
            ReceiverSettings::Mail { .. } if !notifier.can_mail() => {
                Err("this host has no mail server (elias serve --smtp)".to_owned())
            }
            ReceiverSettings::Mail { .. } | ReceiverSettings::Events {} => Ok(()),
        }
    }

    /// Deletes a receiver, and the notifications that it did not get yet.
    ///
    /// # Errors
    /// `not-found`, `forbidden`; `in-use` if a rule names it.
    pub async fn delete_receiver(&self, session: &Session, tenant: &TenantId, name: &ReceiverName) -> Result<()> {
        let mut scope = self.write(session, Permission::ManageAlerts, tenant, None).await?;
        scope.delete_receiver(name, &session.actor()).await?;
        Ok(scope.commit().await?)
    }

    /// Sends a test notification to a receiver, once.
    ///
    /// # Errors
    /// `not-found`, `forbidden`. That the receiver does not take it is no error.
    pub async fn test_receiver(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &ReceiverName,
    ) -> Result<ReceiverTest> {
        let mut scope = self.read(session, Permission::ManageAlerts, tenant, None).await?;
        let stored = scope.receiver(name).await?;
        drop(scope);
        let stored =
            stored.ok_or_else(|| Error::not_listed(format_args!("receiver `{name}`"), "elias alerts receivers"))?;
        let notification = Notification {
            id: ulid::Ulid::new().to_string(),
            at: now_ms(),
            tenant: tenant.clone(),
            rule: "test".parse()?,
            severity: AlertSeverity::Info,
            summary: "This is a test of the receiver: nothing is wrong.".to_owned(),
            runbook: None,
            firing: Vec::new(),
            firing_count: 1,
            resolved: Vec::new(),
            resolved_count: 0,
            test: true,
        };
        let error = self.try_receiver(&stored, &notification).await.err();
        Ok(ReceiverTest { delivered: error.is_none(), error })
    }
}

/// Refuses a change of what is not at the revision `wanted`; what is not there is at 0.
fn check_revision(what: &str, name: &str, wanted: Option<u64>, is: Option<u64>) -> Result<()> {
    crate::platform::check_revision(what, name, wanted, is.unwrap_or(0))
}

fn is_built_in(tenant: &TenantId, name: &AlertRuleName) -> bool {
    built_in_rules(tenant).iter().any(|(built_in, _)| built_in == name)
}

/// The rules that hold for a tenant, by name, of which it has set `own`.
fn rules_of(tenant: &TenantId, own: Vec<AlertRule>) -> Vec<AlertRule> {
    let built_in = built_in_rules(tenant).into_iter().map(|(name, settings)| AlertRule {
        name,
        settings,
        built_in: true,
        revision: 0,
        changed_at: 0,
        changed_by: "host".to_owned(),
    });
    let mut rules: BTreeMap<_, _> = built_in.map(|rule| (rule.name.clone(), rule)).collect();
    for mut rule in own {
        rule.built_in = rules.contains_key(&rule.name);
        rules.insert(rule.name.clone(), rule);
    }
    rules.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_telemetry::alert::MetricName;

    #[test]
    fn a_rule_of_the_tenant_takes_the_place_of_the_built_in_one() {
        let acme: TenantId = "acme".parse().expect("a name");
        let own = |name: &str| AlertRule {
            name: name.parse().expect("a name"),
            settings: AlertRuleSettings::new(MetricName::Executions),
            built_in: false,
            revision: 3,
            changed_at: 1,
            changed_by: "ada".to_owned(),
        };
        let rules = rules_of(&acme, vec![own("errors"), own("zzz")]);
        let of = |name: &str| rules.iter().find(|rule| rule.name.as_str() == name).expect("it is there");
        assert_eq!((of("errors").built_in, of("errors").revision), (true, 3));
        assert_eq!((of("zzz").built_in, of("zzz").revision), (false, 3));
        assert_eq!((of("latency").built_in, of("latency").revision), (true, 0));
        assert!(rules.iter().all(|rule| rule.name.as_str() != "disk"), "that is the hosts'");
        assert!(rules.is_sorted_by_key(|rule| &rule.name));
        assert!(rules_of(&TenantId::system(), Vec::new()).iter().any(|rule| rule.name.as_str() == "disk"));
    }
}
