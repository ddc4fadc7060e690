//! Alert rules as JSON and in the configuration: the same members in both.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchtower_model::Millis;
use watchtower_model::alerts::{ActiveHours, AlertKind, AlertMode, AlertRule, Scope, Severity, Than};

use super::fields::check_time;
use super::ids::check_rule_id;

use super::limits::Limits;
use super::rejection::{Reason, Rejection, quoted};
use super::time;
use super::{Event, RuleChange};
use crate::time_zone;

/// The longest duration of a rule: ten years.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// A rule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// `rule`, in an event.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Id of the rule; `id` in the configuration.
    #[serde(alias = "id", default, skip_serializing_if = "String::is_empty")]
    pub rule_id: String,
    /// Instant from which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Instant>,
    /// Arrival of the event as its producer reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Instant>,
    /// The rule no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    /// Kind of fact: see [`AlertKind::NAMES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// How long a condition must last, as in `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Of an occupancy: more vehicles than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_than: Option<i64>,
    /// Of an occupancy: fewer vehicles than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fewer_than: Option<i64>,
    /// Facts that it is about.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeText>,
    /// Hours of the week in which it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<HoursText>,
    /// Least time between two alerts of a vehicle and geofence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<String>,
    /// Nobody is woken for what happened longer ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// `immediate` or `final`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `notify` or `silent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<String>,
    /// `info`, `warning` or `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Names of channels.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub to: Many,
    /// Who maintains the rule: `configuration` if a configuration does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Template of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Facts that a rule is about, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeText {
    /// Ids of vehicles.
    #[serde(alias = "vehicles", alias = "vehicle_id", default, skip_serializing_if = "Many::is_empty")]
    pub vehicle: Many,
    /// Fleets.
    #[serde(alias = "fleets", default, skip_serializing_if = "Many::is_empty")]
    pub fleet: Many,
    /// Ids of geofences.
    #[serde(alias = "geofences", alias = "geofence_id", default, skip_serializing_if = "Many::is_empty")]
    pub geofence: Many,
    /// Kinds of geofences.
    #[serde(alias = "kinds", default, skip_serializing_if = "Many::is_empty")]
    pub kind: Many,
    /// Tags of geofences, of which one is enough.
    #[serde(alias = "tag", default, skip_serializing_if = "Many::is_empty")]
    pub tags: Many,
}

/// Active hours as they are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoursText {
    /// `mon` .. `sun`, or ranges such as `mon-fri`; all days if there is none.
    #[serde(alias = "day", default, skip_serializing_if = "Many::is_empty")]
    pub days: Many,
    /// Local time of day at which they begin, as in `08:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Local time of day at which they end; before `from`: on the next day.
    #[serde(alias = "until", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Time zone of the IANA database; that of the pipeline if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// One text or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Many(pub Vec<String>);

impl Many {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a text or a list of texts")]
        enum Either {
            One(String),
            Many(Vec<String>),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::One(one) => Self(vec![one]),
            Either::Many(many) => Self(many),
        })
    }
}

/// An instant: RFC 3339 or epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instant(pub Millis);

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time::format(self.0))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an RFC 3339 time or epoch milliseconds")]
        enum Either {
            Number(i64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(ms) => Ok(Self(ms)),
            Either::Text(text) => time::parse(&text)
                .map(Self)
                .ok_or_else(|| serde::de::Error::custom(format!("no RFC 3339 time: {}", quoted(&text)))),
        }
    }
}

/// A rule event, from the text of a JSON object with `type` `rule`.
pub(super) fn decode(text: &str, limits: &Limits) -> Result<Event<'static>, Rejection> {
    let rule: RuleText = serde_json::from_str(text).map_err(|fault| {
        Rejection::new(Reason::Malformed, format!("expected a rule, found {}: {fault}", quoted(text)))
    })?;
    rule.change(limits).map(Event::Rule)
}

/// The JSON of a rule event.
pub(super) fn encode(change: &RuleChange<'_>) -> String {
    let RuleChange { rule_id, valid_from, received_at, definition } = change;
    let body = definition.as_deref().map(|rule| serde_json::from_str::<RuleText>(&rule.definition));
    let body = body.transpose().expect("a definition is a rule as it was written").unwrap_or_default();
    let text = RuleText {
        event: Some("rule".to_owned()),
        rule_id: rule_id.to_string(),
        valid_from: valid_from.map(Instant),
        received_at: received_at.map(Instant),
        deleted: definition.is_none().then_some(true),
        ..body
    };
    serde_json::to_string(&text).expect("texts and numbers are JSON")
}

fn fault(field: &str, expected: impl Display, found: &str) -> Rejection {
    Rejection::new(Reason::Malformed, format!("{field}: expected {expected}, found {}", quoted(found)))
}

/// A duration such as `15m` in milliseconds; 0 if there is none.
fn duration(field: &str, text: Option<&str>) -> Result<i64, Rejection> {
    let Some(text) = text else { return Ok(0) };
    let duration = humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST);
    let duration = duration.ok_or_else(|| fault(field, "a duration of at most ten years, such as 15m", text))?;
    Ok(duration.as_millis() as i64)
}

/// The value of a name.
fn named<T: Copy>(field: &str, names: &[(&str, T)], text: &str) -> Result<T, Rejection> {
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        fault(field, names.join(", "), text)
    })
}

fn shared(texts: &Many) -> Vec<Arc<str>> {
    let texts: BTreeSet<&str> = texts.0.iter().map(String::as_str).collect();
    texts.into_iter().map(Arc::from).collect()
}

impl RuleText {
    /// The event that the text describes.
    ///
    /// # Errors
    /// If a member is missing or makes no sense, the reason.
    pub fn change(&self, limits: &Limits) -> Result<RuleChange<'static>, Rejection> {
        check_rule_id(&self.rule_id)?;
        let time =
            |name: &str, instant: Option<Instant>| instant.map(|Instant(ms)| check_time(name, ms, limits)).transpose();
        let definition = if self.deleted == Some(true) { None } else { Some(Arc::new(self.rule()?)) };
        Ok(RuleChange {
            rule_id: self.rule_id.clone().into(),
            valid_from: time("valid_from", self.valid_from)?,
            received_at: self.received_at.map(|Instant(ms)| ms),
            definition,
        })
    }

    fn rule(&self) -> Result<AlertRule, Rejection> {
        let on = self.on.as_deref();
        let on = on.ok_or_else(|| Rejection::new(Reason::MissingField, "on is missing".to_owned()))?;
        let kind = named("on", &AlertKind::NAMES, on)?;
        let after_ms = duration("after", self.after.as_deref())?;
        if after_ms > 0 && !kind.lasts() {
            return Err(self.odd("after", on, "only what lasts can be waited for"));
        }
        if matches!(kind, AlertKind::Enter) && after_ms > 0 {
            return Err(self.odd("after", on, "use on = \"dwell\""));
        }
        if matches!(kind, AlertKind::Dwell) && after_ms == 0 {
            return Err(self.odd("after", on, "a dwell needs it, such as after = \"15m\""));
        }
        duration("max_age", self.max_age.as_deref())?;
        let corrections = self.corrections.as_deref().unwrap_or("notify");
        named("corrections", &[("notify", ()), ("silent", ())], corrections)?;
        let modes = [("immediate", AlertMode::Immediate), ("final", AlertMode::Final)];
        let rule = AlertRule {
            id: self.rule_id.as_str().into(),
            kind,
            after_ms,
            than: self.than(kind, on)?,
            scope: self.scope(kind, on)?,
            hours: self.hours.as_ref().map(HoursText::hours).transpose()?,
            cooldown_ms: duration("cooldown", self.cooldown.as_deref())?,
            mode: named("mode", &modes, self.mode.as_deref().unwrap_or("immediate"))?,
            severity: named("severity", &Severity::NAMES, self.severity.as_deref().unwrap_or("warning"))?,
            definition: self.definition(),
        };
        Ok(rule)
    }

    /// The rule itself as JSON, without id and times.
    fn definition(&self) -> Arc<str> {
        let body = Self {
            event: None,
            rule_id: String::new(),
            valid_from: None,
            received_at: None,
            deleted: None,
            ..self.clone()
        };
        serde_json::to_string(&body).expect("texts and numbers are JSON").into()
    }

    fn than(&self, kind: AlertKind, on: &str) -> Result<Option<Than>, Rejection> {
        let than = match (self.more_than, self.fewer_than) {
            (Some(_), Some(_)) => return Err(self.odd("fewer_than", on, "a rule has more_than or fewer_than")),
            (Some(more), None) => Some(Than::More(more)),
            (None, Some(fewer)) => Some(Than::Fewer(fewer)),
            (None, None) => None,
        };
        match (kind == AlertKind::Occupancy, than) {
            (true, None) => Err(self.odd("more_than", on, "an occupancy needs it, or fewer_than")),
            (false, Some(_)) => Err(self.odd("more_than", on, "only an occupancy has it, or fewer_than")),
            (true, Some(Than::More(n) | Than::Fewer(n))) if !(0..=1_000_000_000).contains(&n) => {
                Err(fault("more_than, fewer_than", "a number of vehicles", &n.to_string()))
            }
            (true, Some(_)) | (false, None) => Ok(than),
        }
    }

    fn scope(&self, kind: AlertKind, on: &str) -> Result<Scope, Rejection> {
        let Some(ScopeText { vehicle, fleet, geofence, kind: kinds, tags }) = &self.scope else {
            return Ok(Scope::default());
        };
        let asks_vehicle = !vehicle.is_empty() || !fleet.is_empty();
        let asks_geofence = !geofence.is_empty() || !kinds.is_empty() || !tags.is_empty();
        if asks_vehicle && kind == AlertKind::GeofenceChanged {
            return Err(self.odd("where", on, "it is about no vehicle"));
        }
        if asks_geofence && !kind.has_geofence() {
            return Err(self.odd("where", on, "it is about no geofence"));
        }
        Ok(Scope {
            vehicle_ids: shared(vehicle),
            vehicles: Vec::new(),
            fleets: shared(fleet),
            geofences: shared(geofence),
            kinds: shared(kinds),
            tags: shared(tags),
        })
    }

    fn odd(&self, field: &str, on: &str, why: &str) -> Rejection {
        Rejection::new(Reason::Malformed, format!("{field}: with on = {}, {why}", quoted(on)))
    }
}

impl HoursText {
    fn hours(&self) -> Result<ActiveHours, Rejection> {
        let zone = self.zone.as_deref().map(|name| {
            let zone = time_zone::local_time(name);
            zone.map(Arc::new).ok_or_else(|| fault("hours.zone", "a time zone such as Africa/Lagos", name))
        });
        let from_ms = time_of_day("hours.from", self.from.as_deref().unwrap_or("00:00"))?;
        let until_ms = time_of_day("hours.to", self.to.as_deref().unwrap_or("24:00"))?;
        Ok(ActiveHours { days: days(&self.days)?, from_ms, until_ms, zone: zone.transpose()? })
    }
}

/// `08:00` in milliseconds since midnight; `24:00` is the end of the day.
fn time_of_day(field: &str, text: &str) -> Result<i64, Rejection> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let (hours, minutes) = (Some(hours).filter(|h| digits(h))?, Some(minutes).filter(|m| digits(m))?);
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some((hours * 60 + minutes) * 60_000)
    });
    parsed.ok_or_else(|| fault(field, "a time of day from 00:00 to 24:00", text))
}

/// Days of the week, Monday first; all if none is named.
fn days(texts: &Many) -> Result<[bool; 7], Rejection> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    if texts.is_empty() {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    for text in texts.0.iter().flat_map(|text| text.split(',')) {
        let text = text.trim().to_ascii_lowercase();
        let number = |name: &str| NAMES.iter().position(|known| *known == name);
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(fault("hours.days", "mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri", &text));
        };
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|offset| days[(first + offset) % 7] = true);
    }
    Ok(days)
}

/// Numbers the vehicles that a rule names.
pub fn with_vehicles(rule: &AlertRule, mut number: impl FnMut(&str) -> watchtower_model::VehicleId) -> AlertRule {
    let mut rule = rule.clone();
    rule.scope.vehicles = rule.scope.vehicle_ids.iter().map(|id| number(id)).collect();
    rule.scope.vehicles.sort_unstable();
    rule
}
