//! A tenant's organizations and users: `elias organizations` and `elias users`.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{Organization, OrganizationSettings, TokenRole, User, UserSettings};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use reqwest::Url;
use serde_json::json;

/// The most organizations and users that are listed.
const LISTED_MAX: usize = 10_000;

/// The arguments of `organizations`.
#[derive(Debug, Args)]
pub(crate) struct OrganizationsArguments {
    #[command(subcommand)]
    command: OrganizationsCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum OrganizationsCommand {
    /// List the organizations
    List,
    /// Create an organization
    Create {
        /// Organization id, `ctx.organizationId` in components
        id: String,
        /// Display name [default: the id]
        #[arg(long)]
        name: Option<String>,
    },
    /// Show an organization
    Show {
        /// Organization id
        id: String,
    },
    /// Change the given settings of an organization
    Set {
        /// Organization id
        id: String,
        /// Display name
        #[arg(long)]
        name: Option<String>,
        /// Deny access to its users; --disabled=false turns it off
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        disabled: Option<bool>,
    },
    /// Delete an organization without users
    Delete {
        /// Organization id
        id: String,
    },
}

/// The arguments of `users`.
#[derive(Debug, Args)]
pub(crate) struct UsersArguments {
    #[command(subcommand)]
    command: UsersCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// List the users
    List {
        /// List users of this organization only
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
    },
    /// Create a user
    Create {
        /// User id, `ctx.userId` in components; the subject (`sub`) for a user of an identity provider
        id: String,
        #[command(flatten)]
        flags: UserFlags,
    },
    /// Show a user
    Show {
        /// User id
        id: String,
    },
    /// Change the given settings of a user; an empty value deletes one
    Set {
        /// User id
        id: String,
        #[command(flatten)]
        flags: UserFlags,
    },
    /// Delete a user and reject the user's tokens
    Delete {
        /// User id
        id: String,
    },
}

/// The settings of a user that are given.
#[derive(Debug, Args)]
struct UserFlags {
    /// Display name [default: the id]
    #[arg(long)]
    name: Option<String>,
    /// Email address
    #[arg(long)]
    email: Option<String>,
    /// Id of the user's organization
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// Permission boundary: the role that the user's tokens never exceed
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Deny access to the user; --disabled=false turns it off
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disabled: Option<bool>,
}

impl UserFlags {
    fn apply(&self, settings: UserSettings) -> Result<UserSettings, Failure> {
        let said = |flag: &Option<String>, before: Option<String>| match flag {
            Some(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            None => before,
        };
        let role = said(&self.role, settings.role.map(String::from));
        let role = role.map(|role| role.parse::<TokenRole>()).transpose();
        Ok(UserSettings {
            name: self.name.clone().unwrap_or(settings.name),
            email: said(&self.email, settings.email),
            organization: said(&self.organization, settings.organization),
            role: role.map_err(|error| Failure::new(error.code().as_str(), error))?,
            disabled: self.disabled.unwrap_or(settings.disabled),
        })
    }
}

/// Lists, makes, shows, changes and deletes organizations.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn organizations(arguments: &OrganizationsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    let one = |id: &str| client.tenant_url(&["organizations", id]);
    match &arguments.command {
        OrganizationsCommand::List => {
            let response = client.list(&client.tenant_url(&["organizations"]), LISTED_MAX)?;
            let row = |found: Organization| [found.id, found.name, time(found.created_at), since(found.disabled_at)];
            output::print_list(json, &response, ["organization", "name", "since", "disabled"], row)
        }
        OrganizationsCommand::Create { id, name } => {
            let settings = OrganizationSettings { name: name.clone().unwrap_or_else(|| id.clone()), disabled: false };
            let new = json!({ "id": id, "settings": settings });
            let response = client.post(client.tenant_url(&["organizations"]), &new)?;
            output::print_done(json, &response, &format!("organization {} is made", plain(id)))
        }
        OrganizationsCommand::Show { id } => {
            let response = client.get(one(id))?;
            output::print_item(json, &response, describe_organization)
        }
        OrganizationsCommand::Set { id, name, disabled } => {
            let before: Organization = read(&client.get(one(id))?)?;
            let settings = OrganizationSettings {
                name: name.clone().unwrap_or(before.name),
                disabled: disabled.unwrap_or(before.disabled_at.is_some()),
            };
            let response = client.put_at(one(id), &settings, before.revision)?;
            output::print_item(json, &response, describe_organization)
        }
        OrganizationsCommand::Delete { id } => {
            let response = client.delete(one(id))?;
            output::print_done(json, &response, &format!("organization {} is deleted; its id stays taken", plain(id)))
        }
    }
}

/// Lists, makes, shows, changes and deletes users.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn users(arguments: &UsersArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    match &arguments.command {
        UsersCommand::List { organization } => {
            let mut url = client.tenant_url(&["users"]);
            if let Some(organization) = organization {
                url.query_pairs_mut().append_pair("organization", organization);
            }
            let response = client.list(&url, LISTED_MAX)?;
            let row = |user: User| {
                let role = user.role.map(String::from).unwrap_or_default();
                let (organization, email) = (user.organization.unwrap_or_default(), user.email.unwrap_or_default());
                [user.id, user.name, email, organization, role, since(user.disabled_at)]
            };
            let header = ["user", "name", "email", "organization", "at most", "disabled"];
            output::print_list(json, &response, header, row)
        }
        UsersCommand::Create { id, flags } => {
            let settings = flags.apply(UserSettings { name: id.clone(), ..UserSettings::default() })?;
            let response = client.post(client.tenant_url(&["users"]), &json!({ "id": id, "settings": settings }))?;
            output::print_done(json, &response, &format!("user {} is made", plain(id)))
        }
        UsersCommand::Show { id } => {
            let response = client.get(user_url(&client, id))?;
            output::print_item(json, &response, describe_user)
        }
        UsersCommand::Set { id, flags } => {
            let before: User = read(&client.get(user_url(&client, id))?)?;
            let settings = flags.apply(UserSettings {
                name: before.name,
                email: before.email,
                organization: before.organization,
                role: before.role,
                disabled: before.disabled_at.is_some(),
            })?;
            let response = client.put_at(user_url(&client, id), &settings, before.revision)?;
            output::print_item(json, &response, describe_user)
        }
        UsersCommand::Delete { id } => {
            let response = client.delete(user_url(&client, id))?;
            output::print_done(
                json,
                &response,
                &format!("user {} is deleted; the user's tokens are refused", plain(id)),
            )
        }
    }
}

fn user_url(client: &Client, id: &str) -> Url {
    client.tenant_url(&["users", id])
}

fn since(at: Option<i64>) -> String {
    at.map_or_else(String::new, time)
}

fn describe_organization(found: Organization) -> String {
    output::facts([
        ("organization", found.id),
        ("name", found.name),
        ("since", time(found.created_at)),
        ("disabled", since(found.disabled_at)),
    ])
}

fn describe_user(user: User) -> String {
    output::facts([
        ("user", user.id),
        ("name", user.name),
        ("email", user.email.unwrap_or_default()),
        ("organization", user.organization.unwrap_or_default()),
        ("at most", user.role.map(String::from).unwrap_or_default()),
        ("since", time(user.created_at)),
        ("by", user.created_by),
        ("disabled", since(user.disabled_at)),
    ])
}
