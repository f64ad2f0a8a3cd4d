//! Services: the versions that serve, by environment.

use super::{TenantScope, get, number, optional_json, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Code, Service};
use elias_names::ServiceId;

fn service(row: &sqlx::any::AnyRow) -> Result<Service> {
    Ok(Service {
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        revision: number(row, "revision")?,
        version: number(row, "version")?,
        deployment: get(row, "deployment")?,
        canary: get(row, "canary")?,
        stopped: get::<i64>(row, "stopped")? != 0,
        flags: optional_json(row, "flags")?.unwrap_or_default(),
        experiment: optional_json(row, "stages")?,
    })
}

impl TenantScope {
    /// The service of a component in an environment, if there ever was one.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn service(&mut self, id: &ServiceId) -> Result<Option<Service>> {
        let select = "SELECT * FROM services WHERE tenant = $1 AND component = $2 AND environment = $3";
        let query = self.query_of(select, id);
        self.row(query).await?.as_ref().map(service).transpose()
    }

    /// All of the tenant's services after `(component, environment)`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn services(&mut self) -> Result<Vec<Service>> {
        let query = self.query("SELECT * FROM services WHERE tenant = $1 ORDER BY component, environment");
        self.rows(query).await?.iter().map(service).collect()
    }

    /// Puts a service to what it is to be, if it is still at the revision that `service` was read with; 0 is one that
    /// is not there yet.
    ///
    /// # Errors
    /// `stale` if somebody else was faster.
    pub async fn set_service(&mut self, service: &Service) -> Result<()> {
        let flags = (!service.flags.is_empty()).then(|| to_json(&service.flags)).transpose()?;
        let experiment = service.experiment.as_ref().map(to_json).transpose()?;
        let bind = |query: super::Query| {
            let query = query.bind(service.component.as_str().to_owned()).bind(service.environment.as_str());
            let query =
                query.bind(i64::try_from(service.revision).unwrap_or(i64::MAX)).bind(i64::from(service.version));
            let query = query.bind(service.deployment.clone()).bind(service.canary.clone());
            query.bind(i64::from(service.stopped)).bind(flags).bind(experiment)
        };
        let statement = if service.revision == 0 {
            "INSERT INTO services (tenant, component, environment, revision, version, deployment, canary, stopped, \
            flags, stages) VALUES ($1, $2, $3, $4 + 1, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING"
        } else {
            "UPDATE services SET revision = revision + 1, version = $5, deployment = $6, canary = $7, stopped = $8, \
            flags = $9, stages = $10 WHERE tenant = $1 AND component = $2 AND environment = $3 AND revision = $4"
        };
        let query = bind(self.query(statement));
        if self.run(query).await? == 0 {
            let message = format!(
                "another change of {} in {} came first; look at `elias status` and try again",
                service.component, service.environment
            );
            return Err(Error::new(Code::Stale, message));
        }
        let (tenant, component) = (self.tenant.clone(), service.component.clone());
        self.service_changed(&ServiceId { tenant, component, environment: service.environment }).await
    }
}
