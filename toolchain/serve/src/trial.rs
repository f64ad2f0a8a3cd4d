//! Loading a component to check or to test it: with what elias.toml grants, on embedded databases and caches in a
//! temporary folder.

use crate::settings::Settings;
use crate::{failure, host};
use elias_command_line::{CliErrorCode, Failure};
use elias_host::{App, Grants, HostBuilder, LoadOptions};
use elias_project::Project;
use serde_json::Value;
use std::path::Path;

/// A component that was loaded, and the folder of its databases.
pub(crate) struct TrialComponent {
    pub(crate) app: App,
    _data: tempfile::TempDir,
}

impl TrialComponent {
    /// Loads a component as `settings` say, in a host that `extend` adds capabilities to. Nothing that it keeps is
    /// found by the next.
    ///
    /// # Errors
    /// Whatever keeps it from being loaded.
    pub(crate) async fn load(
        project: &Project,
        settings: &Settings,
        cache: Option<&Path>,
        wasm: &[u8],
        extend: impl FnOnce(HostBuilder) -> HostBuilder,
    ) -> Result<Self, Failure> {
        let data = tempfile::tempdir().map_err(|error| Failure::new(CliErrorCode::Io, error))?;
        let host = host::build(extend(host::with_idle_triggers(settings, data.path().to_owned())?), cache)?;
        let given = LoadOptions {
            grants: local(&settings.grants),
            folder: project.config.as_deref().and_then(Path::parent).unwrap_or(&project.root).to_owned(),
            ..LoadOptions::default()
        };
        let app = host.load_with(wasm, &given).await.map_err(failure::of_host)?;
        Ok(Self { app, _data: data })
    }
}

/// The grants of elias.toml, for this machine alone: databases and caches are the embedded ones, and what would be read
/// from the environment or from files of secrets has its default, or a text, number or boolean that stands for it.
fn local(grants: &Grants) -> Grants {
    let mut all = Grants::default();
    for (name, table) in grants.iter() {
        let mut table = table.clone();
        match (name, table.as_object_mut()) {
            ("db" | "cache", Some(table)) => {
                for key in ["backend", "url", "schema", "connect-timeout-ms", "timeout-ms"] {
                    table.remove(key);
                }
            }
            ("config", Some(table)) => table.iter_mut().for_each(|(key, value)| stand_in(key, value)),
            _ => {}
        }
        all = all.with(name, table);
    }
    all
}

fn stand_in(key: &str, value: &mut Value) {
    let Some(source) = value.as_object() else { return };
    // A secret may have no default: it is left as it is, for the capability to say so as it does when it is served.
    if source.get("secret") == Some(&Value::Bool(true)) && source.contains_key("default") {
        return;
    }
    *value = match (source.get("default"), source.get("type").and_then(Value::as_str)) {
        (Some(default), _) => default.clone(),
        (None, Some("number")) => Value::from(0),
        (None, Some("boolean")) => Value::from(false),
        (None, _) => Value::from(format!("test-{key}")),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tests_reach_nothing_outside() {
        let grants =
            Grants::default().with("db", json!({ "backend": "postgres", "url": "postgres://x", "rows": 5 })).with(
                "config",
                json!({ "a": "b", "token": { "env": "TOKEN", "secret": true }, "n": { "env": "N", "default": 7 } }),
            );
        let local = local(&grants);
        assert_eq!(local.get("db"), Some(&json!({ "rows": 5 })));
        assert_eq!(local.get("config"), Some(&json!({ "a": "b", "token": "test-token", "n": 7 })));
    }

    #[test]
    fn a_secret_with_a_default_is_refused_as_when_it_is_served() {
        let secret = json!({ "token": { "env": "TOKEN", "secret": true, "default": "x" } });
        assert_eq!(local(&Grants::default().with("config", secret.clone())).get("config"), Some(&secret));
    }
}
