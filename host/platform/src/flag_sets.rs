//! The feature flags that this host has in memory: of each tenant and environment of which a component that evaluates
//! flags is loaded.
//!
//! They are read from the store when the first such component is loaded, and again whenever they were changed, here or
//! by another host. Beside that each set is in a file under `DATA_DIR/flags`, from which a host reads it while the
//! store is away. Flags that no loaded component has any more are forgotten.

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use elias_api::{Code, Error, Result};
use elias_atomic_write::{Access, Fsync};
use elias_capabilities::Flags;
use elias_capabilities::flags::{FlagSource, LiveFlags};
use elias_delivery::flag::{FlagDefinition, FlagSet};
use elias_names::{Environment, ServiceId, TenantId};
use elias_store::Store;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::time::timeout;

/// How long the loading of a component waits for its flags; then they are those of the file.
const READ_MAX: Duration = Duration::from_secs(2);

/// Whose flags a set has.
type SetKey = (TenantId, Environment);

/// The definitions of a set by name, as the store and the file have them: a host of another release may have written
/// what this one does not know.
type Definitions = BTreeMap<String, Value>;

/// The flags of a host, for the host that a platform is opened with: made first, since the host is built before.
#[derive(Clone, Default)]
pub struct FlagSets {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    origin: OnceLock<Origin>,
    live: Mutex<HashMap<SetKey, Weak<LiveFlags>>>,
    /// Held from reading flags to setting them: those that are set last were read last.
    turn: tokio::sync::Mutex<()>,
    /// Whether flags may have changed that could not be read.
    behind: AtomicBool,
}

/// Where flags are read from.
struct Origin {
    store: Store,
    files: Arc<Dir>,
}

impl FlagSets {
    /// The flags of a platform that is about to be opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The capability `flags` over them.
    #[must_use]
    pub fn capability(&self) -> Flags {
        Flags::new(Arc::new(self.clone()))
    }

    /// Sets where they are read from, once. `files` is the folder of their files.
    pub(crate) fn bind(&self, store: Store, files: Dir) {
        let _ = self.shared.origin.set(Origin { store, files: Arc::new(files) });
    }

    /// Reads again what was changed after the change `seen`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn follow_changes(&self, seen: i64) -> Result<()> {
        let changed = self.shared.origin()?.store.host_read().await?.changed_flags(seen).await?;
        for key in &changed {
            self.follow(key).await?;
        }
        Ok(())
    }

    /// Reads again the flags of a tenant in an environment, if a loaded component has them. Those that cannot be read
    /// now are read [later](Self::catch_up).
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn follow(&self, key: &SetKey) -> Result<()> {
        let live = self.shared.live.lock().get(key).and_then(Weak::upgrade);
        match live {
            Some(flags) => self.shared.read(key, &flags).await,
            None => Ok(()),
        }
    }

    /// Reads all flags again.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let keys: Vec<SetKey> = self.shared.live.lock().keys().cloned().collect();
        for key in &keys {
            self.follow(key).await?;
        }
        Ok(())
    }

    /// Reads all flags again if some could not be read before.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        if self.shared.behind.swap(false, Ordering::Relaxed) { self.refresh().await } else { Ok(()) }
    }
}

impl FlagSource for FlagSets {
    fn flags_of(&self, component: &str) -> BoxFuture<'static, std::result::Result<Arc<LiveFlags>, String>> {
        let shared = Arc::clone(&self.shared);
        // Components are loaded under the name of their service.
        let service = component.parse::<ServiceId>();
        async move {
            let ServiceId { tenant, environment, .. } = service.map_err(|error| error.to_string())?;
            Ok(shared.load((tenant, environment)).await)
        }
        .boxed()
    }
}

impl Shared {
    fn origin(&self) -> Result<&Origin> {
        let origin = self.origin.get();
        origin.ok_or_else(|| Error::new(Code::StoreUnavailable, "the platform is about to start; try again"))
    }

    /// The flags of a set, read if nobody had them.
    async fn load(&self, key: SetKey) -> Arc<LiveFlags> {
        let flags = self.find_or_insert(&key);
        if flags.now().is_some() {
            return flags;
        }
        let read = timeout(READ_MAX, self.read(&key, &flags)).await;
        let error = match read {
            Ok(Ok(())) => return flags,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store does not answer".to_owned(),
        };
        self.behind.store(true, Ordering::Relaxed);
        let (tenant, environment) = &key;
        tracing::warn!(%tenant, %environment, %error, "feature flags cannot be read; using the last known ones");
        if let Some(known) = self.known(&key).await
            && flags.now().is_none()
        {
            flags.set(set_of(&key, known));
        }
        flags
    }

    fn find_or_insert(&self, key: &SetKey) -> Arc<LiveFlags> {
        let mut live = self.live.lock();
        if let Some(flags) = live.get(key).and_then(Weak::upgrade) {
            return flags;
        }
        live.retain(|_, flags| flags.strong_count() > 0);
        let flags = Arc::new(LiveFlags::default());
        live.insert(key.clone(), Arc::downgrade(&flags));
        flags
    }

    /// Reads flags from the store, and keeps them in their file too. If they cannot be read they are read later.
    async fn read(&self, key: &SetKey, flags: &LiveFlags) -> Result<()> {
        let _turn = self.turn.lock().await;
        let origin = self.origin()?;
        let stored = read_stored(origin, key).await.inspect_err(|_| self.behind.store(true, Ordering::Relaxed))?;
        flags.set(set_of(key, stored.clone()));
        if let Err(error) = save(origin, key, &stored).await {
            let (tenant, environment) = key;
            tracing::warn!(%tenant, %environment, %error, "feature flags cannot be kept for when the store is away");
        }
        Ok(())
    }

    /// The flags as the file has them; none if there is no file that can be read.
    async fn known(&self, key: &SetKey) -> Option<Definitions> {
        let files = Arc::clone(&self.origin.get()?.files);
        let path = path_of(key);
        let read = tokio::task::spawn_blocking(move || files.read(path)).await;
        serde_json::from_slice(&read.ok()?.ok()?).ok()
    }
}

async fn read_stored(origin: &Origin, (tenant, environment): &SetKey) -> Result<Definitions> {
    Ok(origin.store.read(tenant).await?.flag_definitions(*environment).await?)
}

/// The flags, ready to be evaluated. One that this release cannot evaluate is left out, and the others are not.
fn set_of((tenant, environment): &SetKey, definitions: Definitions) -> FlagSet {
    let mut set = FlagSet::default();
    for (name, definition) in definitions {
        let read = FlagDefinition::deserialize(definition).map_err(|error| error.to_string());
        let insert = |definition| set.insert(tenant.as_str(), &name, definition).map_err(|error| error.to_string());
        if let Err(error) = read.and_then(insert) {
            tracing::error!(%tenant, %environment, flag = name, %error, "a feature flag cannot be evaluated");
        }
    }
    set
}

fn path_of((tenant, environment): &SetKey) -> String {
    format!("{tenant}/{environment}.json")
}

/// Writes the file of a set, unless it has the same already.
async fn save(origin: &Origin, key: &SetKey, definitions: &Definitions) -> Result<()> {
    let text = serde_json::to_vec(definitions).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let (files, path, (tenant, environment)) = (Arc::clone(&origin.files), path_of(key), key.clone());
    let write = move || {
        if files.read(&path).is_ok_and(|kept| kept == text) {
            return Ok(());
        }
        files.create_dir_with(tenant.as_str(), DirBuilder::new().recursive(true).mode(0o700))?;
        let folder = files.open_dir(tenant.as_str())?;
        // The store has them: a file that a crash loses is written again.
        elias_atomic_write::write(&folder, format!("{environment}.json"), &text, Access::OwnerOnly, Fsync::File)
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => Ok(written?),
        Err(panic) => Err(Error::new(Code::Internal, format!("writing feature flags: {panic}"))),
    }
}

#[cfg(test)]
mod tests;
