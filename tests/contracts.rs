//! What every backend of a seam must do: one suite each, which all of them pass.

mod log;
mod queries;
mod store;
