//! `elias:config`: values and secrets that the operator gives a component; `env` in JavaScript.
//!
//! It is free: a component gets the keys of its own table and no others. Values are read when the component is loaded,
//! so that a missing one is noticed then; secrets are cleared from memory when the component is unloaded, and that an
//! execution reads one is written to the log under the target `elias::audit`, by its name and once.

mod bindings;
mod declaration;

pub use declaration::VALUE_BYTES_MAX;

use bindings::elias::config::config::{self as elias_config, Value as ConfigValue};
use bindings::wasi::config::store as wasi_config;
use declaration::{ConfigEntry, Declaration};
use elias_host::capability::pricing::{Payload, Price, size_of_state};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, wasmtime,
};
use elias_host::grants;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys that a component can have.
pub const KEYS_MAX: usize = 256;

/// Units of fuel of a key that is listed, and of one whose value is read.
const KEY: u64 = 500;
const READ: u64 = 3_000;

/// Bytes of a number or a boolean as text, about.
const NUMBER_BYTES: usize = 24;

/// Bytes that all values of a component can have.
const BYTES_MAX: u64 = (KEYS_MAX * (VALUE_BYTES_MAX + 1024)) as u64;

type Store<'a> = StoreContextMut<'a, InstanceState>;

/// The config capability.
#[derive(Debug, Default)]
pub struct Config;

/// The configuration of one component.
pub struct ConfigGrant {
    entries: BTreeMap<String, ConfigEntry>,
}

/// The configuration of one instance.
pub struct ConfigContext {
    grant: Arc<ConfigGrant>,
    instance: InstanceInfo,
    /// Secrets that it has read, which is told once of each.
    read: BTreeSet<String>,
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

impl Payload for wasi_config::Error {
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
            |mut store: Store<'_>, (): ()| Ok((elias_config::Host::keys(store.data_mut())?,)),
        )?;
        interface.func("get", Price::of(READ), |mut store: Store<'_>, (key,): (String,)| {
            Ok((elias_config::Host::get(store.data_mut(), key)?,))
        })?;
        let mut interface = linker.interface("wasi:config/store@0.2.0-rc.1")?;
        interface.func("get", Price::of(READ), |mut store: Store<'_>, (key,): (String,)| {
            Ok((wasi_config::Host::get(store.data_mut(), key)?,))
        })?;
        let bytes = size_of_state("bytes", |state, ()| state.context::<Self>().bytes());
        interface.func_async(
            "get-all",
            Price::call().per(READ, all().limited_to(KEYS_MAX as u64)).per(1, bytes.limited_to(BYTES_MAX)),
            |mut store: Store<'_>, (): ()| {
                Box::new(async move { Ok((wasi_config::Host::get_all(store.data_mut())?,)) })
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
        let secret = |entry: &'a ConfigEntry| match entry {
            ConfigEntry::Secret(text) => Some(text.as_str()),
            ConfigEntry::Plain(_) => None,
        };
        grant.entries.values().filter_map(secret).collect()
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<ConfigGrant>) -> ConfigContext {
        ConfigContext { grant: Arc::clone(grant), instance: instance.clone(), read: BTreeSet::new() }
    }
}

impl elias_config::Host for InstanceState {
    fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.context::<Config>().grant.entries.keys().cloned().collect())
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<ConfigValue>> {
        Ok(self.context::<Config>().get(&key))
    }
}

/// The same for components of other toolchains, where every value is text. Nothing can fail: values were read when the
/// component was loaded.
impl wasi_config::Host for InstanceState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wasi_config::Error>> {
        Ok(Ok(self.context::<Config>().get(&key).map(ConfigValue::into_text)))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, wasi_config::Error>> {
        let context = self.context::<Config>();
        let keys: Vec<String> = context.grant.entries.keys().cloned().collect();
        let text = |key: String| {
            let value = context.get(&key)?.into_text();
            Some((key, value))
        };
        Ok(Ok(keys.into_iter().filter_map(text).collect()))
    }
}

impl ConfigContext {
    fn get(&mut self, key: &str) -> Option<ConfigValue> {
        match self.grant.entries.get(key)? {
            ConfigEntry::Plain(value) => Some(value.clone()),
            ConfigEntry::Secret(text) => {
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
        let bytes = |(key, entry): (&String, &ConfigEntry)| {
            let value = match entry {
                ConfigEntry::Plain(ConfigValue::Text(text)) => text.len(),
                ConfigEntry::Plain(_) => NUMBER_BYTES,
                ConfigEntry::Secret(text) => text.len(),
            };
            (key.len() + value) as u64
        };
        self.grant.entries.iter().map(bytes).sum()
    }
}
