//! What runs, what it logged, what it stored, and who did what.

pub(crate) mod audit;
pub(crate) mod database;
pub(crate) mod doctor;
pub(crate) mod executions;
pub(crate) mod status;
