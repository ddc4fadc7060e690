//! What `bench gateway` measures: Redis, the gateway, and its baseline, each in a process of its own.

use redis::Connection;
use watchtower_core::EntryId;
use watchtower_core::events::{Event, decode_entry};
use watchtower_daemon as daemon;
use watchtower_log::append::PipelineName;
use watchtower_log::redis::durability::info_value;
use watchtower_log::redis::{Reader, Server, stream_keys};
use watchtower_testing::servers::{RedisOptions, RedisServer, free_port, temporary_folder};

use super::bare;
use crate::drain::read;
use crate::stage::{Daemon, cpu_s, wait_until};
use crate::{BenchError, Context, PRODUCT};

/// The pipeline that the gateway appends to.
const PIPELINE: &str = "bench_gateway";

/// A rewrite of the append-only file, which takes a core for some seconds, would hit one turn or the other.
const REDIS: RedisOptions = RedisOptions {
    appendonly: true,
    password: None,
    config: &["appendfsync everysec", "auto-aof-rewrite-percentage 0"],
};

/// The servers of the benchmark; dropping them ends the processes.
pub(super) struct Servers {
    /// The product.
    pub(super) gateway: Daemon,
    /// The baseline.
    pub(super) bare: Daemon,
    redis: RedisServer,
    connection: Connection,
    /// Configuration of the gateway.
    config: daemon::Options,
}

impl Servers {
    /// Starts them and waits until they are ready.
    ///
    /// # Errors
    /// If one does not start.
    pub(super) fn start(context: &Context<'_>) -> Result<Self, BenchError> {
        let redis = RedisServer::start(REDIS)?;
        let folder = temporary_folder("watchtower-bench-")?;
        let (path, port) = (folder.path().join("watchtower.toml"), free_port()?);
        let text = format!(
            "pipeline = \"{PIPELINE}\"\n[redis]\nurl = \"{}\"\n[gateway]\nlisten = \"127.0.0.1:{port}\"\n",
            redis.url()
        );
        std::fs::write(&path, text)?;
        let config = watchtower::config::load(&path, std::iter::empty())?;
        let arguments = [PRODUCT.into(), "gateway".into(), "--config".into(), path.into()];
        let gateway = Daemon::start("gateway", port, arguments)?;
        let port = free_port()?;
        let arguments = ["bare-handler", "--redis", &redis.url(), "--port", &port.to_string()].map(Into::into);
        let bare = Daemon::start("bare handler", port, arguments)?;
        gateway.wait_until_ready(context)?;
        bare.wait_until_ready(context)?;
        let connection = redis::Client::open(redis.url())?.get_connection()?;
        Ok(Self { gateway, bare, redis, connection, config })
    }

    /// Empties Redis and its append-only file, and writes what the daemon of the pipeline would have announced.
    ///
    /// # Errors
    /// If Redis refuses, or Ctrl-C was pressed.
    pub(super) fn empty(&mut self, context: &Context<'_>) -> Result<(), BenchError> {
        let pipeline = PipelineName::parse(PIPELINE).expect("the name is valid");
        redis::pipe()
            .cmd("FLUSHALL")
            .cmd("HSET")
            .arg(pipeline.layout_key())
            .arg(&["streams", "1", "clock", "wall"])
            .cmd("BGREWRITEAOF")
            .exec(&mut self.connection)?;
        // While one is in progress, Redis refuses the next.
        wait_until(context, "Redis has rewritten its append-only file", || {
            let info: String = redis::cmd("INFO").arg("persistence").query(&mut self.connection)?;
            Ok(["aof_rewrite_in_progress", "aof_rewrite_scheduled"].map(|name| info_value(&info, name))
                == [Some("0"); 2])
        })
    }

    /// Processor time of Redis so far, seconds.
    pub(super) fn redis_cpu_s(&self) -> f64 {
        self.redis.pid().map_or(0.0, cpu_s)
    }

    /// Compares the log of the gateway with the number of positions that it has acknowledged.
    ///
    /// # Errors
    /// If they differ, or the log holds anything else.
    pub(super) async fn check_gateway(&self, positions: u64) -> Result<(), BenchError> {
        let keys = stream_keys(&self.config.pipeline, 1);
        let mut reader = Reader::connect(&Server::new(&self.config.redis)?).await?;
        let (mut found, mut other) = (0, None);
        for stream in 0..keys.len() {
            for (_, reply) in read(&mut reader, &keys, stream, EntryId::ZERO, EntryId::MAX).await? {
                let (mut entries, mut fields) = (reply.entries(&keys)?, Vec::new());
                while entries.next(&mut fields)?.is_some() {
                    let decoded = decode_entry(&fields, &self.config.limits, |decoded| match decoded.result {
                        Ok(Event::Position(_)) => found += 1,
                        Ok(event) => other = Some(format!("the log has {event:?}")),
                        Err(rejection) => other = Some(format!("a position was refused: {rejection}")),
                    });
                    decoded.map_err(|error| BenchError::Setup(error.to_string()))?;
                }
            }
        }
        match other {
            Some(other) => Err(BenchError::Setup(other)),
            None if found == positions => Ok(()),
            None => Err(BenchError::Lost { name: "gateway", unit: "positions", acknowledged: positions, found }),
        }
    }

    /// Compares the stream of the baseline with the number of requests that it has acknowledged.
    ///
    /// # Errors
    /// If they differ.
    pub(super) fn check_bare(&mut self, requests: u64) -> Result<(), BenchError> {
        let found: u64 = redis::cmd("XLEN").arg(bare::STREAM).query(&mut self.connection)?;
        if found == requests {
            return Ok(());
        }
        Err(BenchError::Lost { name: "bare handler", unit: "requests", acknowledged: requests, found })
    }
}
