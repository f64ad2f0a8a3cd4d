//! `elias:config`: values and secrets that the operator gives a component; `env` in JavaScript.
//!
//! It is free: a component gets the keys of its own table and no others. Values are read when the component is loaded,
//! so that a missing one is noticed then; secrets are cleared from memory when the component is unloaded, and that an
//! execution reads one is written to the log under the target `elias::audit`, by its name and once.

mod declaration;

use declaration::{Declaration, Entry};
use elias_host::capability::pricing::{Payload, Price, size_of_state};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, wasmtime,
};
use elias_host::grants;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys that a component can have.
pub const KEYS_MAX: usize = 256;

/// Bytes of a value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Units of fuel of a key that is listed, and of one whose value is read.
const KEY: u64 = 500;
const READ: u64 = 3_000;

/// Bytes of a number or a boolean as text, about.
const NUMBER_BYTES: usize = 24;

/// Bytes that all values of a component can have.
const BYTES_MAX: u64 = (KEYS_MAX * (VALUE_BYTES_MAX + 1024)) as u64;

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
    instance: InstanceInfo,
    /// Secrets that it has read, which is told once of each.
    read: BTreeSet<String>,
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

impl Payload for ConfigValue {
    fn units(&self) -> u64 {
        if let Self::Text(text) = self { text.units() } else { 0 }
    }
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

impl Payload for WasiConfigError {
    fn units(&self) -> u64 {
        match self {
            Self::Upstream(why) | Self::Io(why) => why.units(),
        }
    }
}

impl Capability for Config {
    type Grant = ConfigGrant;
    type Context = ConfigContext;

    fn name(&self) -> &'static str {
        "config"
    }

    /// All of them are values that the component reads.
    fn is_data(&self, _: &str) -> bool {
        true
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:config/config", "wasi:config/store"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let mut interface = linker.interface("elias:config/config@0.1.0")?;
        let all = || size_of_state("keys", |state, ()| state.context::<Self>().grant.entries.len() as u64);
        interface.func(
            "keys",
            Price::call().per(KEY, all().limited_to(KEYS_MAX as u64)),
            |mut store: StoreContextMut<'_, InstanceState>, (): ()| {
                let keys: Vec<String> = store.data_mut().context::<Self>().grant.entries.keys().cloned().collect();
                Ok((keys,))
            },
        )?;
        interface.func(
            "get",
            Price::of(READ),
            |mut store: StoreContextMut<'_, InstanceState>, (key,): (String,)| {
                Ok((store.data_mut().context::<Self>().get(&key),))
            },
        )?;
        // The same for components of other toolchains, where every value is text.
        let mut interface = linker.interface("wasi:config/store@0.2.0-rc.1")?;
        interface.func(
            "get",
            Price::of(READ),
            |mut store: StoreContextMut<'_, InstanceState>, (key,): (String,)| {
                let value = store.data_mut().context::<Self>().get(&key);
                Ok((Ok::<_, WasiConfigError>(value.map(ConfigValue::into_text)),))
            },
        )?;
        let bytes = size_of_state("bytes", |state, ()| state.context::<Self>().bytes());
        interface.func_async(
            "get-all",
            Price::call().per(READ, all().limited_to(KEYS_MAX as u64)).per(1, bytes.limited_to(BYTES_MAX)),
            |mut store: StoreContextMut<'_, InstanceState>, (): ()| {
                Box::new(async move {
                    let context = store.data_mut().context::<Self>();
                    let keys: Vec<String> = context.grant.entries.keys().cloned().collect();
                    let text = |key: String| {
                        let value = context.get(&key)?.into_text();
                        Some((key, value))
                    };
                    let all: Vec<(String, String)> = keys.into_iter().filter_map(text).collect();
                    Ok((Ok::<_, WasiConfigError>(all),))
                })
            },
        )
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
        ConfigContext { grant: Arc::clone(grant), instance: instance.clone(), read: BTreeSet::new() }
    }
}

impl ConfigContext {
    fn get(&mut self, key: &str) -> Option<ConfigValue> {
        match self.grant.entries.get(key)? {
            Entry::Plain(value) => Some(value.clone()),
            Entry::Secret(text) => {
                if !self.read.contains(key) {
                    self.read.insert(key.to_owned());
                    self.instance.secret_read(key);
                }
                Some(ConfigValue::Text(text.as_str().to_owned()))
            }
        }
    }

    /// Bytes of all keys and values, as text.
    fn bytes(&self) -> u64 {
        let bytes = |(key, entry): (&String, &Entry)| {
            let value = match entry {
                Entry::Plain(ConfigValue::Text(text)) => text.len(),
                Entry::Plain(_) => NUMBER_BYTES,
                Entry::Secret(text) => text.len(),
            };
            (key.len() + value) as u64
        };
        self.grant.entries.iter().map(bytes).sum()
    }
}
