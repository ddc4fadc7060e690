//! All integration tests, in one binary: every other one would link everything again.

mod bad_input;
mod properties;
mod support;
mod wire;
