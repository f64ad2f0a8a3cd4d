//! What hosts saw of implementations that are side by side.

use super::{TenantScope, get, json, to_json};
use crate::error::Result;
use elias_delivery::stages::VariantMetrics;
use elias_names::ServiceId;

impl TenantScope {
    /// Keeps what this run of a host has seen of an implementation so far.
    pub async fn set_stage_figures(
        &mut self,
        id: &ServiceId,
        stages: &str,
        host: &str,
        implementation: &str,
        figures: &VariantMetrics,
    ) -> Result<()> {
        let upsert = "INSERT INTO stage_figures (tenant, component, environment, stages, host, implementation, figures) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) \
                      ON CONFLICT (tenant, component, environment, stages, host, implementation) DO UPDATE SET figures = $7";
        let query = self.query_of(upsert, id);
        let query = query.bind(stages.to_owned()).bind(host.to_owned()).bind(implementation.to_owned());
        self.run(query.bind(to_json(figures)?)).await?;
        Ok(())
    }

    /// What all other runs of hosts have seen, by implementation.
    pub async fn stage_figures(
        &mut self,
        id: &ServiceId,
        stages: &str,
        host: &str,
    ) -> Result<Vec<(String, VariantMetrics)>> {
        let select = "SELECT implementation, figures FROM stage_figures WHERE tenant = $1 AND component = $2 AND environment = $3 \
                      AND stages = $4 AND host <> $5";
        let query = self.query_of(select, id);
        let rows = self.rows(query.bind(stages.to_owned()).bind(host.to_owned())).await?;
        rows.iter().map(|row| Ok((get(row, "implementation")?, json(row, "figures")?))).collect()
    }

    /// Forgets what was seen in a service: its implementations are not side by side any more, or others are.
    pub async fn forget_stage_figures(&mut self, id: &ServiceId) -> Result<()> {
        let delete = "DELETE FROM stage_figures WHERE tenant = $1 AND component = $2 AND environment = $3";
        let query = self.query_of(delete, id);
        self.run(query).await?;
        Ok(())
    }
}
