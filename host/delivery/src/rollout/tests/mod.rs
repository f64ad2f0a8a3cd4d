//! Tests of rollouts.

mod assignment;
mod machine;
