//! `elias:config`: values and secrets that the operator gives a component; `env` in JavaScript.
//!
//! It is free: a component gets the keys of its own table and no others. Values are read when the component is loaded, so
//! that a missing one is noticed then; secrets are cleared from memory when the component is unloaded, and reading one is
//! written to the log under the target `elias::audit`, by its name.

mod declaration;

use declaration::{Declaration, Entry};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, InstanceInfo, InstanceState, Linker, wasmtime,
};
use elias_host::grants;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys that a component can have.
pub const KEYS_MAX: usize = 256;

/// Bytes of a value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The config capability.
#[derive(Debug, Default)]
pub struct Config;

/// What one component can read.
pub struct ConfigGrant {
    entries: BTreeMap<String, Entry>,
}

/// What one instance has of it.
pub struct ConfigContext {
    grant: Arc<ConfigGrant>,
    execution: String,
    component: String,
}

/// `elias:config/config.value`.
#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq)]
#[component(variant)]
enum ConfigValue {
    #[component(name = "text")]
    Text(String),
    #[component(name = "number")]
    Number(f64),
    #[component(name = "boolean")]
    Boolean(bool),
}

impl ConfigValue {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Boolean(boolean) => boolean.to_string(),
        }
    }
}

/// `wasi:config/store.error`. What could fail has failed when the component was loaded.
#[derive(ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code)]
enum WasiConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

impl Capability for Config {
    type Grant = ConfigGrant;
    type Context = ConfigContext;

    fn name(&self) -> &'static str {
        "config"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:config/config", "wasi:config/store"]
    }

    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
        let mut interface = linker.instance("elias:config/config@0.1.0")?;
        interface.func_wrap("keys", |mut store: StoreContextMut<'_, InstanceState>, (): ()| {
            let keys: Vec<String> = store.data_mut().context::<Self>().grant.entries.keys().cloned().collect();
            Ok((keys,))
        })?;
        interface.func_wrap("get", |mut store: StoreContextMut<'_, InstanceState>, (key,): (String,)| {
            Ok((store.data_mut().context::<Self>().get(&key),))
        })?;
        // The same for components of other toolchains, where every value is text.
        let mut interface = linker.instance("wasi:config/store@0.2.0-rc.1")?;
        interface.func_wrap("get", |mut store: StoreContextMut<'_, InstanceState>, (key,): (String,)| {
            let value = store.data_mut().context::<Self>().get(&key);
            Ok((Ok::<_, WasiConfigError>(value.map(ConfigValue::into_text)),))
        })?;
        interface.func_wrap("get-all", |mut store: StoreContextMut<'_, InstanceState>, (): ()| {
            let context = store.data_mut().context::<Self>();
            let text = |key: &String| Some((key.clone(), context.get(key)?.into_text()));
            let all: Vec<(String, String)> = context.grant.entries.keys().filter_map(text).collect();
            Ok((Ok::<_, WasiConfigError>(all),))
        })
    }

    async fn configure(
        &self,
        component: &ComponentInfo,
        granted: Option<&Value>,
    ) -> Result<ConfigGrant, ConfigureError> {
        let declarations: BTreeMap<String, Declaration> = match granted {
            Some(_) => grants::parse(granted)?,
            None => BTreeMap::new(),
        };
        if declarations.len() > KEYS_MAX {
            let message = format!("there are {} keys; at most {KEYS_MAX} are allowed", declarations.len());
            return Err(ConfigureError::Invalid(message));
        }
        let mut entries = BTreeMap::new();
        for (key, declaration) in declarations {
            if let Some(entry) = declaration.read(&key, &component.folder)? {
                entries.insert(key, entry);
            }
        }
        Ok(ConfigGrant { entries })
    }

    fn secrets<'a>(&self, grant: &'a ConfigGrant) -> Vec<&'a str> {
        let secret = |entry: &'a Entry| match entry {
            Entry::Secret(text) => Some(text.as_str()),
            Entry::Plain(_) => None,
        };
        grant.entries.values().filter_map(secret).collect()
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<ConfigGrant>) -> ConfigContext {
        ConfigContext {
            grant: Arc::clone(grant),
            execution: instance.execution().to_owned(),
            component: instance.component().to_owned(),
        }
    }
}

impl ConfigContext {
    fn get(&self, key: &str) -> Option<ConfigValue> {
        match self.grant.entries.get(key)? {
            Entry::Plain(value) => Some(value.clone()),
            Entry::Secret(text) => {
                tracing::info!(
                    target: "elias::audit", execution = %self.execution, component = %self.component, key,
                    "a secret was read"
                );
                Some(ConfigValue::Text(text.as_str().to_owned()))
            }
        }
    }
}
