//! Watch Tower keeps answers about moving vehicles up to date while the events arrive.
//!
//! The program's parts, from the wire to the tables; what they compute is in
//! [`watchtower_dataflows`].

pub mod admission;
pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod crash;
pub mod daemon;
pub mod demo;
pub mod duration;
pub mod embedded;
pub mod engine;
pub mod events;
pub mod interrupt;
pub mod operate;
pub mod plan;
pub mod progress;
pub mod publish;
pub mod random;
pub mod replay;
pub mod sources;
pub mod store;
pub mod tables;
pub mod telemetry;
pub mod time_zone;
pub mod tls;
