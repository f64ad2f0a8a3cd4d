//! Compiled code on disk.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use elias_contract::digest;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// What every file begins with; then the SHA-256 of the rest, in hexadecimal.
const MAGIC: &[u8; 8] = b"eliasC01";
const HEADER_BYTES: usize = MAGIC.len() + 64;

/// Compiled code, kept in a folder under the SHA-256 of what it was compiled from and a fingerprint of the configuration.
///
/// Loading compiled code means running it, so the folder must belong to this user alone. What is read is checked against
/// the digest in its header, and by wasmtime against the configuration; what does not fit is compiled anew.
#[derive(Debug)]
pub struct CompiledCache {
    dir: Dir,
}

impl CompiledCache {
    /// Opens the folder, creating it if need be.
    ///
    /// # Errors
    /// If it cannot be created or written, or others may write to it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            let metadata = std::fs::metadata(path)?;
            if metadata.permissions().mode() & 0o022 != 0 {
                let why = "others may write to it; compiled code from there would not be trusted (chmod go-w)";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            let probe = tempfile_name("probe");
            std::fs::write(path.join(&probe), [])?;
            let owner = std::fs::metadata(path.join(&probe))?.uid();
            std::fs::remove_file(path.join(&probe))?;
            if metadata.uid() != owner {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
            }
        }
        Ok(Self { dir: Dir::open_ambient_dir(path, ambient_authority())? })
    }

    /// The compiled core module for `bytes`, from the folder or compiled now.
    ///
    /// # Errors
    /// If `bytes` are no valid module. A folder that cannot be written is not an error here: the code is compiled again.
    pub fn module(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
        let name = self.name(engine, "module", bytes);
        if let Some(code) = self.get(&name) {
            // SAFETY: the file is ours (see `open`) and unaltered (see `get`): `serialize` of this same wasmtime made it.
            if let Ok(module) = unsafe { Module::deserialize(engine, &code) } {
                return Ok(module);
            }
        }
        let module = Module::new(engine, bytes)?;
        self.keep(&name, &module.serialize()?);
        Ok(module)
    }

    /// The compiled component for `bytes`; as [`Self::module`].
    ///
    /// # Errors
    /// If `bytes` are no valid component.
    pub fn component(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let name = self.name(engine, "component", bytes);
        if let Some(code) = self.get(&name) {
            // SAFETY: as in `module`.
            if let Ok(component) = unsafe { Component::deserialize(engine, &code) } {
                return Ok(component);
            }
        }
        let component = Component::new(engine, bytes)?;
        self.keep(&name, &component.serialize()?);
        Ok(component)
    }

    /// What was kept under `name`, if it is there and unaltered.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut content = self.dir.read(name).ok()?;
        let (header, payload) = content.split_at_checked(HEADER_BYTES)?;
        if !header.starts_with(MAGIC) || &header[MAGIC.len()..] != digest(payload).as_bytes() {
            return None;
        }
        content.drain(..HEADER_BYTES);
        Some(content)
    }

    /// Keeps `payload` under `name`, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put(&self, name: &str, payload: &[u8]) -> io::Result<()> {
        let temporary = tempfile_name(name);
        let mut options = OpenOptions::new();
        let mut file = self.dir.open_with(&temporary, options.write(true).create_new(true))?;
        file.write_all(MAGIC)?;
        file.write_all(digest(payload).as_bytes())?;
        file.write_all(payload)?;
        drop(file);
        self.dir.rename(&temporary, &self.dir, name)
    }

    fn keep(&self, name: &str, payload: &[u8]) {
        if let Err(error) = self.put(name, payload) {
            tracing::warn!(%error, "compiled code could not be kept; it will be compiled again");
        }
    }

    fn name(&self, engine: &Engine, kind: &str, bytes: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        format!("{}-{:016x}.{kind}", digest(bytes), hasher.finish())
    }
}

/// A name that no other process uses at the same time.
fn tempfile_name(name: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".{name}.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Allocation, wasmtime_config};

    #[test]
    fn what_was_altered_is_compiled_anew() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = CompiledCache::open(folder.path()).expect("the folder is ours");
        let engine = Engine::new(&wasmtime_config(&Allocation::OnDemand)).expect("the configuration is valid");
        let module = wat::parse_str(r#"(module (func (export "f") (result i32) i32.const 7))"#).expect("valid text");
        cache.module(&engine, &module).expect("a valid module");
        let file = std::fs::read_dir(folder.path()).expect("listing").next().expect("one file").expect("a name").path();
        let kept = std::fs::read(&file).expect("reading");
        let mut altered = kept.clone();
        altered[HEADER_BYTES + 100] ^= 1;
        for bad in [altered, kept[..HEADER_BYTES - 1].to_vec(), Vec::new(), b"foreign".to_vec()] {
            std::fs::write(&file, &bad).expect("writing");
            cache.module(&engine, &module).expect("it is compiled anew");
            assert_eq!(std::fs::read(&file).expect("reading").len(), kept.len(), "and kept again");
        }
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_folder_that_others_may_write_to() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("changing the mode");
        assert_eq!(
            CompiledCache::open(folder.path()).expect_err("not ours alone").kind(),
            io::ErrorKind::PermissionDenied
        );
    }
}
