//! Slack: one message for each subject, which is edited to what holds now; what changed is in its thread.
//!
//! With a bot token the first event of a subject is posted, and each later one edits that message (which notifies no reader)
//! and replies in its thread (which does). Every post carries the key of its delivery as metadata: where the reply to a post
//! was lost, or the process was killed, the message is looked up by it before it is posted again. An incoming webhook can do
//! neither: every event is a message of its own, and one whose reply is lost may be there twice.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use watchtower_model::Millis;
use watchtower_slack::{
    Bucket, Buckets, Client, Error, LookUp, MAX_UPDATE_TEXT, Message, Metadata, Options, Posted, Update, Webhook, clip,
};

use super::{Fault, SendError, Sent, Surroundings};
use crate::message::{Escape, Texts};
use crate::notice::Notice;
use crate::options::Slack;

/// Type of the metadata of messages.
const EVENT_TYPE: &str = "watchtower_alert";
/// How long a message whose reply was lost may still be on its way: it is looked up afterwards.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// How far back a message is looked for whose first attempt is not known: the process was killed. Milliseconds.
const LOOK_BACK_MS: Millis = 24 * 3_600_000;

#[derive(Debug)]
pub(crate) struct Sender {
    destination: Destination,
    texts: Texts,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
enum Destination {
    Bot { client: Client, channel: String },
    Hook(Webhook),
}

impl Sender {
    pub(super) fn open(options: &Slack, timeout: Duration, around: &Surroundings) -> Result<Self, String> {
        let Slack { webhook_url, token, channel, base_url } = options;
        let connect_timeout = Options::default().connect_timeout.min(timeout / 2);
        let settings = Options { base_url: base_url.clone(), connect_timeout, timeout, ca_file: None };
        let destination = match (webhook_url, token, channel) {
            (Some(url), None, _) => {
                Destination::Hook(Webhook::new(url.clone(), &settings).map_err(|error| error.to_string())?)
            }
            (None, Some(token), Some(channel)) => Destination::Bot {
                client: Client::new(token.clone(), &settings).map_err(|error| error.to_string())?,
                channel: channel.clone(),
            },
            _ => return Err("expected webhook_url, or token and channel".to_owned()),
        };
        let texts = Texts::new(around.zone.clone(), Escape::Slack);
        Ok(Self { destination, texts, buckets: Mutex::default() })
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<Sent, SendError> {
        let text = format!("{}{}", mark(notice.text("severity")), self.texts.text(notice));
        match &self.destination {
            Destination::Hook(webhook) => {
                self.turn(post_bucket("webhook")).await;
                let posted = webhook.post(&text, None).await;
                self.checked(post_bucket("webhook"), posted).await?;
                Ok(None)
            }
            Destination::Bot { client, channel } => {
                let root = match notice.external_ref.as_deref().and_then(parse) {
                    None => self.post(client, channel, None, notice, &text).await?,
                    Some(root) => {
                        self.edit(client, &root, &text).await?;
                        self.post(client, &root.channel, Some(&root.ts), notice, &text).await?;
                        root
                    }
                };
                Ok(Some(format!("{} {}", root.channel, root.ts)))
            }
        }
    }

    /// Posts a text, unless an earlier attempt did.
    async fn post(
        &self,
        client: &Client,
        channel: &str,
        thread_ts: Option<&str>,
        notice: &Notice,
        text: &str,
    ) -> Result<Posted, SendError> {
        let metadata = Metadata::new(EVENT_TYPE, [("key", notice.key.as_str())]).expect("the type is of letters and _");
        if notice.attempts > 1 {
            let oldest_ms = notice.failing_since.unwrap_or(now_ms() - LOOK_BACK_MS);
            let look_up = LookUp { channel, thread_ts, metadata: &metadata, oldest_ms };
            if let Some(found) = client.find(&look_up).await.map_err(failed)? {
                return Ok(Posted { channel: channel.to_owned(), ts: found.ts });
            }
        }
        self.turn(post_bucket(channel)).await;
        let text = clip(text, MAX_UPDATE_TEXT);
        let message = Message { channel, text: &text, blocks: None, thread_ts, metadata: Some(&metadata) };
        let posted = client.post(&message).await;
        self.checked(post_bucket(channel), posted).await
    }

    async fn edit(&self, client: &Client, root: &Posted, text: &str) -> Result<(), SendError> {
        let bucket = Bucket::Update { workspace: String::new() };
        self.turn(bucket.clone()).await;
        let update = Update { channel: &root.channel, ts: &root.ts, text, blocks: None, metadata: None };
        let updated = client.update(&update).await;
        self.checked(bucket, updated).await.map(drop)
    }

    /// Waits until a request of a bucket may be sent, and counts it. The time limit of the attempt bounds the wait.
    async fn turn(&self, bucket: Bucket) {
        loop {
            let taken = self.buckets.lock().await.take(&bucket, Instant::now());
            match taken {
                Ok(()) => return,
                Err(ready) => tokio::time::sleep_until(ready.into()).await,
            }
        }
    }

    /// What follows from an answer; a limit of the rate is remembered.
    async fn checked<T>(&self, bucket: Bucket, answer: Result<T, Error>) -> Result<T, SendError> {
        if let Err(Error::RateLimited { after }) = &answer {
            let now = Instant::now();
            self.buckets.lock().await.limited(&bucket, now, now + *after);
        }
        answer.map_err(failed)
    }
}

fn failed(error: Error) -> SendError {
    let fault = match &error {
        Error::RateLimited { after } => Fault::Away { retry_after: Some(*after) },
        Error::Ambiguous { .. } | Error::Malformed { .. } => Fault::Away { retry_after: Some(SETTLES_WITHIN) },
        // An operator has to act; then all messages are accepted, so that none is given up meanwhile.
        Error::Transient { .. } | Error::Refused { .. } => Fault::Away { retry_after: None },
    };
    SendError { text: error.to_string(), fault }
}

/// The bucket of posts to a channel. A sender is of one workspace.
fn post_bucket(channel: &str) -> Bucket {
    Bucket::Post { workspace: String::new(), channel: channel.to_owned() }
}

/// The message that [`Sender::send`] returned.
fn parse(external_ref: &str) -> Option<Posted> {
    let (channel, ts) = external_ref.split_once(' ')?;
    Some(Posted { channel: channel.to_owned(), ts: ts.to_owned() })
}

fn mark(severity: &str) -> &'static str {
    match severity {
        "critical" => ":red_circle: ",
        "warning" => ":large_orange_circle: ",
        _ => "",
    }
}

fn now_ms() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}
