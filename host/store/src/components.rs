//! The statements about components and the numbers of their versions.

use super::{TenantScope, get, now_ms, number, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Code, Component};
use elias_names::ComponentName;
use serde_json::json;

impl TenantScope {
    /// The tenant's components after the name `after`, by name; of those in `allowed`, if there is a list.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn components(
        &mut self,
        after: &str,
        allowed: Option<&[ComponentName]>,
        limit: u32,
    ) -> Result<Vec<Component>> {
        let is_allowed = allowed.map_or_else(String::new, |_| {
            format!("AND component IN (SELECT item.value->>'component' FROM {})", self.dialect.each(4))
        });
        let select = format!(
            "SELECT * FROM components WHERE tenant = $1 AND component > $2 AND deleted_at IS NULL {is_allowed} \
             ORDER BY component LIMIT $3"
        );
        let mut query = self.query_text(select).bind(after.to_owned()).bind(i64::from(limit));
        if let Some(allowed) = allowed {
            let names: Vec<_> = allowed.iter().map(|component| json!({ "component": component })).collect();
            query = query.bind(to_json(&names)?);
        }
        let component = |row: &sqlx::any::AnyRow| {
            Ok(Component {
                component: text(row, "component")?,
                versions: number(row, "versions")?,
                created_at: get(row, "created_at")?,
            })
        };
        self.rows(query).await?.iter().map(component).collect()
    }

    /// The names of all components that the tenant ever had: records may be of one that was deleted.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn component_names(&mut self) -> Result<Vec<ComponentName>> {
        let query = self.query("SELECT component FROM components WHERE tenant = $1 ORDER BY component");
        self.rows(query).await?.iter().map(|row| text(row, "component")).collect()
    }

    /// The next version's number of a component, which is made if it is not there. The component's row is locked until
    /// the transaction's end, so that two uploads at once get two numbers.
    pub async fn next_version(&mut self, component: &ComponentName, components_max: u32) -> Result<u32> {
        let tenant = self.tenant.clone();
        let insert = "INSERT INTO components (tenant, component, versions, created_at) VALUES ($1, $2, 0, $3) ON \
            CONFLICT DO NOTHING";
        let query = self.query(insert).bind(component.as_str().to_owned()).bind(now_ms());
        let is_new = self.run(query).await? > 0;
        let revive =
            "UPDATE components SET deleted_at = NULL WHERE tenant = $1 AND component = $2 AND deleted_at IS NOT NULL";
        let query = self.query(revive).bind(component.as_str().to_owned());
        let is_revived = self.run(query).await? > 0;
        if (is_new || is_revived) && components_max > 0 {
            let query =
                self.query("SELECT count(*) AS components FROM components WHERE tenant = $1 AND deleted_at IS NULL");
            let row = self
                .row(query)
                .await?
                .ok_or_else(|| Error::new(Code::Internal, "the store returned no count of components"))?;
            if number::<u64>(&row, "components")? > u64::from(components_max) {
                let message =
                    format!("tenant {tenant} may have {components_max} components; delete one, or ask for more");
                return Err(Error::new(Code::QuotaExceeded, message));
            }
        }
        let update =
            "UPDATE components SET versions = versions + 1 WHERE tenant = $1 AND component = $2 RETURNING versions";
        let query = self.query(update).bind(component.as_str().to_owned());
        let row = self
            .row(query)
            .await?
            .ok_or_else(|| Error::not_listed(format_args!("component `{component}`"), "elias versions"))?;
        number(&row, "versions")
    }
}
