//! `[notify]`: how alerts are delivered.

use std::fmt::Write;
use std::time::Duration;

use toml::de::DeValue;
use watchtower_notify::{BUILT_IN, Options};

use super::channels::channel;
use super::duration::{DAY_MS, HOUR_MS, MINUTE_MS, format_ms};
use super::key::Key;
use super::kinds::{self, Value, Wrong, did_you_mean, text, wrong};
use super::nearest::nearest;
use super::reader::Reader;

/// The longest that a delivery is kept or attempted: ten years.
const MAX_MS: i64 = 3650 * DAY_MS;

/// Reads it, and `[[channel]]`.
pub(super) fn notify(reader: &mut Reader<'_>) -> Options {
    let key = |name| Key { section: "notify", name };
    let default = Options::default();
    let options = Options {
        enabled: reader.read(key("enabled"), default.enabled, auto_or_boolean),
        keep: reader.read(key("keep"), default.keep, kinds::span(HOUR_MS..=MAX_MS)),
        give_up_after: reader.read(key("give_up_after"), default.give_up_after, kinds::span(MINUTE_MS..=MAX_MS)),
        disable_after: reader.read(key("disable_after"), default.disable_after, kinds::span(MINUTE_MS..=MAX_MS)),
        operators: reader.read(key("operators"), default.operators, names),
        channels: Vec::new(),
    };
    let mut ids = Vec::new();
    let channels = reader.list("channel", |entry| {
        let channel = channel(entry)?;
        if ids.contains(&channel.id) {
            entry.problem_at("id", "another [[channel]] has it too; each needs its own");
        }
        ids.push(channel.id.clone());
        Some(channel)
    });
    let options = Options { channels: channels.into_iter().flatten().collect(), ..options };
    for name in &options.operators {
        let unknown = unknown_channel(&options, name);
        reader.demand(&[key("operators")], unknown.is_none(), || format!("operators: {}", unknown.unwrap_or_default()));
    }
    options
}

/// The fault of a name that no channel has.
pub(super) fn unknown_channel(options: &Options, name: &str) -> Option<String> {
    let known = || options.channels.iter().map(|channel| channel.id.as_str()).chain(BUILT_IN.iter().map(|(id, _)| *id));
    if known().any(|id| id == name) {
        return None;
    }
    let meant = match nearest(name, known()) {
        Some(meant) => did_you_mean(Some(meant)),
        None => format!("; there are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Some(format!("no [[channel]] has the id {name:?}{meant}"))
}

fn auto_or_boolean(value: Value<'_>) -> Result<Option<bool>, Wrong> {
    match value {
        Value::Toml(DeValue::String(text)) if text == "auto" => Ok(None),
        Value::Variable(text) if text.trim() == "auto" => Ok(None),
        _ => kinds::boolean(value).map(Some).map_err(|_| wrong("\"auto\", true or false", value)),
    }
}

/// Names of channels: a list, or one; of a variable, with commas between.
fn names(value: Value<'_>) -> Result<Vec<String>, Wrong> {
    let expected = "names of channels such as [\"log\"]";
    match value {
        Value::Toml(DeValue::Array(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            texts.map(|texts| texts.into_iter().map(str::to_owned).collect()).ok_or_else(|| wrong(expected, value))
        }
        _ => {
            let names = text(value, expected)?.split(',').map(str::trim).filter(|name| !name.is_empty());
            Ok(names.map(str::to_owned).collect())
        }
    }
}

/// `[notify]` with its values from any source, and the names of the channels.
pub fn describe_notify(options: &Options) -> String {
    let Options { enabled, keep, give_up_after, disable_after, operators, channels } = options;
    let text = |text: &str| toml::Value::String(text.to_owned());
    let span = |duration: &Duration| text(&format_ms(duration.as_millis() as i64));
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name} = {value}").expect("a string takes all that is written to it");
    };
    match enabled {
        Some(enabled) => line("enabled", enabled),
        None => line("enabled", &text("auto")),
    }
    line("keep", &span(keep));
    line("give_up_after", &span(give_up_after));
    line("disable_after", &span(disable_after));
    line("operators", &toml::Value::Array(operators.iter().map(|name| text(name)).collect()));
    for channel in channels {
        out.push_str(&format!("# channel {}: {}\n", channel.id, channel.kind.name()));
    }
    format!("\n[notify]\n{out}")
}
