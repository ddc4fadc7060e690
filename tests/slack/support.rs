//! A fake workspace, and clients of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watchtower_slack::{Client, Found, LookUp, Message, Metadata, Options, Posted, Webhook};
use watchtower_testing::fakes::slack::{CHANNELS_HISTORY, CHAT_WRITE, FILES_WRITE, FakeSlack, Limits};

/// All scopes that the client needs.
pub(super) const SCOPES: [&str; 3] = [CHAT_WRITE, CHANNELS_HISTORY, FILES_WRITE];

/// A workspace with one channel and one bot in it.
pub(super) struct Fixture {
    pub(super) slack: FakeSlack,
    pub(super) channel: String,
    pub(super) token: String,
    pub(super) client: Client,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// With limits that no test reaches.
    pub(super) fn unlimited() -> Self {
        Self::with_limits(Limits { post_burst: 1_000_000, tier_3: 1_000_000, ..Limits::default() })
    }

    /// With limits that no test reaches, and a client that does not wait long for an answer.
    pub(super) fn impatient() -> Self {
        let fixture = Self::unlimited();
        let options = impatient(&fixture.slack.base_url());
        let client = Client::new(fixture.token.clone().into(), &options).unwrap();
        Self { client, ..fixture }
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let slack = FakeSlack::with_limits(limits);
        let channel = slack.add_channel("alerts");
        let token = slack.add_bot(&SCOPES, &[&channel]);
        let client = client(&slack, &token);
        Self { slack, channel, token, client }
    }

    /// Posts a text without anything else.
    pub(super) async fn post(&self, text: &str) -> Posted {
        self.client.post(&self.message(text)).await.unwrap()
    }

    /// A text for the channel.
    pub(super) fn message<'a>(&'a self, text: &'a str) -> Message<'a> {
        Message { channel: &self.channel, text, blocks: None, thread_ts: None, metadata: None }
    }

    /// A look-up in the channel of what was posted in the last minute.
    pub(super) async fn find(&self, metadata: &Metadata, thread_ts: Option<&str>) -> Option<Found> {
        let look_up = LookUp { channel: &self.channel, thread_ts, metadata, oldest_ms: now_ms() - 60_000 };
        self.client.find(&look_up).await.unwrap()
    }

    /// A webhook of the channel.
    pub(super) fn webhook(&self, options: &Options) -> Webhook {
        Webhook::new(self.slack.add_webhook(&self.channel).into(), options).unwrap()
    }

    /// The texts in the channel.
    pub(super) fn texts(&self) -> Vec<String> {
        self.slack.messages(&self.channel).into_iter().map(|message| message.text).collect()
    }
}

/// A server on this machine, which other tests keep busy.
pub(super) fn options(base_url: &str) -> Options {
    Options { base_url: base_url.to_owned(), ..Options::default() }
}

/// Short time limits, for tests with a server that does not answer.
pub(super) fn impatient(base_url: &str) -> Options {
    let (connect_timeout, timeout) = (Duration::from_millis(1500), Duration::from_secs(2));
    Options { connect_timeout, timeout, ..options(base_url) }
}

pub(super) fn client(slack: &FakeSlack, token: &str) -> Client {
    Client::new(token.to_owned().into(), &options(&slack.base_url())).unwrap()
}

/// Metadata of an alert.
pub(super) fn metadata(subject: &str) -> Metadata {
    Metadata::new("watchtower_alert", [("subject", subject), ("revision", "7")]).unwrap()
}

/// The time of this machine, epoch milliseconds.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}
