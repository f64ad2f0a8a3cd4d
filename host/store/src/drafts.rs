//! The statements about drafts.

use super::audit::NOTHING;
use super::{TenantScope, get, json, now_ms, number, signed, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Actor, DRAFTS_MAX, Draft, DraftSummary};
use elias_names::ComponentName;
use serde_json::json;
use std::collections::BTreeMap;

fn draft(row: &sqlx::any::AnyRow) -> Result<Draft> {
    Ok(Draft {
        draft: text(row, "name")?,
        files: json(row, "files")?,
        revision: number(row, "revision")?,
        created_at: get(row, "created_at")?,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
    })
}

fn summary(row: &sqlx::any::AnyRow) -> Result<DraftSummary> {
    Ok(DraftSummary {
        draft: text(row, "name")?,
        files: number(row, "file_count")?,
        bytes: number(row, "bytes")?,
        revision: number(row, "revision")?,
        created_at: get(row, "created_at")?,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
    })
}

impl TenantScope {
    /// All drafts of the tenant by name, without their files: a tenant has at most [`DRAFTS_MAX`].
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn drafts(&mut self) -> Result<Vec<DraftSummary>> {
        let select = "SELECT name, file_count, bytes, revision, created_at, changed_at, changed_by FROM drafts \
                      WHERE tenant = $1 ORDER BY name";
        let query = self.query(select);
        self.rows(query).await?.iter().map(summary).collect()
    }

    /// A draft with its files.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn draft(&mut self, name: &ComponentName) -> Result<Option<Draft>> {
        let query = self.query("SELECT * FROM drafts WHERE tenant = $1 AND name = $2").bind(name.as_str().to_owned());
        self.row(query).await?.as_ref().map(draft).transpose()
    }

    /// Saves a draft: a new one, or the next revision of the one that is still at `before`. `None` if it is not.
    ///
    /// # Errors
    /// `quota-exceeded` for more drafts than a tenant may have.
    pub async fn save_draft(
        &mut self,
        name: &ComponentName,
        files: &BTreeMap<String, String>,
        before: Option<&Draft>,
        actor: &Actor,
    ) -> Result<Option<Draft>> {
        let revision = before.map_or(0, |before| before.revision);
        let now = now_ms();
        let saved = Draft {
            draft: name.clone(),
            files: files.clone(),
            revision: revision + 1,
            created_at: before.map_or(now, |before| before.created_at),
            changed_at: now,
            changed_by: actor.name.clone(),
        };
        let bytes: usize = files.iter().map(|(path, text)| path.len() + text.len()).sum();
        let upsert = "INSERT INTO drafts (tenant, name, files, file_count, bytes, revision, created_at, changed_at, \
                      changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, name) DO UPDATE \
                      SET files = $3, file_count = $4, bytes = $5, revision = $6, changed_at = $8, changed_by = $9 \
                      WHERE drafts.revision = $10";
        let query = self.query(upsert).bind(name.as_str().to_owned()).bind(to_json(files)?);
        let query = query.bind(signed(files.len() as u64)).bind(signed(bytes as u64)).bind(signed(saved.revision));
        let query = query.bind(saved.created_at).bind(saved.changed_at).bind(saved.changed_by.clone());
        if self.run(query.bind(signed(revision))).await? == 0 {
            return Ok(None);
        }
        self.at_most(DRAFTS_MAX, "drafts", "SELECT count(*) AS rows_there FROM drafts WHERE tenant = $1").await?;
        // Texts of files are no matter of the audit trail: saves are many, and a source may be large.
        let told = json!({ "revision": saved.revision, "files": files.len(), "bytes": bytes });
        self.audit(actor, "draft.save", name.as_str(), NOTHING, Some(&told)).await?;
        Ok(Some(saved))
    }

    /// Deletes a draft, if it is still at `revision` where one is given.
    ///
    /// # Errors
    /// `not-found`, `stale`.
    pub async fn delete_draft(&mut self, name: &ComponentName, revision: Option<u64>, actor: &Actor) -> Result<()> {
        let before = self
            .draft(name)
            .await?
            .ok_or_else(|| Error::not_listed(format_args!("draft `{name}`"), "elias drafts list"))?;
        if revision.is_some_and(|revision| revision != before.revision) {
            return Err(Error::stale("draft", name));
        }
        let delete = "DELETE FROM drafts WHERE tenant = $1 AND name = $2 AND revision = $3";
        let query = self.query(delete).bind(name.as_str().to_owned());
        // Another host may have saved it since it was read.
        if self.run(query.bind(signed(before.revision))).await? == 0 {
            return Err(Error::stale("draft", name));
        }
        let told = json!({ "revision": before.revision, "files": before.files.len() });
        self.audit(actor, "draft.delete", name.as_str(), Some(&told), NOTHING).await
    }
}
