//! Users: for whom tokens are made, and whom an identity provider knows.

use super::audit::NOTHING;
use super::{TenantScope, get, now_ms, number, signed};
use crate::error::{Error, Result};
use elias_api::{Actor, Code, User};

fn user(row: &sqlx::any::AnyRow) -> Result<User> {
    let role = get::<Option<String>>(row, "role")?;
    Ok(User {
        id: get(row, "id")?,
        name: get(row, "name")?,
        email: get(row, "email")?,
        organization: get(row, "organization")?,
        role: role.map(|role| role.parse().map_err(|_| super::damaged("role"))).transpose()?,
        disabled_at: get(row, "disabled_at")?,
        revision: number(row, "revision")?,
        created_at: get(row, "created_at")?,
        created_by: get(row, "created_by")?,
        deleted_at: get(row, "deleted_at")?,
    })
}

/// Users of a tenant.
pub(super) const USERS_MAX: u32 = 10_000;

impl TenantScope {
    /// The tenant's users after the id `after`, by id; those of one organization, if that is given.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn users(&mut self, organization: Option<&str>, after: &str, limit: u32) -> Result<Vec<User>> {
        let select = "SELECT * FROM users WHERE tenant = $1 AND id > $2 AND deleted_at IS NULL \
                      AND ($4 = '' OR organization = $4) ORDER BY id LIMIT $3";
        let query = self.query(select).bind(after.to_owned()).bind(i64::from(limit));
        let query = query.bind(organization.unwrap_or_default().to_owned());
        self.rows(query).await?.iter().map(user).collect()
    }

    /// A user, also one who was deleted.
    pub async fn any_user(&mut self, id: &str) -> Result<Option<User>> {
        let query = self.query("SELECT * FROM users WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        self.row(query).await?.as_ref().map(user).transpose()
    }

    /// A user.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn user(&mut self, id: &str) -> Result<User> {
        let found = self.any_user(id).await?.filter(|found| found.deleted_at.is_none());
        found.ok_or_else(|| Error::not_listed(format_args!("user `{id}`"), "elias users list"))
    }

    /// Makes a user.
    ///
    /// # Errors
    /// `already-there`, also for one who was deleted; `quota-exceeded`.
    pub async fn insert_user(&mut self, new: &User, actor: &Actor) -> Result<()> {
        let insert = "INSERT INTO users (tenant, id, name, email, organization, role, disabled_at, revision, \
            created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
        let query = self.query(insert).bind(new.id.clone()).bind(new.name.clone()).bind(new.email.clone());
        let query = query.bind(new.organization.clone()).bind(new.role.as_ref().map(ToString::to_string));
        let query = query.bind(new.disabled_at).bind(signed(new.revision)).bind(new.created_at);
        if self.run(query.bind(new.created_by.clone())).await? == 0 {
            let message = format!("the id {} is taken; users who were deleted keep theirs", new.id);
            return Err(Error::new(Code::AlreadyThere, message));
        }
        let count = "SELECT count(*) AS rows_there FROM users WHERE tenant = $1 AND deleted_at IS NULL";
        self.at_most(USERS_MAX, "users", count).await?;
        self.audit(actor, "user.create", new.id.clone(), NOTHING, Some(new)).await
    }

    /// Puts `next` in the place of `before`, which was read in this transaction.
    ///
    /// # Errors
    /// `stale`.
    pub async fn update_user(&mut self, before: &User, next: &User, actor: &Actor) -> Result<()> {
        let update = "UPDATE users SET name = $3, email = $4, organization = $5, role = $6, disabled_at = $7, revision \
            = $8 WHERE tenant = $1 AND id = $2 AND revision = $9 AND deleted_at IS NULL";
        let query = self.query(update).bind(next.id.clone()).bind(next.name.clone()).bind(next.email.clone());
        let query = query.bind(next.organization.clone()).bind(next.role.as_ref().map(ToString::to_string));
        let query = query.bind(next.disabled_at).bind(signed(next.revision)).bind(signed(before.revision));
        if self.run(query).await? == 0 {
            return Err(Error::stale("user", &next.id));
        }
        self.audit(actor, "user.update", next.id.clone(), Some(before), Some(next)).await
    }

    /// Deletes a user, whose tokens end with that.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_user(&mut self, id: &str, actor: &Actor) -> Result<()> {
        let before = self.user(id).await?;
        let query = self.query("UPDATE users SET deleted_at = $3 WHERE tenant = $1 AND id = $2");
        let query = query.bind(id.to_owned()).bind(now_ms());
        self.run(query).await?;
        self.audit(actor, "user.delete", id, Some(&before), NOTHING).await
    }
}
