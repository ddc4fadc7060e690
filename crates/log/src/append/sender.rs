//! The thread that appends chunks while the next ones are being filled.

use std::thread::JoinHandle;

use crossbeam_channel::bounded;

use super::chunk::Chunk;
use super::link::{Broken, Fault};
use super::outlet::Outlet;

/// Chunks that wait while one is under way.
const MAX_WAITING: usize = 2;

/// Events are taken no more. To publish the same again is right whatever is in the streams already, for of two events
/// with one key the later one holds; so nothing here tries again by itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "appending to {server} stopped after {published} events{} (run the command again once the cause is gone: an event \
     that is appended twice counts once)",
    unsure_text(*unsure)
)]
pub struct AppendError {
    /// Host, port and database of the server; or the file.
    pub server: String,
    /// How many events are in the streams for sure.
    pub published: u64,
    /// Number of events that may be there as well: the connection was lost before Redis replied.
    pub unsure: u64,
    /// Error of the connection.
    pub source: Fault,
}

fn unsure_text(unsure: u64) -> String {
    if unsure == 0 { String::new() } else { format!(", perhaps up to {unsure} more") }
}

/// Number of events that the streams hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that count as published.
    pub events: u64,
    /// Entries they are in, clocks' included.
    pub entries: u64,
}

/// Where chunks go.
pub struct Sender {
    chunks: crossbeam_channel::Sender<Chunk>,
    thread: JoinHandle<Result<Tally, AppendError>>,
}

impl Sender {
    /// Starts the thread.
    pub fn start(outlet: Outlet) -> Self {
        let (chunks, waiting) = bounded(MAX_WAITING);
        let thread = std::thread::spawn(move || forward(outlet, &waiting));
        Self { chunks, thread }
    }

    /// Hands over a chunk; waits while the queue is full. Returns false if the appending thread has ended:
    /// [`Sender::finish`] returns the reason.
    pub fn send(&self, chunk: Chunk) -> bool {
        self.chunks.send(chunk).is_ok()
    }

    /// Waits until all is in the streams.
    pub fn finish(self) -> Result<Tally, AppendError> {
        let Self { chunks, thread } = self;
        drop(chunks);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn forward(mut outlet: Outlet, waiting: &crossbeam_channel::Receiver<Chunk>) -> Result<Tally, AppendError> {
    let mut tally = Tally::default();
    for chunk in waiting {
        match outlet.append(&chunk) {
            Ok(events) => {
                tally.events += events;
                tally.entries += chunk.entries() as u64;
            }
            Err(Broken { published, unsure, fault }) => {
                let server = outlet.name();
                return Err(AppendError { server, published: tally.events + published, unsure, source: fault });
            }
        }
    }
    Ok(tally)
}
