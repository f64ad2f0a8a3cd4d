//! Bodies of requests and responses, within their limits.

mod captured;
mod content;
mod read_ahead;
mod received;
mod request;

pub(crate) use captured::{BodyBeginning, CapturedBody};
pub(crate) use content::Content;
pub(crate) use read_ahead::{ComponentBody, ReadAhead, StalledExecutions};
pub(crate) use received::ReceivedBody;
pub(crate) use request::{RequestBody, RequestProgress, UnreadBody};
