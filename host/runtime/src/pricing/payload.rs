//! Units of fuel for the bytes of arguments and results, which are copied.

use std::sync::Arc;
use wasmtime::component::{Resource, WasmList, WasmStr};

/// Units of fuel for an element of a list beside its bytes: it has an allocation of its own, or a look at a table.
pub(super) const ELEMENT: u64 = 100;

/// Something that is copied between a guest's memory and the host's: a part of a host function's arguments or result.
///
/// Types of a fixed size are paid with the call, and implement it by an empty `impl`; those that hold texts and lists
/// say what these take.
pub trait Payload {
    /// Units of fuel of an element of a list of these, beside its own [`Self::units`].
    const EACH: u64 = ELEMENT;

    /// Units of fuel for what there is beyond the fixed size: a unit a byte.
    fn units(&self) -> u64 {
        0
    }
}

/// Types of a fixed size.
macro_rules! fixed {
    ($($ty:ty = $each:literal),* $(,)?) => {
        $(impl Payload for $ty { const EACH: u64 = $each; })*
    };
}
fixed!(u8 = 1, i8 = 1, bool = 1, u16 = 2, i16 = 2, u32 = 4, i32 = 4, u64 = 8, i64 = 8, f32 = 4, f64 = 8, char = 4);

impl<T> Payload for Resource<T> {}

impl Payload for str {
    fn units(&self) -> u64 {
        self.len() as u64
    }
}

impl Payload for String {
    fn units(&self) -> u64 {
        self.len() as u64
    }
}

impl<T: Payload> Payload for [T] {
    fn units(&self) -> u64 {
        // For bytes the sum is zero, and nothing is looked at.
        self.iter().fold(T::EACH.saturating_mul(self.len() as u64), |sum, one| sum.saturating_add(one.units()))
    }
}

impl<T: Payload> Payload for Vec<T> {
    fn units(&self) -> u64 {
        self.as_slice().units()
    }
}

impl<T: Payload + ?Sized> Payload for Arc<T> {
    fn units(&self) -> u64 {
        (**self).units()
    }
}

impl<T: Payload> Payload for Option<T> {
    fn units(&self) -> u64 {
        self.as_ref().map_or(0, Payload::units)
    }
}

impl<T: Payload, E: Payload> Payload for Result<T, E> {
    fn units(&self) -> u64 {
        match self {
            Ok(value) => value.units(),
            Err(error) => error.units(),
        }
    }
}

/// A value that still lies in the guest's memory is paid by its reader.
impl Payload for WasmStr {}
impl<T> Payload for WasmList<T> {}

macro_rules! tuples {
    ($(($($name:ident),*))*) => {
        $(#[allow(non_snake_case)]
        impl<$($name: Payload),*> Payload for ($($name,)*) {
            fn units(&self) -> u64 {
                let ($($name,)*) = self;
                0_u64 $(.saturating_add($name.units()))*
            }
        })*
    };
}
tuples!(()(A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F)(A, B, C, D, E, F, G)(A, B, C, D, E, F, G, H));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_every_element_is_counted() {
        assert_eq!((1_u8, 2_u64, true).units(), 0, "what is of a fixed size is paid with the call");
        assert_eq!(vec![0_u8; 1_000].units(), 1_000);
        assert_eq!("text".to_owned().units(), 4);
        assert_eq!(vec!["a".to_owned(), "bc".to_owned()].units(), 2 * ELEMENT + 3);
        assert_eq!(vec![("name".to_owned(), vec![0_u8; 10])].units(), ELEMENT + 14);
        assert_eq!(Ok::<Option<Vec<u8>>, String>(Some(vec![1, 2, 3])).units(), 3);
        assert_eq!(Err::<u8, _>("because".to_owned()).units(), 7);
        assert_eq!(Arc::<[u8]>::from(vec![0; 9]).units(), 9);
    }
}
