//! The backend that events are appended to: Redis, or the log in a file.

use std::collections::HashSet;
use std::time::Duration;

use super::chunk::Chunk;
use super::layout::{self, Layout, LayoutError, Wanted};
use super::link::{Broken, Fault, Link, LinkError};
use super::target::Target;
use crate::ClockSource;
use crate::file::{Appender, LogError};
use crate::redis::{RedisError, Server};
use watchtower_geopackage::GeoPackage;

/// The log of a pipeline cannot be opened to append to it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Redis cannot be reached.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The address of Redis or its certificates cannot be used.
    #[error(transparent)]
    Server(RedisError),
    /// The log in the file cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The pipeline is laid out in another way than expected.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// A connection that appends to the streams of a pipeline.
pub enum Outlet {
    /// Appends to the streams of a Redis.
    Redis(Link),
    /// Appends to the log in a file.
    Embedded(Appender),
}

impl Outlet {
    /// Connects and reads the layout. A file is created if missing.
    pub fn open(target: &Target, wanted: Wanted) -> Result<(Self, Layout), OpenError> {
        match target {
            Target::Redis { url, pipeline } => {
                let mut link = Link::open(url)?;
                let key = pipeline.layout_key();
                let written = link.hash(&key, layout::FIELDS)?;
                let layout = layout::agree(wanted, &key, written)?;
                Ok((Self::Redis(link), layout))
            }
            Target::Embedded(file) => {
                let (log, layout) = open_log(file, wanted)?;
                Ok((Self::Embedded(log), layout))
            }
        }
    }

    /// Opens the way to the streams of a Redis that is waited for less patiently, because clients wait.
    pub(crate) fn open_on(server: &Server, target: &Target, wanted: Wanted) -> Result<(Self, Layout), OpenError> {
        let Target::Redis { pipeline, .. } = target else { return Self::open(target, wanted) };
        let mut link = Link::open_on(server)?;
        let key = pipeline.layout_key();
        let written = link.hash(&key, layout::FIELDS)?;
        Ok((Self::Redis(link), layout::agree(wanted, &key, written)?))
    }

    /// Whether the server answers; a file always does.
    pub(crate) fn answers(&mut self) -> bool {
        match self {
            Self::Redis(link) => link.answers(),
            Self::Embedded(_) => true,
        }
    }

    /// Those of the keys of deliveries that are remembered.
    pub(crate) fn remembered(&mut self, prefix: &str, keys: &[&str]) -> Result<HashSet<String>, Fault> {
        match self {
            _ if keys.is_empty() => Ok(HashSet::new()),
            Self::Redis(link) => link.remembered(prefix, keys),
            Self::Embedded(log) => log.remembered(keys).map_err(|error| Fault::of_a_file(&error)),
        }
    }

    /// Appends a chunk and remembers deliveries for so long, in one transaction.
    pub(crate) fn append_whole(
        &mut self,
        chunk: &Chunk,
        prefix: &str,
        deliveries: &[(String, Duration)],
    ) -> Result<(), Fault> {
        match (self, chunk) {
            (Self::Redis(link), Chunk::Redis(commands)) => link.append_whole(commands, prefix, deliveries),
            (Self::Embedded(log), Chunk::Log(batch, _)) => {
                log.append_remembering(batch, deliveries).map_err(|error| Fault::of_a_file(&error))
            }
            (Self::Redis(_), Chunk::Log(..)) | (Self::Embedded(_), Chunk::Redis(_)) => {
                unreachable!("a chunk goes where it was filled for")
            }
        }
    }

    /// An empty chunk in the form that this backend appends.
    pub fn empty_chunk(&self) -> Chunk {
        match self {
            Self::Redis(_) => Chunk::for_redis(),
            Self::Embedded(_) => Chunk::for_a_log(),
        }
    }

    /// Host and port, or path, for messages; never a password.
    pub fn name(&self) -> String {
        match self {
            Self::Redis(link) => link.server().to_owned(),
            Self::Embedded(log) => log.file().path().display().to_string(),
        }
    }

    /// Appends a chunk. Returns its number of events.
    pub fn append(&mut self, chunk: &Chunk) -> Result<u64, Broken> {
        match (self, chunk) {
            (Self::Redis(link), Chunk::Redis(commands)) => link.append(commands),
            (Self::Embedded(log), Chunk::Log(batch, events)) => match log.append(batch) {
                Ok(()) => Ok(events.iter().map(|&events| u64::from(events)).sum()),
                Err(error) => Err(Broken { published: 0, unsure: 0, fault: Fault::of_a_file(&error) }),
            },
            (Self::Redis(_), Chunk::Log(..)) | (Self::Embedded(_), Chunk::Redis(_)) => {
                unreachable!("a chunk goes where it was filled for")
            }
        }
    }
}

/// The first producer decides the source of clock events, which is then stored in the file.
fn open_log(file: &GeoPackage, wanted: Wanted) -> Result<(Appender, Layout), OpenError> {
    let mut log = Appender::open(file, wanted.streams)?;
    let known = log.layout();
    let clock = known.clock.or(wanted.clock).unwrap_or(ClockSource::Log);
    if let Some(asked) = wanted.clock.filter(|asked| *asked != clock) {
        return Err(LayoutError::Clock { wanted: asked.word(), has: clock.word() }.into());
    }
    log.set_clock(clock)?;
    Ok((log, Layout { streams: known.streams, clock, by_daemon: true }))
}

/// Opens the log to append edits, without choosing a source of clock events.
pub fn open_for_edits(target: &Target) -> Result<(Outlet, Layout), OpenError> {
    match target {
        Target::Redis { .. } => Outlet::open(target, Wanted::default()),
        Target::Embedded(file) => {
            let log = Appender::open(file, None)?;
            let layout = Layout { streams: log.layout().streams, clock: ClockSource::Log, by_daemon: true };
            Ok((Outlet::Embedded(log), layout))
        }
    }
}
