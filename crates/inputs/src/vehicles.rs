//! Vehicles as CSV: id, name, fleet, speed_limit_kmh, offline_after_s; further columns become attributes.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::aliases::normalized;
use super::header::plain_time_rules;
use super::input::Input;
use super::lines::Lines;
use super::notes::Notes;
use super::reading::{Reading, SpeedUnit};
use super::rows::{Row, check_cells, separator_of};
use super::times::{self, TimeRules};
use super::titles::{self, NoHeader};
use super::values::{self, Optional};
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Event, Limits, Reason, Record, Rejection, json as wire, quoted};
use watchtower_model::Millis;

/// Fields of a vehicle and their names in files, normalized.
const FIELDS: [(&str, &[&str]); 6] = [
    (
        "vehicle_id",
        &[
            "vehicleid",
            "id",
            "vehicle",
            "imei",
            "deviceid",
            "device",
            "uniqueid",
            "plate",
            "licenseplate",
            "registration",
        ],
    ),
    ("name", &["name", "vehiclename", "label", "description"]),
    ("fleet", &["fleet", "group", "groupname", "fleetname", "depot"]),
    ("speed_limit_kmh", &["speedlimitkmh", "speedlimit", "maxspeed", "maxspeedkmh"]),
    ("offline_after_s", &["offlineafters", "offlineafter"]),
    // Of our own table, the instant from which a version was in force: two of them may share a valid_from.
    ("valid_from", &["effectivefrom", "validfrom"]),
];

/// A CSV file of vehicles.
pub(crate) struct Vehicles {
    lines: Lines,
    limits: Limits,
    separator: u8,
    names: Vec<String>,
    /// The field that each column holds; nothing: an attribute.
    columns: Vec<Option<&'static str>>,
    row: Row,
    times: TimeRules,
    notes: Notes,
}

/// Opens a CSV of vehicles.
///
/// # Errors
/// If it cannot be read, or has no column for the id.
pub fn open_vehicles(path: &Path, reading: &Reading, limits: &Limits) -> Result<Box<dyn Source>, SourceError> {
    let input = Input::open(path).map_err(|source| SourceError::Open { path: path.to_owned(), source })?;
    Ok(Box::new(Vehicles::new(path, input, reading, limits)?))
}

impl Vehicles {
    fn new(path: &Path, input: Input, reading: &Reading, limits: &Limits) -> Result<Self, SourceError> {
        let fault = |fault: String| SourceError::Vehicles { path: PathBuf::from(path), fault };
        let mut lines = Lines::new(path, input, limits);
        lines.advance()?;
        lines.make_utf8();
        let mut row = Row::default();
        let found = titles::find(&mut lines, |_, line| {
            let separator = separator_of(line);
            row.split(line, separator);
            let mut names: Vec<String> = row.cells(line).map(|name| name.trim().to_owned()).collect();
            while names.last().is_some_and(String::is_empty) {
                names.pop();
            }
            let columns = columns_of(&names, reading)?;
            Ok((separator, names, columns))
        })?
        .map_err(fault)?;
        let mut titles = Notes::default();
        let (separator, _, columns) = &found.header;
        found.note_titles(&mut titles, |line| is_row(line, *separator, columns.len())).map_err(fault)?;
        let (separator, names, columns) = found.header;
        let understood = |(name, column): (&String, &Option<&str>)| {
            let unnamed = match name.as_str() {
                "attributes" => "attributes",
                name if is_of_our_table(name) => "left out",
                _ => "an attribute",
            };
            (name.clone(), column.unwrap_or(unnamed).to_owned())
        };
        let notes = Notes {
            format: "CSV of vehicles".to_owned(),
            columns: names.iter().zip(&columns).map(understood).collect(),
            ..titles
        };
        let times = plain_time_rules(reading);
        Ok(Self { lines, limits: limits.clone(), separator, names, columns, row, times, notes })
    }
}

/// The field that each column holds, by the names of the columns.
fn columns_of(names: &[String], reading: &Reading) -> Result<Vec<Option<&'static str>>, NoHeader> {
    let mut columns = vec![None; names.len()];
    let missed = |fault: String, columns: &[Option<&str>]| NoHeader { fault, fields: columns.iter().flatten().count() };
    for (field, aliases) in FIELDS {
        let mapped = reading.columns.iter().find(|(of, _)| *of == field).map(|(_, columns)| columns[0].as_str());
        let named = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let found = match mapped {
            Some(wanted) => {
                let fault = || missed(format!("--columns: there is no column {wanted}"), &columns);
                Some(named(wanted).ok_or_else(fault)?)
            }
            None => aliases.iter().find_map(|alias| names.iter().position(|name| normalized(name) == *alias)),
        };
        if let Some(column) = found.filter(|&column| columns[column].is_none()) {
            columns[column] = Some(field);
        }
    }
    if !columns.contains(&Some("vehicle_id")) {
        let names = names.join(", ");
        let fault = format!(
            "expected the columns vehicle_id, name, fleet, speed_limit_kmh, offline_after_s; the header has {names}: \
             --columns vehicle_id=NAME names one"
        );
        return Err(missed(fault, &columns));
    }
    Ok(columns)
}

/// Whether a line has as many cells as the header, and something in more than one of them.
fn is_row(line: &str, separator: u8, columns: usize) -> bool {
    let mut row = Row::default();
    row.split(line, separator);
    row.len() >= columns && row.cells(line).filter(|cell| !cell.trim().is_empty()).count() > 1
}

/// The vehicle of a row, by way of its event in JSON.
fn decode(
    line: &str,
    row: &mut Row,
    separator: u8,
    names: &[String],
    columns: &[Option<&'static str>],
    times: &TimeRules,
    limits: &Limits,
) -> Result<Event<'static>, Rejection> {
    if !row.split(line, separator) {
        return Err(Rejection::new(Reason::Malformed, "a quote is not closed"));
    }
    check_cells(columns.len(), row, line)?;
    let mut event = Map::from_iter([("type".to_owned(), json!("vehicle"))]);
    let mut attributes = Map::new();
    for ((cell, column), name) in row.cells(line).zip(columns).zip(names) {
        let cell = cell.trim();
        if values::is_unknown(cell) {
            continue;
        }
        let number = match *column {
            None if is_of_our_table(name) => {
                if let Ok(Value::Object(given)) = serde_json::from_str(cell) {
                    attributes.extend(given);
                }
                continue;
            }
            None => {
                attributes.insert(name.clone(), json!(cell));
                continue;
            }
            Some("valid_from") => {
                if let Some(ms) = valid_from(cell, times)? {
                    event.insert("valid_from".to_owned(), json!(ms));
                }
                continue;
            }
            Some("speed_limit_kmh") => values::speed_kmh(cell, SpeedUnit::Kmh),
            Some("offline_after_s") => values::seconds(cell),
            Some(field) => {
                event.insert(field.to_owned(), json!(cell));
                continue;
            }
        };
        match (number, column) {
            (Optional::Value(number), Some(field)) => event.insert((*field).to_owned(), json!(number)),
            (Optional::Unknown, _) | (_, None) => None,
            (Optional::Unreadable, Some(field)) => {
                let detail = format!("{field}: expected a number, found {}", quoted(cell));
                return Err(Rejection::new(Reason::Malformed, detail));
            }
        };
    }
    if !attributes.is_empty() {
        event.insert("attributes".to_owned(), Value::Object(attributes));
    }
    wire::decode(Value::Object(event).to_string().as_bytes(), limits).map(Event::into_owned)
}

/// Columns of our own table that are no attributes: its attributes, and the ends of its versions.
fn is_of_our_table(name: &str) -> bool {
    matches!(name, "attributes" | "effective_until" | "valid_from")
}

/// A `valid_from`; nothing where our own table has no known beginning.
fn valid_from(cell: &str, rules: &TimeRules) -> Result<Option<Millis>, Rejection> {
    if times::is_beginning(cell) {
        return Ok(None);
    }
    times::parse_day(cell, rules).map(|instant| Some(instant.ms)).map_err(|fault| {
        Rejection::new(Reason::Malformed, format!("valid_from: {}, found {}", fault.advice(), quoted(cell)))
    })
}

impl Source for Vehicles {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        self.lines.make_utf8();
        let Self { lines, limits, separator, names, columns, row, times, .. } = self;
        let result = lines.text().and_then(|line| decode(line, row, *separator, names, columns, times, limits));
        Ok(Some(Record { position: lines.number(), raw: lines.raw(), result }))
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn path(&self) -> &Path {
        self.lines.path()
    }

    fn notes(&self) -> Notes {
        let mut notes = self.notes.clone();
        notes.format.push_str(self.lines.encoding_words());
        notes
    }
}
