//! Events: CloudEvents 1.0, which subscription an event is for, and what it is turned into on the way.
//!
//! An [`Event`] comes as JSON, over HTTP ([`read_http`]) or from a component. A subscription has a [`TypePattern`], a
//! [`Filter`], a [`Transform`] and an [`Order`]; [`PatternIndex`] finds the subscriptions of an event without asking
//! each. What becomes of a delivery that ended is as for jobs ([`crate::queue::settle`]). [`Hops`] ends loops, and
//! [`webhook`] signs what leaves the platform.

mod attributes;
mod batch;
mod cloud_event;
mod filter;
mod hops;
mod http_binding;
mod json_format;
mod order;
mod path;
mod pattern;
mod transform;
pub mod webhook;

pub use attributes::{ExtensionValue, InvalidEvent};
pub use batch::batch_results;
pub use cloud_event::{DATA_BYTES_MAX, Event, EventData};
pub use elias_jq::{InvalidTransform, TransformError};
pub use filter::{Filter, InvalidFilter};
pub use hops::{HOPS_MAX, Hops, TooManyHops};
pub use http_binding::{BATCH_CONTENT_TYPE, CONTENT_TYPE, EVENTS_MAX, read_http, write_binary};
pub use order::Order;
pub(crate) use path::EventPath;
pub use pattern::{InvalidPattern, PatternIndex, TypePattern};
pub use transform::Transform;
