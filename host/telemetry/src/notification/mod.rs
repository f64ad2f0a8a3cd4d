//! Notifications: what receivers are told of a change of a group of alerts, in the form of each receiver, and when
//! they are sent again.

mod format;
mod receiver;
mod retry;

pub use format::{MailText, Notification, NotifiedAlert, SHOWN_MAX};
pub use receiver::{InvalidReceiver, ReceiverKind, ReceiverSettings};
pub use retry::{ATTEMPTS_MAX, CIRCUIT_FAILURES, ReceiverCircuit, retry_delay_ms};
