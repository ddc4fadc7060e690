//! The text of a message: the template of a rule, or plain words for its kind.
//!
//! A template is Jinja. It sees the columns of the row of `alerts` that it is about (of a retracted one, as it was), what
//! is in `values`, and
//!
//! | name | value |
//! |---|---|
//! | `event` | raised, corrected or retracted |
//! | `text` | the message that would be sent without a template |
//! | `before` | the row before, if there was one |
//! | `at`, `started_at`, `ended_at` | local time of the pipeline's zone; `at_utc` has the instant |
//!
//! Values are escaped as the channel needs, whatever the template does with them; the text of the template is not. A
//! template that fails on an alert does not keep it back: the plain words are sent.

use std::fmt::Write;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::{Environment, Error, UndefinedBehavior, Value as Jinja};
use serde_json::{Map, Value, json};
use watchtower_core::outbox::AlertEvent;
use watchtower_model::local_time::LocalTime;

use crate::notice::Notice;

/// Steps of a template, after which it is given up.
const FUEL: u64 = 50_000;
/// Longest text that is sent, characters.
const MAX_CHARS: usize = 4_000;

/// What must be escaped in values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Nothing but line breaks and control characters.
    Line,
    /// Nothing: the text is part of JSON or the body of a plain mail.
    Nothing,
    /// The characters of HTML.
    Html,
    /// The three characters of Slack's mrkdwn.
    Slack,
}

impl Escape {
    fn write(self, value: &str, out: &mut impl Write) -> std::fmt::Result {
        for c in value.chars() {
            match (self, c) {
                (Self::Html | Self::Slack, '&') => out.write_str("&amp;")?,
                (Self::Html | Self::Slack, '<') => out.write_str("&lt;")?,
                (Self::Html | Self::Slack, '>') => out.write_str("&gt;")?,
                (Self::Html, '"') => out.write_str("&quot;")?,
                (Self::Html, '\'') => out.write_str("&#39;")?,
                (Self::Line, c) if c.is_control() => out.write_char(' ')?,
                (Self::Line | Self::Nothing | Self::Html | Self::Slack, c) => out.write_char(c)?,
            }
        }
        Ok(())
    }

    fn escaped(self, value: &str) -> String {
        let mut out = String::with_capacity(value.len());
        self.write(value, &mut out).expect("a string takes any text");
        out
    }
}

/// Makes the texts of a channel.
#[derive(Debug)]
pub struct Texts {
    zone: Arc<LocalTime>,
    escape: Escape,
    templates: Environment<'static>,
}

/// Whether a template can be used: it is compiled, and rendered on a made-up alert.
///
/// # Errors
/// What is wrong with it, on one line.
pub fn check_template(template: &str) -> Result<(), String> {
    let texts = Texts::new(Arc::new(LocalTime::utc()), Escape::Nothing);
    texts.render(template, &sample()).map(drop).map_err(|error| one_line(&error))
}

/// An alert that has every value.
fn sample() -> Notice {
    let values = json!({
        "started_at": "2026-11-23T05:50:00Z", "ended_at": "2026-11-23T06:00:00Z", "duration_s": 600, "limit_kmh": 60.0,
        "lon": 3.4755, "lat": 6.5563, "origin_id": "yard", "distance_m": 12_500, "vehicles": 3, "opening": true,
        "deleted": true,
    });
    let alert = json!({
        "rule_id": "rule", "subject": "rule/enter/T11985LA/yard/2026-11-23T06:00:00Z", "at": "2026-11-23T06:00:00Z",
        "kind": "enter", "vehicle_id": "T11985LA", "geofence_id": "yard", "severity": "warning", "values": values,
    });
    Notice {
        key: "wt_00".to_owned(),
        pipeline: "lagos".to_owned(),
        subject: "rule/enter/T11985LA/yard/2026-11-23T06:00:00Z".to_owned(),
        old_subject: None,
        revision: 1,
        event: AlertEvent::Corrected,
        now: "2026-11-23T06:00:01Z".to_owned(),
        alert: Some(alert.clone()),
        before: Some(alert),
        template: None,
        external_ref: None,
        attempts: 1,
        failing_since: None,
    }
}

fn one_line(error: &Error) -> String {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{detail}{line}", error.kind())
}

impl Texts {
    /// Texts with local times of a zone, and values escaped.
    pub fn new(zone: Arc<LocalTime>, escape: Escape) -> Self {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Chainable);
        templates.set_fuel(Some(FUEL));
        templates.set_formatter(move |out, _, value| {
            let text = if value.is_undefined() || value.is_none() { String::new() } else { value.to_string() };
            escape.write(&text, out).map_err(Error::from)
        });
        Self { zone, escape, templates }
    }

    /// The text of a notice.
    pub fn text(&self, notice: &Notice) -> String {
        let rendered = notice.template.as_deref().map(|template| self.render(template, notice));
        let text = match rendered {
            Some(Ok(text)) => text,
            Some(Err(error)) => {
                tracing::warn!(
                    subject = notice.subject,
                    error = one_line(&error),
                    "a template fails: sent plain words"
                );
                self.escape.escaped(&self.plain(notice))
            }
            None => self.escape.escaped(&self.plain(notice)),
        };
        text.chars().take(MAX_CHARS).collect()
    }

    fn render(&self, template: &str, notice: &Notice) -> Result<String, Error> {
        let template = self.templates.template_from_str(template)?;
        template.render(jinja(&self.context(notice)))
    }

    fn context(&self, notice: &Notice) -> Value {
        let mut names = Map::new();
        let row = notice.latest();
        let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
        names.extend(members(&row["values"]));
        names.extend(members(row));
        for name in ["at", "started_at", "ended_at"] {
            if let Some(instant) = names.get(name).and_then(Value::as_str).map(str::to_owned) {
                names.insert(format!("{name}_utc"), instant.as_str().into());
                names.insert(name.to_owned(), self.local(&instant).into());
            }
        }
        names.insert("event".to_owned(), notice.event.name().into());
        names.insert("before".to_owned(), notice.before.clone().unwrap_or_default());
        names.insert("text".to_owned(), self.plain(notice).into());
        Value::Object(names)
    }

    /// The message without a template, not escaped.
    pub fn plain(&self, notice: &Notice) -> String {
        let sentence = |row: &Option<Value>| row.as_ref().map(|row| self.sentence(row)).unwrap_or_default();
        match notice.event {
            AlertEvent::Raised => sentence(&notice.alert),
            AlertEvent::Corrected => {
                let (now, before) = (sentence(&notice.alert), sentence(&notice.before));
                match now == before {
                    true => format!("Corrected: {now}"),
                    false => format!("Corrected: {now} (reported before: {before})"),
                }
            }
            AlertEvent::Retracted => format!("Retracted, it did not happen: {}", sentence(&notice.before)),
        }
    }

    /// What a row of `alerts` says, in a sentence without its full stop.
    fn sentence(&self, row: &Value) -> String {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let values = &row["values"];
        let (vehicle, geofence, at) = (text("vehicle_id"), text("geofence_id"), self.local(text("at")));
        let since = || self.local(values["started_at"].as_str().unwrap_or_default());
        let lasted = || values["duration_s"].as_f64().map(|s| format!(" after {}", duration(s))).unwrap_or_default();
        let place = || if geofence.is_empty() { String::new() } else { format!(" in {geofence}") };
        let opening = if values["opening"] == true { ", when the hours of the rule began" } else { "" };
        let said = match text("kind") {
            "enter" if values["opening"] == true => format!("{vehicle} is in {geofence} since {}", since()),
            "enter" => format!("{vehicle} entered {geofence} at {at}"),
            "exit" => format!("{vehicle} left {geofence} at {at}{}", lasted()),
            "dwell" => format!("{vehicle} is in {geofence} since {}", since()),
            "overspeed" => {
                let limit = values["limit_kmh"].as_f64().map(|kmh| format!(" than {kmh} km/h")).unwrap_or_default();
                format!("{vehicle} is faster{limit}{} since {}", place(), since())
            }
            "idling" => format!("{vehicle} idles since {}", since()),
            "stop" => format!("{vehicle} stands{} since {}", place(), since()),
            "offline" => format!("{vehicle} is silent since {}", since()),
            "back_online" => format!("{vehicle} reports again at {at}{}", lasted()),
            "trip_started" => format!("{vehicle} left {geofence} at {at} on a trip"),
            "trip_completed" => {
                let origin = values["origin_id"].as_str().map(|id| format!(" from {id}")).unwrap_or_default();
                format!("{vehicle} reached {geofence}{origin} at {at}{}", lasted())
            }
            "turnaround_completed" => format!("{vehicle} completed a turnaround at {geofence} at {at}{}", lasted()),
            "occupancy" => {
                let vehicles = values["vehicles"].as_i64().unwrap_or_default();
                format!("{geofence} holds {vehicles} vehicles at {at}")
            }
            "geofence_changed" if values["deleted"] == true => format!("{geofence} is deleted from {at} on"),
            "geofence_changed" => format!("{geofence} has another version from {at} on"),
            "endpoint_disabled" => {
                let value = |name: &str| values[name].as_str().unwrap_or_default();
                format!("channel {} is disabled since {at}: {}", value("endpoint"), value("error"))
            }
            kind => format!("{kind} of {vehicle}{} at {at}", place()),
        };
        format!("{said}{opening}")
    }

    /// An instant of RFC 3339 in local time, to the minute; the zone is named where it is UTC.
    fn local(&self, instant: &str) -> String {
        let Ok(instant) = instant.parse::<Timestamp>() else { return instant.to_owned() };
        let ms = instant.as_millisecond();
        let (offset, _) = self.zone.offset_and_span(ms);
        let local = Timestamp::from_millisecond(ms + offset).unwrap_or(instant).strftime("%Y-%m-%d %H:%M").to_string();
        if self.zone.name() == "UTC" { format!("{local} UTC") } else { local }
    }
}

/// A JSON value as templates see it.
fn jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, real) => real.unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(jinja).collect::<Vec<_>>().into(),
        Value::Object(members) => Jinja::from_pairs(members.iter().map(|(name, value)| (name.as_str(), jinja(value)))),
    }
}

/// A duration in its two greatest units.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as i64;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{seconds:.0} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
