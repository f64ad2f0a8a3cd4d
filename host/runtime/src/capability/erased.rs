//! Type-erased capabilities, so that a host can have a list of them.

use super::{Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo};
use crate::instance::GrantedCapability;
use crate::log::Secrets;
use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;
use std::any::{Any, TypeId};
use std::sync::Arc;

/// A [`Capability`] whose types are forgotten.
pub(crate) trait ErasedCapability: Send + Sync {
    fn name(&self) -> &'static str;
    fn interfaces(&self) -> &'static [&'static str];
    fn amounts(&self) -> &'static [Amount];
    fn is_data(&self, key: &str) -> bool;
    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()>;
    fn configure<'a>(
        self: Arc<Self>,
        component: &'a ComponentInfo,
        granted: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<Arc<dyn GrantedCapability>, ConfigureError>>;
}

impl<C: Capability> ErasedCapability for C {
    fn name(&self) -> &'static str {
        Capability::name(self)
    }

    fn interfaces(&self) -> &'static [&'static str] {
        Capability::interfaces(self)
    }

    fn amounts(&self) -> &'static [Amount] {
        Capability::amounts(self)
    }

    fn is_data(&self, key: &str) -> bool {
        Capability::is_data(self, key)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        Capability::init(self, linker)
    }

    fn configure<'a>(
        self: Arc<Self>,
        component: &'a ComponentInfo,
        granted: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<Arc<dyn GrantedCapability>, ConfigureError>> {
        async move {
            let grant = Arc::new(<C as Capability>::configure(&self, component, granted).await?);
            Ok(Arc::new(ConfiguredCapability { capability: self, grant }) as Arc<dyn GrantedCapability>)
        }
        .boxed()
    }
}

/// A capability, and what a component was granted of it.
struct ConfiguredCapability<C: Capability> {
    capability: Arc<C>,
    grant: Arc<C::Grant>,
}

impl<C: Capability> Secrets for ConfiguredCapability<C> {
    fn secrets(&self) -> Vec<&str> {
        <C as Capability>::secrets(&self.capability, &self.grant)
    }
}

impl<C: Capability> GrantedCapability for ConfiguredCapability<C> {
    fn capability(&self) -> TypeId {
        TypeId::of::<C>()
    }

    fn grant(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::<C::Grant>::clone(&self.grant)
    }

    fn prepare(&self, instance: &InstanceInfo) -> Box<dyn Any + Send> {
        Box::new(<C as Capability>::prepare(&self.capability, instance, &self.grant))
    }
}
