//! Random logs as producers leave them in the streams of a pipeline: everything that can happen to an event
//! before a daemon has judged it.
//!
//! The events are those of [`generate`]. Here each gets an arrival (late, early, and just at the limits), a
//! stream (now and then a wrong one), more to say (attributes, names, tags that want quoting), company (what
//! is no event at all), and an entry: plain, JSON or binary, alone or with others.

use std::sync::Arc;

use watchtower::config::duration::format_ms;
use watchtower_core::EntryId;
use watchtower_core::admission::retention_ms;
use watchtower_core::events::binary::Batch;
use watchtower_core::events::{Event, Fix, Limits, json, plain, stream_of};
use watchtower_log::redis::stream_keys;
use watchtower_model::{Millis, Rules};

use crate::support::entries::{Entry, Fields, Log};
use crate::support::generate;
use crate::support::log::Case;
use crate::support::rng::Rng;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// When several logs begin that are sent together: 2026-01-01T00:00:00Z.
const TOGETHER: Millis = 1_767_225_600_000;

/// The largest entry: so that there are larger ones, of which not all is kept.
const MAX_ENTRY_BYTES: usize = 66_000;

/// A log, not yet cut into entries.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    pub(crate) streams: u16,
    /// By stream, in order.
    items: Vec<Vec<Item>>,
}

/// Something that a producer sends.
#[derive(Clone, Debug)]
struct Item {
    /// The log's time when it was sent: it never goes back.
    sent: Millis,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// An event, and when it arrives.
    Event(Event<'static>, Millis),
    /// A JSON value that is no event.
    Value(String),
    /// An entry of no use.
    Entry(Fields),
}

impl Published {
    /// The log of a seed: small, dense, on 1 or 4 streams.
    pub(crate) fn random(seed: u64) -> Self {
        let (mut rng, mut bounds) = (Rng::new(seed ^ 0xA12), Rng::new(seed ^ 0xB07));
        let live = rng.chance(50);
        let case = if live { generate::live(seed) } else { generate::replay(seed) };
        let lateness = case.rules.retention_ms.unwrap_or_else(|| *rng.pick(&[0, 10 * MINUTE, HOUR, 6 * HOUR]));
        let limits = Limits {
            lateness_ms: Some(lateness),
            horizon_ms: lateness + *rng.pick(&[0, HOUR, 14 * DAY]),
            future_tolerance_ms: *rng.pick(&[0, MINUTE]),
            max_entry_bytes: MAX_ENTRY_BYTES,
            max_attributes_bytes: 1_000,
            max_vehicles: *bounds.pick(&[4, 1_000]),
            max_retained_positions: *bounds.pick(&[60, 200, 10_000]),
            refuse_zero: bounds.chance(50),
            ..Limits::default()
        };
        let rules = Rules {
            // A configuration knows no shorter silence than a second.
            offline_after_ms: case.rules.offline_after_ms.max(1_000),
            outliers: case.rules.outliers,
            min_step_mm: *bounds.pick(&[0, 25_000, 1_000_000]),
            // Alerts that wait until they are final wait for this.
            retention_ms: retention_ms(&limits),
            ..Rules::default()
        };
        let streams = *rng.pick(&[1, 4]);
        let items = sent(&mut rng, &limits, streams, events(&case));
        Self { limits, rules, streams, items }
    }

    /// A longer one: the logs of some seeds at once, each about vehicles and geofences of its own, on two
    /// streams.
    pub(crate) fn random_many(seeds: std::ops::Range<u64>) -> Self {
        let limits = Limits { lateness_ms: Some(HOUR), max_entry_bytes: MAX_ENTRY_BYTES, ..Limits::default() };
        let limits = Limits { max_attributes_bytes: 1_000, max_vehicles: 60, max_retained_positions: 40, ..limits };
        let mut rng = Rng::new(seeds.start ^ 0xB0B);
        let mut left: Vec<_> = seeds
            .map(|seed| (seed, events(&generate::live_at(seed, TOGETHER)).into_iter()))
            .filter(|(_, events)| events.len() > 0)
            .collect();
        let mut merged = Vec::new();
        while !left.is_empty() {
            let log = rng.below(left.len());
            let (seed, events) = &mut left[log];
            merged.extend(events.by_ref().take(1 + rng.below(10)).map(|event| Ok(of_its_own(event?, *seed))));
            if events.len() == 0 {
                left.swap_remove(log);
            }
        }
        let items = sent(&mut rng, &limits, 2, merged);
        let rules = Rules { retention_ms: retention_ms(&limits), ..Rules::default() };
        Self { limits, rules, streams: 2, items }
    }

    /// The lines of a configuration that say what its limits and rules are.
    pub(crate) fn configuration(&self) -> String {
        let Limits { lateness_ms, horizon_ms, future_tolerance_ms, max_vehicles, max_retained_positions, .. } =
            self.limits;
        let (refuse_zero, outliers) = (self.limits.refuse_zero, self.rules.outliers.name());
        format!(
            "lateness = \"{}\"\nhorizon = \"{}\"\nfuture_tolerance = \"{}\"\nmax_entry = {}\nmax_attributes = {}\n\
             max_vehicles = {max_vehicles}\nmax_retained_positions = {max_retained_positions}\n\
             [rules]\noffline_after = \"{}\"\nrefuse_zero = {refuse_zero}\noutliers = \"{outliers}\"\nmin_step_m = {}",
            format_ms(lateness_ms.unwrap()),
            format_ms(horizon_ms),
            format_ms(future_tolerance_ms),
            self.limits.max_entry_bytes,
            self.limits.max_attributes_bytes,
            format_ms(self.rules.offline_after_ms),
            self.rules.min_step_mm as f64 / 1e3,
        )
    }

    /// Cut into entries of at most so many events, in a random order of the streams.
    pub(crate) fn log(&self, rng: &mut Rng, most: usize) -> Log {
        let cut: Vec<Vec<Entry>> =
            (0..).zip(&self.items).map(|(stream, items)| cut(rng, stream, items, most)).collect();
        Log { keys: stream_keys("lagos", self.streams), entries: interleaved(rng, cut) }
    }
}

/// The events of a case, as a producer would write them; of one that says what it may not, its text.
fn events(case: &Case) -> Vec<Result<Event<'static>, String>> {
    let text = case.to_string();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let event = |line: &str| match json::decode(line.as_bytes(), &Limits::default()) {
        Ok(event) => Ok(event.into_owned()),
        Err(_) => Err(line.to_owned()),
    };
    lines.map(event).collect()
}

/// The same event about a vehicle or geofence that no other seed knows.
fn of_its_own(mut event: Event<'static>, seed: u64) -> Event<'static> {
    match &mut event {
        Event::Position(report) => report.vehicle_id = format!("{seed}-{}", report.vehicle_id).into(),
        Event::Vehicle(change) => change.vehicle_id = format!("{seed}-{}", change.vehicle_id).into(),
        Event::Geofence(change) => {
            let id = format!("{seed}-{}", change.geofence_id);
            if let Some(definition) = &mut change.definition {
                Arc::make_mut(&mut definition.geofence).id = id.as_str().into();
            }
            change.geofence_id = id.into();
        }
        Event::Rule(change) => {
            let id = format!("{seed}-{}", change.rule_id);
            if let Some(definition) = &mut change.definition {
                Arc::make_mut(definition).id = id.as_str().into();
            }
            change.rule_id = id.into();
        }
        Event::Clock(_) => {}
    }
    event
}

/// What becomes of events on their way, by stream.
fn sent(rng: &mut Rng, limits: &Limits, streams: u16, events: Vec<Result<Event<'static>, String>>) -> Vec<Vec<Item>> {
    let items = vec![Vec::new(); usize::from(streams) + 1];
    let positions = events.iter().flatten().filter_map(|event| match event {
        Event::Position(report) => Some(report.ts),
        Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) | Event::Clock(_) => None,
    });
    let first = positions.min().unwrap_or(TOGETHER);
    let mut sending = Sending { rng, limits, streams, sent: first, items };
    for event in events {
        match event {
            Ok(event) => sending.send(event),
            Err(text) => sending.push(usize::from(streams), What::Value(text)),
        }
    }
    sending.items
}

/// The same entries in another order of the streams.
pub(crate) fn reordered(log: &Log, rng: &mut Rng) -> Log {
    let mut cut = vec![Vec::new(); log.keys.len()];
    log.entries.iter().for_each(|entry| cut[entry.stream].push(entry.clone()));
    Log { keys: log.keys.clone(), entries: interleaved(rng, cut) }
}

fn interleaved(rng: &mut Rng, cut: Vec<Vec<Entry>>) -> Vec<Entry> {
    let mut left: Vec<_> = cut.into_iter().map(|entries| entries.into_iter().peekable()).collect();
    let mut entries = Vec::new();
    loop {
        left.retain_mut(|stream| stream.peek().is_some());
        if left.is_empty() {
            return entries;
        }
        let stream = rng.below(left.len());
        let most = *rng.pick(&[1, 5, 50]);
        let run = 1 + rng.below(most);
        entries.extend(left[stream].by_ref().take(run));
    }
}

/// What happens to events on their way into the streams.
struct Sending<'a> {
    rng: &'a mut Rng,
    limits: &'a Limits,
    streams: u16,
    sent: Millis,
    items: Vec<Vec<Item>>,
}

impl Sending<'_> {
    fn send(&mut self, mut event: Event<'static>) {
        let instant = match &event {
            Event::Position(report) => Some(report.ts),
            Event::Clock(clock) => Some(clock.now),
            Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) => None,
        };
        self.sent = self.sent.max(instant.unwrap_or(0));
        let arrival = self.arrival(instant.unwrap_or(self.sent));
        self.say_more(&mut event);
        let control = usize::from(self.streams);
        let belongs = match &event {
            Event::Position(report) => usize::from(stream_of(&report.vehicle_id, self.streams)),
            Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) => control,
            Event::Clock(_) => {
                for stream in 0..=control {
                    if self.rng.chance(95) {
                        self.push(stream, What::Event(event.clone(), arrival));
                    }
                }
                return;
            }
        };
        let strays = self.rng.chance(2);
        let stream = if strays { self.rng.below(control + 1) } else { belongs };
        self.push(stream, What::Event(event, arrival));
        if self.rng.chance(5) {
            let (stream, junk) = (self.rng.below(control + 1), junk(self.rng, self.sent));
            self.push(stream, junk);
        }
    }

    fn push(&mut self, stream: usize, what: What) {
        self.items[stream].push(Item { sent: self.sent, what });
    }

    /// Mostly when it was sent; else at the limits of what is accepted, and beyond.
    fn arrival(&mut self, instant: Millis) -> Millis {
        let aside = self.rng.between(0, 1);
        match self.rng.below(100) {
            0..4 => instant - self.limits.future_tolerance_ms - aside,
            4..8 => instant + self.limits.horizon_ms + aside,
            8..16 => self.sent + self.rng.between(0, 10) * MINUTE,
            16..20 => self.sent - self.rng.between(0, 150) * MINUTE,
            _ => self.sent,
        }
    }

    /// What an event may say besides, with what has to be quoted somewhere on the way.
    fn say_more(&mut self, event: &mut Event<'static>) {
        if self.rng.chance(70) {
            return;
        }
        let text =
            *self.rng.pick(&["plain", "", "it's \"quoted\"", "{a,b}\\", "naïve 東京 🚚", "tab\tand\nline", "\u{1}"]);
        match event {
            Event::Position(report) => {
                if let Fix::At(measured) = &mut report.fix {
                    (measured.accuracy_m, measured.altitude_m) = (Some(0.1), Some(-1e-3));
                    let attributes = serde_json::json!({"fuel": 62, text: [text, null, {"nul": "\0"}]});
                    measured.attributes = Some(attributes.to_string().into());
                }
            }
            Event::Geofence(change) => {
                if let Some(definition) = &mut change.definition {
                    let geofence = Arc::make_mut(&mut definition.geofence);
                    geofence.name = Some(text.to_owned()).filter(|text| !text.is_empty());
                    geofence.tags = vec!["NULL".to_owned(), "a, b".to_owned(), text.to_owned()];
                    geofence.tags.retain(|tag| !tag.is_empty());
                }
            }
            Event::Vehicle(change) => {
                if let Some(vehicle) = &mut change.definition {
                    let vehicle = Arc::make_mut(vehicle);
                    vehicle.name = Some(text.to_owned()).filter(|text| !text.is_empty());
                    vehicle.attributes = Some(serde_json::json!({ "said": text }).to_string());
                }
            }
            Event::Rule(_) | Event::Clock(_) => {}
        }
    }
}

/// What is no event, or none that can be accepted.
fn junk(rng: &mut Rng, sent: Millis) -> What {
    let bow_tie = r#"{"type":"Polygon","coordinates":[[[3,6],[4,7],[4,6],[3,7],[3,6]]]}"#;
    let position = |more: &str| format!(r#"{{"type":"position","vehicle_id":"1","ts":{sent}{more}}}"#);
    let values = [
        "7".to_owned(),
        "null".to_owned(),
        r#"{"type":"elephant"}"#.to_owned(),
        position(""),
        position(r#","lon":3.4,"lat":96.5"#),
        position(r#","lon":3.4,"lat":6.5,"lat":6.5"#),
        r#"{"type":"position","vehicle_id":"","ts":1,"lon":3,"lat":6}"#.to_owned(),
        r#"{"type":"position","vehicle_id":"1","ts":"1970-01-01T00:00:00Z","lon":3,"lat":6}"#.to_owned(),
        format!(r#"{{"type":"geofence","geofence_id":"0","geometry":{bow_tie}}}"#),
        position(&format!(r#","lon":3,"lat":6,"attributes":{{"long":"{}"}}"#, "x".repeat(1_000))),
    ];
    let field = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let entries = [
        vec![field("json", b"[]")],
        vec![field("json", b"[{\"type\":\"clock\"")],
        vec![field("json", b"\xff\xfe")],
        vec![field("json", b"{}"), field("bin", b"WTB")],
        vec![field("bin", b"WTB\x01\x02\0\0\0\x01")],
        vec![field("nothing", b"at\0all")],
        vec![field("type", b"position"), field("vehicle_id", b"1"), field("ts", b"never")],
        vec![field("json", b"{}"), field("received_at", b"soon")],
        vec![field("json", &[b' '; MAX_ENTRY_BYTES])],
    ];
    match rng.below(2) {
        0 => What::Value(rng.pick(&values).clone()),
        _ => What::Entry(rng.pick(&entries).clone()),
    }
}

/// The entries of one stream, of at most so many events.
fn cut(rng: &mut Rng, stream: usize, items: &[Item], most: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(1 + rng.below(most)));
        // What is an entry by itself is sent alone.
        let alone = now.iter().position(|item| matches!(item.what, What::Entry(_)));
        let (now, later) = match alone {
            None => (now, later),
            Some(at) => rest.split_at(at.max(1)),
        };
        rest = later;
        let ms = now.last().unwrap().sent.unsigned_abs();
        let id = match entries.last() {
            Some(Entry { id: last, .. }) if last.ms == ms => EntryId { ms, seq: last.seq + 1 },
            Some(_) | None => EntryId { ms, seq: 0 },
        };
        entries.push(Entry { stream, id, fields: entry(rng, now, id.instant()) });
    }
    entries
}

/// The fields of an entry. The time in its id is the arrival of an event that says none.
fn entry(rng: &mut Rng, items: &[Item], in_id: Millis) -> Fields {
    let field = |name: &str, value: Vec<u8>| (name.as_bytes().to_vec(), value);
    if let [Item { what: What::Entry(fields), .. }] = items {
        return fields.clone();
    }
    let arrivals = items.iter().filter_map(|item| match &item.what {
        What::Event(_, arrival) => Some(*arrival),
        What::Value(_) | What::Entry(_) => None,
    });
    // Where all arrive at the same time, the entry may say so for all.
    let mut distinct: Vec<Millis> = arrivals.collect();
    distinct.dedup();
    let shared = distinct.first().copied().filter(|_| distinct.len() == 1 && rng.chance(30));
    let dated = |rng: &mut Rng, event: &Event<'static>, arrival: Millis| {
        let mut event = event.clone();
        let implied = shared.unwrap_or(in_id) == arrival && rng.chance(70);
        *event.received_at_mut() = (!implied).then_some(arrival);
        event
    };
    let is_value = |item: &Item| matches!(item.what, What::Value(_));
    let mut fields = match (rng.below(3), items) {
        (0, items) if !items.iter().any(is_value) => {
            let mut batch = Batch::default();
            for item in items {
                if let What::Event(event, arrival) = &item.what {
                    batch.push(&dated(rng, event, *arrival));
                }
            }
            vec![field("bin", batch.take())]
        }
        (1, [Item { what: What::Event(event, arrival), .. }]) => {
            let mut event = event.clone();
            *event.received_at_mut() = Some(*arrival).filter(|arrival| *arrival != in_id || rng.chance(30));
            let pairs = plain::encode(&event).into_iter();
            return pairs.map(|(name, value)| field(name, value.into_bytes())).collect();
        }
        _ => {
            let texts: Vec<String> = items
                .iter()
                .filter_map(|item| match &item.what {
                    What::Event(event, arrival) => Some(json::encode(&dated(rng, event, *arrival))),
                    What::Value(text) => Some(text.clone()),
                    What::Entry(_) => None,
                })
                .collect();
            let text = match texts.as_slice() {
                [text] if rng.chance(50) => text.clone(),
                texts => format!("[{}]", texts.join(",")),
            };
            vec![field("json", text.into_bytes())]
        }
    };
    fields.extend(shared.map(|arrival| field("received_at", arrival.to_string().into_bytes())));
    fields
}
