//! What users see of issues and do with them.

use crate::access::{AccessTarget, Permission};
use crate::platform::Platform;
use crate::reports::ReadSource;
use crate::serving::ExecutionOutcome;
use crate::session::Session;
use elias_api::{
    Code, Error, Issue, IssueChange, IssueFilter, IssueOccurrence, IssueState, IssueTotals, Result, SourceExcerpt,
    SourcePlace,
};
use elias_contract::layout;
use elias_contract::stack::SOURCE_MAP_BYTES_MAX;
use elias_names::{Digest, TenantId};
use elias_store::{IssueQuery, IssueRow, now_ms};
use elias_telemetry::issue::{Occurrence, Place, Status};
use elias_telemetry::sentry::SourceContext;
use futures::FutureExt;
use serde::Deserialize;
use std::sync::Arc;

impl Platform {
    /// The issues of the services that the session may read, the one that occurred last first, at most `limit` after
    /// the one of which `after` is the cursor.
    ///
    /// # Errors
    /// `bad-input` for a cursor or a state that is none; `forbidden`, `store-unavailable`.
    pub async fn issues(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &IssueFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Issue>> {
        let (permission, component) = (Permission::Read, filter.component.as_ref());
        let wanted = IssueQuery {
            states: filter.states()?.into_iter().map(|state| state.as_str().to_owned()).collect(),
            component: filter.component.clone(),
            environment: filter.environment,
            text: filter.text.clone().unwrap_or_default(),
            since_ms: filter.since.unwrap_or(0),
            after: after.map(read_cursor).transpose()?,
        };
        let mut scope = self.read(session, permission, tenant, component).await?;
        let allowed = session.allowed_services(&mut scope, permission, tenant, component).await?;
        let found = scope.issues(&wanted, &allowed, limit).await?;
        Ok(found.into_iter().map(shown).collect())
    }

    /// The numbers of failures of a tenant, recorded or not.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn issue_totals(&self, session: &Session, tenant: &TenantId) -> Result<IssueTotals> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let counts = scope.issue_counts().await?;
        drop(scope);
        let services = self.serving().meters.services.all();
        let own = services.iter().filter(|(key, _)| key.tenant() == Some(tenant));
        let failures = own.map(|(_, meter)| meter.ended(ExecutionOutcome::Failed)).sum();
        Ok(IssueTotals { failures, folded: counts.folded, unrecorded: counts.unrecorded })
    }

    /// An issue, with the source around its place for those who may upload versions.
    ///
    /// # Errors
    /// `not-found`, also for one of a service that the session may not read; `forbidden`, `store-unavailable`.
    pub async fn issue(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<Issue> {
        session.require_role(Permission::Read, tenant)?;
        let found = self.store().read(tenant).await?.issue(id).await?;
        let row = visible(found, session, Permission::Read, tenant, id)?;
        let may_see_source = session.require(Permission::Upload, tenant, &row.service(tenant)).is_ok();
        let source = if may_see_source { self.source_around(tenant, &row).await } else { None };
        Ok(Issue { source, ..shown(row) })
    }

    /// Changes the state of an issue, or to whom it is assigned, if it is still at `revision`.
    ///
    /// # Errors
    /// `not-found`, `bad-input`, `stale`, `forbidden`, `store-unavailable`.
    pub async fn change_issue(
        &self,
        session: &Session,
        tenant: &TenantId,
        id: &str,
        change: &IssueChange,
        revision: Option<u64>,
    ) -> Result<Issue> {
        session.require_role(Permission::ManageIssues, tenant)?;
        change.check()?;
        let mut scope = self.store().write(tenant).await?;
        let found = scope.issue_to_change(id).await?;
        let mut row = visible(found, session, Permission::ManageIssues, tenant, id)?;
        if revision.is_some_and(|revision| revision != row.issue.revision) {
            return Err(Error::new(Code::Stale, format!("the issue {id} was changed meanwhile: read it again")));
        }
        let before = facts(&row);
        apply(&mut row.issue, change);
        row.issue.revision += 1;
        scope.put_issue(&row).await?;
        let subject = format!("{}/issues/{id}", row.service(tenant).subject());
        scope.audit(&session.actor(), "issue.change", subject, Some(&before), Some(&facts(&row))).await?;
        scope.commit().await?;
        Ok(shown(row))
    }

    /// The source around the place of an issue, from the source map of the version in which it occurred last. A version
    /// that is gone has none.
    async fn source_around(&self, tenant: &TenantId, row: &IssueRow) -> Option<SourceExcerpt> {
        let place = row.issue.place.clone()?;
        let version = {
            let mut scope = self.store().read(tenant).await.ok()?;
            scope.version(&row.component, row.issue.last.version).await.ok()?
        };
        let SourceContext { first_line, lines } = self.source_context(&version.digest, place).await?;
        Some(SourceExcerpt { first_line, lines })
    }

    /// Reads the source around places, for as long as the platform is open.
    pub(crate) fn source_reader(&self) -> ReadSource {
        let inner = Arc::downgrade(&self.inner);
        Box::new(move |service, version, place| {
            let inner = inner.upgrade();
            async move {
                let platform = Platform::of(inner?);
                let mut scope = platform.store().read(&service.tenant).await.ok()?;
                let found = scope.version(&service.component, version).await.ok()?;
                drop(scope);
                platform.source_context(&found.digest, place).await
            }
            .boxed()
        })
    }

    /// The source around a place of a component.
    async fn source_context(&self, digest: &Digest, place: Place) -> Option<SourceContext> {
        let bytes = self.artifacts().get(digest).await.ok()?;
        tokio::task::spawn_blocking(move || context_in(&bytes, &place)).await.ok()?
    }
}

/// The source around a place, as the source map in a component has it.
fn context_in(component: &[u8], place: &Place) -> Option<SourceContext> {
    /// The members of a source map that are read.
    #[derive(Deserialize)]
    struct Sources {
        sources: Vec<String>,
        #[serde(rename = "sourcesContent")]
        contents: Vec<Option<String>>,
    }
    let json = layout::read(component).ok()?.source_map.filter(|json| json.len() <= SOURCE_MAP_BYTES_MAX)?;
    let map: Sources = serde_json::from_slice(json).ok()?;
    let at = map.sources.iter().position(|source| *source == place.file)?;
    SourceContext::of(map.contents.get(at)?.as_deref()?, place.line)
}

/// An issue that was found, if it is of a service on which the session has a permission.
fn visible(
    found: Option<IssueRow>,
    session: &Session,
    permission: Permission,
    tenant: &TenantId,
    id: &str,
) -> Result<IssueRow> {
    let is_allowed = |row: &IssueRow| {
        let about = AccessTarget::Service(&row.component, row.environment);
        session.require(permission, tenant, about).is_ok()
    };
    found.filter(is_allowed).ok_or_else(|| Error::not_listed(format_args!("issue `{id}`"), "elias issues list"))
}

/// What users can change of an issue, for the audit trail.
fn facts(row: &IssueRow) -> serde_json::Value {
    let Issue { state, version, until_count, until, assigned_to, .. } = shown(row.clone());
    serde_json::json!({
        "state": state, "version": version, "until_count": until_count, "until": until, "assigned_to": assigned_to
    })
}

/// Makes a change that was checked.
fn apply(issue: &mut elias_telemetry::issue::Issue, change: &IssueChange) {
    match change.state {
        Some(IssueState::New) => issue.status = Status::New,
        Some(IssueState::Resolved) => {
            issue.status = Status::Resolved { version: change.version.unwrap_or(issue.newest_version) };
        }
        Some(IssueState::Ignored) => {
            let until_count = change.for_count.map(|count| issue.count.saturating_add(count));
            issue.status = Status::Ignored { until_count, until_ms: change.until };
        }
        // It was refused.
        Some(IssueState::Regressed) | None => {}
    }
    if let Some(assigned_to) = &change.assigned_to {
        issue.assigned_to.clone_from(assigned_to);
    }
}

/// An issue as the API has it.
fn shown(row: IssueRow) -> Issue {
    let IssueRow { component, environment, issue } = row;
    let hours = issue.sparkline(now_ms());
    let (state, version, until_count, until) = match issue.status {
        Status::New => (IssueState::New, None, None, None),
        Status::Regressed { version } => (IssueState::Regressed, Some(version), None, None),
        Status::Resolved { version } => (IssueState::Resolved, Some(version), None, None),
        Status::Ignored { until_count, until_ms } => (IssueState::Ignored, None, until_count, until_ms),
    };
    let place = issue.place.map(|Place { function, file, line, column }| SourcePlace { function, file, line, column });
    Issue {
        id: issue.id,
        component,
        environment,
        code: issue.code,
        title: issue.title,
        place,
        state,
        version,
        until_count,
        until,
        assigned_to: issue.assigned_to,
        count: issue.count,
        first_seen: occurrence(issue.first),
        last_seen: occurrence(issue.last),
        newest_version: issue.newest_version,
        hours,
        samples: issue.samples,
        revision: issue.revision,
        source: None,
    }
}

fn occurrence(seen: Occurrence) -> IssueOccurrence {
    IssueOccurrence { at: seen.at_ms, version: seen.version, execution: seen.execution }
}

/// Where a list goes on behind an issue: the time of its last occurrence, and its id.
fn read_cursor(text: &str) -> Result<(i64, String)> {
    let read = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    read.ok_or_else(|| Error::new(Code::BadInput, "`after` must be the value of `next` of the previous page"))
}

impl Platform {
    /// The value for [`issues`](Self::issues) to go on behind an issue.
    #[must_use]
    pub fn issue_cursor(issue: &Issue) -> String {
        format!("{}.{}", issue.last_seen.at, issue.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_a_page_gave() {
        assert_eq!(read_cursor("17.00ff").expect("a cursor"), (17, "00ff".to_owned()));
        for wrong in ["", "17", "x.00ff", "."] {
            assert_eq!(read_cursor(wrong).expect_err("none").code(), Code::BadInput, "{wrong}");
        }
    }

    #[test]
    fn source_is_read_from_the_source_map_alone() {
        let place = Place { function: None, file: "src/index.ts".into(), line: 1, column: 1 };
        assert_eq!(context_in(b"no component", &place), None);
    }
}
