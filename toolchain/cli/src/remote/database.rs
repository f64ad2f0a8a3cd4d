//! `elias db` on a platform.

use super::client::read;
use super::target::Target;
use crate::failure::Failure;
use elias_api::{DatabaseQuery, DatabaseResult};
use elias_names::{ComponentName, Environment};

/// Runs a statement on a component's database by the platform that is meant; none if nothing names a platform.
///
/// # Errors
/// If the platform cannot be reached, or it refuses.
pub(crate) fn query(
    target: &Target,
    component: &ComponentName,
    environment: Environment,
    query: &DatabaseQuery,
) -> Result<Option<DatabaseResult>, Failure> {
    let Some(client) = target.known_client()? else { return Ok(None) };
    // The platform does not remember the response: rows of a database do not belong into its store.
    let answer = client.post_once(client.service_url(component, &environment, &["database", "query"]), query)?;
    read(&answer).map(Some)
}
