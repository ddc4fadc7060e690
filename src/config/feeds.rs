//! `[[source]]` with `url` or `mqtt`: what is fetched or subscribed to.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;
use watchtower_core::events::Limits;
use watchtower_gateway::Options;
use watchtower_gateway::feeds::{Content, Feed, Mqtt, Poll, Supply, check_broker, check_url};
use watchtower_inputs::messages::{Format, RECORD_FIELDS, Records, is_pointer};

use super::duration::{DAY_MS, MINUTE_MS};
use super::kinds::{self, Value, Wrong, either, text, wrong};
use super::nearest::nearest;
use super::reader::Entry;
use super::source_kinds::{header, source_name, speed_unit, vehicle_id, zone};

/// The name of the format of JSON records at configured places.
const RECORDS: &str = "json";
/// What stands for the cursor in a URL or a body.
const CURSOR: &str = "{cursor}";
/// Wait between two fetches unless configured.
const EVERY: Duration = Duration::from_secs(30);
/// Time limit for a request unless configured.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Keys of a source that sends: another way to get its data has none of them.
const OF_SENDERS: [&str; 7] =
    ["trust", "secrets", "secrets_file", "signature_header", "delivery_header", "remember", "max_rate"];
/// Keys of a source that is polled.
const OF_POLLS: [&str; 10] =
    ["every", "timeout", "headers", "body", "first_cursor", "records", "each", "fields", "next_cursor", "more"];
/// Keys of a subscription.
const OF_MQTT: [&str; 4] = ["topics", "client_id", "username", "password"];

/// Whether a source is fetched or subscribed to.
pub(super) fn is_feed(entry: &Entry<'_>) -> bool {
    entry.has("url") || entry.has("mqtt")
}

/// Declares the keys of feeds in a source that sends, so that a misspelt `url` is explained, and refuses those that are
/// set: without `url` or `mqtt` they mean nothing.
pub(super) fn refuse_keys(entry: &mut Entry<'_>) {
    for key in ["url", "mqtt"] {
        entry.declare(key);
    }
    for key in OF_POLLS.into_iter().chain(OF_MQTT).chain(["ca_file"]) {
        entry.declare(key);
        if entry.has(key) {
            entry.problem_at(key, "this is a key of sources with `url` or `mqtt`");
        }
    }
}

/// Reads a source that is fetched or subscribed to.
pub(super) fn feed(entry: &mut Entry<'_>, gateway: &Options) -> Feed {
    let name = entry.read("name", String::new(), source_name);
    if !entry.has("name") {
        entry.problem_at("name", "missing; the log and the lease name the source by it");
    }
    for key in OF_SENDERS.into_iter().chain(["vessel_names"]) {
        entry.declare(key);
        if entry.has(key) {
            entry.problem_at(key, "this is a key of sources that send; this one has `url` or `mqtt`");
        }
    }
    if entry.has("url") && entry.has("mqtt") {
        entry.problem_at("mqtt", "expected either `url` or `mqtt`");
    }
    let supply = if entry.has("mqtt") { subscription(entry) } else { poll(entry) };
    let feed = Feed {
        name,
        supply,
        time_zone: entry.read("time_zone", None, zone),
        speed_unit: entry.read("speed_unit", None, speed_unit),
        vehicle_id: entry.read("vehicle_id", None, vehicle_id),
    };
    for (missing, why) in missing(&feed, gateway) {
        if !entry.has(missing) {
            entry.problem_at(missing, &why);
        }
    }
    feed
}

/// Settings without which no record could be read, and why.
fn missing(feed: &Feed, gateway: &Options) -> Vec<(&'static str, String)> {
    let reading = feed.reading(gateway, &Limits::default());
    let Supply::Poll(poll) = &feed.supply else { return Vec::new() };
    match &poll.content {
        Content::Snapshot(format) => {
            let why = format!("missing; messages of format {} leave it open", format.name());
            reading.missing_for(*format).into_iter().map(|key| (key, why.clone())).collect()
        }
        Content::Records(records) => {
            let has = |field: &str| records.fields.iter().any(|(name, _)| name == field);
            let speed = has("speed") && feed.speed_unit.is_none();
            let speed = speed.then(|| ("speed_unit", "missing; it is the unit of the field speed".to_owned()));
            let nameless = !has("vehicle_id") && feed.vehicle_id.is_none();
            let nameless = nameless.then(|| ("vehicle_id", "missing, here or in fields".to_owned()));
            speed.into_iter().chain(nameless).collect()
        }
    }
}

fn poll(entry: &mut Entry<'_>) -> Supply {
    let formats: Vec<(&str, Option<Format>)> =
        Format::ALL.into_iter().map(|format| (format.name(), Some(format))).chain([(RECORDS, None)]).collect();
    let format = entry.read("format", Some(Format::GtfsRealtime), kinds::choice(&formats));
    if !entry.has("format") {
        let names = either(formats.iter().map(|(name, _)| format!("{name:?}")));
        entry.problem_at("format", &format!("missing; expected {names}"));
    }
    let url = entry.read("url", SecretString::default(), |value| {
        let url = secret(value, "a URL")?;
        check_url(url.expose_secret())?;
        Ok(url)
    });
    let body = entry.read("body", None, |value| secret(value, "a text").map(Some));
    for key in OF_MQTT {
        entry.declare(key);
        if entry.has(key) {
            entry.problem_at(key, "this is a key of sources with `mqtt`");
        }
    }
    let has_cursor =
        [Some(&url), body.as_ref()].into_iter().flatten().any(|text| text.expose_secret().contains(CURSOR));
    let content = content(entry, format, has_cursor);
    Supply::Poll(Box::new(Poll {
        url,
        headers: entry.read("headers", Vec::new(), headers),
        body,
        ca_file: entry.read("ca_file", None, kinds::file),
        content,
        first_cursor: entry.read("first_cursor", String::new(), |value| text(value, "a text").map(str::to_owned)),
        every: entry.read("every", EVERY, kinds::span(100..=DAY_MS)),
        timeout: entry.read("timeout", TIMEOUT, kinds::span(100..=10 * MINUTE_MS)),
    }))
}

fn content(entry: &mut Entry<'_>, format: Option<Format>, has_cursor: bool) -> Content {
    let records = Records {
        records: entry.read("records", String::new(), pointer),
        each: entry.read("each", None, |value| pointer(value).map(Some)),
        fields: entry.read("fields", Vec::new(), fields),
        next_cursor: entry.read("next_cursor", None, |value| pointer(value).map(Some)),
        more: entry.read("more", None, |value| pointer(value).map(Some)),
    };
    if let Some(format) = format {
        for key in ["records", "each", "fields", "next_cursor", "more", "first_cursor"] {
            if entry.has(key) {
                entry.problem_at(key, &format!("this is a key of format {RECORDS:?}"));
            }
        }
        if has_cursor {
            entry.problem_at("url", &format!("{CURSOR} needs format {RECORDS:?}"));
        }
        return Content::Snapshot(format);
    }
    if !entry.has("records") {
        entry.problem_at("records", "missing; a JSON pointer to the array, as \"/data\", or \"\" for the whole answer");
    }
    for field in ["ts", "lon", "lat"] {
        if !records.fields.iter().any(|(name, _)| name == field) {
            entry.problem_at("fields", &format!("{field} is missing, as {field} = \"/pointer\""));
            break;
        }
    }
    match (has_cursor, records.next_cursor.is_some()) {
        (true, false) => entry.problem_at("next_cursor", &format!("missing; the next {CURSOR} is read there")),
        (false, true) => entry.problem_at("url", &format!("expected {CURSOR} in it, or in body: next_cursor is set")),
        (true, true) | (false, false) => {}
    }
    Content::Records(records)
}

fn subscription(entry: &mut Entry<'_>) -> Supply {
    for key in OF_POLLS.into_iter().chain(["url"]) {
        entry.declare(key);
        if entry.has(key) && key != "url" {
            entry.problem_at(key, "this is a key of sources with `url`");
        }
    }
    let owntracks = [(Format::OwnTracks.name(), ())];
    entry.read("format", (), kinds::choice(&owntracks));
    if !entry.has("format") {
        entry.problem_at("format", "missing; expected \"owntracks\"");
    }
    let broker = |value: Value<'_>| check_broker(text(value, "mqtt://host:1883")?);
    let (host, port, tls) = entry.read("mqtt", (String::new(), 0, false), broker);
    let topics = entry.read("topics", Vec::new(), topics);
    if !entry.has("topics") {
        entry.problem_at("topics", "missing; for example [\"owntracks/+/+\"]");
    }
    let username = entry.read("username", None, |value| secret(value, "a user").map(Some));
    let password = entry.read("password", None, |value| secret(value, "a text").map(Some));
    if entry.has("username") != entry.has("password") {
        entry.problem_at("password", "expected username and password together");
    }
    let client_id = entry.read("client_id", None, |value| {
        let expected = "an identifier of 1 to 64 printable characters";
        let id = text(value, expected)?;
        let fine = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if fine { Ok(Some(id.to_owned())) } else { Err(wrong(expected, value)) }
    });
    Supply::Mqtt(Box::new(Mqtt {
        host,
        port,
        tls,
        ca_file: entry.read("ca_file", None, kinds::file),
        topics,
        client_id,
        credentials: username.zip(password).map(|(user, password)| (user.expose_secret().to_owned(), password)),
    }))
}

/// A text in which `${NAME}` stands for a variable of the environment. Neither is repeated in a fault.
pub(super) fn secret(value: Value<'_>, expected: &str) -> Result<SecretString, Wrong> {
    let Ok(written) = text(value, expected) else { return Err(format!("expected {expected}, in quotes")) };
    expanded(written, |name| std::env::var(name).ok()).map(SecretString::from)
}

fn expanded(written: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, Wrong> {
    let mut parts = written.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or("expected a } after each ${")?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err("expected the name of a variable of the environment between ${ and }".to_owned());
        }
        let value = variable(name).ok_or_else(|| format!("the environment has no variable {name}"))?;
        out.push_str(value.trim());
        out.push_str(rest);
    }
    Ok(out)
}

/// The pairs of a table of texts.
fn table<'a>(value: Value<'a>, expected: &str) -> Result<Vec<(String, Value<'a>)>, Wrong> {
    let Value::Toml(DeValue::Table(members)) = value else { return Err(format!("expected {expected}")) };
    let pairs = members.iter().map(|(name, value)| (name.get_ref().to_string(), Value::Toml(value.get_ref())));
    Ok(pairs.collect())
}

pub(super) fn headers(value: Value<'_>) -> Result<Vec<(String, SecretString)>, Wrong> {
    let pairs = table(value, "a table such as { Authorization = \"Bearer ${TOKEN}\" }")?;
    let pair = |(name, value): (String, Value<'_>)| {
        let name = header(Value::Variable(&name))?;
        let value = secret(value, "the value of a header").map_err(|wrong| format!("{name}: {wrong}"))?;
        let fine = value.expose_secret().bytes().all(|byte| byte == b'\t' || (32..=126).contains(&byte));
        if fine { Ok((name, value)) } else { Err(format!("{name}: expected printable ASCII characters")) }
    };
    pairs.into_iter().map(pair).collect()
}

fn fields(value: Value<'_>) -> Result<Vec<(String, String)>, Wrong> {
    let example =
        "a table such as { vehicle_id = \"/device/id\", ts = \"/time\", lon = \"/longitude\", lat = \"/latitude\" }";
    let pair = |(name, value): (String, Value<'_>)| {
        if !RECORD_FIELDS.contains(&name.as_str()) {
            let meant = kinds::did_you_mean(nearest(&name, RECORD_FIELDS));
            return Err(format!("expected {} as names{meant}", either(RECORD_FIELDS)));
        }
        let pointer = pointer(value).map_err(|wrong| format!("{name}: {wrong}"))?;
        Ok((name, pointer))
    };
    table(value, example)?.into_iter().map(pair).collect()
}

fn pointer(value: Value<'_>) -> Result<String, Wrong> {
    let expected = "a JSON pointer such as \"/result/data\"";
    let found = text(value, expected)?;
    if is_pointer(found) { Ok(found.to_owned()) } else { Err(wrong(expected, value)) }
}

fn topics(value: Value<'_>) -> Result<Vec<String>, Wrong> {
    let expected = "a list of topic filters such as [\"owntracks/+/+\"]";
    let Value::Toml(DeValue::Array(items)) = value else { return Err(wrong(expected, value)) };
    let topics: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
    let topics = topics.filter(|topics| !topics.is_empty()).ok_or_else(|| format!("expected {expected}"))?;
    match topics.iter().find(|topic| !is_filter(topic)) {
        Some(_) => Err(format!("expected {expected}: + stands for one level, # for all from there on, at the end")),
        None => Ok(topics.into_iter().map(str::to_owned).collect()),
    }
}

/// Whether a text is a topic filter of MQTT.
fn is_filter(topic: &str) -> bool {
    let mut levels = topic.split('/').rev();
    let last = levels.next().unwrap_or_default();
    let plain = |level: &str| level == "+" || !level.contains(['+', '#']);
    let fits = !topic.is_empty() && topic.len() <= 1024 && !topic.contains('\0');
    fits && (last == "#" || plain(last)) && levels.all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_environment_are_put_in() {
        let variable = |name: &str| (name == "TOKEN").then(|| "t0\n".to_owned());
        assert_eq!(expanded("Bearer ${TOKEN}!", variable), Ok("Bearer t0!".to_owned()));
        assert_eq!(expanded("{cursor} $5 $", variable), Ok("{cursor} $5 $".to_owned()));
        assert_eq!(expanded("${OTHER}", variable), Err("the environment has no variable OTHER".to_owned()));
        assert!(expanded("${TOKEN", variable).is_err() && expanded("${a b}", variable).is_err());
    }

    #[test]
    fn filters_of_topics() {
        assert!(["owntracks/+/+", "owntracks/#", "#", "a/b"].into_iter().all(is_filter));
        assert!(!["", "owntracks/#/a", "a+", "a/b#"].into_iter().any(is_filter));
    }
}
