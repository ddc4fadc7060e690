//! The channels: one file each, all of the same anatomy: `open` from the options, `send` one notice.

mod discard;
mod email;
mod log;
mod postgres;
mod redis;
mod slack;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use watchtower_model::local_time::LocalTime;
use watchtower_store::outbox::Outbox;

use crate::notice::Notice;
use crate::options::{Channel, ChannelKind};

/// A message that was accepted: the name that the receiver has for it, if it has one.
pub(crate) type Sent = Option<String>;

/// A message that was not accepted, as far as is known: it may have arrived all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendError {
    /// Why, without secrets.
    pub(crate) text: String,
    /// What follows from it.
    pub(crate) fault: Fault,
}

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The endpoint is away, or asks for a pause: nothing is sent to it for a while.
    Away {
        /// How long the receiver asks to wait.
        retry_after: Option<Duration>,
    },
    /// The endpoint refuses this message: it is attempted again, others are sent meanwhile.
    Refused,
    /// No further attempt can succeed.
    Impossible,
    /// The endpoint is gone for good.
    Gone,
}

impl SendError {
    pub(crate) fn away(text: impl Into<String>) -> Self {
        Self { text: text.into(), fault: Fault::Away { retry_after: None } }
    }

    pub(crate) fn impossible(text: impl Into<String>) -> Self {
        Self { text: text.into(), fault: Fault::Impossible }
    }
}

/// What channels need besides their own options.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Name of the pipeline; of a file its name without the extension.
    pub(crate) pipeline: String,
    /// Zone of times in messages.
    pub(crate) zone: Arc<LocalTime>,
    /// The outbox, whose database NOTIFY is in.
    pub(crate) outbox: Outbox,
}

/// A channel that is ready to send. Nothing is connected before the first message.
#[derive(Debug)]
pub(crate) enum Sender {
    Webhook(Box<webhook::Sender>),
    Email(Box<email::Sender>),
    Redis(Box<redis::Sender>),
    Postgres(postgres::Sender),
    Slack(Box<slack::Sender>),
    Log(log::Sender),
    Discard,
}

impl Sender {
    /// Makes a channel ready.
    ///
    /// # Errors
    /// If its options cannot be used; the text names no secret.
    pub(crate) fn open(channel: &Channel, around: &Surroundings) -> Result<Self, String> {
        Ok(match &channel.kind {
            ChannelKind::Webhook(options) => {
                Self::Webhook(Box::new(webhook::Sender::open(options, channel.timeout, around)?))
            }
            ChannelKind::Email(options) => {
                Self::Email(Box::new(email::Sender::open(options, channel.timeout, around)?))
            }
            ChannelKind::Redis(options) => Self::Redis(Box::new(redis::Sender::open(options, around)?)),
            ChannelKind::Postgres(options) => Self::Postgres(postgres::Sender::open(options, around)?),
            ChannelKind::Slack(options) => {
                Self::Slack(Box::new(slack::Sender::open(options, channel.timeout, around)?))
            }
            ChannelKind::Log => Self::Log(log::Sender::open(&channel.id, around)),
            ChannelKind::Discard => Self::Discard,
        })
    }

    /// Sends one notice.
    ///
    /// # Errors
    /// If it was not accepted, as far as is known.
    pub(crate) async fn send(&self, notice: &Notice) -> Result<Sent, SendError> {
        match self {
            Self::Webhook(sender) => sender.send(notice).await,
            Self::Email(sender) => sender.send(notice).await,
            Self::Redis(sender) => sender.send(notice).await,
            Self::Postgres(sender) => sender.send(notice).await,
            Self::Slack(sender) => sender.send(notice).await,
            Self::Log(sender) => Ok(sender.send(notice)),
            Self::Discard => Ok(discard::send(notice)),
        }
    }
}
