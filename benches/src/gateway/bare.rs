//! The baseline: a bare axum handler that appends the body of each request to a stream and answers once Redis has
//! acknowledged it. The body is not looked at.
//!
//! Its handlers share one connection to Redis, on which commands are pipelined as they come.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use tokio::net::TcpListener;

use super::client::PATH;
use crate::BenchError;

/// The stream it appends to.
pub(super) const STREAM: &str = "bench_bare_handler";
/// Threads for requests: as many as the gateway has.
const WORKERS: usize = 2;
/// Limit of the wait for Redis, as long as the client waits.
const REDIS_ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// Serves on 127.0.0.1 until the process ends.
///
/// # Errors
/// If Redis cannot be reached, or the port is taken.
pub fn serve(redis: &str, port: u16) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(REDIS_ANSWERS_WITHIN));
        let connection = redis::Client::open(redis)?.get_multiplexed_async_connection_with_config(&patient).await?;
        let router = Router::new()
            .route("/readyz", get("ready\n"))
            .route(PATH, post(append))
            .layer(DefaultBodyLimit::disable())
            .with_state(connection);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

async fn append(State(mut connection): State<MultiplexedConnection>, body: Bytes) -> StatusCode {
    let mut command = redis::cmd("XADD");
    command.arg(STREAM).arg("*").arg("body").arg(&body[..]);
    let added: Result<String, RedisError> = command.query_async(&mut connection).await;
    match added {
        Ok(_) => StatusCode::OK,
        Err(error) => {
            eprintln!("{error}");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
