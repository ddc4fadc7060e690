//! Criterion benchmarks of kernels and views: for looking at one of them while it is changed. What is
//! published is measured by `watchtower bench`, beside its baselines.
//!
//! `cargo bench -- covers` runs those whose names contain "covers".

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "what the macros make is for nobody, and a benchmark stops where it fails"
)]

use criterion::{criterion_group, criterion_main};

mod kernels;
mod views;

criterion_group!(all, kernels::covers, kernels::lookup, kernels::decode, views::fold, views::epochs_of_views);
criterion_main!(all);
