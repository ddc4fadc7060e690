//! `[notify]` and `[[channel]]` of the configuration.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use watchtower_auth::guard::AddressGuard;

/// Names of channels that need no definition: one line of the program's log, and nothing at all.
pub const BUILT_IN: [(&str, ChannelKind); 2] = [("log", ChannelKind::Log), ("discard", ChannelKind::Discard)];

/// The section `[notify]`, and the channels.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether `watchtower run` delivers, too; None: if there is a rule or a channel.
    pub enabled: Option<bool>,
    /// How long deliveries and dead rows are kept: an alert whose delivery is older is not corrected any more.
    pub keep: Duration,
    /// How long a delivery is attempted, at least.
    pub give_up_after: Duration,
    /// How long an endpoint may fail until it is disabled.
    pub disable_after: Duration,
    /// Channels that are told when an endpoint is disabled.
    pub operators: Vec<String>,
    /// The configured channels.
    pub channels: Vec<Channel>,
}

impl Default for Options {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self {
            enabled: None,
            keep: hours(30 * 24),
            give_up_after: hours(72),
            disable_after: hours(5 * 24),
            operators: vec!["log".to_owned()],
            channels: Vec::new(),
        }
    }
}

impl Options {
    /// Whether `watchtower run` delivers; `has_rules`: the configuration has rules.
    pub fn is_enabled(&self, has_rules: bool) -> bool {
        self.enabled.unwrap_or(has_rules || !self.channels.is_empty())
    }

    /// The configured channels, and those that need no definition.
    pub fn all_channels(&self) -> Vec<Channel> {
        let is_defined = |id: &str| self.channels.iter().any(|channel| channel.id == id);
        let built_in = BUILT_IN.into_iter().filter(|(id, _)| !is_defined(id));
        let built_in = built_in.map(|(id, kind)| Channel::new(id, kind));
        self.channels.iter().cloned().chain(built_in).collect()
    }
}

/// A `[[channel]]`: an endpoint, by the name that rules have for it in `to`.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub id: String,
    /// What it is, and where.
    pub kind: ChannelKind,
    /// Time limit of an attempt, from the connection to the end of the answer.
    pub timeout: Duration,
    /// Greatest number of attempts at once, each of another subject.
    pub concurrency: usize,
}

impl Channel {
    /// Time limit of an attempt unless configured.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// Attempts at once unless configured.
    pub const CONCURRENCY: usize = 32;

    /// A channel with the limits it has unless configured.
    pub fn new(id: &str, kind: ChannelKind) -> Self {
        Self { id: id.to_owned(), kind, timeout: Self::TIMEOUT, concurrency: Self::CONCURRENCY }
    }
}

/// The kind of a channel, with its address.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// HTTP POST, signed.
    Webhook(Webhook),
    /// Mail over SMTP.
    Email(Email),
    /// A stream and a pub/sub channel of Redis.
    Redis(Redis),
    /// NOTIFY in the database of the tables.
    Postgres(Postgres),
    /// Messages of a Slack channel.
    Slack(Slack),
    /// A line of the program's log.
    Log,
    /// Nothing is sent.
    Discard,
}

impl ChannelKind {
    /// Names of the kinds, as they are configured.
    pub const NAMES: [&'static str; 7] = ["webhook", "email", "redis", "postgres", "slack", "log", "discard"];

    /// Name of the kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Email(_) => "email",
            Self::Redis(_) => "redis",
            Self::Postgres(_) => "postgres",
            Self::Slack(_) => "slack",
            Self::Log => "log",
            Self::Discard => "discard",
        }
    }
}

/// A receiver of webhooks.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its address, `https` or `http`. May hold a secret: it is never printed.
    pub url: SecretString,
    /// Keys of the signatures, at most a few: several while a secret is being replaced; none: nothing is signed.
    pub keys: Keys,
    /// What the body is.
    pub format: Format,
    /// Addresses that may be connected to.
    pub guard: AddressGuard,
    /// Names and values of further headers.
    pub headers: Vec<(String, SecretString)>,
    /// PEM file of the authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Webhook {
    /// Whether an address can be one of a receiver.
    ///
    /// # Errors
    /// What is wrong with it; it is not repeated.
    pub fn check_url(url: &SecretString) -> Result<(), &'static str> {
        let parsed =
            Url::parse(url.expose_secret()).map_err(|_| "expected a URL such as https://example.org/alerts")?;
        match (parsed.scheme(), parsed.host_str()) {
            ("https" | "http", Some(host)) if !host.is_empty() => Ok(()),
            _ => Err("expected a URL of https or http"),
        }
    }
}

/// Keys of signatures; never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys(pub Vec<Vec<u8>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

/// What the body of a webhook is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The envelope of [`watchtower_core::outbox::schema`].
    #[default]
    Native,
    /// A notification of a geofence of Tile38; corrections have no form there and are not sent.
    Tile38,
    /// A forwarded event of Traccar; corrections have no form there and are not sent.
    Traccar,
}

impl Format {
    /// All formats by the names that the configuration has for them.
    pub const NAMES: [(&'static str, Self); 3] =
        [("native", Self::Native), ("tile38", Self::Tile38), ("traccar", Self::Traccar)];
}

/// Mail.
#[derive(Clone, Debug)]
pub struct Email {
    /// `smtps://[user:password@]host[:port]`, or `smtp://` with `?tls=required` (STARTTLS), `?tls=opportunistic`, or
    /// neither. May hold a password: it is never printed.
    pub url: SecretString,
    /// Sender, as `Watch Tower <alerts@example.org>`.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// PEM file of the authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Email {
    /// Whether the addresses can be used.
    ///
    /// # Errors
    /// The key, and what is wrong with it; no URL is repeated.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { url, from, to, ca_file: _ } = self;
        AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_| ("url", "expected smtps://user:password@host:port, or smtp://".to_owned()))?;
        let mailbox = |text: &String| text.parse::<Mailbox>().map(drop).map_err(|error| format!("{text}: {error}"));
        mailbox(from).map_err(|fault| ("from", fault))?;
        to.iter().try_for_each(mailbox).map_err(|fault| ("to", fault))
    }
}

/// A Redis.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Its address; that of the log if none is configured. May hold a password: it is never printed.
    pub url: SecretString,
    /// PEM file of the authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Stream and pub/sub channel; None: `wt:<pipeline>:alerts`.
    pub key: Option<String>,
    /// About how many entries the stream keeps.
    pub max_entries: u64,
}

impl Redis {
    /// Entries of the stream unless configured.
    pub const MAX_ENTRIES: u64 = 100_000;
}

/// NOTIFY in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Name of the channel of LISTEN.
    pub channel: String,
}

/// A Slack channel: through an incoming webhook, or with a bot token.
#[derive(Clone, Debug)]
pub struct Slack {
    /// Address of an incoming webhook.
    pub webhook_url: Option<SecretString>,
    /// Bot token, with `channel`.
    pub token: Option<SecretString>,
    /// Channel that the bot posts to.
    pub channel: Option<String>,
    /// Address of the API, of Slack itself or of a stand-in.
    pub base_url: String,
}

impl Slack {
    /// Address of Slack's API.
    pub const BASE_URL: &'static str = "https://slack.com/api/";
}
