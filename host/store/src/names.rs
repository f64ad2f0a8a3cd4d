//! The names that people gave to tokens and users, for lists that have their ids.

use super::{HostScope, get};
use crate::error::Result;
use elias_names::TenantId;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};

/// Ids of one statement.
const IDS: usize = 500;
/// The prefix of the id of an identity provider's user as an actor.
const USER: &str = "user:";

impl HostScope {
    /// The names of those who act in a tenant, by the ids under which they do: tokens of its own and of the platform's
    /// operators, and its users.
    pub async fn actor_names(&mut self, tenant: &TenantId, ids: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
        let (users, tokens): (Vec<&str>, Vec<&str>) =
            ids.iter().map(String::as_str).partition(|id| id.starts_with(USER));
        let of_tokens = "SELECT id, name FROM tokens WHERE tenant IN ($1, 'system') AND id IN";
        let of_users = "SELECT id, name FROM users WHERE tenant = $1 AND id IN";
        let mut names = BTreeMap::new();
        for (select, prefix, ids) in [(of_tokens, "", tokens), (of_users, USER, users)] {
            for ids in ids.chunks(IDS) {
                let places: Vec<_> = (2..2 + ids.len()).map(|place| format!("${place}")).collect();
                let select = AssertSqlSafe(format!("{select} ({})", places.join(", ")));
                let mut query = sqlx::query(select).bind(tenant.as_str().to_owned());
                for id in ids {
                    query = query.bind(id.strip_prefix(prefix).unwrap_or(id).to_owned());
                }
                for row in &query.fetch_all(&mut *self.tx).await? {
                    names.insert(format!("{prefix}{}", get::<String>(row, "id")?), get(row, "name")?);
                }
            }
        }
        Ok(names)
    }
}
