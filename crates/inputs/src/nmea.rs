//! NMEA 0183 logs: RMC sentences as positions, with the altitude of the GGA before; GGA alone where a log has no RMC.
//!
//! A sentence without a fix (RMC status V, GGA quality 0) is no position, whatever coordinates it has: it is counted.
//! Years have two digits: the year is the one nearest to now, so a receiver after a week rollover is out by 1 024
//! weeks and not by a century. GGA has no date: it needs an RMC or a ZDA before it.

use std::path::Path;

use watchtower_core::events::{Event, Limits, Reason, Record, Rejection};
use watchtower_model::Millis;

use super::aliases::Slot;
use super::draft::{Draft, Terms};
use super::header::plain_time_rules;
use super::input::Input;
use super::lines::Lines;
use super::notes::Notes;
use super::reading::{Reading, SpeedUnit, stem};
use super::times::{GivenBy, nearest_year};
use super::{Progress, Source, SourceError};

const VOID: &str = "sentences without a fix (void), no positions";
const UNDATED: &str = "ts: GGA has no date: send RMC, or ZDA before it in the same message";
const OTHER: &str = "sentences of other kinds, left out";

/// A log of NMEA sentences.
pub(crate) struct Nmea {
    lines: Lines,
    sentences: Sentences,
}

/// Sentences of one receiver in their order.
pub(crate) struct Sentences {
    limits: Limits,
    terms: Terms,
    now: Millis,
    notes: Notes,
    /// The day of the last sentence that had one, as yyyy-mm-dd.
    day: Option<String>,
    /// The time of day and the altitude of the last GGA with a fix.
    altitude: Option<(String, String)>,
    has_rmc: bool,
}

impl Nmea {
    pub(crate) fn new(path: &Path, input: Input, reading: &Reading, limits: &Limits) -> Self {
        let vehicle_id = reading.vehicle_of(path).unwrap_or_else(|| stem(path));
        let terms = Terms {
            times: plain_time_rules(reading),
            speed_unit: SpeedUnit::Knots,
            speed_unknown_from: None,
            north_is_zero: false,
            vehicle_id: Some(vehicle_id.clone()),
        };
        let mut sentences = Sentences::new(terms, limits, false);
        sentences.notes.columns.push(("the file".to_owned(), format!("vehicle_id {vehicle_id}")));
        Self { lines: Lines::new(path, input, limits), sentences }
    }
}

impl Sentences {
    /// Sentences of the vehicle of `terms`. `has_rmc`: whether it is known that RMC are among them, so that a GGA is
    /// no position of its own.
    pub(crate) fn new(terms: Terms, limits: &Limits, has_rmc: bool) -> Self {
        Self {
            limits: limits.clone(),
            now: terms.times.now,
            terms,
            notes: Notes { format: "NMEA".to_owned(), ..Notes::default() },
            day: None,
            altitude: None,
            has_rmc,
        }
    }

    /// What a line says: a position, a refusal, or nothing. `number` is its own, for notes.
    pub(crate) fn sentence(&mut self, line: &str, number: u64) -> Option<Result<Event<'static>, Rejection>> {
        let Some(start) = line.find(['$', '!']) else {
            return Some(Err(malformed("no sentence")));
        };
        let sentence = &line[start + 1..];
        let fields: Vec<&str> = match checked(sentence) {
            Ok(body) => body.split(',').collect(),
            Err(detail) => return Some(Err(malformed(&detail))),
        };
        let kind = fields[0].get(fields[0].len().saturating_sub(3)..).unwrap_or_default();
        match kind {
            "RMC" => self.rmc(&fields, number),
            "GGA" => self.gga(&fields, number),
            "ZDA" => {
                if let [_, _, day, month, year, ..] = fields[..] {
                    self.day = Some(format!("{year}-{month}-{day}"));
                }
                None
            }
            _ => {
                self.notes.count(OTHER, kind, 0, "");
                None
            }
        }
    }

    fn rmc(&mut self, fields: &[&str], number: u64) -> Option<Result<Event<'static>, Rejection>> {
        let [_, time, status, lat, ns, lon, ew, speed, course, date, ..] = *fields else {
            return Some(Err(malformed("RMC: expected 9 fields or more")));
        };
        self.has_rmc = true;
        if status != "A" {
            self.notes.count(VOID, "RMC", number, time);
            return None;
        }
        let Some(day) = day_of(date, self.now) else { return Some(Err(malformed("RMC: expected a date ddmmyy"))) };
        let altitude = self.altitude.take().filter(|(of, _)| of == time).map(|(_, altitude)| altitude);
        self.day = Some(day.clone());
        let mut draft = fix(&day, time, (lat, ns), (lon, ew));
        draft.set(Slot::Speed, speed.to_owned());
        draft.set(Slot::Heading, course.to_owned());
        draft.set(Slot::Altitude, altitude.unwrap_or_default());
        Some(self.finish(draft, number))
    }

    fn gga(&mut self, fields: &[&str], number: u64) -> Option<Result<Event<'static>, Rejection>> {
        let [_, time, lat, ns, lon, ew, quality, _, _, altitude, ..] = *fields else {
            return Some(Err(malformed("GGA: expected 9 fields or more")));
        };
        if matches!(quality, "0" | "") {
            self.notes.count(VOID, "GGA", number, time);
            return None;
        }
        self.altitude = Some((time.to_owned(), altitude.to_owned()));
        if self.has_rmc || self.day.is_none() {
            // With RMC, that is the position; without a day there is none yet.
            if self.has_rmc {
                return None;
            }
            self.notes.count("sentences before any date", "GGA", number, time);
            return match self.terms.times.given_by {
                GivenBy::Flags => None,
                GivenBy::Source => Some(Err(Rejection::new(Reason::MissingField, UNDATED))),
            };
        }
        let day = self.day.clone().unwrap_or_default();
        let mut draft = fix(&day, time, (lat, ns), (lon, ew));
        draft.set(Slot::Altitude, altitude.to_owned());
        Some(self.finish(draft, number))
    }

    fn finish(&mut self, draft: Draft<'static>, number: u64) -> Result<Event<'static>, Rejection> {
        draft.finish(&self.terms, &self.limits, &mut self.notes, number)
    }
}

fn malformed(detail: &str) -> Rejection {
    Rejection::new(Reason::Malformed, format!("expected an NMEA sentence: {detail}"))
}

/// The sentence, from behind its first character, without its checksum, which is right or missing.
pub(crate) fn checked(sentence: &str) -> Result<&str, String> {
    let sentence = sentence.trim_end();
    let Some((body, sum)) = sentence.rsplit_once('*') else { return Ok(sentence) };
    let computed = body.bytes().fold(0, |sum, byte| sum ^ byte);
    match u8::from_str_radix(sum.trim(), 16) {
        Ok(given) if given == computed => Ok(body),
        _ => Err(format!("the checksum is {computed:02X}, and {sum:.8} is given")),
    }
}

/// ddmmyy as yyyy-mm-dd, in the century that is nearest.
fn day_of(date: &str, now: Millis) -> Option<String> {
    if date.len() != 6 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year = nearest_year(date[4..].parse().ok()?, now);
    Some(format!("{year:04}-{}-{}", &date[2..4], &date[..2]))
}

/// A time, and a place in degrees and minutes run together.
fn fix(day: &str, time: &str, lat: (&str, &str), lon: (&str, &str)) -> Draft<'static> {
    let mut draft = Draft::default();
    draft.set(Slot::Ts, format!("{day}T{time}Z"));
    draft.set(Slot::Lat, degrees(lat, 2));
    draft.set(Slot::Lon, degrees(lon, 3));
    draft
}

/// Decimal degrees of `ddmm.mmm` and the letter of a hemisphere; the text itself if it is not that.
fn degrees((text, letter): (&str, &str), digits: usize) -> String {
    let split = text.get(..digits).zip(text.get(digits..));
    let Some((Ok(whole), Ok(minutes))) = split.map(|(whole, minutes)| (whole.parse::<f64>(), minutes.parse::<f64>()))
    else {
        return text.to_owned();
    };
    let value = whole + minutes / 60.0;
    let value = if matches!(letter, "S" | "W") { -value } else { value };
    value.to_string()
}

impl Source for Nmea {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        loop {
            if !self.lines.advance()? {
                return Ok(None);
            }
            let number = self.lines.number();
            let line = self.lines.text().map(str::to_owned);
            let result = match line {
                Ok(line) => self.sentences.sentence(&line, number),
                Err(rejection) => Some(Err(rejection)),
            };
            if let Some(result) = result {
                return Ok(Some(Record { position: number, raw: self.lines.raw(), result }));
            }
        }
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn path(&self) -> &Path {
        self.lines.path()
    }

    fn notes(&self) -> Notes {
        self.sentences.notes.clone()
    }
}
