//! The cache of compiled code: a folder of files, each under the digest of what it was compiled from.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, MetadataExt};
use elias_atomic_write::{Access, AtomicFile, Fsync};
use elias_contract::digest;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// The end of every file, after the SHA-256 of all before it, in hexadecimal.
const MAGIC: &[u8; 8] = b"eliasC02";
const TRAILER_BYTES: usize = 64 + MAGIC.len();

/// Where the system shows this process's open files by number. Where it does not, code is compiled at every start.
const FILES_BY_DESCRIPTOR: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// Compiled code, kept in a folder under the SHA-256 of what it was compiled from and a fingerprint of the
/// configuration.
///
/// Loading compiled code means running it, so the folder must belong to this user alone. What is read is checked
/// against the digest at its end, and by wasmtime against the configuration; what does not fit is compiled anew.
///
/// Code is mapped from its file, not read: a component's code and memory image take up memory where they are used.
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
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            let metadata = std::fs::metadata(path)?;
            if metadata.permissions().mode() & 0o022 != 0 {
                let why = "others may write to it; compiled code from there would not be trusted (chmod go-w)";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            // Never committed: it shows that the folder can be written to, and as whom.
            let probe = AtomicFile::create(&dir, "probe", Access::OwnerOnly)?;
            if metadata.uid() != cap_std::fs::MetadataExt::uid(&probe.file().metadata()?) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
            }
        }
        Ok(Self { dir })
    }

    /// The compiled core module for `bytes`, from the folder or compiled now.
    ///
    /// # Errors
    /// If `bytes` are not a valid module. A folder that cannot be written is not an error here: the code is compiled
    /// again.
    pub fn module(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
        match self.kept_module(engine, bytes) {
            Some(module) => Ok(module),
            None => self.keep_module(engine, bytes, &engine.precompile_module(bytes)?),
        }
    }

    /// The core module for `bytes` whose compiled code is `code`, which is kept.
    pub(crate) fn keep_module(&self, engine: &Engine, bytes: &[u8], code: &[u8]) -> wasmtime::Result<Module> {
        // SAFETY: as in `kept_module`.
        let map = |file: &File| unsafe { Module::deserialize_file(engine, path_of(file)) };
        // SAFETY: this program compiled it just now, here or in a child.
        self.keep(&name(engine, "module", &digest(bytes)), code)
            .and_then(|file| map(&file).ok())
            .map_or_else(|| unsafe { Module::deserialize(engine, code) }, Ok)
    }

    /// The compiled core module for `bytes`, if the folder has it.
    #[must_use]
    pub fn kept_module(&self, engine: &Engine, bytes: &[u8]) -> Option<Module> {
        let (file, _) = self.open_checked(&name(engine, "module", &digest(bytes)))?;
        // SAFETY: `open_checked` and `keep` give files that are ours (see `open`) and unaltered: this same wasmtime
        // made them.
        unsafe { Module::deserialize_file(engine, path_of(&file)) }.ok()
    }

    /// The compiled component for `bytes`, if the folder has it.
    #[must_use]
    pub fn kept_component(&self, engine: &Engine, bytes: &[u8]) -> Option<Component> {
        let (file, _) = self.open_checked(&name(engine, "component", &digest(bytes)))?;
        // SAFETY: as in `kept_module`.
        unsafe { Component::deserialize_file(engine, path_of(&file)) }.ok()
    }

    /// Counts the compiled code for the component with this digest as used: it was read before, and is shared.
    pub(crate) fn touch_component(&self, engine: &Engine, digest: &str) {
        if let Ok(file) = self.dir.open(name(engine, "component", digest)) {
            touch(&file.into_std());
        }
    }

    /// The component for `bytes` whose compiled code is `code`; as [`Self::keep_module`].
    pub(crate) fn keep_component(&self, engine: &Engine, bytes: &[u8], code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: as in `kept_module`.
        let map = |file: &File| unsafe { Component::deserialize_file(engine, path_of(file)) };
        // SAFETY: as in `keep_module`.
        self.keep(&name(engine, "component", &digest(bytes)), code)
            .and_then(|file| map(&file).ok())
            .map_or_else(|| unsafe { Component::deserialize(engine, code) }, Ok)
    }

    /// The cached image with this name. The caller knows the image's bytes, and must compare them.
    pub(crate) fn image(&self, name: &str) -> Option<std::fs::File> {
        let file = self.dir.open(name).ok()?.into_std();
        touch(&file);
        Some(file)
    }

    /// Keeps an image under `name`, and gives its file; `write` writes it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn keep_image(
        &self,
        name: &str,
        write: impl FnOnce(&std::fs::File) -> io::Result<()>,
    ) -> io::Result<std::fs::File> {
        let file = AtomicFile::create(&self.dir, name, Access::OwnerOnly)?;
        write(&file.file().try_clone()?.into_std())?;
        // Whoever opens it compares it: damaged by a power loss, it is written again.
        file.commit(name, Fsync::None).map(File::into_std)
    }

    /// The content stored under `name`, if it is there and unaltered.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.open_checked(name).map(|(_, content)| content)
    }

    /// The file of that name and its content without the trailer, if it is there and unaltered.
    fn open_checked(&self, name: &str) -> Option<(File, Vec<u8>)> {
        let mut file = self.dir.open(name).ok()?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).ok()?;
        let (payload, trailer) = content.split_at_checked(content.len().checked_sub(TRAILER_BYTES)?)?;
        let (checksum, magic) = trailer.split_at(64);
        if magic != MAGIC || checksum != digest(payload).as_bytes() {
            return None;
        }
        content.truncate(content.len() - TRAILER_BYTES);
        // A folder that cannot be written is none that is pruned.
        if let Ok(file) = file.try_clone() {
            touch(&file.into_std());
        }
        Some((file, content))
    }

    /// Deletes what was not used for longest until what is kept has at most `bytes_max` bytes. Files that are mapped
    /// stay until they are not.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn prune(&self, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in self.dir.entries()? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                // Images have holes, which take no room.
                let bytes = MetadataExt::blocks(&metadata) * 512;
                files.push((metadata.modified()?.into_std(), bytes, entry.file_name()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, name) in files {
            if bytes <= bytes_max {
                break;
            }
            match self.dir.remove_file(name) {
                // Another process was faster.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            bytes = bytes.saturating_sub(size);
        }
        Ok(())
    }

    /// Keeps `payload` under `name`, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put(&self, name: &str, payload: &[u8]) -> io::Result<()> {
        self.write(name, payload).map(drop)
    }

    fn write(&self, name: &str, payload: &[u8]) -> io::Result<File> {
        let file = AtomicFile::create(&self.dir, name, Access::OwnerOnly)?;
        let mut writer = file.file();
        writer.write_all(payload)?;
        writer.write_all(digest(payload).as_bytes())?;
        writer.write_all(MAGIC)?;
        // Whoever opens it checks the digest: damaged by a power loss, it is compiled again.
        file.commit(name, Fsync::None)
    }

    fn keep(&self, name: &str, payload: &[u8]) -> Option<File> {
        let warn =
            |error| tracing::warn!(%error, "compiled code cannot be cached; the component will be compiled again");
        self.write(name, payload).map_err(warn).ok()
    }
}

/// The name of the compiled code of what has this digest.
fn name(engine: &Engine, kind: &str, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.{kind}", hasher.finish())
}

/// What is used is kept by `prune`. A folder that cannot be written is none that is pruned.
fn touch(file: &std::fs::File) {
    let _ = file.set_modified(SystemTime::now());
}

/// A path to this very file, also when another has taken its name.
fn path_of(file: &File) -> PathBuf {
    Path::new(FILES_BY_DESCRIPTOR).join(file.as_raw_fd().to_string())
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
        altered[100] ^= 1;
        for bad in [altered, kept[..TRAILER_BYTES - 1].to_vec(), Vec::new(), b"foreign".to_vec()] {
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
