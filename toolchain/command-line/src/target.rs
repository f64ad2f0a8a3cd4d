//! The platform and the tenant that a command is for: the flags, and the tenant in the environment.

use crate::error_code::CliErrorCode;
use crate::failure::Failure;
use clap::Args;
use elias_api::DEFAULT_TENANT;
use elias_names::TenantId;
use std::path::PathBuf;

/// The flags of all commands that talk to a platform.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// URL of the platform's admin API [default: $ELIAS_URL, else the one that `elias login` saved]
    #[arg(long, value_name = "URL", global = true, help_heading = "Platform")]
    pub url: Option<String>,
    /// File with the token [default: the token in $ELIAS_TOKEN, else the one that `elias login` saved]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Platform")]
    pub token_file: Option<PathBuf>,
    /// Tenant name [default: $ELIAS_TENANT, else the one that `elias login` saved, else `default`]
    #[arg(long, value_name = "NAME", global = true, help_heading = "Platform")]
    pub tenant: Option<TenantId>,
    /// Print the API's response as JSON
    #[arg(long, global = true, help_heading = "Platform")]
    pub json: bool,
}

impl Target {
    /// The tenant by the flags and the environment alone, for a command that asks no platform.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn tenant_without_login(&self) -> Result<TenantId, Failure> {
        self.tenant.clone().or(tenant_of_environment()?).map_or_else(default_tenant, Ok)
    }
}

/// The tenant that `ELIAS_TENANT` names.
///
/// # Errors
/// `bad-name`.
pub fn tenant_of_environment() -> Result<Option<TenantId>, Failure> {
    let name = std::env::var("ELIAS_TENANT").ok().filter(|name| !name.is_empty());
    let tenant = name.map(|name| name.parse::<TenantId>()).transpose();
    tenant.map_err(|error| Failure::new(CliErrorCode::BadName, format_args!("ELIAS_TENANT: {error}")))
}

/// The tenant that always exists.
///
/// # Errors
/// None: its name is valid.
pub fn default_tenant() -> Result<TenantId, Failure> {
    DEFAULT_TENANT.parse().map_err(|error| Failure::new(CliErrorCode::BadName, error))
}
