//! The roles that a tenant defines: `elias roles`.

use crate::remote::connection::client::{Client, named, read};
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{POLICY_BYTES_MAX, ROLE_SCHEMA, Role, RoleDefinition, RoleSettings};
use elias_command_line::text::{plain_lines, print};
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::RoleName;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most roles that are listed.
const LISTED_MAX: usize = 1_000;

/// The arguments of `roles`.
#[derive(Debug, Args)]
pub(crate) struct RolesArguments {
    #[command(subcommand)]
    command: RolesCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum RolesCommand {
    /// List the tenant's custom roles
    List,
    /// Show a role and its policies
    Show {
        /// Role name
        name: RoleName,
    },
    /// Create or change a role
    Set {
        /// Role name
        name: RoleName,
        /// File with the role's policies, in the Cedar language
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// Permission boundary: caller, viewer, developer, operator or admin [default: unchanged, or operator for a new
        /// role]
        #[arg(long, value_name = "ROLE")]
        ceiling: Option<Role>,
    },
    /// Delete a role; its tokens lose all permissions
    Delete {
        /// Role name
        name: RoleName,
    },
    /// Print the Cedar schema that policies are validated against
    Schema,
}

/// Lists, shows, sets and deletes roles.
///
/// # Errors
/// If the platform refuses, or the policies cannot be read.
pub(crate) fn roles(arguments: &RolesArguments) -> Result<(), Failure> {
    if let RolesCommand::Schema = arguments.command {
        print(ROLE_SCHEMA);
        return Ok(());
    }
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    let one = |name: &RoleName| client.tenant_url(&["roles", name.as_str()]);
    match &arguments.command {
        RolesCommand::Schema => Ok(()), // printed above: it takes no platform
        RolesCommand::List => {
            let response = client.list(&client.tenant_url(&["roles"]), LISTED_MAX)?;
            let row = |role: RoleDefinition| {
                let by = named(&response, &role.changed_by);
                [role.name.to_string(), role.ceiling.as_str().to_owned(), time(role.changed_at), by]
            };
            output::print_list(json, &response, ["role", "never exceeds", "changed", "by"], row)
        }
        RolesCommand::Show { name } => {
            let response = client.get(one(name))?;
            output::print_response(json, &response, || {
                let role: RoleDefinition = read(&response)?;
                let facts = output::facts([
                    ("role", role.name.to_string()),
                    ("never exceeds", role.ceiling.as_str().to_owned()),
                    ("changed", time(role.changed_at)),
                    ("by", role.changed_by),
                ]);
                Ok(format!("{facts}\n{}\n", plain_lines(&role.policy)))
            })
        }
        RolesCommand::Set { name, policy, ceiling } => {
            let settings = RoleSettings { ceiling: *ceiling, policy: read_policy(policy)? };
            let response = client.put(one(name), &settings)?;
            let ceiling = read::<RoleDefinition>(&response)?.ceiling;
            output::print_done(json, &response, &format!("role {name} is set; it never exceeds {}", ceiling.as_str()))
        }
        RolesCommand::Delete { name } => {
            let response = client.delete(one(name))?;
            output::print_done(json, &response, &format!("role {name} is deleted; tokens that have it may do nothing"))
        }
    }
}

fn read_policy(path: &Path) -> Result<String, Failure> {
    let failed =
        |error| Failure::new(CliErrorCode::Io, format_args!("cannot read the policies in {}: {error}", path.display()));
    let mut text = String::new();
    // One byte more, so that the platform sees that there are too many.
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(POLICY_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
