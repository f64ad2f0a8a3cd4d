//! Lists as arguments of host functions, whose length is checked before they are lifted.

use super::{ArgumentTooLarge, Payload};
use std::ops::Deref;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift, WasmList};

/// A `list<T>` in the arguments of a host function, of at most `MAX` elements. A guest that gives more is ended before
/// any of them is lifted: each could take an allocation, and a guest gets a list of a million strings by naming one
/// string a million times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T, const MAX: usize> From<Vec<T>> for List<T, MAX> {
    fn from(elements: Vec<T>) -> Self {
        Self(elements)
    }
}

impl<T: Payload, const MAX: usize> Payload for List<T, MAX> {
    fn units(&self) -> u64 {
        self.0.units()
    }
}

/// Refuses a list that is too long.
fn check<T: Lift, const MAX: usize>(list: &WasmList<T>) -> wasmtime::Result<()> {
    if list.len() <= MAX {
        return Ok(());
    }
    let (given, most) = (list.len() as u64, MAX as u64);
    Err(ArgumentTooLarge { function: "a function of the host".to_owned(), size: "elements of a list", given, most }
        .into())
}

// SAFETY: it is a `Vec` in all that the trait tells of: the same flat types, size, alignment and check of types.
unsafe impl<T: Lift, const MAX: usize> ComponentType for List<T, MAX> {
    type Lower = <Vec<T> as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <Vec<T> as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <Vec<T> as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: as `Vec` lifts; what comes before reads the length only.
unsafe impl<T: Lift, const MAX: usize> Lift for List<T, MAX> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &Self::Lower) -> wasmtime::Result<Self> {
        check::<T, MAX>(&WasmList::linear_lift_from_flat(cx, ty, src)?)?;
        Vec::linear_lift_from_flat(cx, ty, src).map(Self)
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> wasmtime::Result<Self> {
        check::<T, MAX>(&WasmList::linear_lift_from_memory(cx, ty, bytes)?)?;
        Vec::linear_lift_from_memory(cx, ty, bytes).map(Self)
    }
}
