//! What the tests share: random logs, and how to make a failing one small.

pub(crate) mod generate;
pub(crate) mod harness;
pub(crate) mod log;
pub(crate) mod rng;
pub(crate) mod shapes;
pub(crate) mod shrink;
