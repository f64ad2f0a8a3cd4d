//! Deployments: the acts that gave a version traffic.

use super::{HostScope, TenantScope, get, now_ms, number, optional_json, text, to_json};
use crate::error::{Code, Error, Result};
use crate::name::{ComponentName, Environment, ServiceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// A deployment: the act through which a version gets requests in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deployment {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. Ids sort by time.
    pub id: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The number of the deployed version.
    pub version: u32,
    /// The number of the version that served before; null for the first deployment.
    pub replaces: Option<u32>,
    /// The state.
    pub state: DeploymentState,
    /// The reason of the deployment or of its last change of state; it may be empty.
    pub reason: String,
    /// The plan and the progress of the rollout; null if the version got all requests at once.
    #[schema(value_type = Option<Object>)]
    pub rollout: Option<Value>,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that deployed: the token's id, a user of the identity provider, or `host` for the host itself.
    pub created_by: String,
    /// The time since when the deployment gets no requests, in milliseconds since 1970-01-01 UTC; null while it gets
    /// requests.
    pub ended_at: Option<i64>,
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentState {
    /// The version gets a part of the requests, next to the version that it is to replace.
    Canary,
    /// The version gets all requests.
    Active,
    /// Another deployment has replaced this one.
    Superseded,
    /// The deployment was a canary and was aborted or rolled back.
    RolledBack,
}

impl DeploymentState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl FromStr for DeploymentState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Canary, Self::Active, Self::Superseded, Self::RolledBack]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                Error::new(Code::BadName, "a deployment's state must be canary, active, superseded or rolled-back")
            })
    }
}

fn deployment(row: &sqlx::any::AnyRow) -> Result<Deployment> {
    Ok(Deployment {
        id: get(row, "id")?,
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        version: number(row, "version")?,
        replaces: get::<Option<i64>>(row, "replaces")?.and_then(|number| u32::try_from(number).ok()),
        state: text(row, "state")?,
        reason: get(row, "reason")?,
        rollout: optional_json(row, "rollout")?,
        created_at: get(row, "created_at")?,
        created_by: get(row, "created_by")?,
        ended_at: get(row, "ended_at")?,
    })
}

impl TenantScope {
    /// Stores a deployment.
    pub(crate) async fn insert_deployment(&mut self, deployment: &Deployment) -> Result<()> {
        let insert = "INSERT INTO deployments (tenant, id, component, environment, version, replaces, state, reason, rollout, created_at, \
                      created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let query = self.query(insert).bind(deployment.id.clone()).bind(deployment.component.as_str().to_owned());
        let query = query.bind(deployment.environment.as_str()).bind(i64::from(deployment.version));
        let query = query.bind(deployment.replaces.map(i64::from)).bind(deployment.state.as_str());
        let query = query.bind(deployment.reason.clone()).bind(deployment.rollout.as_ref().map(to_json).transpose()?);
        self.run(query.bind(deployment.created_at).bind(deployment.created_by.clone())).await?;
        Ok(())
    }

    /// Says how a deployment stands now.
    pub(crate) async fn set_deployment(&mut self, id: &str, state: DeploymentState, reason: &str) -> Result<()> {
        let ended = matches!(state, DeploymentState::Superseded | DeploymentState::RolledBack).then(now_ms);
        let update = "UPDATE deployments SET state = $3, reason = $4, ended_at = $5 WHERE tenant = $1 AND id = $2";
        let query = self.query(update).bind(id.to_owned()).bind(state.as_str()).bind(reason.to_owned()).bind(ended);
        self.run(query).await?;
        Ok(())
    }

    /// Says how far a deployment's rollout is.
    pub(crate) async fn set_rollout(&mut self, id: &str, rollout: &Value) -> Result<()> {
        let update = "UPDATE deployments SET rollout = $3 WHERE tenant = $1 AND id = $2";
        let query = self.query(update).bind(id.to_owned()).bind(to_json(rollout)?);
        self.run(query).await?;
        Ok(())
    }

    /// A deployment.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn deployment(&mut self, id: &str) -> Result<Deployment> {
        let query = self.query("SELECT * FROM deployments WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        deployment(&self.row(query).await?.ok_or_else(|| Error::not_found(format_args!("deployment `{id}`")))?)
    }

    /// A service's deployments before the one with the id `before`, newest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn deployments(
        &mut self,
        service: &ServiceId,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Deployment>> {
        let select = "SELECT * FROM deployments WHERE tenant = $1 AND component = $2 AND environment = $3 AND id < $4 \
                      ORDER BY id DESC LIMIT $5";
        let query = self.query_of(select, service);
        let query = query.bind(before.unwrap_or("~").to_owned()).bind(i64::from(limit));
        self.rows(query).await?.iter().map(deployment).collect()
    }
}

impl HostScope {
    /// Deletes of each service's deployments all but the newest `keep`, and those that serve.
    pub(crate) async fn prune_deployments(&mut self, keep: u32) -> Result<u64> {
        let delete = "DELETE FROM deployments WHERE (tenant, id) IN (SELECT tenant, id FROM \
                      (SELECT tenant, id, row_number() OVER (PARTITION BY tenant, component, environment ORDER BY id DESC) AS place \
                      FROM deployments) AS ranked WHERE place > $1) \
                      AND NOT EXISTS (SELECT 1 FROM services s WHERE s.tenant = deployments.tenant \
                      AND (s.deployment = deployments.id OR s.canary = deployments.id))";
        Ok(sqlx::query(delete).bind(i64::from(keep)).execute(&mut *self.tx).await?.rows_affected())
    }
}
