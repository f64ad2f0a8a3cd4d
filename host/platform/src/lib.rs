
pub mod clock;
pub mod setting;
pub mod supervision;
