//! A row of the outbox: an event of an alert for one endpoint, with everything that delivery needs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use watchtower_model::{Millis, rfc3339};

use super::DEFAULT_MAX_AGE_MS;
use super::version::AlertVersion;
use crate::events::RuleText;
use crate::tables::{Cell, Column, alerts};

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertEvent {
    /// It is new.
    Raised,
    /// Its values, or the start of its fact, changed.
    Corrected,
    /// It is gone: the fact did not happen.
    Retracted,
}

impl AlertEvent {
    /// All events, by the names that tables and messages have for them.
    pub const NAMES: [(&'static str, Self); 3] =
        [("raised", Self::Raised), ("corrected", Self::Corrected), ("retracted", Self::Retracted)];

    /// The name in tables and messages.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    /// The event of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, event)| *event)
    }
}

/// Which endpoints get a row, by whether an earlier one of the same subject was delivered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All.
    Always,
    /// Those that did not get the subject yet: the rule is silent about corrections.
    New,
    /// Those that got the subject: corrections, and alerts that are too old to be raised.
    Known,
}

impl Condition {
    /// All conditions, by the names that the table has for them.
    pub const NAMES: [(&'static str, Self); 3] = [("always", Self::Always), ("new", Self::New), ("known", Self::Known)];

    /// The name in the table.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    /// The condition of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, condition)| *condition)
    }

    /// Whether an endpoint gets the row; `is_known`: it got the subject before.
    pub fn holds(self, is_known: bool) -> bool {
        match self {
            Self::Always => true,
            Self::New => !is_known,
            Self::Known => is_known,
        }
    }
}

/// An event for an endpoint, before it has a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Name of the channel.
    pub endpoint: Arc<str>,
    /// The alert's subject, that of its row before if it is retracted.
    pub subject: Arc<str>,
    /// The subject under which the endpoint knows the alert, if that has changed.
    pub old_subject: Option<Arc<str>>,
    /// What happened.
    pub event: AlertEvent,
    /// Whether the endpoint gets it.
    pub condition: Condition,
    /// The rest as JSON: `now` (the log's time after the commit), `alert` and `before` (rows, or null), `message` (the
    /// template, if the rule has one).
    pub body: Arc<str>,
}

/// What delivery needs of a rule.
struct Delivery {
    to: BTreeSet<Arc<str>>,
    message: Option<String>,
    notifies_corrections: bool,
    max_age_ms: Millis,
}

impl Delivery {
    fn of(version: &AlertVersion) -> Self {
        let text: RuleText =
            serde_json::from_str(&version.definition).expect("a definition is a rule as it was written");
        let max_age = text.max_age.as_deref().and_then(|text| humantime::parse_duration(text).ok());
        Self {
            to: text.to.0.iter().map(|name| Arc::from(name.as_str())).collect(),
            message: text.message,
            notifies_corrections: text.corrections.as_deref() != Some("silent"),
            max_age_ms: max_age.map_or(DEFAULT_MAX_AGE_MS, |age: Duration| age.as_millis() as Millis),
        }
    }
}

/// Adds the rows of an event, one for each channel that the rule named before or names now.
pub(super) fn rows_of(
    event: AlertEvent,
    before: Option<&AlertVersion>,
    after: Option<&AlertVersion>,
    now: Millis,
    rows: &mut Vec<OutboxRow>,
) {
    let latest = after.or(before).expect("an event has a row before or after");
    let Delivery { mut to, message, notifies_corrections, max_age_ms } = Delivery::of(latest);
    if let (Some(before), Some(_)) = (before, after) {
        to.extend(Delivery::of(before).to);
    }
    // Without a clock so far, the log's time is before all times.
    let is_silent = now.saturating_sub(latest.at()) > max_age_ms;
    let condition = match (event, notifies_corrections) {
        (AlertEvent::Raised, true) if is_silent => Condition::Known,
        (AlertEvent::Raised, true) => Condition::Always,
        (AlertEvent::Raised, false) if !is_silent => Condition::New,
        (AlertEvent::Corrected | AlertEvent::Retracted, true) => Condition::Known,
        (AlertEvent::Raised | AlertEvent::Corrected | AlertEvent::Retracted, false) => return,
    };
    if to.is_empty() {
        return;
    }
    let subject: Arc<str> = latest.text("subject").into();
    let old_subject = before.map(|before| before.text("subject")).filter(|old| **old != *subject);
    let old_subject: Option<Arc<str>> = old_subject.map(Arc::from);
    let body = json!({
        "now": rfc3339::format(now),
        "alert": after.map(object),
        "before": before.map(object),
        "message": message,
    });
    let body: Arc<str> = body.to_string().into();
    rows.extend(to.into_iter().map(|endpoint| OutboxRow {
        endpoint,
        subject: Arc::clone(&subject),
        old_subject: old_subject.clone(),
        event,
        condition,
        body: Arc::clone(&body),
    }));
}

/// The row as a JSON object, by the names of its columns.
fn object(version: &AlertVersion) -> Value {
    let member = |(column, cell): (&Column, &Cell)| (column.name.to_owned(), value(cell));
    Value::Object(alerts::TABLE.columns.iter().zip(&version.row).map(member).collect::<Map<_, _>>())
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => (&**text).into(),
        Cell::Time(t) => rfc3339::format(*t).into(),
        Cell::Json(json) => serde_json::from_str(json).expect("a JSON cell holds JSON"),
        other => unreachable!("alerts has texts, times and JSON: {other:?}"),
    }
}
