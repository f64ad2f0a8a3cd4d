//! The service workers of a host, over the platform's store.
//!
//! The managers and actors are those of `elias dev` ([`elias_local_workers`]), one manager for each service of which
//! something is in memory or waits. Here is what they are given: a store that commits the turns of all services
//! together, ownership among hosts, places in memory that tenants share.
//!
//! - [`WorkerRunner`]: the managers by service, and what users ask of them; `service` is one of them, `views` what is
//!   shown of workers, and copies.
//! - `store`: where workers are kept; `commits` several in one transaction, `heaps` their bytes, `cipher` encrypted
//!   with a key of the tenant, `versions` which version they belong to, `quota` within the tenant's quotas.
//! - `ownership`: which workers are this host's. `awake`: which are in memory, `memory`: what else they hold there.
//!   `upkeep`: compaction, history, counts.
//! - [`WorkerBackends`]: calls by the capability `workers`.
//!
//! It knows no platform: the services of the host are behind the trait [`WorkerServices`].

mod awake;
mod backends;
mod cipher;
mod commits;
mod heaps;
mod memory;
mod meters;
mod ownership;
mod quota;
mod runner;
mod service;
mod services;
mod store;
#[cfg(test)]
mod tests;
mod upkeep;
mod versions;
mod views;

pub(crate) use awake::{AwakeSlot, AwakeSlots};
pub use backends::WorkerBackends;
pub(crate) use runner::{MessageId, WorkerCallFrom, WorkerParts, WorkerRunner};
pub(crate) use services::{CanaryComponent, ServedComponent, ServedWorkers, TurnSite, WorkerCanary, WorkerServices};
pub(crate) use versions::HeapVersion;
