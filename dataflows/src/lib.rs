//! The pure part of Watch Tower: functions from collections of events to collections of facts.
//!
//! Nothing in this crate performs I/O, reads a clock or an environment variable, logs, or iterates
//! a hash map into an output. What it computes is a function of its input alone, so that every
//! table equals a recomputation over a prefix of the event log.

pub mod geometry;
pub mod model;
pub mod naive;
