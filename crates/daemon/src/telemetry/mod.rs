//! What a daemon says about itself: its log, its health, its metrics, and where they are read.

pub mod health;
pub mod http;
pub mod log;
pub mod metrics;
