//! The integration tests, in one binary: each is linked once.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod alerts;
mod bad_input;
mod bench;
mod cases;
mod check;
mod checkpoints;
mod commands;
mod configuration;
mod contracts;
mod covers;
mod crash;
mod demo;
mod durability;
mod embedded;
mod field;
mod forgetting;
mod gaps;
mod gateway;
mod inputs;
mod listing;
mod live;
mod memory;
mod notify;
mod oracle;
mod properties;
mod publish;
mod rebuild;
mod redis_answers;
mod reference;
mod slack;
mod streams;
mod support;
mod telemetry;
mod tidy;
mod undecided;
mod wire;
