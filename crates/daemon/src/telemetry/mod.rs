//! Telemetry of a daemon: log, health, metrics, and the HTTP server that exposes them.

pub mod health;
pub mod http;
pub mod log;
pub mod metrics;
