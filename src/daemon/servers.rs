//! A daemon between Redis and PostgreSQL.

use tracing::info;

use super::archive_reader::ArchiveReader;
use super::core::{Core, Ends};
use super::log_reader::{LogReader, refuse_eviction, wait_for_redis};
use super::saving::Trimmer;
use super::{DaemonError, Purpose, RebuildFrom, Running, millis, resume, side, store};
use crate::checkpoint::Shelf;
use crate::config::{Clock, Config};
use crate::plan;
use crate::sources::redis::{Server, stream_keys};
use crate::store::postgres::{Database, lagging};
use crate::store::{LaggingWriter, StoredCursor, Writer};
use crate::telemetry::health::Health;

/// Connects to both, claims the pipeline and starts everything.
pub(super) async fn start(config: &Config, purpose: Purpose, health: &Health) -> Result<Running, DaemonError> {
    let database = Database::new(&config.pipeline, &config.store)?;
    let server = Server::new(&config.redis)?;
    let keys = stream_keys(&config.pipeline, config.redis.streams);
    let plan = plan::of(&config.limits, &config.rules);

    let (writer, claim) =
        store::open(config, &database, &plan, matches!(purpose, Purpose::Serve { takeover: true }), health).await?;
    let mut admin = wait_for_redis(&server, health).await?;
    refuse_eviction(&config.redis, &server, &mut admin).await?;
    if purpose.is_public() {
        admin.announce(&config.pipeline, config.redis.streams, config.clock).await?;
        admin.ensure_groups(&keys).await?;
    }
    info!(server = server.name(), streams = config.redis.streams, "connected to Redis");

    let mut stored: Vec<StoredCursor> = Vec::new();
    for key in &keys {
        stored.push(match claim.cursors.iter().find(|cursor| cursor.stream == *key) {
            Some(cursor) => cursor.clone(),
            None => resume::begin(key, &mut admin).await?,
        });
    }
    let ends = Ends {
        keys: keys.clone(),
        stored,
        plan,
        shelf: Shelf::from(&*resume::folder(config, &claim)),
        writer: Writer::Postgres(writer),
        lagging: LaggingWriter::Postgres(lagging::LaggingWriter::new(database, &claim)),
        trimmer: Trimmer::Redis { server: server.clone(), keep: millis(config.redis.log_keep_ms) },
        claim,
    };
    let mut core = Core::start(config, ends, health).await?;
    let (input, budget) = (core.input.clone(), core.budget.clone());
    let reader = match purpose {
        Purpose::Serve { .. } | Purpose::Rebuild(RebuildFrom::Log) => {
            let reader = LogReader {
                server: server.clone(),
                keys: keys.clone(),
                known: core.known.clone(),
                stored: core.stored.clone(),
                input,
                budget,
                health: health.clone(),
                halted: core.halt.clone(),
            };
            core.parts.spawn(reader.run())
        }
        Purpose::Rebuild(RebuildFrom::Archive(ref database, ref cursors)) => {
            let (database, cursors) = (Database::clone(database), cursors.clone());
            core.parts.spawn(ArchiveReader { database, cursors, input, budget }.run())
        }
    };
    core.side.push(tokio::spawn(side::tell_the_lag(server.clone(), keys.clone(), core.committed.clone())));
    if purpose.is_public() {
        core.side.push(tokio::spawn(side::move_groups(server.clone(), core.committed.clone())));
    }
    if config.clock == Clock::Wall {
        core.side.push(tokio::spawn(side::tell_the_time(server, keys)));
    }
    Ok(core.running(reader))
}
