//! The daemon with the real servers, through the real program: what it writes is what PostGIS computes from
//! its archive, whatever came, however often it or a server was stopped.
//!
//! `WATCHTOWER_CASES` and `WATCHTOWER_SEED` are for random logs as in `properties`, a hundredth as many.

mod buses;
mod commands;
mod facts;
mod leaving;
mod lost;
mod pressure;
mod questions;
mod random;
mod readers;
mod schema;
mod starting;
mod stops;

use crate::support::daemon::{Pipeline, Setup};
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::RedisServer;

/// A pipeline on this Redis and in a new database, whose log tells the time.
fn pipeline(redis: &RedisServer, streams: u16, workers: u16, limits: &str) -> Pipeline {
    pipeline_on(redis, PostgresServer::shared(), streams, workers, limits)
}

/// The same on a PostgreSQL of its own.
fn pipeline_on(redis: &RedisServer, postgres: &PostgresServer, streams: u16, workers: u16, limits: &str) -> Pipeline {
    Pipeline::new(Setup {
        redis: redis.url(),
        postgres: postgres.database(),
        streams,
        workers,
        clock: "log",
        more: limits.to_owned(),
    })
}
