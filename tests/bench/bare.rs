//! Bare wasmtime with one component, without any of the host.

use elias_contract::layout::{self, EngineBinding};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, TypedFunc,
};
use wasmtime::{Config, Engine, Module, Store};

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Exception {
    name: String,
    message: String,
    stack: String,
}

/// A component with a `call` handler, compiled and linked.
pub(crate) struct Bare {
    engine: Engine,
    component: InstancePre<()>,
    call: ComponentExportIndex,
}

impl Bare {
    /// A component of `elias-build` without imports. Its engine is a module of its own.
    pub(crate) fn new(config: &Config, bytes: &[u8]) -> Self {
        let engine = Engine::new(config).expect("the configuration is valid");
        let layout = layout::read(bytes).expect("our component");
        let Some(EngineBinding::Carried { module, digest, .. }) = layout.engine else {
            panic!("it carries its engine")
        };
        let thin = layout::thin(bytes).expect("our component");
        let mut linker = Linker::<()>::new(&engine);
        let module = Module::new(&engine, module).expect("our engine");
        linker.root().module(&layout::engine_import(&digest), &module).expect("nothing else has this name");
        Self::link(engine, &linker, &thin)
    }

    /// A component with a `call` handler whose imports the linker has.
    pub(crate) fn link(engine: Engine, linker: &Linker<()>, component: &[u8]) -> Self {
        let component = Component::new(&engine, component).expect("a component");
        let interface = component.get_export_index(None, "elias:component/call@0.1.0").expect("it is exported");
        let call = component.get_export_index(Some(&interface), "call").expect("it is exported");
        let component = linker.instantiate_pre(&component).expect("the linker has its imports");
        Self { engine, component, call }
    }

    /// A store, an instance, one call, the drop.
    pub(crate) async fn call(&self, input: &str) -> String {
        let mut store = Store::new(&self.engine, ());
        let _ = store.set_fuel(u64::MAX / 2); // an error where fuel is off
        let instance = self.component.instantiate_async(&mut store).await.expect("an instance");
        let call: TypedFunc<(&str,), (Result<String, Exception>,)> =
            instance.get_typed_func(&mut store, self.call).expect("its type");
        match call.call_async(&mut store, (input,)).await.expect("an answer").0 {
            Ok(answer) => answer,
            Err(exception) => panic!("{}", exception.message),
        }
    }
}
