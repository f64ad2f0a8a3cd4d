//! The parts that the end-to-end tests and the benches share: building components with the shipped `elias-build`,
//! serving them with the shipped `elias`, and speaking HTTP to it.

pub mod answering;
pub mod build;
pub mod identity;
pub mod platform;
pub mod s3;
pub mod serve;
pub mod services;
pub mod tenant;
pub mod terminal;
pub mod upstream;
