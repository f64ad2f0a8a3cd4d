//! Fuel for work that the host does for an instance: what is charged, when it is taken, and when the guest yields.

use super::InstanceState;
use wasmtime::{StoreContextMut, Trap};

/// The shortest interval that is set, as a part of the usual one. wasmtime keeps a shortened interval until a next call
/// changes it: it must not be so short that a guest which then reckons for itself pays for it.
const INTERVAL_PARTS: u64 = 8;

/// Charges that are settled together, as a part of the interval: setting the fuel for each small call would cost more
/// than the call.
const SETTLE_PARTS: u64 = 16;

/// The account of one instance.
///
/// wasmtime yields where the guest's own instructions have used up an interval of fuel, and
/// [`wasmtime::Store::set_fuel`] begins a new interval: a guest which calls the host often enough would never yield. So
/// the account remembers the fuel at the last yield that it knows of. Once an interval is used up, by whomever, the
/// host function itself yields; until then the guest's next interval is what is left of the distance.
#[derive(Debug)]
pub(crate) struct Charges {
    /// Units of fuel after which others are let run: the limit `fuel_yield_interval`.
    interval: u64,
    /// Charged, and not taken from the store's fuel yet.
    pending: u64,
    /// The store's fuel at the last yield.
    at_yield: u64,
}

impl Charges {
    /// Of a store that begins with so much fuel.
    pub(crate) fn new(fuel: u64, interval: u64) -> Self {
        Self { interval: interval.max(1), pending: 0, at_yield: fuel }
    }

    /// The difference between the store's fuel and the fuel that is left.
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }
}

/// Takes fuel for work that is about to be done. Whether the function is to let others run before the guest goes on.
///
/// # Errors
/// [`Trap::OutOfFuel`].
pub(crate) fn charge(store: &mut StoreContextMut<'_, InstanceState>, units: u64) -> wasmtime::Result<bool> {
    let units = units.saturating_add(store.data().take_work());
    let charges = &mut store.data_mut().charges;
    charges.pending = charges.pending.saturating_add(units);
    if charges.pending < charges.interval / SETTLE_PARTS {
        return Ok(false);
    }
    settle(store)
}

fn settle(store: &mut StoreContextMut<'_, InstanceState>) -> wasmtime::Result<bool> {
    let left = store.get_fuel()?;
    let charges = &mut store.data_mut().charges;
    let pending = std::mem::take(&mut charges.pending);
    let Some(left) = left.checked_sub(pending) else {
        store.set_fuel(0)?;
        return Err(Trap::OutOfFuel.into());
    };
    let spent = charges.at_yield.saturating_sub(left);
    let due = spent >= charges.interval;
    if due {
        charges.at_yield = left;
    }
    let distance = if due { charges.interval } else { charges.interval - spent };
    let distance = distance.max(charges.interval / INTERVAL_PARTS).max(1);
    store.fuel_async_yield_interval(Some(distance))?;
    store.set_fuel(left)?;
    Ok(due)
}
