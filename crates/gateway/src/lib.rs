//! The HTTP gateway: messages of devices and fleet servers, authenticated and read, become entries of the event log.
//!
//! ```text
//! connection ─> route ─> who ─> rate ─> body (limits, gzip) ─> inputs::messages ─> who may send this vehicle ─> log
//!                                                                     answer <── acknowledged ──────────────────┘
//! ```
//!
//! A process keeps nothing that another one needs: any number of them serve the same pipeline. An answer of the 2xx kind
//! is sent only after the log has acknowledged the events of the request; a request whose append fails is in the log as a
//! whole or not at all, and its client is asked to send it again (503 with `Retry-After`). Whether an event is too late or
//! ahead of its arrival is for the daemon to decide, which alone knows what came before.

mod accounts;
mod answer;
mod body;
mod caller;
mod connections;
mod edits;
mod events;
pub mod feeds;
mod files;
mod ids;
mod limits;
mod local;
pub mod metrics;
mod openapi;
mod options;
mod precondition;
mod routes;
mod schemas;
mod server;
mod sources;
mod table;
mod vessels;

pub use options::{Keys, Options, Source, Trust};
pub use server::{Gateway, GatewayError, check_tls};
pub use table::{Need, ROUTES, Route};

use std::sync::Arc;

use watchtower_core::events::Limits;
use watchtower_log::ingest::Ingest;
use watchtower_model::Millis;

use accounts::Accounts;
use ids::Ids;
use limits::Rates;
use vessels::Vessels;

/// What all requests share.
#[derive(Debug)]
struct Context {
    options: Options,
    /// Bounds of what is accepted, the same as in the daemon.
    limits: Limits,
    ingest: Ingest,
    accounts: Accounts,
    rates: Rates,
    ids: Ids,
    vessels: Vessels,
}

type Shared = Arc<Context>;

/// The time of this machine, epoch milliseconds.
fn now_ms() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}
