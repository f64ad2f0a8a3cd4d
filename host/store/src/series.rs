//! The points of the metrics of services, and what is counted of tenants by weeks.

use super::{AllowedServices, AnyRow, Dialect, HostScope, Query, TenantScope, get, number, placeholders, text};
use crate::error::Result;
use elias_api::{AdoptionWeek, SdkVersion};
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// Rows of one INSERT: PostgreSQL takes 65,535 parameters, SQLite 32,766.
const ROWS_PER_INSERT: usize = 1_000;
const COLUMNS: usize = 7;
/// Milliseconds of a week, and of the days from a Monday to the first day of 1970, which was a Thursday.
const WEEK_MS: i64 = 7 * 86_400_000;
const MONDAY_MS: i64 = 3 * 86_400_000;

/// Finds them by their tenants, in the primary key.
pub(super) const PRUNE_ACTIVE_COMPONENTS: &str =
    "DELETE FROM active_components WHERE tenant IN (SELECT tenant FROM tenants) AND week_at < $1";

/// A point of a service, as one run of a host measured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The service; none for those beyond the tenant's budget of series.
    pub service: Option<(ComponentName, Environment)>,
    /// The length of the step in milliseconds.
    pub step_ms: i64,
    /// The beginning of the step, in milliseconds since 1970.
    pub at: i64,
    /// The point, as JSON.
    pub point: String,
}

/// The points of a tenant that are wanted.
#[derive(Debug, Clone, Copy)]
pub struct SeriesFilter<'a> {
    /// Only those of this component.
    pub component: Option<&'a ComponentName>,
    /// Only those in this environment.
    pub environment: Option<Environment>,
    /// The length of the steps in milliseconds.
    pub step_ms: i64,
    /// The first step, and the end of the last, in milliseconds since 1970.
    pub time: (i64, i64),
}

/// The beginning of the week in which a moment in milliseconds since 1970 is: a Monday, 0:00 UTC.
#[must_use]
pub fn week_of(ms: i64) -> i64 {
    (ms.saturating_add(MONDAY_MS)).div_euclid(WEEK_MS) * WEEK_MS - MONDAY_MS
}

/// The expression of [`week_of`] for a column that is not negative.
macro_rules! week_column {
    ($column:literal) => {
        concat!("((", $column, " + 259200000) / 604800000 * 604800000 - 259200000)")
    };
}

fn point(row: &AnyRow) -> Result<SeriesRow> {
    let service = match get::<String>(row, "component")?.as_str() {
        "" => None,
        _ => Some((text(row, "component")?, text(row, "environment")?)),
    };
    Ok(SeriesRow {
        tenant: text(row, "tenant")?,
        service,
        step_ms: get(row, "step_ms")?,
        at: get(row, "at")?,
        point: get(row, "point")?,
    })
}

impl HostScope {
    /// Stores points of the run `source` of a host, in the place of those with the same service, step and time.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_points(&mut self, source: &str, rows: &[SeriesRow]) -> Result<()> {
        for rows in rows.chunks(ROWS_PER_INSERT) {
            let upsert = format!(
                "INSERT INTO series_points (tenant, component, environment, step_ms, at, source, point) VALUES {} \
                 ON CONFLICT (tenant, step_ms, at, component, environment, source) DO UPDATE SET \
                 point = excluded.point",
                placeholders(rows.len(), COLUMNS)
            );
            let mut query: Query = sqlx::query(AssertSqlSafe(upsert));
            for row in rows {
                let (component, environment) = match &row.service {
                    Some((component, environment)) => (component.as_str().to_owned(), environment.as_str()),
                    None => (String::new(), ""),
                };
                query = query.bind(row.tenant.as_str().to_owned()).bind(component).bind(environment);
                query = query.bind(row.step_ms).bind(row.at).bind(source.to_owned()).bind(row.point.clone());
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// The points of all services of all tenants with this step, from a time on until before another, in milliseconds
    /// since 1970; each as JSON.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn service_points(&mut self, step_ms: i64, (from, to): (i64, i64)) -> Result<Vec<(ServiceId, String)>> {
        let select = "SELECT tenant, component, environment, point FROM series_points \
            WHERE step_ms = $1 AND at >= $2 AND at < $3 AND component <> ''";
        let rows = sqlx::query(select).bind(step_ms).bind(from).bind(to).fetch_all(&mut *self.tx).await?;
        let point = |row: &AnyRow| -> Result<(ServiceId, String)> {
            let (tenant, component) = (text(row, "tenant")?, text(row, "component")?);
            Ok((ServiceId { tenant, component, environment: text(row, "environment")? }, get(row, "point")?))
        };
        rows.iter().map(point).collect()
    }

    /// Deletes points of a step that began before `before`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_points(&mut self, step_ms: i64, before: i64) -> Result<()> {
        let delete = "DELETE FROM series_points WHERE step_ms = $1 AND at < $2";
        sqlx::query(delete).bind(step_ms).bind(before).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Notes that something of a component ran in the week that begins at `week_at`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn component_is_active(
        &mut self,
        tenant: &TenantId,
        component: &ComponentName,
        week_at: i64,
    ) -> Result<()> {
        let insert = "INSERT INTO active_components (tenant, week_at, component) VALUES ($1, $2, $3) \
            ON CONFLICT DO NOTHING";
        let query = sqlx::query(insert).bind(tenant.as_str().to_owned()).bind(week_at);
        query.bind(component.as_str().to_owned()).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Deletes what is noted of weeks that began before `before`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_active_components(&mut self, before: i64) -> Result<()> {
        sqlx::query(PRUNE_ACTIVE_COMPONENTS).bind(before).execute(&mut *self.tx).await?;
        Ok(())
    }
}

impl TenantScope {
    /// The tenant's points of the services that are allowed, by time.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn points(&mut self, filter: SeriesFilter<'_>, allowed: &AllowedServices) -> Result<Vec<SeriesRow>> {
        let SeriesFilter { component, environment, step_ms, time: (from, to) } = filter;
        let select = format!(
            "SELECT tenant, component, environment, step_ms, at, point FROM series_points WHERE tenant = $1 \
             AND step_ms = $2 AND at >= $3 AND at < $4 AND ($5 = '' OR component = $5) \
             AND ($6 = '' OR environment = $6) {} ORDER BY at",
            allowed.condition(self.dialect, 7)
        );
        let query = self.query_text(select).bind(step_ms).bind(from).bind(to);
        let query = query.bind(component.map_or_else(String::new, ToString::to_string));
        let query = query.bind(environment.map_or("", Environment::as_str));
        self.rows(allowed.bind(query)?).await?.iter().map(point).collect()
    }

    /// The weeks from the one that begins at `from` on in which anything happened, with the newest last.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn adoption(&mut self, from: i64) -> Result<Vec<AdoptionWeek>> {
        let mut weeks: BTreeMap<i64, AdoptionWeek> = BTreeMap::new();
        let active = "SELECT week_at, COUNT(*) AS amount FROM active_components WHERE tenant = $1 AND week_at >= $2 \
            GROUP BY week_at";
        let deployments = concat!(
            "SELECT ",
            week_column!("created_at"),
            " AS week_at, COUNT(*) AS amount FROM deployments WHERE tenant = $1 AND created_at >= $2 GROUP BY ",
            week_column!("created_at"),
        );
        // What the host itself deployed, such as a rollback, has no author.
        let authors = concat!(
            "SELECT act.week_at AS week_at, COUNT(DISTINCT act.author) AS amount FROM (SELECT ",
            week_column!("created_at"),
            " AS week_at, created_by AS author FROM versions WHERE tenant = $1 AND created_at >= $2 UNION ALL SELECT ",
            week_column!("created_at"),
            " AS week_at, created_by AS author FROM deployments WHERE tenant = $1 AND created_at >= $2) AS act \
             WHERE act.author <> 'host' GROUP BY act.week_at",
        );
        type Amount = fn(&mut AdoptionWeek) -> &mut u64;
        let counts: [(&'static str, Amount); 3] = [
            (active, |week| &mut week.active_components),
            (deployments, |week| &mut week.deployments),
            (authors, |week| &mut week.authors),
        ];
        for (select, amount) in counts {
            let query = self.query(select).bind(from);
            for row in &self.rows(query).await? {
                let week_at = get(row, "week_at")?;
                let week = weeks.entry(week_at).or_insert_with(|| AdoptionWeek { week_at, ..Default::default() });
                *amount(week) = number(row, "amount")?;
            }
        }
        for (week_at, sdk) in self.sdk_versions(from).await? {
            let week = weeks.entry(week_at).or_insert_with(|| AdoptionWeek { week_at, ..Default::default() });
            week.sdk_versions.push(sdk);
        }
        Ok(weeks.into_values().collect())
    }

    async fn sdk_versions(&mut self, from: i64) -> Result<Vec<(i64, SdkVersion)>> {
        let builder = match self.dialect {
            Dialect::Sqlite => "v.manifest->>'builder'",
            Dialect::Postgres => "CAST(v.manifest AS jsonb)->>'builder'",
        };
        let week = week_column!("d.created_at");
        let select = format!(
            "SELECT built.week_at AS week_at, built.builder AS builder, COUNT(DISTINCT built.component) AS amount \
             FROM (SELECT {week} AS week_at, COALESCE({builder}, '') AS builder, d.component AS component \
             FROM deployments d JOIN versions v ON v.tenant = d.tenant AND v.component = d.component \
             AND v.number = d.version WHERE d.tenant = $1 AND d.created_at >= $2) AS built \
             GROUP BY built.week_at, built.builder ORDER BY built.week_at, built.builder"
        );
        let query = self.query_text(select).bind(from);
        let rows = self.rows(query).await?;
        let sdk = |row: &AnyRow| {
            let sdk = SdkVersion { builder: get(row, "builder")?, components: number(row, "amount")? };
            Ok((get(row, "week_at")?, sdk))
        };
        rows.iter().map(sdk).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        const DAY_MS: i64 = 86_400_000;
        // 1970-01-01 was a Thursday.
        assert_eq!(week_of(0), -3 * DAY_MS);
        assert_eq!((week_of(4 * DAY_MS - 1), week_of(4 * DAY_MS)), (-3 * DAY_MS, 4 * DAY_MS));
        // 2026-11-30 was a Monday.
        assert_eq!(week_of(1_796_000_000_000), 1_795_996_800_000);
        assert_eq!((MONDAY_MS, WEEK_MS), (259_200_000, 604_800_000), "as the statements have them");
    }
}
