//! A client of Slack, as small as alerts and reports need it.
//!
//! | destination | type | operations |
//! |---|---|---|
//! | bot token (`xoxb-..`) | [`Client`] | post, update, find, upload, auth_test |
//! | incoming webhook (a URL) | [`Webhook`] | post |
//!
//! A method is one attempt: nothing is retried here, and no request waits for its turn. The caller asks [`Buckets`]
//! when it may send, and [`Error`] states what to do with a failure. A post whose reply is lost is resolved by
//! [`Client::find`], which looks the message up by its [`Metadata`], before it is posted again.
//!
//! Text is Slack's mrkdwn. Values that are put into it go through [`escape`], the whole text through [`clip`].

mod buckets;
mod client;
mod cure;
mod error;
mod find;
mod http;
mod metadata;
mod options;
mod text;
mod upload;
mod webhook;

pub use buckets::{Bucket, Buckets, Rate, Rates};
pub use client::{Client, Identity, Message, Posted, Update};
pub use error::Error;
pub use find::{Found, LookUp};
pub use metadata::{Metadata, MetadataError};
pub use options::{Options, SettingsError};
pub use text::{MAX_TEXT, MAX_UPDATE_TEXT, RECOMMENDED_TEXT, clip, escape};
pub use upload::{Upload, Uploaded};
pub use webhook::Webhook;
