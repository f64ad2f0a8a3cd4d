//! The host functions have the types of the contract.

use super::super::Cache;
use elias_host::{ErrorCode, Grants, Host, LoadOptions};
use serde_json::json;
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

#[tokio::test]
async fn a_component_that_imports_all_of_it_is_linked() {
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

    // It has no handler, which is looked at once it is linked.
    let host = Host::builder().instances(1).capability(Cache::new()).build().expect("there is a host");
    let grants = Grants::none().with("cache", json!({}));
    let refused = host.load_with(&component, &LoadOptions { grants, ..LoadOptions::default() }).await;
    let refused = refused.expect_err("it cannot be called");
    assert_eq!(refused.code(), ErrorCode::MissingExport, "{refused}");
}
