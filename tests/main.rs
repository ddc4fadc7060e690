//! The one integration-test binary: every other one would link everything again.

mod properties;
mod support;
