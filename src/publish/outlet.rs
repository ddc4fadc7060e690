//! Where events go: Redis, or the log in a file.

use super::PublishError;
use super::chunk::Chunk;
use super::layout::{self, Layout, LayoutError, Wanted, clock_word};
use super::link::{Broken, Fault, Link};
use super::target::Target;
use crate::config::Clock;
use crate::embedded::GeoPackage;
use crate::sources::embedded::Appender;

/// A way into the streams of a pipeline.
pub(super) enum Outlet {
    /// To Redis.
    Redis(Link),
    /// Into the log in a file.
    Embedded(Appender),
}

impl Outlet {
    /// Opens the way; a file is made if it is missing.
    pub(super) fn open(target: &Target, wanted: Wanted) -> Result<(Self, Layout), PublishError> {
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

    /// What is to be filled for it.
    pub(super) fn empty_chunk(&self) -> Chunk {
        match self {
            Self::Redis(_) => Chunk::for_redis(),
            Self::Embedded(_) => Chunk::for_a_log(),
        }
    }

    /// What it is called, without its password.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Redis(link) => link.server().to_owned(),
            Self::Embedded(log) => log.file().path().display().to_string(),
        }
    }

    /// Appends a chunk and says how many events that were.
    pub(super) fn append(&mut self, chunk: &Chunk) -> Result<u64, Broken> {
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

/// Whoever appends first says whose clock it is; then it stands in the file.
fn open_log(file: &GeoPackage, wanted: Wanted) -> Result<(Appender, Layout), PublishError> {
    let mut log = Appender::open(file, wanted.streams)?;
    let known = log.layout();
    let clock = known.clock.or(wanted.clock).unwrap_or(Clock::Log);
    if let Some(asked) = wanted.clock.filter(|asked| *asked != clock) {
        return Err(LayoutError::Clock { wanted: clock_word(asked), has: clock_word(clock) }.into());
    }
    log.set_clock(clock)?;
    Ok((log, Layout { streams: known.streams, clock, by_daemon: true }))
}

/// Opens the log to append edits, which say nothing about clocks.
pub(super) fn open_for_edits(target: &Target) -> Result<(Outlet, Layout), PublishError> {
    match target {
        Target::Redis { .. } => Outlet::open(target, Wanted::default()),
        Target::Embedded(file) => {
            let log = Appender::open(file, None)?;
            let layout = Layout { streams: log.layout().streams, clock: Clock::Log, by_daemon: true };
            Ok((Outlet::Embedded(log), layout))
        }
    }
}
