//! `elias db` on a platform: runs a statement on a component's database.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::target;
use elias_api::DatabaseQuery;
use elias_command_line::{DbArguments, Failure, print_rows};

/// Prints the result of a statement on a component's database of the platform that is meant; says whether there is one.
///
/// # Errors
/// If the platform cannot be reached, or it refuses.
pub(crate) fn query(arguments: &DbArguments) -> Result<bool, Failure> {
    let DbArguments { component, sql, params, environment, limit, write, data_dir, target } = arguments;
    if data_dir.is_some() || !target::is_known(target)? {
        return Ok(false);
    }
    let client = Client::of(target)?;
    let query = DatabaseQuery { sql: sql.clone(), parameters: params.0.clone(), limit: Some(*limit), write: *write };
    // The platform does not remember the response: rows of a database do not belong into its store.
    let response = client.post_once(client.service_url(component, environment, &["database", "query"]), &query)?;
    print_rows(arguments, read(&response)?);
    Ok(true)
}
