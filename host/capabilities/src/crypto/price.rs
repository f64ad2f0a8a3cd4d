//! What operations cost in fuel.
//!
//! A unit of fuel is about a tenth of a nanosecond of a guest's own work. Prices are a third of what the work takes by that
//! measure, or less: cryptography in the host is to be cheaper than in the guest, and cannot be free.

use elias_host::capability::InstanceState;
use elias_host::capability::wasmtime::{self, StoreContextMut, Trap};

/// Of a byte that is hashed or encrypted.
pub(super) const BYTE: u64 = 2;
/// Of a call, whatever it does.
pub(super) const CALL: u64 = 2_000;
/// Of an operation on a curve.
pub(super) const CURVE: u64 = 300_000;
/// Of an iteration of PBKDF2.
pub(super) const ITERATION: u64 = 1_000;
/// Of mixing 128 bytes once, of which scrypt does N * r * p.
pub(super) const MIX: u64 = 1_000;

/// Of an operation with a private RSA key, or a public one: cubic, or square, in its bits.
pub(super) fn rsa(bits: u64, private: bool) -> u64 {
    let thousands = bits.div_ceil(1024).max(1);
    if private { 600_000 * thousands.pow(3) } else { 60_000 * thousands.pow(2) }
}

/// Of making an RSA key.
pub(super) fn rsa_key(bits: u64) -> u64 {
    40_000_000 * bits.div_ceil(1024).max(1).pow(4)
}

/// Takes fuel from the guest that calls.
///
/// # Errors
/// [`Trap::OutOfFuel`] if it has less.
pub(super) fn charge(store: &mut StoreContextMut<'_, InstanceState>, price: u64) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    match left.checked_sub(price) {
        Some(left) => store.set_fuel(left),
        None => {
            store.set_fuel(0)?;
            Err(Trap::OutOfFuel.into())
        }
    }
}
