//! From entries of the log to closed epochs.
//!
//! [`Engine`] runs the dataflow and is the only user of timely's `Worker`. [`Flow`] decodes and admits entries, cuts them
//! into epochs and hands out what each changes: the daemon, replays, benchmarks and tests all use it. Nothing in this
//! crate performs I/O or reads a clock.

mod checkpoint;
mod engine;
mod entry_admission;
pub mod flow;
mod inlet;
mod item;
pub mod replay;

pub use checkpoint::{Checkpoint, FlowState, InletState};
pub use engine::{Batch, Completed, EPOCH_EVENTS, Engine, EngineStats, MAX_IN_FLIGHT};
pub use flow::Flow;
