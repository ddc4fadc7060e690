//! Delivers alerts: from the outbox of the tables to webhooks, mail, Redis, PostgreSQL and logs.
//!
//! ```text
//! commit ─> outbox ─claim─> worker (one per channel) ─> channel ─> receiver
//!              └──settle── delivered, retried, dead <──┘
//! ```
//!
//! Any number of processes deliver for the same pipeline. Each row is sent at least once, of one endpoint and subject in
//! order, every time with the same key and the same bytes; a process that is killed between sending and settling sends
//! again when its claim has expired. An endpoint that is away is left alone for pauses that grow, and holds up no other.

mod channels;
mod clock;
mod envelope;
mod message;
mod notice;
mod options;
mod retry;
mod service;
mod worker;

pub use clock::Clock;
pub use message::{Escape, Texts, check_template};
pub use notice::Notice;
pub use options::{BUILT_IN, Channel, ChannelKind, Email, Format, Keys, Options, Postgres, Redis, Slack, Webhook};
pub use service::{Context, Notifier, NotifyError, check_channel};
