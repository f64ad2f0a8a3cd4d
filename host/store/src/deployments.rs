//! Deployments: the acts that gave a version traffic.

use super::{HostScope, TenantScope, before_id, get, now_ms, number, optional_json, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Deployment, DeploymentState};
use elias_names::ServiceId;
use serde_json::Value;

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
        trigger_changes: Vec::new(),
    })
}

impl TenantScope {
    /// Stores a deployment.
    pub async fn insert_deployment(&mut self, deployment: &Deployment) -> Result<()> {
        let insert = "INSERT INTO deployments (tenant, id, component, environment, version, replaces, state, reason, \
            rollout, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let query = self.query(insert).bind(deployment.id.clone()).bind(deployment.component.as_str().to_owned());
        let query = query.bind(deployment.environment.as_str()).bind(i64::from(deployment.version));
        let query = query.bind(deployment.replaces.map(i64::from)).bind(deployment.state.as_str());
        let query = query.bind(deployment.reason.clone()).bind(deployment.rollout.as_ref().map(to_json).transpose()?);
        self.run(query.bind(deployment.created_at).bind(deployment.created_by.clone())).await?;
        Ok(())
    }

    /// Says how a deployment stands now.
    pub async fn set_deployment(&mut self, id: &str, state: DeploymentState, reason: &str) -> Result<()> {
        let ended = matches!(state, DeploymentState::Superseded | DeploymentState::RolledBack).then(now_ms);
        let update = "UPDATE deployments SET state = $3, reason = $4, ended_at = $5 WHERE tenant = $1 AND id = $2";
        let query = self.query(update).bind(id.to_owned()).bind(state.as_str()).bind(reason.to_owned()).bind(ended);
        self.run(query).await?;
        Ok(())
    }

    /// Has the workers that a deployment moved to its version go back to what they were before that, each at its next
    /// turn.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn set_restores_workers(&mut self, id: &str) -> Result<()> {
        let update = "UPDATE deployments SET restores_workers = 1 WHERE tenant = $1 AND id = $2";
        let query = self.query(update).bind(id.to_owned());
        self.run(query).await?;
        Ok(())
    }

    /// Whether the workers that a deployment moved go back to what they were before; not those of a deployment that is
    /// forgotten.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn restores_workers(&mut self, id: &str) -> Result<bool> {
        let select = "SELECT restores_workers FROM deployments WHERE tenant = $1 AND id = $2";
        let query = self.query(select).bind(id.to_owned());
        let row = self.row(query).await?;
        Ok(row.map(|row| get::<i64>(&row, "restores_workers")).transpose()?.is_some_and(|restores| restores != 0))
    }

    /// Says how far a deployment's rollout is.
    pub async fn set_rollout(&mut self, id: &str, rollout: &Value) -> Result<()> {
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
        let query = query.bind(before_id(before)).bind(i64::from(limit));
        self.rows(query).await?.iter().map(deployment).collect()
    }
}

impl HostScope {
    /// Deletes of each service's deployments all but the newest `keep`, and those that serve.
    pub async fn prune_deployments(&mut self, keep: u32) -> Result<u64> {
        let delete = "DELETE FROM deployments WHERE (tenant, id) IN (SELECT tenant, id FROM \
                      (SELECT tenant, id, row_number() OVER (PARTITION BY tenant, component, environment ORDER BY id \
                      DESC) AS place FROM deployments) AS ranked WHERE place > $1) \
                      AND NOT EXISTS (SELECT 1 FROM services s WHERE s.tenant = deployments.tenant \
                      AND (s.deployment = deployments.id OR s.canary = deployments.id))";
        Ok(sqlx::query(delete).bind(i64::from(keep)).execute(&mut *self.tx).await?.rows_affected())
    }
}
