//! The price of a host function: units of fuel for a call, and for each size of its arguments.

use super::{CALL, HOST_CALL_BYTES_MAX};
use crate::instance::InstanceState;
use std::fmt;

type Measure<P> = Box<dyn Fn(&mut InstanceState, &P) -> u64 + Send + Sync>;

/// The price of a call with arguments `P`, in units of fuel, beside the bytes of its arguments and its result.
pub struct Price<P> {
    call: u64,
    terms: Vec<Term<P>>,
}

/// Something that the work grows with.
struct Term<P> {
    size: Size<P>,
    units: Units,
}

/// How the work grows.
#[derive(Clone, Copy)]
pub(super) enum Units {
    Each(u64),
    Curve(fn(u64) -> u64),
}

/// A size that has no bound yet; see [`size`].
pub struct UnboundedSize<P> {
    name: &'static str,
    measure: Measure<P>,
}

/// A size of the arguments, such as a number of bytes, and its bound.
pub struct Size<P> {
    name: &'static str,
    most: u64,
    over: Over,
    measure: Measure<P>,
}

/// The treatment of a call with a size over its bound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// The guest is ended.
    Ends,
    /// The function does no more than for the bound: it refuses by an error of its own, or does less than it was asked
    /// for.
    Function,
}

/// A size of a function's arguments. `name` says what it is; one of these without a bound has no price.
pub fn size<P>(name: &'static str, measure: impl Fn(&P) -> u64 + Send + Sync + 'static) -> UnboundedSize<P> {
    UnboundedSize { name, measure: Box::new(move |_, arguments| measure(arguments)) }
}

/// Like [`size`], for the state behind the arguments: how much there is behind a handle or a key.
pub fn size_of_state<P>(
    name: &'static str,
    measure: impl Fn(&mut InstanceState, &P) -> u64 + Send + Sync + 'static,
) -> UnboundedSize<P> {
    UnboundedSize { name, measure: Box::new(measure) }
}

impl<P> UnboundedSize<P> {
    /// A guest that asks for more is ended: `host-call-too-large`.
    #[must_use]
    pub fn at_most(self, most: u64) -> Size<P> {
        Size { name: self.name, most, over: Over::Ends, measure: self.measure }
    }

    /// The function itself does no more than for `most`: it returns an error where more is asked for, or with
    /// less. What is asked for beyond it is not paid, for it is not done.
    #[must_use]
    pub fn limited_to(self, most: u64) -> Size<P> {
        Size { name: self.name, most, over: Over::Function, measure: self.measure }
    }

    /// Bytes of the arguments themselves, which lifting bounds: [`HOST_CALL_BYTES_MAX`].
    #[must_use]
    pub fn in_the_arguments(self) -> Size<P> {
        self.at_most(HOST_CALL_BYTES_MAX as u64)
    }
}

impl<P> Price<P> {
    /// Of a function that does next to nothing.
    #[must_use]
    pub fn call() -> Self {
        Self::of(CALL)
    }

    /// Of a call whose work is the same for all arguments.
    #[must_use]
    pub fn of(units: u64) -> Self {
        Self { call: units.max(CALL), terms: Vec::new() }
    }

    /// Adds this many units for each unit that `size` counts.
    #[must_use]
    pub fn per(mut self, units: u64, size: Size<P>) -> Self {
        self.terms.push(Term { size, units: Units::Each(units) });
        self
    }

    /// Adds the units that `units` returns for a size. They must not fall as the size rises.
    #[must_use]
    pub fn curve(mut self, units: fn(u64) -> u64, size: Size<P>) -> Self {
        self.terms.push(Term { size, units: Units::Curve(units) });
        self
    }

    /// The price of a call with these arguments.
    ///
    /// # Errors
    /// [`ArgumentTooLarge`].
    pub(super) fn reckon(&self, state: &mut InstanceState, arguments: &P) -> Result<u64, ArgumentTooLarge> {
        let mut sum = self.call;
        for Term { size, units } in &self.terms {
            let given = (size.measure)(state, arguments);
            if given > size.most && size.over == Over::Ends {
                return Err(ArgumentTooLarge { function: String::new(), size: size.name, given, most: size.most });
            }
            sum = sum.saturating_add(units.of(given.min(size.most)));
        }
        Ok(sum)
    }

    /// The highest price of a call.
    pub(super) fn most(&self) -> u64 {
        self.terms.iter().fold(self.call, |sum, term| sum.saturating_add(term.units.of(term.size.most)))
    }

    /// The price without the types of its arguments.
    pub(super) fn listed(&self) -> (u64, Vec<ListedSize>) {
        let listed = |term: &Term<P>| ListedSize { name: term.size.name, most: term.size.most, units: term.units };
        (self.call, self.terms.iter().map(listed).collect())
    }
}

impl Units {
    pub(super) fn of(self, size: u64) -> u64 {
        match self {
            Self::Each(units) => units.saturating_mul(size),
            Self::Curve(units) => units(size),
        }
    }
}

/// A size by which a function is priced, for those who list it.
#[derive(Clone, Copy)]
pub struct ListedSize {
    name: &'static str,
    most: u64,
    units: Units,
}

impl ListedSize {
    /// The size that is counted.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The bound of it.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Units of fuel for this much of it.
    #[must_use]
    pub fn units(&self, size: u64) -> u64 {
        self.units.of(size)
    }
}

impl fmt::Display for ListedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.units {
            Units::Each(units) => write!(f, "{units} x {}", self.name)?,
            Units::Curve(units) => write!(f, "curve({}) = {} .. {}", self.name, units(1), units(self.most))?,
        }
        write!(f, " (<= {})", self.most)
    }
}

impl fmt::Debug for ListedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A guest asked the host for more at once than a function does. Code: `host-call-too-large`.
#[derive(Debug, thiserror::Error)]
#[error(
    "{function} was asked for {given} ({size}); at most {most} are allowed in one call: ask for less, several times"
)]
pub(crate) struct ArgumentTooLarge {
    pub(super) function: String,
    pub(super) size: &'static str,
    pub(super) given: u64,
    pub(super) most: u64,
}
