//! The host functions have the types of the contract.

use super::super::Cache;
use elias_host::capability::wasmtime::component::Component;
use elias_host::capability::wasmtime::{Config, Engine};
use elias_host::capability::{Capability, InstanceState, Linker};
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

#[test]
fn a_component_that_imports_all_of_it_is_linked() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    resolve.push_path(wit.join("deps/io.wit")).expect("it is there");
    resolve.push_path(wit.join("cache/cache.wit")).expect("it is there");
    let world = "package test:cache; world all { import elias:cache/cache@0.1.0; }";
    let package = resolve.push_str("all.wit", world).expect("it is right");
    let world = resolve.select_world(&[package], None).expect("there is one");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("it fits");
    let component = ComponentEncoder::default().module(&module).expect("it fits").encode().expect("it is encoded");

    let engine = Engine::new(&Config::new()).expect("there is an engine");
    let component = Component::new(&engine, component).expect("it is compiled");
    let mut linker = Linker::<InstanceState>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("it is new");
    Cache::new().init(&mut linker).expect("it is new");
    if let Err(error) = linker.instantiate_pre(&component) {
        panic!("{error:#}");
    }
}
