//! `StarlingMonkey`: a script in the engine of `ComponentizeJS`, in bare wasmtime with fuel, as ours is run.

use elias_host::engine::{Allocation, wasmtime_config};
use elias_tests::build::root;
use std::process::Command;
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Engine, Store};

/// A script that defines `run()`, in an instance that is kept.
pub(crate) struct StarlingMonkey {
    store: Store<()>,
    run: TypedFunc<(), (f64,)>,
}

impl StarlingMonkey {
    pub(crate) async fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, wasm) = (folder.path().join("script.js"), folder.path().join("script.wasm"));
        std::fs::write(&source, script).expect("writing");
        let status = Command::new("node")
            .arg(root().join("tests/bench/rivals/starlingmonkey.mjs"))
            .args([&source, &wasm])
            .status()
            .expect("node starts");
        assert!(status.success(), "ComponentizeJS failed");
        let engine = Engine::new(&wasmtime_config(&Allocation::OnDemand)).expect("the configuration is valid");
        let component = Component::from_file(&engine, &wasm).expect("it is a component");
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX / 2).expect("fuel is on");
        let linker = Linker::new(&engine);
        let instance = linker.instantiate_async(&mut store, &component).await.expect("it imports nothing");
        let run = instance.get_typed_func(&mut store, "run").expect("it exports run");
        Self { store, run }
    }

    pub(crate) async fn run(&mut self) {
        self.run.call_async(&mut self.store, ()).await.expect("an answer");
    }
}
