//! The table `[capabilities.flags]` of elias.toml.

use super::source::{FlagSource, LiveFlags};
use elias_delivery::flag::{FLAG_NAME_BYTES_MAX, FLAGS_MAX, FlagDefinition, FlagSet};
use elias_host::capability::ConfigureError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key of the flags that the table itself defines.
pub(super) const LOCAL: &str = "local";

/// Names and patterns of names that a table may have.
const NAMES_MAX: usize = 100;

/// The table as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    names: Vec<String>,
    local: BTreeMap<String, Value>,
}

impl Default for Table {
    fn default() -> Self {
        Self { names: vec!["*".to_owned()], local: BTreeMap::new() }
    }
}

/// The grant of the capability `flags`.
#[derive(Debug)]
pub struct FlagsGrant {
    names: Vec<String>,
    pub(super) flags: Arc<LiveFlags>,
}

impl FlagsGrant {
    /// Reads a grant. The flags are those of the source, or without one those of the table.
    ///
    /// # Errors
    /// [`ConfigureError::NotGranted`] for none; [`ConfigureError::Invalid`] for what is wrong, with the key.
    pub(super) async fn read(
        granted: Option<&Value>,
        source: Option<&dyn FlagSource>,
        component: &str,
    ) -> Result<Self, ConfigureError> {
        let Table { names, local } = elias_host::grants::parse(granted)?;
        if names.len() > NAMES_MAX {
            return Err(invalid(format!("names: there are {}; at most {NAMES_MAX} are allowed", names.len())));
        }
        for name in &names {
            let fixed = name.strip_suffix('*').unwrap_or(name);
            if name.is_empty() || name.len() > FLAG_NAME_BYTES_MAX || fixed.contains('*') {
                let name = name.escape_debug();
                return Err(invalid(format!("names: `{name}` must be the name of a flag, or a beginning with `*`")));
            }
        }
        // Also where a source is asked: what is deployed must be what was tried.
        let local = local_flags(local)?;
        let flags = match source {
            Some(source) => source.flags_of(component).await.map_err(invalid)?,
            None => Arc::new(LiveFlags::new(local)),
        };
        Ok(Self { names, flags })
    }

    /// Whether the component may evaluate the flag of this name.
    pub(super) fn allows(&self, flag: &str) -> bool {
        self.names.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => flag.starts_with(beginning),
            None => name == flag,
        })
    }
}

fn local_flags(local: BTreeMap<String, Value>) -> Result<FlagSet, ConfigureError> {
    if local.len() > FLAGS_MAX {
        return Err(invalid(format!("local: there are {} flags; at most {FLAGS_MAX} are allowed", local.len())));
    }
    let mut set = FlagSet::default();
    for (name, written) in local {
        let shown = name.escape_debug();
        let definition = match written {
            written @ Value::Object(_) => written,
            value => json!({ "variants": { LOCAL: value }, "defaultVariant": LOCAL }),
        };
        let definition = FlagDefinition::deserialize(definition);
        let definition = definition.map_err(|error| invalid(format!("local.{shown}: {error}")))?;
        set.insert("", &name, definition).map_err(|error| invalid(format!("local.{shown}: {error}")))?;
    }
    Ok(set)
}

fn invalid(message: String) -> ConfigureError {
    ConfigureError::Invalid(message)
}
