//! A loaded component as its instances see it: its identity, its limits and its grants.

use super::InstanceInfo;
use crate::component::ComponentInfo;
use crate::error::Error;
use crate::limits::Limits;
use crate::log::{ComponentLog, Secrets};
use crate::schedule::Share;
use elias_contract::ErrorCode;
use std::any::{Any, TypeId};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The state that all executions of a component share. It leads to no instance: a component that is unloaded has to go.
pub(crate) struct LoadedComponent {
    pub(crate) info: Arc<ComponentInfo>,
    pub(crate) limits: Limits,
    /// The capabilities that it imports.
    pub(crate) granted: Vec<Arc<dyn GrantedCapability>>,
    /// Where its guests' lines go.
    pub(crate) log: ComponentLog,
    /// The CPU share of its executions.
    pub(crate) share: Arc<Share>,
    executions: Arc<Semaphore>,
}

/// A capability that a component imports, with its grant; the types of both are erased.
pub(crate) trait GrantedCapability: Secrets {
    /// The capability's type.
    fn capability(&self) -> TypeId;

    /// The component's grant, of the capability's type of grants.
    fn grant(&self) -> Arc<dyn Any + Send + Sync>;

    /// Makes the context of one instance.
    fn prepare(&self, instance: &InstanceInfo) -> Box<dyn Any + Send>;
}

impl LoadedComponent {
    pub(crate) fn new(
        info: Arc<ComponentInfo>,
        limits: Limits,
        granted: Vec<Arc<dyn GrantedCapability>>,
        log: ComponentLog,
        share: Arc<Share>,
    ) -> Self {
        let executions = Arc::new(Semaphore::new(limits.concurrent_executions as usize));
        Self { info, limits, granted, log, share, executions }
    }

    /// The capability of this type, if the component imports it.
    pub(crate) fn granted(&self, capability: TypeId) -> Option<&Arc<dyn GrantedCapability>> {
        self.granted.iter().find(|granted| granted.capability() == capability)
    }

    /// A permit for one of the component's concurrent executions.
    ///
    /// # Errors
    /// `overloaded`.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.executions).try_acquire_owned().map_err(|_| {
            let (most, name) = (self.limits.concurrent_executions, &self.info.name);
            Error::new(ErrorCode::Overloaded, format!("{most} executions of {name} are under way"))
        })
    }
}
