//! `[[channel]]`: where alerts are delivered to.

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;
use watchtower_auth::guard::{AddressGuard, Network};
use watchtower_notify::{Channel, ChannelKind, Email, Format, Keys, Postgres, Redis, Slack, Webhook};

use super::feeds::{headers, secret};
use super::gateway::{secrets, secrets_file};
use super::kinds::{self, Value, Wrong, either, text, wrong};
use super::reader::Entry;
use super::source_kinds::source_name;
use super::urls;

/// The longest time limit of an attempt, milliseconds.
const MAX_TIMEOUT_MS: i64 = 60_000;
/// Longest name of a channel of LISTEN, bytes.
const MAX_LISTEN_BYTES: usize = 63;

/// Keys of the kinds. A key of another kind is refused: it would mean nothing.
const KEYS: [(&str, &[&str]); 7] = [
    ("webhook", &["url", "secrets", "secrets_file", "format", "allow", "headers", "ca_file"]),
    ("email", &["url", "from", "to", "ca_file"]),
    ("redis", &["url", "key", "max_entries", "ca_file"]),
    ("postgres", &["channel"]),
    ("slack", &["webhook_url", "token", "channel", "base_url"]),
    ("log", &[]),
    ("discard", &[]),
];

/// Reads a channel; `None` if what it is cannot be told.
pub(super) fn channel(entry: &mut Entry<'_>) -> Option<Channel> {
    let id = entry.read("id", String::new(), source_name);
    if !entry.has("id") {
        entry.problem_at("id", "missing; rules name the channel by it in `to`");
    }
    let names: Vec<(&str, &str)> = ChannelKind::NAMES.map(|name| (name, name)).to_vec();
    let kind = entry.read("kind", "", kinds::choice(&names));
    let timeout = entry.read("timeout", Channel::TIMEOUT, kinds::span(100..=MAX_TIMEOUT_MS));
    let concurrency = entry.read("concurrency", Channel::CONCURRENCY, kinds::whole(1..=256));
    if !entry.has("kind") {
        entry.problem_at(
            "kind",
            &format!("missing; expected {}", either(ChannelKind::NAMES.map(|name| format!("{name:?}")))),
        );
    }
    let own = KEYS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| keys);
    for key in KEYS.iter().flat_map(|(_, keys)| *keys) {
        entry.declare(key);
        if entry.has(key) && !kind.is_empty() && !own.contains(key) {
            let kinds = KEYS.iter().filter(|(_, keys)| keys.contains(key)).map(|(name, _)| format!("{name:?}"));
            entry.problem_at(key, &format!("this is a key of channels of kind {}", either(kinds)));
        }
    }
    let kind = match kind {
        "webhook" => ChannelKind::Webhook(webhook(entry)?),
        "email" => ChannelKind::Email(email(entry)?),
        "redis" => ChannelKind::Redis(redis(entry)?),
        "postgres" => ChannelKind::Postgres(postgres(entry)),
        "slack" => ChannelKind::Slack(slack(entry)),
        "log" => ChannelKind::Log,
        "discard" => ChannelKind::Discard,
        _ => return None,
    };
    Some(Channel { id, kind, timeout, concurrency })
}

/// The value of a key that a kind needs; a problem if it is missing.
fn required(entry: &mut Entry<'_>, key: &'static str, hint: &str) -> Option<SecretString> {
    let found = entry.read(key, None, |value| secret(value, hint).map(Some));
    if !entry.has(key) {
        entry.problem_at(key, &format!("missing; expected {hint}"));
    }
    found
}

fn webhook(entry: &mut Entry<'_>) -> Option<Webhook> {
    let url = required(entry, "url", "the address of the receiver, such as \"https://example.org/alerts\"");
    if let Some(url) = &url
        && let Err(fault) = Webhook::check_url(url)
    {
        entry.problem_at("url", fault);
    }
    let listed = entry.read("secrets", Vec::new(), secrets);
    let of_file = entry.read("secrets_file", Vec::new(), secrets_file);
    Some(Webhook {
        keys: Keys(listed.into_iter().chain(of_file).collect()),
        format: entry.read("format", Format::default(), kinds::choice(&Format::NAMES)),
        guard: AddressGuard { allowed: entry.read("allow", Vec::new(), networks) },
        headers: entry.read("headers", Vec::new(), headers),
        ca_file: entry.read("ca_file", None, kinds::file),
        url: url?,
    })
}

fn email(entry: &mut Entry<'_>) -> Option<Email> {
    let url = required(entry, "url", "a mail server, such as \"smtps://user:password@mail.example.org\"");
    let from = required(entry, "from", "the sender, such as \"Watch Tower <alerts@example.org>\"");
    let to = entry.read("to", Vec::new(), texts);
    if !entry.has("to") {
        entry.problem_at("to", "missing; expected recipients, such as [\"ops@example.org\"]");
    }
    let email = Email {
        url: url?,
        from: from?.expose_secret().to_owned(),
        to,
        ca_file: entry.read("ca_file", None, kinds::file),
    };
    if let Err((key, fault)) = email.check() {
        entry.problem_at(key, &fault);
    }
    Some(email)
}

fn redis(entry: &mut Entry<'_>) -> Option<Redis> {
    let url = entry.read("url", None, |value| urls::redis_url(value).map(Some));
    if !entry.has("url") {
        entry.problem_at("url", "missing; expected redis://user:password@host:port/database (rediss:// with TLS)");
    }
    Some(Redis {
        url: url?,
        ca_file: entry.read("ca_file", None, kinds::file),
        key: entry.read("key", None, |value| text(value, "the key of a stream").map(|key| Some(key.to_owned()))),
        max_entries: entry.read("max_entries", Redis::MAX_ENTRIES, kinds::whole(1..=1_000_000_000)),
    })
}

fn postgres(entry: &mut Entry<'_>) -> Postgres {
    let expected = "the name of a channel of LISTEN, at most 63 bytes";
    let channel = entry.read("channel", "watchtower_alerts".to_owned(), |value| {
        let name = text(value, expected)?;
        let is_name = (1..=MAX_LISTEN_BYTES).contains(&name.len()) && !name.contains(char::is_control);
        if is_name { Ok(name.to_owned()) } else { Err(wrong(expected, value)) }
    });
    Postgres { channel }
}

fn slack(entry: &mut Entry<'_>) -> Slack {
    let slack = Slack {
        webhook_url: entry.read("webhook_url", None, |value| secret(value, "the address of a webhook").map(Some)),
        token: entry.read("token", None, |value| secret(value, "a bot token").map(Some)),
        channel: entry
            .read("channel", None, |value| text(value, "a channel of Slack").map(|name| Some(name.to_owned()))),
        base_url: entry.read("base_url", Slack::BASE_URL.to_owned(), |value| text(value, "a URL").map(str::to_owned)),
    };
    match (&slack.webhook_url, &slack.token, &slack.channel) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => {}
        (Some(_), _, _) => entry.problem_at("webhook_url", "expected either `webhook_url`, or `token` and `channel`"),
        (None, Some(_), None) => entry.problem_at("channel", "missing; the bot of `token` posts to it"),
        (None, None, _) => entry.problem_at("token", "missing; expected `webhook_url`, or `token` and `channel`"),
    }
    slack
}

/// Networks that a receiver may be in although they are not public.
fn networks(value: Value<'_>) -> Result<Vec<Network>, Wrong> {
    texts(value)?
        .iter()
        .map(|text| text.parse::<Network>().map_err(|fault| format!("{fault}, found {text:?}")))
        .collect()
}

/// A list of texts, or one.
fn texts(value: Value<'_>) -> Result<Vec<String>, Wrong> {
    let expected = "a text or a list of texts";
    let Value::Toml(DeValue::Array(items)) = value else { return Ok(vec![text(value, expected)?.to_owned()]) };
    let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
    texts.map(|texts| texts.into_iter().map(str::to_owned).collect()).ok_or_else(|| wrong(expected, value))
}
