//! The metrics of the variants of experiments, by host.

use super::{TenantScope, get, json, to_json};
use crate::error::Result;
use elias_delivery::experiment::VariantMetrics;
use elias_names::ServiceId;

impl TenantScope {
    /// Stores the metrics of a variant that this run of a host has measured so far.
    pub async fn set_variant_metrics(
        &mut self,
        id: &ServiceId,
        experiment: &str,
        host: &str,
        variant: &str,
        metrics: &VariantMetrics,
    ) -> Result<()> {
        let upsert = "INSERT INTO stage_figures (tenant, component, environment, stages, host, implementation, \
            figures) VALUES ($1, $2, $3, $4, $5, $6, $7) \
            ON CONFLICT (tenant, component, environment, stages, host, implementation) DO UPDATE SET \
            figures = $7";
        let query = self.query_of(upsert, id);
        let query = query.bind(experiment.to_owned()).bind(host.to_owned()).bind(variant.to_owned());
        self.run(query.bind(to_json(metrics)?)).await?;
        Ok(())
    }

    /// The metrics that all other runs of hosts have measured, with the names of the variants.
    pub async fn variant_metrics_elsewhere(
        &mut self,
        id: &ServiceId,
        experiment: &str,
        host: &str,
    ) -> Result<Vec<(String, VariantMetrics)>> {
        let select = "SELECT implementation, figures FROM stage_figures WHERE tenant = $1 AND component = $2 AND \
            environment = $3 AND stages = $4 AND host <> $5";
        let query = self.query_of(select, id);
        let rows = self.rows(query.bind(experiment.to_owned()).bind(host.to_owned())).await?;
        rows.iter().map(|row| Ok((get(row, "implementation")?, json(row, "figures")?))).collect()
    }

    /// Deletes the metrics of a service: its experiment has ended, or another begins.
    pub async fn forget_variant_metrics(&mut self, id: &ServiceId) -> Result<()> {
        let delete = "DELETE FROM stage_figures WHERE tenant = $1 AND component = $2 AND environment = $3";
        let query = self.query_of(delete, id);
        self.run(query).await?;
        Ok(())
    }
}
