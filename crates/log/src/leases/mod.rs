//! Which process fetches a source, and how far that source was fetched: a lease with a cursor.
//!
//! A lease is held by one process until it expires; its holder renews it. Each new holder gets a greater term, and the
//! cursor is written only by the holder of the present term: a process that was paused while another took over changes
//! nothing. The cursor is beside the log, in the same Redis or file, and not in the tables: a Redis that loses the end
//! of the log in a crash loses the end of the cursor with it, so that what was lost is fetched again.
//!
//! In Redis a lease is the hash `wt:<pipeline>:source:<name>`, changed by scripts (EVAL) that go by the clock of the
//! server; in a file it is a row of `source_leases`, and the clock is that of the machine.

mod file;
mod redis;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use watchtower_geopackage::{FileError, GeoPackage};

use crate::Options;
use crate::redis::{Options as RedisOptions, RedisError, Server};

/// How long a lease holds after it was taken or renewed: a holder that was killed is succeeded after this time.
pub const TTL: Duration = Duration::from_secs(15);
/// Interval between renewals, so that one may fail.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Longest cursor, bytes.
pub const MAX_CURSOR_BYTES: usize = 64 << 10;

/// A lease cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Redis does not do it.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The file does not do it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cursor is longer than [`MAX_CURSOR_BYTES`].
    #[error("the cursor has {bytes} bytes; expected at most {MAX_CURSOR_BYTES}")]
    Cursor {
        /// Its length.
        bytes: usize,
    },
}

/// The leases of a pipeline, as one process sees them.
#[derive(Debug)]
pub struct Leases {
    place: Store,
    /// Distinguishes this process from all others, former ones included.
    owner: String,
}

#[derive(Debug)]
enum Store {
    Redis { options: Box<RedisOptions>, pipeline: String, connection: Mutex<Option<Box<Connection>>> },
    File(GeoPackage),
}

/// A connection to the Redis that has the leases.
#[derive(Clone)]
struct Connection {
    server: Server,
    commands: MultiplexedConnection,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server.name()).finish_non_exhaustive()
    }
}

/// A lease that is held.
#[derive(Debug)]
pub struct Lease {
    source: String,
    /// Greater with each holder.
    term: i64,
    cursor: Mutex<Option<String>>,
    expires: Mutex<Instant>,
}

impl Lease {
    /// Number of the tenure: greater than that of every former holder.
    pub fn term(&self) -> i64 {
        self.term
    }

    /// The cursor that was written last, by this holder or a former one.
    pub fn cursor(&self) -> Option<String> {
        self.cursor.lock().expect("nothing panics while it holds this").clone()
    }

    /// Whether it holds now, as far as this process knows without asking.
    pub fn holds(&self) -> bool {
        Instant::now() < *self.expires.lock().expect("nothing panics while it holds this")
    }

    fn extend(&self, since: Instant) {
        *self.expires.lock().expect("nothing panics while it holds this") = since + TTL;
    }
}

impl Leases {
    /// Leases beside a log; `owner` is different for each process that ever runs.
    pub fn new(log: &Options, owner: String) -> Self {
        let place = match log {
            Options::Redis { redis, pipeline, .. } => Store::Redis {
                options: Box::new(redis.clone()),
                pipeline: pipeline.clone(),
                connection: Mutex::default(),
            },
            Options::File { file, .. } => Store::File(file.clone()),
        };
        Self { place, owner }
    }

    /// Takes the lease of a source; None while another process holds it.
    ///
    /// # Errors
    /// If Redis or the file does not answer.
    pub async fn take(&self, source: &str) -> Result<Option<Lease>, LeaseError> {
        let since = Instant::now();
        let taken = match &self.place {
            Store::Redis { .. } => self.in_redis(source, redis::take(&self.owner)).await?,
            Store::File(file) => tokio::task::block_in_place(|| file::take(file, source, &self.owner))?,
        };
        let lease = |(term, cursor): (i64, String)| Lease {
            source: source.to_owned(),
            term,
            cursor: Mutex::new(Some(cursor).filter(|cursor| !cursor.is_empty())),
            expires: Mutex::new(since + TTL),
        };
        Ok(taken.map(lease))
    }

    /// Renews a lease. Returns whether it is still held.
    ///
    /// # Errors
    /// If Redis or the file does not answer: the lease holds until it expires.
    pub async fn renew(&self, lease: &Lease) -> Result<bool, LeaseError> {
        let since = Instant::now();
        let held = match &self.place {
            Store::Redis { .. } => self.in_redis(&lease.source, redis::renew(&self.owner, lease.term)).await?,
            Store::File(file) => {
                tokio::task::block_in_place(|| file::renew(file, &lease.source, &self.owner, lease.term))?
            }
        };
        if held {
            lease.extend(since);
        }
        Ok(held)
    }

    /// Writes the cursor of a source. Returns whether it was written: not if another process has taken the lease.
    ///
    /// # Errors
    /// If Redis or the file does not answer, or the cursor is too long.
    pub async fn advance(&self, lease: &Lease, cursor: &str) -> Result<bool, LeaseError> {
        if cursor.len() > MAX_CURSOR_BYTES {
            return Err(LeaseError::Cursor { bytes: cursor.len() });
        }
        let written = match &self.place {
            Store::Redis { .. } => {
                self.in_redis(&lease.source, redis::advance(&self.owner, lease.term, cursor)).await?
            }
            Store::File(file) => {
                tokio::task::block_in_place(|| file::advance(file, &lease.source, &self.owner, lease.term, cursor))?
            }
        };
        if written {
            *lease.cursor.lock().expect("nothing panics while it holds this") = Some(cursor.to_owned());
        }
        Ok(written)
    }

    /// Gives a lease back, so that another process need not wait until it expires.
    ///
    /// # Errors
    /// If Redis or the file does not answer: the lease expires then.
    pub async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        match &self.place {
            Store::Redis { .. } => {
                let _: bool = self.in_redis(&lease.source, redis::release(&self.owner, lease.term)).await?;
            }
            Store::File(file) => {
                tokio::task::block_in_place(|| file::release(file, &lease.source, &self.owner, lease.term))?;
            }
        }
        Ok(())
    }

    /// Runs a script on the hash of a source; a connection that failed is not used again.
    async fn in_redis<T: ::redis::FromRedisValue>(&self, source: &str, script: redis::Script) -> Result<T, LeaseError> {
        let Store::Redis { options, pipeline, connection } = &self.place else {
            unreachable!("only the leases in Redis come here")
        };
        let open = connection.lock().expect("nothing panics while it holds this").clone();
        let mut open = match open {
            Some(open) => open,
            None => {
                let server = Server::new(options)?;
                Box::new(Connection { commands: server.connect().await?, server })
            }
        };
        let doing = script.doing;
        let key = crate::redis::source_key(pipeline, source);
        let answer = script.on(&key).query_async(&mut open.commands).await;
        let kept = answer.is_ok().then(|| open.clone());
        *connection.lock().expect("nothing panics while it holds this") = kept;
        Ok(answer.map_err(open.server.failed(format!("{doing} of source {source}")))?)
    }
}
