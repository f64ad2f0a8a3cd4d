//! Reads across tenants: the services that a host is to serve.

use super::{HostScope, Query, get, json, number, optional_json, text};
use crate::error::Result;
use elias_api::{TenantSettings, VersionSettings};
use elias_delivery::experiment::Experiment;
use elias_delivery::rollout::FlagRule;
use elias_names::{Digest, ServiceId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// All that a host has to know to serve a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceTarget {
    /// Which service.
    pub id: ServiceId,
    /// The service's revision.
    pub revision: u64,
    /// The settings of its tenant.
    pub tenant: TenantSettings,
    /// Whether it was stopped by hand.
    pub stopped: bool,
    /// Its secrets, sealed.
    pub secrets: BTreeMap<String, String>,
    /// The version that serves.
    pub release: ReleaseTarget,
    /// The canary, which gets a part of the traffic.
    pub canary: Option<ReleaseTarget>,
    /// Callers who get a version of their own.
    #[serde(default)]
    pub flags: Vec<FlagRule>,
    /// The running experiment, with what serves as the baseline.
    #[serde(default, rename = "stages")]
    pub experiment: Option<Experiment>,
    /// The versions of flags and the experiment, where they are neither what serves nor the canary.
    #[serde(default)]
    pub beside: Vec<ReleaseTarget>,
}

/// A version that is to serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseTarget {
    /// The version's number.
    pub version: u32,
    /// Of its bytes.
    pub digest: Digest,
    /// Its settings.
    pub settings: VersionSettings,
    /// The deployment that gave it traffic.
    pub deployment: String,
    /// That deployment's rollout.
    pub rollout: Option<Value>,
}

/// Which of all targets are wanted.
#[derive(Debug, Clone, Copy)]
pub enum TargetFilter<'a> {
    /// All.
    All,
    /// Those of services that changed, or whose tenants did, after the change with this number.
    ChangedAfter(i64),
    /// Those of a tenant.
    OfTenant(&'a TenantId),
    /// That of a service.
    Of(&'a ServiceId),
}

/// The texts of the statements that read targets and their secrets, with a condition more.
macro_rules! select {
    ($condition:literal) => {
        (
            concat!(
                "SELECT s.tenant, s.component, s.environment, s.revision, s.stopped, s.flags, s.stages, t.settings \
                AS tenant_settings, ",
                "v.number, v.digest, v.settings, s.deployment, c.number AS canary_number, c.digest AS canary_digest, \
                c.settings AS canary_settings, ",
                "d.id AS canary_deployment, d.rollout AS canary_rollout ",
                "FROM services s JOIN tenants t ON t.tenant = s.tenant ",
                "JOIN versions v ON v.tenant = s.tenant AND v.component = s.component AND v.number = s.version ",
                "LEFT JOIN deployments d ON d.tenant = s.tenant AND d.id = s.canary ",
                "LEFT JOIN versions c ON c.tenant = d.tenant AND c.component = d.component AND c.number = d.version ",
                "WHERE t.deleted_at IS NULL",
                $condition
            ),
            concat!(
                "SELECT x.tenant, x.component, x.environment, x.name, x.ciphertext ",
                "FROM secrets x JOIN services s ON s.tenant = x.tenant AND s.component = x.component AND s.environment \
                = x.environment ",
                "JOIN tenants t ON t.tenant = s.tenant WHERE t.deleted_at IS NULL",
                $condition
            ),
        )
    };
}

impl TargetFilter<'_> {
    /// The statements that read the targets and their secrets.
    fn queries(self) -> [Query; 2] {
        let (targets, secrets) = match self {
            Self::All => select!(""),
            Self::ChangedAfter(_) => select!(" AND (s.change > $1 OR t.change > $1)"),
            Self::OfTenant(_) => select!(" AND s.tenant = $1"),
            Self::Of(_) => select!(" AND s.tenant = $1 AND s.component = $2 AND s.environment = $3"),
        };
        [targets, secrets].map(|sql| {
            let query = sqlx::query(sql);
            match self {
                Self::All => query,
                Self::ChangedAfter(change) => query.bind(change),
                Self::OfTenant(tenant) => query.bind(tenant.as_str().to_owned()),
                Self::Of(ServiceId { tenant, component, environment }) => {
                    let query = query.bind(tenant.as_str().to_owned()).bind(component.as_str().to_owned());
                    query.bind(environment.as_str())
                }
            }
        })
    }
}

pub(super) fn service_id(row: &sqlx::any::AnyRow) -> Result<ServiceId> {
    Ok(ServiceId {
        tenant: text(row, "tenant")?,
        component: text(row, "component")?,
        environment: text(row, "environment")?,
    })
}

fn target(row: &sqlx::any::AnyRow) -> Result<ServiceTarget> {
    let release = ReleaseTarget {
        version: number(row, "number")?,
        digest: text(row, "digest")?,
        settings: json(row, "settings")?,
        deployment: get(row, "deployment")?,
        rollout: None,
    };
    let canary = match get::<Option<i64>>(row, "canary_number")? {
        None => None,
        Some(_) => Some(ReleaseTarget {
            version: number(row, "canary_number")?,
            digest: text(row, "canary_digest")?,
            settings: json(row, "canary_settings")?,
            deployment: get(row, "canary_deployment")?,
            rollout: optional_json(row, "canary_rollout")?,
        }),
    };
    Ok(ServiceTarget {
        id: service_id(row)?,
        revision: number(row, "revision")?,
        tenant: json(row, "tenant_settings")?,
        stopped: get::<i64>(row, "stopped")? != 0,
        secrets: BTreeMap::new(),
        release,
        canary,
        flags: optional_json(row, "flags")?.unwrap_or_default(),
        experiment: optional_json(row, "stages")?,
        beside: Vec::new(),
    })
}

impl HostScope {
    /// The targets of services.
    pub async fn targets(&mut self, wanted: TargetFilter<'_>) -> Result<Vec<ServiceTarget>> {
        let [targets, secrets] = wanted.queries();
        let rows = targets.fetch_all(&mut *self.tx).await?;
        let mut targets = rows.iter().map(target).collect::<Result<Vec<_>>>()?;
        let rows = secrets.fetch_all(&mut *self.tx).await?;
        let mut secrets: HashMap<ServiceId, BTreeMap<String, String>> = HashMap::new();
        for row in &rows {
            secrets.entry(service_id(row)?).or_default().insert(get(row, "name")?, get(row, "ciphertext")?);
        }
        for target in &mut targets {
            target.secrets = secrets.remove(&target.id).unwrap_or_default();
            self.add_beside(target).await?;
        }
        Ok(targets)
    }

    /// The target of one service.
    pub async fn target(&mut self, id: &ServiceId) -> Result<Option<ServiceTarget>> {
        Ok(self.targets(TargetFilter::Of(id)).await?.pop())
    }

    /// Adds the versions that only flags and the experiment give traffic to.
    async fn add_beside(&mut self, target: &mut ServiceTarget) -> Result<()> {
        let variants = target.experiment.iter().flat_map(|experiment| &experiment.plan.variants);
        let variants = variants.map(|variant| u64::from(variant.version));
        let mut versions: Vec<_> = target.flags.iter().map(|rule| rule.version).chain(variants).collect();
        versions.sort_unstable();
        versions.dedup();
        let served = [Some(target.release.version), target.canary.as_ref().map(|canary| canary.version)];
        for version in versions {
            if served.iter().flatten().any(|served| u64::from(*served) == version) {
                continue;
            }
            let select = "SELECT digest, settings FROM versions WHERE tenant = $1 AND component = $2 AND number = $3";
            let query = sqlx::query(select).bind(target.id.tenant.as_str().to_owned());
            let query =
                query.bind(target.id.component.as_str().to_owned()).bind(i64::try_from(version).unwrap_or(i64::MAX));
            if let Some(row) = query.fetch_optional(&mut *self.tx).await? {
                target.beside.push(ReleaseTarget {
                    version: u32::try_from(version).unwrap_or(u32::MAX),
                    digest: text(&row, "digest")?,
                    settings: json(&row, "settings")?,
                    deployment: target.release.deployment.clone(),
                    rollout: None,
                });
            }
        }
        Ok(())
    }
}
