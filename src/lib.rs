//! The program `watchtower`: its commands and its configuration.
//!
//! What they do is in the rooms below: see `docs/design.md` for the map.

pub mod commands;
pub mod config;
mod interrupt;
mod progress;
