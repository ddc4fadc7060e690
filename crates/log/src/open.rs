//! The one place where a daemon's log is opened, and its backend chosen.

use std::fmt;
use std::time::Duration;

use watchtower_core::{Cursor, Note, StreamPosition};
use watchtower_geopackage::GeoPackage;

use crate::error::BackendError;
use crate::redis::admin::Admin;
use crate::redis::durability::{Durability, evicts};
use crate::redis::{self, RedisError, Server, stream_keys};
use crate::upkeep::{Clocks, Ends, Groups, LagMeter, Reconnecting, Ticker};
use crate::{ClockSource, Tail, Trimmer, file};

/// The kind of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Streams of a Redis server.
    Redis,
    /// Tables of a GeoPackage.
    File,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::File => "the file",
        })
    }
}

/// Where the log of a pipeline is, and how it is kept.
#[derive(Clone, Debug)]
pub enum Options {
    /// Streams in Redis.
    Redis {
        /// Name of the pipeline.
        pipeline: String,
        /// The server and its streams.
        redis: redis::Options,
        /// Source of the clock events.
        clock: ClockSource,
    },
    /// A GeoPackage, which is created if missing. What is `None` is as the file was created.
    File {
        /// The GeoPackage.
        file: GeoPackage,
        /// Number of event streams, 1..=1024.
        streams: Option<u16>,
        /// Age below which entries are always kept; `None` keeps all.
        keep: Option<Duration>,
        /// Source of the clock events.
        clock: Option<ClockSource>,
    },
}

impl Options {
    /// Name of the pipeline; of a file its name without the extension.
    pub fn pipeline(&self) -> String {
        match self {
            Self::Redis { pipeline, .. } => pipeline.clone(),
            Self::File { file, .. } => {
                file.path().file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into())
            }
        }
    }

    /// Measures the lag of the tables, without opening the log to write.
    ///
    /// # Errors
    /// If the address or the certificates of Redis are invalid.
    pub fn lag_meter(&self) -> Result<LagMeter, BackendError> {
        Ok(LagMeter(match self {
            Self::Redis { pipeline, redis, .. } => {
                Ends::Redis(Reconnecting::new(Server::new(redis)?), stream_keys(pipeline, redis.streams))
            }
            Self::File { file, .. } => Ends::File(file.clone()),
        }))
    }
}

/// An opened log of a daemon.
#[derive(Debug)]
pub struct Log {
    keys: Vec<String>,
    clock: ClockSource,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Redis { pipeline: String, options: redis::Options, server: Server },
    File { file: GeoPackage, keep: Option<Duration>, appender: file::Appender },
}

impl Log {
    /// Opens a log. Redis is not connected to yet; a file is created if missing, and blocks the thread.
    ///
    /// # Errors
    /// If the address or the certificates of Redis are invalid, or the file cannot be written.
    pub fn open(options: &Options) -> Result<Self, BackendError> {
        match options {
            Options::Redis { pipeline, redis, clock } => Ok(Self {
                keys: stream_keys(pipeline, redis.streams),
                clock: *clock,
                place: Place::Redis { pipeline: pipeline.clone(), options: redis.clone(), server: Server::new(redis)? },
            }),
            Options::File { file, streams, keep, clock } => {
                let appender = file::Appender::open(file, *streams)?;
                let layout = appender.layout();
                Ok(Self {
                    keys: file::stream_names(layout.streams),
                    clock: clock.or(layout.clock).unwrap_or(ClockSource::Wall),
                    place: Place::File { file: file.clone(), keep: *keep, appender },
                })
            }
        }
    }

    /// Keys or names of the streams, the control stream last.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Source of the clock events.
    pub fn clock(&self) -> ClockSource {
        self.clock
    }

    /// The kind of log.
    pub fn backend(&self) -> Backend {
        match &self.place {
            Place::Redis { .. } => Backend::Redis,
            Place::File { .. } => Backend::File,
        }
    }

    /// Prepares the log for a daemon: the pipeline is announced to producers with its consumer groups, if it
    /// `is_public`. Returns the position to continue from in each stream, and findings. `stored` is what the tables
    /// contain; a stream that is missing there was never read.
    ///
    /// # Errors
    /// If Redis is away or refuses, or may evict streams, and that is not allowed; if the file cannot be written. The
    /// whole may be repeated.
    pub async fn begin(
        &mut self,
        stored: &[Cursor],
        is_public: bool,
    ) -> Result<(Vec<Cursor>, Vec<Note>), BackendError> {
        let Self { keys, clock, place } = self;
        match place {
            Place::Redis { pipeline, options, server } => {
                let mut admin = Admin::connect(server).await?;
                let mut notes = durability_notes(options, server, &mut admin).await?;
                if is_public {
                    admin.announce(pipeline, options.streams, *clock).await?;
                    admin.ensure_groups(keys).await?;
                }
                let mut cursors: Vec<Cursor> = Vec::new();
                for key in keys.iter() {
                    cursors.push(match stored.iter().find(|cursor| cursor.stream == *key) {
                        Some(cursor) => cursor.clone(),
                        None => first_cursor(key, &mut admin, &mut notes).await?,
                    });
                }
                let events = if options.streams == 1 { "event stream" } else { "event streams" };
                let (server, streams) = (server.name(), options.streams);
                notes.push(Note::info(format!("connected to Redis at {server} ({streams} {events})")));
                Ok((cursors, notes))
            }
            Place::File { appender, .. } => {
                if is_public {
                    tokio::task::block_in_place(|| appender.set_clock(*clock))?;
                }
                let cursor = |key: &String| {
                    let stored = stored.iter().find(|cursor| cursor.stream == *key);
                    stored.cloned().unwrap_or_else(|| Cursor::start(key, 0))
                };
                Ok((keys.iter().map(cursor).collect(), Vec::new()))
            }
        }
    }

    /// A reader that continues after what memory contains; the tables contain the streams up to `stored`.
    pub fn tail(&self, known: Vec<StreamPosition>, stored: &[Cursor]) -> Tail {
        match &self.place {
            Place::Redis { server, .. } => {
                Tail::Redis(Box::new(redis::Tail::new(server.clone(), self.keys.clone(), known, stored)))
            }
            Place::File { file, .. } => Tail::File(file::Tail::new(file.clone(), &known, stored)),
        }
    }

    /// The trimmer. That of a log that belongs to other tables (`is_public` is false) keeps all.
    pub fn trimmer(&self, is_public: bool) -> Trimmer {
        match &self.place {
            Place::Redis { server, options, .. } => {
                Trimmer::Redis { server: server.clone(), keep: Some(options.log_keep).filter(|_| is_public) }
            }
            Place::File { file, keep, .. } => Trimmer::File { file: file.clone(), keep: keep.filter(|_| is_public) },
        }
    }

    /// Measures the lag of the tables.
    pub fn lag_meter(&self) -> LagMeter {
        LagMeter(match &self.place {
            Place::Redis { server, .. } => Ends::Redis(Reconnecting::new(server.clone()), self.keys.clone()),
            Place::File { file, .. } => Ends::File(file.clone()),
        })
    }

    /// The consumer groups; `None` if the log has none.
    pub fn groups(&self) -> Option<Groups> {
        match &self.place {
            Place::Redis { server, .. } => Some(Groups(Reconnecting::new(server.clone()))),
            Place::File { .. } => None,
        }
    }

    /// The writer of clock events.
    pub fn into_ticker(self) -> Ticker {
        Ticker(match self.place {
            Place::Redis { server, .. } => Clocks::Redis(Reconnecting::new(server), self.keys),
            Place::File { appender, .. } => Clocks::File(Box::new(appender)),
        })
    }
}

/// How well Redis keeps the log.
async fn durability_notes(
    options: &redis::Options,
    server: &Server,
    admin: &mut Admin,
) -> Result<Vec<Note>, RedisError> {
    let durability = Durability::of(admin).await?;
    let mut notes = vec![match durability.is_good() {
        true => Note::info(durability.to_string()),
        false => Note::warning(durability.to_string()),
    }];
    if let Some(policy) = &durability.evicts {
        let fault = evicts(policy);
        if !options.allow_eviction {
            return Err(RedisError::Evicts { server: server.name().to_owned(), fault });
        }
        notes.push(Note::warning(format!("Redis at {}: {fault}; [redis] allow_eviction is true", server.name())));
    }
    Ok(notes)
}

/// Initial cursor of a stream that was never read. Entries trimmed before it do not count as lost.
async fn first_cursor(key: &str, admin: &mut Admin, notes: &mut Vec<Note>) -> Result<Cursor, RedisError> {
    let info = admin.stream_info(key).await?;
    let skipped = info.added.saturating_sub(info.length);
    if skipped > 0 {
        notes.push(Note::warning(format!(
            "{skipped} entries of {key} were already trimmed: the tables begin with the remaining ones"
        )));
    }
    Ok(Cursor::start(key, skipped))
}
