//! The statistics behind "this version fails more often than that one".
//!
//! - `sequential`: bounds that hold at every moment at once, for whoever looks after each request and acts on what is
//!   seen.
//! - `interval`: 95 % intervals for one look, for people who compare.
//! - `moments`: mean and variance without keeping what was measured.
//! - `histogram`: quantiles likewise.

mod histogram;
mod interval;
mod moments;
pub(crate) mod sequential;

pub use histogram::{Histogram, HistogramSnapshot};
pub use interval::{Interval, mean, mean_difference, proportion, proportion_difference};
pub use moments::Moments;
