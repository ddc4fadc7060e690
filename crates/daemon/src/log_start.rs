//! What a daemon needs of Redis before it reads: a log that is kept, announced to producers, with a consumer group for
//! each stream.
//!
//! A Redis that loads its file accepts connections and refuses most commands, and a replica accepts all but writes. So
//! an attempt is the whole sequence, and is made again until one has come to its end.

use tokio::time::sleep;
use tracing::{info, warn};

use super::backoff::Backoff;
use super::resume::begin;
use crate::Options;
use crate::telemetry::health::Health;
use watchtower_core::Cursor;
use watchtower_log::redis::admin::Admin;
use watchtower_log::redis::durability::{Durability, evicts};
use watchtower_log::redis::{RedisError, Server};

/// The start of a daemon, as far as it is Redis's.
#[derive(Debug)]
pub struct LogStart<'a> {
    /// Configuration of the daemon.
    pub options: &'a Options,
    /// Where the streams are.
    pub server: &'a Server,
    /// Keys of the streams in Redis, the control stream last.
    pub keys: &'a [String],
    /// How far the tables contain each; a stream that is missing was never read.
    pub stored: &'a [Cursor],
    /// Whether the pipeline is announced to producers, and gets its consumer groups.
    pub is_public: bool,
}

impl LogStart<'_> {
    /// Waits for Redis, however long it takes. Returns where to read on, by stream.
    ///
    /// # Errors
    /// If Redis refuses for good, or may throw away streams, and that is not allowed.
    pub async fn wait(&self, health: &Health) -> Result<Vec<Cursor>, RedisError> {
        let mut backoff = Backoff::default();
        let mut warned = false;
        loop {
            match self.attempt().await {
                Ok((durability, cursors)) => {
                    self.report(&durability);
                    return Ok(cursors);
                }
                Err(error) if error.is_transient() => {
                    if !warned {
                        warn!(%error, "waiting for Redis");
                        warned = true;
                    }
                    health.set_starting(format!("waiting for Redis: {error}"));
                    sleep(backoff.next()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(&self) -> Result<(Durability, Vec<Cursor>), RedisError> {
        let Self { options, server, keys, stored, is_public } = *self;
        let mut admin = Admin::connect(server).await?;
        let durability = Durability::of(&mut admin).await?;
        if let Some(policy) = durability.evicts.as_deref().filter(|_| !options.redis.allow_eviction) {
            return Err(RedisError::Evicts { server: server.name().to_owned(), fault: evicts(policy) });
        }
        if is_public {
            admin.announce(&options.pipeline, options.redis.streams, options.clock).await?;
            admin.ensure_groups(keys).await?;
        }
        let mut cursors: Vec<Cursor> = Vec::new();
        for key in keys {
            cursors.push(match stored.iter().find(|cursor| cursor.stream == *key) {
                Some(cursor) => cursor.clone(),
                None => begin(key, &mut admin).await?,
            });
        }
        Ok((durability, cursors))
    }

    /// Logs how well Redis keeps the log.
    fn report(&self, durability: &Durability) {
        match durability.is_good() {
            true => info!("{durability}"),
            false => warn!("{durability}"),
        }
        if let Some(policy) = &durability.evicts {
            warn!(server = self.server.name(), "{}; [redis] allow_eviction is true", evicts(policy));
        }
        info!(server = self.server.name(), streams = self.options.redis.streams, "connected to Redis");
    }
}
