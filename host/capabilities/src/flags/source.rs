//! Where flags come from.

use elias_delivery::flag::FlagSet;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use std::sync::Arc;

/// Gives the flags of components.
pub trait FlagSource: Send + Sync + 'static {
    /// The flags of the component of this name, which is about to be loaded. They are shared by all components that
    /// have the same, and followed as long as somebody has them. Those that cannot be read now are read later.
    ///
    /// # Errors
    /// Why the component can have none: its name is none of this source's.
    fn flags_of(&self, component: &str) -> BoxFuture<'static, Result<Arc<LiveFlags>, String>>;
}

/// Flags that may change at any time, while evaluations go on with those that they began with.
#[derive(Debug, Default)]
pub struct LiveFlags {
    set: RwLock<Option<Arc<FlagSet>>>,
}

impl LiveFlags {
    /// Flags that do not change until they are set.
    #[must_use]
    pub fn new(set: FlagSet) -> Self {
        Self { set: RwLock::new(Some(Arc::new(set))) }
    }

    /// The flags as they are now; none if they have not been read yet.
    #[must_use]
    pub fn now(&self) -> Option<Arc<FlagSet>> {
        self.set.read().clone() // whole after every operation
    }

    /// Puts other flags in their place.
    pub fn set(&self, set: FlagSet) {
        *self.set.write() = Some(Arc::new(set));
    }
}
