//! The integration tests, in one binary: each is linked once.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod bad_input;
mod properties;
mod support;
mod wire;
