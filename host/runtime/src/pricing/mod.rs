//! Prices in fuel: what a guest pays for a call of a host function.
//!
//! One rule: no work that a guest causes is unpaid, unbounded or uninterruptible. A function reaches guests through a
//! [`HostLinker`] only, and that defines none without a [`Price`]. Whatever the function, a call of it goes like this:
//!
//! 1. Its arguments are lifted, at most [`HOST_CALL_BYTES_MAX`] bytes of them; a [`List`] refuses elements over its own
//!    bound before it lifts one.
//! 2. The price is reckoned from the sizes of the arguments, each of which has an upper bound, and taken from the
//!    guest's fuel, the bytes that were lifted included. A guest that has less ends as `out-of-fuel`, and one whose
//!    size is over its bound as `host-call-too-large`: in both cases nothing was done.
//! 3. The work is done. The bytes of the result are paid before they are copied into the guest's memory.
//!
//! **What a unit is.** Ten units of fuel are a nanosecond of the host's work, as they are about a nanosecond of the
//! guest's own; see [`crate::engine`]. So work in the host moves the guest towards its next yield as its own
//! instructions do: where a guest's and the host's work for it together come to
//! [`Limits::fuel_yield_interval`](crate::Limits), it lets others run, and the deadline is looked at.
//!
//! **What takes longer.** A function that is defined by [`Interface::func`] cannot cost more than [`INLINE_UNITS_MAX`],
//! a millisecond: one whose bounds allow more is not linked. Those of [`Interface::func_async`] can wait, and do what
//! takes longer on the threads of [`InstanceInfo::aside`](crate::capability::InstanceInfo::aside).

mod linker;
mod list;
mod payload;
mod price;
#[cfg(test)]
mod tests;
mod times;

pub use linker::{HostFunction, HostLinker, Interface, Waiting};
pub use list::List;
pub use payload::Payload;
pub use price::{ListedSize, Price, Size, UnboundedSize, size, size_of_state};
pub use times::{CallTimes, SAMPLED_ONE_IN};

pub(crate) use price::ArgumentTooLarge;

/// Bytes that a guest may hand over in the arguments of one call, as they lie in the host's memory.
pub const HOST_CALL_BYTES_MAX: usize = 16 << 20;

/// Units of fuel of a call, whatever it does: crossing into the host and back, and a look at a table.
pub const CALL: u64 = 1_000;

/// The most that work may cost which a guest's thread does in one go: a millisecond.
pub const INLINE_UNITS_MAX: u64 = 10_000_000;
