//! The searches of log lines that rules ask for.
//!
//! A search is the one metric that costs more the more a tenant asks for. So an evaluation makes only so many, and for
//! only so long: of each tenant in turn, those first that were made longest ago. The others keep what was found last.

use super::evaluation::TenantAlerts;
use super::readings::LogQuestion;
use elias_api::Result;
use elias_names::TenantId;
use elias_store::HostScope;
use elias_telemetry::alert::{AlertRuleSettings, MetricName};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Logs that are searched in one evaluation.
const SEARCHES_MAX: usize = 200;
/// The time of an evaluation after which no further search begins: the lease of the host that evaluates lasts longer.
pub(super) const SEARCH_TIME_MAX: Duration = Duration::from_secs(5);
/// Logs of a tenant that are searched at all; those of further rules and services have no value.
const OF_TENANT_MAX: usize = 1_000;

/// What was found at the last search: at which evaluation, and how many executions.
type Found = (u64, u64);

/// The searches of the evaluations so far.
#[derive(Default)]
pub(super) struct LogSearch {
    found: HashMap<LogQuestion, Found>,
}

impl LogSearch {
    /// Searches what is due at the evaluation `tick` until `end`, and forgets what no rule asks for any more.
    pub(super) async fn search(
        &mut self,
        scope: &mut HostScope,
        tenants: &BTreeMap<TenantId, TenantAlerts>,
        now_ms: i64,
        tick: u64,
        end: Instant,
    ) -> Result<()> {
        let (order, left_out) = self.order(tenants);
        if left_out > 0 {
            tracing::warn!(left_out, "alert rules search more logs than are searched for a tenant");
        }
        let mut asked = HashMap::with_capacity(order.len());
        for (made, question) in order.into_iter().enumerate() {
            let found = if made < SEARCHES_MAX && Instant::now() < end {
                let window_ms = i64::try_from(question.2.saturating_mul(1_000)).unwrap_or(i64::MAX);
                let since = now_ms.saturating_sub(window_ms);
                Some((tick, scope.log_matches(&question.0, &question.1, since).await?))
            } else {
                self.found.get(&question).copied()
            };
            if let Some(found) = found {
                asked.insert(question, found);
            }
        }
        self.found = asked;
        Ok(())
    }

    /// What was found, by question.
    pub(super) fn matches(&self) -> HashMap<LogQuestion, u64> {
        self.found.iter().map(|(question, (_, count))| (question.clone(), *count)).collect()
    }

    /// The questions in the order in which they are asked, and how many are never asked.
    fn order(&self, tenants: &BTreeMap<TenantId, TenantAlerts>) -> (Vec<LogQuestion>, usize) {
        let mut order = Vec::new();
        let mut left_out = 0;
        for known in tenants.values() {
            let mut of_tenant = questions(known);
            left_out += of_tenant.len().saturating_sub(OF_TENANT_MAX);
            of_tenant.truncate(OF_TENANT_MAX);
            let last = |question: &LogQuestion| self.found.get(question).map_or(0, |(tick, _)| *tick);
            of_tenant.sort_by_key(last);
            order.extend(of_tenant.into_iter().enumerate().map(|(turn, question)| (turn, last(&question), question)));
        }
        // The first of each tenant, then the second of each.
        order.sort_by_key(|(turn, last, _)| (*turn, *last));
        (order.into_iter().map(|(_, _, question)| question).collect(), left_out)
    }
}

/// The questions of a tenant's rules, in an order that is the same each time.
fn questions(known: &TenantAlerts) -> Vec<LogQuestion> {
    let is_of_logs = |rule: &&AlertRuleSettings| rule.enabled && rule.metric == MetricName::LogMatches;
    let mut questions = Vec::new();
    for rule in known.rules.iter().map(|(_, rule)| rule).filter(is_of_logs) {
        for service in known.services.iter().filter(|service| rule.covers(service)) {
            questions.push((service.clone(), rule.pattern.clone().unwrap_or_default(), rule.window_seconds));
        }
    }
    questions.sort();
    questions.dedup();
    questions
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::{Environment, ServiceId};

    /// A tenant with so many services, and a rule over the logs of each.
    fn tenant(name: &str, services: usize) -> (TenantId, TenantAlerts) {
        let tenant: TenantId = name.parse().expect("a name");
        let service = |number: usize| ServiceId {
            tenant: tenant.clone(),
            component: format!("c{number}").parse().expect("a name"),
            environment: Environment::Production,
        };
        let rule =
            AlertRuleSettings { pattern: Some("lost".to_owned()), ..AlertRuleSettings::new(MetricName::LogMatches) };
        let rules = vec![
            ("logs".parse().expect("a name"), rule.clone()),
            ("same".parse().expect("a name"), rule.clone()),
            ("off".parse().expect("a name"), AlertRuleSettings { window_seconds: 10, enabled: false, ..rule }),
        ];
        let services = (0..services).map(service).collect();
        (tenant, TenantAlerts { rules, services, ..TenantAlerts::default() })
    }

    #[test]
    fn a_tenant_with_many_logs_takes_the_turn_of_no_other() {
        let tenants = BTreeMap::from([tenant("aaa", OF_TENANT_MAX + 7), tenant("zzz", 2)]);
        let (order, left_out) = LogSearch::default().order(&tenants);
        assert_eq!((order.len(), left_out), (OF_TENANT_MAX + 2, 7));
        let of = |question: &LogQuestion| question.0.tenant.to_string();
        assert_eq!(order[..5].iter().map(of).collect::<Vec<_>>(), ["aaa", "zzz", "aaa", "zzz", "aaa"]);
    }

    #[test]
    fn what_was_searched_longest_ago_is_searched_next() {
        let tenants = BTreeMap::from([tenant("acme", 3)]);
        let mut search = LogSearch::default();
        let (order, _) = search.order(&tenants);
        assert_eq!(order.len(), 3, "two rules that ask the same are one question, and one that is off asks nothing");
        search.found = [(order[0].clone(), (9, 1)), (order[1].clone(), (8, 1))].into();
        let (next, _) = search.order(&tenants);
        assert_eq!(next, [order[2].clone(), order[1].clone(), order[0].clone()]);
    }

    #[tokio::test]
    async fn what_is_not_searched_keeps_what_was_found() {
        let (store, _folder) = crate::test_store::sqlite();
        let mut scope = store.host_read().await.expect("a scope");
        let mut search = LogSearch::default();
        let (now, over) = (10_000_000, Instant::now());
        let later = over + Duration::from_secs(3_600);
        let many = BTreeMap::from([tenant("acme", SEARCHES_MAX + 1)]);
        for (tick, end, known) in [
            (1, over, 0),
            (2, later, SEARCHES_MAX),
            (3, over, SEARCHES_MAX),
            (4, later, SEARCHES_MAX + 1),
            (5, over, SEARCHES_MAX + 1),
        ] {
            search.search(&mut scope, &many, now, tick, end).await.expect("searched");
            assert_eq!(search.matches().len(), known, "{tick}");
        }
        let one = BTreeMap::from([tenant("acme", 1)]);
        search.search(&mut scope, &one, now, 6, later).await.expect("searched");
        assert_eq!(search.matches().len(), 1, "what no rule asks for is forgotten");
    }
}
