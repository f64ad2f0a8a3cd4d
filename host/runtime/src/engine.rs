//! TEMPORARY sketch by the engine's author, so that elias-build compiles; replace it, keeping these names.
use std::path::Path;
use wasmtime::{Config, Engine, Module};

/// How instances get memory.
pub enum Allocation { /// One by one.
 OnDemand }

/// The one configuration.
pub fn wasmtime_config(_: &Allocation) -> Config {
    let mut c = Config::new();
    c.consume_fuel(true).max_wasm_stack(1536 << 10).async_stack_size(2 << 20).concurrency_support(false);
    c
}

/// Compiled code on disk.
pub struct CompiledCache(std::path::PathBuf);

impl CompiledCache {
    /// Opens it.
    pub fn open(dir: &Path) -> std::io::Result<Self> { std::fs::create_dir_all(dir)?; Ok(Self(dir.to_owned())) }
    /// The compiled module for these bytes; compiles it if it is not there.
    pub fn module(&self, engine: &Engine, bytes: &[u8]) -> anyhow::Result<Module> {
        let f = self.0.join(format!("{}.cwasm", elias_contract::digest(bytes)));
        if f.exists() && let Ok(m) = unsafe { Module::deserialize_file(engine, &f) } { return Ok(m); }
        let m = Module::new(engine, bytes)?;
        std::fs::write(&f, m.serialize()?)?;
        Ok(m)
    }
    /// A verified blob kept under a key (a SHA-256 in hexadecimal).
    pub fn get(&self, key: &str) -> Option<Vec<u8>> { std::fs::read(self.0.join(key)).ok() }
    /// Keeps a blob.
    pub fn put(&self, key: &str, bytes: &[u8]) -> std::io::Result<()> { std::fs::write(self.0.join(key), bytes) }
}
