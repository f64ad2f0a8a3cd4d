//! `elias:crypto`: the functions behind `crypto.subtle`, by the crates of RustCrypto and dalek.
//!
//! Nothing is kept: key material comes with a call and is wiped after it. Work is paid for in fuel before it is done;
//! see `price`.

mod bindings;
mod cipher;
mod curve;
mod derive;
mod functions;
mod hash;
mod memory;
mod price;
mod rsa;
mod types;

use elias_host::capability::{Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use serde_json::Value;
use std::sync::Arc;

/// The crypto capability.
#[derive(Debug, Default)]
pub struct Crypto;

impl Capability for Crypto {
    /// It is free: it gives no power, and is paid for in fuel.
    type Grant = ();
    type Context = ();

    fn name(&self) -> &'static str {
        "crypto"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:crypto/crypto"]
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<(), ConfigureError> {
        crate::empty_grant::check(granted)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        functions::init(linker)
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}
