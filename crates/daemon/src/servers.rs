//! A daemon between Redis and PostgreSQL.

use super::archive_reader::ArchiveReader;
use super::core::{Core, Ends};
use super::log_reader::LogReader;
use super::log_start::LogStart;
use super::saving::Trimmer;
use super::{DaemonError, Purpose, RebuildFrom, Running, resume, side, tables};
use crate::Options;
use crate::checkpoint::Shelf;
use crate::telemetry::health::Health;
use watchtower_core::plan;
use watchtower_log::ClockSource;
use watchtower_log::redis::{Server, stream_keys};
use watchtower_store::postgres::{Database, lagging};
use watchtower_store::{LaggingWriter, Writer};

/// Connects to both, claims the pipeline and starts everything.
pub(super) async fn start(options: &Options, purpose: Purpose, health: &Health) -> Result<Running, DaemonError> {
    let database = Database::new(&options.pipeline, &options.store)?;
    let server = Server::new(&options.redis)?;
    let keys = stream_keys(&options.pipeline, options.redis.streams);
    let plan = plan::of(&options.limits, &options.rules);

    let (writer, claim) =
        tables::open(options, &database, &plan, matches!(purpose, Purpose::Serve { takeover: true }), health).await?;
    let is_public = purpose.is_public();
    let start = LogStart { options, server: &server, keys: &keys, stored: &claim.cursors, is_public };
    let stored = start.wait(health).await?;
    let ends = Ends {
        keys: keys.clone(),
        stored,
        clock: options.clock,
        plan,
        shelf: Shelf::from(&*resume::folder(options, &claim)),
        writer: Writer::Postgres(writer),
        lagging: LaggingWriter::Postgres(lagging::LaggingWriter::new(database, &claim)),
        trimmer: Trimmer::Redis { server: server.clone(), keep: options.redis.log_keep },
        claim,
    };
    let mut core = Core::start(options, ends, health).await?;
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
    if is_public {
        core.side.push(tokio::spawn(side::move_groups(server.clone(), core.committed.clone())));
    }
    if options.clock == ClockSource::Wall {
        core.side.push(tokio::spawn(side::tell_the_time(server, keys)));
    }
    Ok(core.running(reader))
}
