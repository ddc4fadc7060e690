//! `[gateway]` and `[[source]]`: what is sent over HTTP, and by whom.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;
use watchtower_auth::signature::{self, Encoding, Scheme};
use watchtower_core::events::Limits;
use watchtower_gateway::{Keys, Options, Source, Trust};
use watchtower_inputs::messages::Format;

use super::duration::{DAY_MS, HOUR_MS, MINUTE_MS, format_ms};
use super::feeds;
use super::key::Key;
use super::kinds::{self, Value, Wrong, either, text};
use super::reader::{Entry, Reader};
use super::source_kinds::{header, source_name, speed_unit, vehicle_id, zone};

/// The largest body that may be allowed, as sent or inflated, bytes; all of it is held in memory.
const MAX_BODY_BYTES: i64 = 256 << 20;
/// The greatest depth of JSON that may be allowed: the parser's own limit.
const MAX_DEPTH: i64 = 127;
/// The ways to authenticate, as they are written.
const TRUSTS: [(&str, TrustKind); 9] = [
    ("none", TrustKind::None),
    ("token", TrustKind::Token),
    ("bearer", TrustKind::Bearer),
    ("basic", TrustKind::Basic),
    ("path", TrustKind::Path),
    ("standard-webhooks", TrustKind::StandardWebhooks),
    ("github", TrustKind::GitHub),
    ("slack", TrustKind::Slack),
    ("hmac", TrustKind::Hmac),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrustKind {
    None,
    Token,
    Bearer,
    Basic,
    Path,
    StandardWebhooks,
    GitHub,
    Slack,
    Hmac,
}

impl TrustKind {
    fn is_signed(self) -> bool {
        matches!(self, Self::StandardWebhooks | Self::GitHub | Self::Slack | Self::Hmac)
    }
}

/// Reads both.
pub(super) fn gateway(reader: &mut Reader<'_>) -> Options {
    let key = |name| Key { section: "gateway", name };
    let default = Options::default();
    let size = || kinds::whole(1024..=MAX_BODY_BYTES);
    let time = || kinds::span(10..=HOUR_MS);
    let options = Options {
        enabled: reader.read(key("enabled"), default.enabled, kinds::boolean),
        listen: reader.read(key("listen"), default.listen, kinds::address),
        metrics: reader.read(key("metrics"), default.metrics, metrics_address),
        require_tokens: reader.read(key("require_tokens"), default.require_tokens, kinds::boolean),
        tls_certificate: reader.read(key("tls_certificate"), default.tls_certificate, kinds::file),
        tls_key: reader.read(key("tls_key"), default.tls_key, kinds::file),
        max_body_bytes: reader.read(key("max_body"), default.max_body_bytes, size()),
        max_inflated_bytes: reader.read(key("max_inflated"), default.max_inflated_bytes, size()),
        max_json_depth: reader.read(key("max_json_depth"), default.max_json_depth, kinds::whole(8..=MAX_DEPTH)),
        max_events: reader.read(key("max_events"), default.max_events, kinds::whole(1..=1_000_000)),
        header_timeout: reader.read(key("header_timeout"), default.header_timeout, time()),
        read_timeout: reader.read(key("read_timeout"), default.read_timeout, time()),
        max_connections: reader.read(key("max_connections"), default.max_connections, kinds::whole(1..=1_000_000)),
        max_rate: reader.read(key("max_rate"), default.max_rate, kinds::whole(0..=1_000_000)),
        max_ids: reader.read(key("max_ids"), default.max_ids, kinds::whole(1..=u32::MAX.into())),
        sources: Vec::new(),
        feeds: Vec::new(),
    };
    let both = options.tls_certificate.is_some() == options.tls_key.is_some();
    reader.demand(&[key("tls_certificate"), key("tls_key")], both, || {
        "tls_certificate and tls_key must be set together: a certificate is of no use without its key".to_owned()
    });
    let mut names = Vec::new();
    let mut feeds = Vec::new();
    let sources = reader.list("source", |entry| {
        let feed = feeds::is_feed(entry).then(|| feeds::feed(entry, &options));
        let source = feed.is_none().then(|| source(entry, &options));
        let name = [feed.as_ref().map(|feed| &feed.name), source.as_ref().map(|source| &source.name)];
        let name = name.into_iter().flatten().next().cloned().unwrap_or_default();
        if names.contains(&name) {
            entry.problem_at("name", "another source has this name");
        }
        names.push(name);
        feeds.extend(feed);
        source
    });
    Options { sources: sources.into_iter().flatten().collect(), feeds, ..options }
}

fn source(entry: &mut Entry<'_>, gateway: &Options) -> Source {
    feeds::refuse_keys(entry);
    let name = entry.read("name", String::new(), source_name);
    let formats: Vec<(&str, Format)> = Format::ALL.into_iter().map(|format| (format.name(), format)).collect();
    let format = entry.read("format", Format::Native, kinds::choice(&formats));
    for (key, hint) in [("name", "missing; its address is /in/<name>"), ("format", "missing"), ("trust", "missing")] {
        if !entry.has(key) {
            let formats = either(formats.iter().map(|(name, _)| format!("{name:?}")));
            let trusts = either(TRUSTS.iter().map(|(name, _)| format!("{name:?}")));
            let hint = match key {
                "format" => format!("{hint}; expected {formats}"),
                "trust" => format!("{hint}; expected {trusts}"),
                _ => hint.to_owned(),
            };
            entry.problem_at(key, &hint);
        }
    }
    let default = Source::of_format(format, Trust::Token);
    let source = Source {
        name,
        trust: trust(entry, gateway),
        delivery_header: entry.read("delivery_header", None, |value| header(value).map(Some)),
        remember: entry.read("remember", default.remember, kinds::span(MINUTE_MS..=30 * DAY_MS)),
        max_rate: entry.read("max_rate", None, |value| kinds::whole(0..=1_000_000)(value).map(Some)),
        time_zone: entry.read("time_zone", None, zone),
        speed_unit: entry.read("speed_unit", None, speed_unit),
        vehicle_id: entry.read("vehicle_id", None, vehicle_id),
        vessel_names: entry.read("vessel_names", default.vessel_names, kinds::boolean),
        ..default
    };
    for missing in source.reading(gateway, &Limits::default()).missing_for(format) {
        if !entry.has(missing) {
            entry.problem_at(missing, &format!("missing; messages of format {} leave it open", format.name()));
        }
    }
    source
}

fn trust(entry: &mut Entry<'_>, gateway: &Options) -> Trust {
    let kind = entry.read("trust", TrustKind::Token, kinds::choice(&TRUSTS));
    let listed = entry.read("secrets", Vec::new(), secrets);
    let of_file = entry.read("secrets_file", Vec::new(), secrets_file);
    let keys = Keys(listed.into_iter().chain(of_file).collect());
    let header = entry.read("signature_header", None, |value| header(value).map(Some));
    let prefix = entry.read("signature_prefix", String::new(), |value| text(value, "a text").map(str::to_owned));
    let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
    let encoding = entry.read("signature_encoding", Encoding::Hex, kinds::choice(&encodings));
    if kind.is_signed() && keys.0.is_empty() && !entry.has("secrets") && !entry.has("secrets_file") {
        entry.problem_at("secrets", "missing; a signature is verified with the secret that the sender has");
    }
    if !kind.is_signed() && !keys.0.is_empty() {
        entry.problem_at("secrets", "this trust has none; tokens are made by `watchtower token create`");
    }
    if kind == TrustKind::Hmac && header.is_none() {
        entry.problem_at("signature_header", "missing; it is the header that holds the signature");
    }
    if kind == TrustKind::None && !gateway.is_open() {
        let fault =
            "\"none\" is possible only while [gateway] listen is a loopback address and require_tokens is false";
        entry.problem_at("trust", fault);
    }
    match kind {
        TrustKind::None => Trust::None,
        TrustKind::Token => Trust::Token,
        TrustKind::Bearer => Trust::Bearer,
        TrustKind::Basic => Trust::Basic,
        TrustKind::Path => Trust::Path,
        TrustKind::StandardWebhooks => Trust::Signed(Scheme::StandardWebhooks, keys),
        TrustKind::GitHub => Trust::Signed(Scheme::GitHub, keys),
        TrustKind::Slack => Trust::Signed(Scheme::Slack, keys),
        TrustKind::Hmac => {
            let header = header.unwrap_or_default();
            Trust::Signed(Scheme::Plain { header, prefix, encoding }, keys)
        }
    }
}

/// The keys of secrets: a list of texts, or one. No secret is ever repeated in a fault.
pub(super) fn secrets(value: Value<'_>) -> Result<Vec<Vec<u8>>, Wrong> {
    let expected = || "expected a secret, or a list of secrets, in quotes".to_owned();
    let texts: Vec<&str> = match value {
        Value::Toml(DeValue::String(text)) => vec![text.as_ref()],
        Value::Toml(DeValue::Array(items)) => {
            let text = |item: &DeValue<'_>| matches!(item, DeValue::String(_));
            if !items.iter().all(|item| text(item.get_ref())) {
                return Err(expected());
            }
            items.iter().filter_map(|item| item.get_ref().as_str()).collect()
        }
        Value::Toml(_) | Value::Variable(_) => return Err(expected()),
    };
    keys(texts.into_iter())
}

pub(super) fn secrets_file(value: Value<'_>) -> Result<Vec<Vec<u8>>, Wrong> {
    let path = PathBuf::from(text(value, "the path of a file with a secret on each line")?.trim());
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    keys(text.lines().map(str::trim).filter(|line| !line.is_empty()))
}

fn keys<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<u8>>, Wrong> {
    let keys: Result<Vec<_>, _> = texts.map(signature::key).collect();
    match keys {
        Ok(keys) if keys.is_empty() => Err("expected at least one secret".to_owned()),
        Ok(keys) => Ok(keys),
        Err(fault) => Err(fault.to_owned()),
    }
}

/// An address; `""` is none.
fn metrics_address(value: Value<'_>) -> Result<Option<SocketAddr>, Wrong> {
    match text(value, "an IP address and a port, or \"\" for none") {
        Ok(found) if found.trim().is_empty() => Ok(None),
        _ => kinds::address(value).map(Some),
    }
}

/// `[gateway]` with its values from any source, and the names of the sources.
pub fn describe_gateway(options: &Options) -> String {
    let Options {
        enabled,
        listen,
        metrics,
        require_tokens,
        tls_certificate,
        tls_key,
        max_body_bytes,
        max_inflated_bytes,
        max_json_depth,
        max_events,
        header_timeout,
        read_timeout,
        max_connections,
        max_rate,
        max_ids,
        sources,
        feeds,
    } = options;
    let text = |text: &str| toml::Value::String(text.to_owned());
    let path =
        |path: &Option<PathBuf>| text(&path.as_ref().map_or_else(String::new, |path| path.display().to_string()));
    let span = |duration: &Duration| text(&format_ms(duration.as_millis() as i64));
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name} = {value}").expect("a string takes all that is written to it");
    };
    line("enabled", enabled);
    line("listen", &text(&listen.to_string()));
    line("metrics", &text(&metrics.map_or_else(String::new, |address| address.to_string())));
    line("require_tokens", require_tokens);
    line("tls_certificate", &path(tls_certificate));
    line("tls_key", &path(tls_key));
    line("max_body", max_body_bytes);
    line("max_inflated", max_inflated_bytes);
    line("max_json_depth", max_json_depth);
    line("max_events", max_events);
    line("header_timeout", &span(header_timeout));
    line("read_timeout", &span(read_timeout));
    line("max_connections", max_connections);
    line("max_rate", max_rate);
    line("max_ids", max_ids);
    for Source { name, format, .. } in sources {
        out.push_str(&format!("# source {name}: {}\n", format.name()));
    }
    for feed in feeds {
        out.push_str(&format!("# source {}: {}\n", feed.name, feed.supply));
    }
    format!("\n[gateway]\n{out}")
}
