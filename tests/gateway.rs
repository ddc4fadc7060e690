//! The gateway, through the real program: what is sent to it is in the log or refused, whoever sends it, whatever fails.

mod crowds;
mod deliveries;
mod edits;
mod feeds;
mod limits;
mod messages;
mod metrics;
mod roles;
mod servers;
mod support;
mod tls;
mod trust;
mod vessels;
