//! The function of `elias:feature-flags/evaluation`, with its price.

use super::Flags;
use super::context::{CLAIMS_BYTES_MAX, CONTEXT_BYTES_MAX};
use super::contract::{Error, Resolution, ValueType};
use elias_delivery::flag::WORK_MAX;
use elias_host::capability::pricing::{Price, size, size_of_state};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};

/// Units of fuel of an evaluation, of which the hash of the targeting key is the most.
const EVALUATION: u64 = 10_000;
/// Units of fuel of a byte of JSON that is read.
const JSON_BYTE: u64 = 30;
/// Units of fuel of a byte that the rules compare.
const RULE_BYTE: u64 = 10;

type Arguments = (String, ValueType, String);

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut interface = linker.interface("elias:feature-flags/evaluation@0.1.0")?;
    let context = size("bytes of the context", |(_, _, context): &Arguments| context.len() as u64);
    let claims = size_of_state("bytes of the caller's claims, once", |state, _: &Arguments| {
        state.context::<Flags>().unread_claims()
    });
    let rules = size_of_state("work of the rules", |state, (flag, ..): &Arguments| state.context::<Flags>().work(flag));
    let price = Price::of(EVALUATION)
        .per(JSON_BYTE, context.limited_to(CONTEXT_BYTES_MAX as u64))
        .per(JSON_BYTE, claims.limited_to(CLAIMS_BYTES_MAX as u64))
        .per(RULE_BYTE, rules.limited_to(WORK_MAX as u64));
    interface.func(
        "evaluate",
        price,
        |mut store: StoreContextMut<'_, InstanceState>, (flag, wanted, context): Arguments| {
            let evaluated = store.data_mut().context::<Flags>().evaluate(&flag, wanted.into(), &context);
            Ok((evaluated.map(Resolution::from).map_err(Error::from),))
        },
    )
}
