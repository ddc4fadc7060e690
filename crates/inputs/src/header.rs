//! What the columns of a CSV of positions hold.

use std::path::Path;

use watchtower_core::events::{Field, push_json_string};

use super::aliases::{self, Slot, assign, is_utc, speed_unit_of};
use super::draft::Terms;
use super::reading::{ColumnMap, DateOrder, Reading, SpeedUnit};
use super::rows::{Row, joined};
use super::times::{self, GivenBy, TimeRules, decided_order};
use super::values::{self, Axis};

/// What helps where columns are missing.
const WHAT_CSV_NEEDS: &str = "--columns ts=NAME,lon=NAME,.. names them; --vehicle-id ID gives the vehicle \
     of a file that has no column for it ('{file}': the file's name)";

/// A speed that AIS reports where none is known, in km/h: 102.3 knots.
const AIS_NO_SPEED_KMH: f64 = 102.25 * 1.852;

/// Rows at the beginning of a file that are looked at for the order of day and month.
const ROWS_LOOKED_AT: usize = 1000;

/// What the columns hold.
pub(crate) struct Header {
    /// How many there are, without unnamed ones at the end.
    pub(crate) columns: usize,
    /// Fields and the columns that make them up.
    pub(crate) slots: Vec<(Slot, Vec<usize>)>,
    /// Further columns, and their names as JSON.
    pub(crate) attributes: Vec<(usize, String)>,
    /// How the cells are meant.
    pub(crate) terms: Terms,
    /// Whether there is no header: the first line is a row.
    pub(crate) first_is_row: bool,
}

impl Header {
    /// Reads a line. `below` is the beginning of the file behind it, which may decide how dates are meant.
    pub(crate) fn read(
        names: &[&str],
        below: &str,
        separator: u8,
        reading: &Reading,
        path: &Path,
    ) -> Result<Self, String> {
        let columns = names.len() - names.iter().rev().take_while(|name| name.is_empty()).count();
        let names = &names[..columns];
        let slots = slots(names, &reading.columns)?;
        let is_number = |slot| {
            let column = slots.iter().find(|(of, _)| *of == slot).and_then(|(_, columns)| names.get(columns[0]));
            column.is_some_and(|cell| values::number(cell).is_some())
        };
        let first_is_row = reading.columns.is_by_number() && is_number(Slot::Lon) && is_number(Slot::Lat);
        let vehicle_id = reading.vehicle_of(path);
        check_complete(names, &slots, vehicle_id.is_some())?;
        let named = |slot: Slot| slots.iter().find(|(of, _)| *of == slot).map(|(_, columns)| names[columns[0]]);
        let unit = named(Slot::Speed).filter(|_| !first_is_row).and_then(speed_unit_of);
        let is_ais = named(Slot::Speed).is_some_and(|name| aliases::normalized(name) == "sog");
        let terms = Terms {
            times: time_rules(names, below, separator, &slots, reading),
            speed_unit: unit.or(reading.speed_unit).unwrap_or(SpeedUnit::Kmh),
            speed_unknown_from: is_ais.then_some(AIS_NO_SPEED_KMH),
            north_is_zero: is_ais,
            vehicle_id,
        };
        let used = |column: usize| slots.iter().any(|(_, columns)| columns.contains(&column));
        let attributes = names.iter().enumerate().filter(|(column, name)| !used(*column) && !name.is_empty());
        let attributes = attributes.map(|(column, name)| {
            let name = if first_is_row { format!("column_{}", column + 1) } else { (*name).to_owned() };
            let mut key = String::new();
            push_json_string(&mut key, &name);
            (column, key)
        });
        let attributes = attributes.collect();
        Ok(Self { columns, slots, attributes, terms, first_is_row })
    }

    /// The columns and what they hold, for people.
    pub(crate) fn understood(&self, names: &[&str]) -> Vec<(String, String)> {
        let mut understood = Vec::new();
        for (column, name) in names.iter().enumerate().take(self.columns) {
            let slot = self.slots.iter().find(|(_, columns)| columns.contains(&column)).map(|(slot, _)| *slot);
            let meaning = match slot {
                Some(Slot::Speed) if self.terms.speed_unit != SpeedUnit::Kmh || speed_unit_of(name).is_none() => {
                    format!("speed_kmh, from {}", self.terms.speed_unit.symbol())
                }
                Some(slot) => slot.name().to_owned(),
                None if name.is_empty() => "nothing".to_owned(),
                None => "an attribute".to_owned(),
            };
            let name = if self.first_is_row { format!("column {}", column + 1) } else { (*name).to_owned() };
            understood.push((name, meaning));
        }
        if let Some(vehicle) = self.terms.vehicle_id.as_ref().filter(|_| !self.has(Slot::VehicleId)) {
            understood.push(("no column".to_owned(), format!("vehicle_id {vehicle}")));
        }
        understood
    }

    /// Whether a line has a longitude and a latitude where the columns for them are.
    pub(crate) fn has_place(&self, row: &mut Row, line: &str, separator: u8) -> bool {
        row.split(line, separator);
        let is_there = |slot, axis| {
            let columns = self.slots.iter().find(|(of, _)| *of == slot).map(|(_, columns)| columns.as_slice());
            columns.is_some_and(|columns| values::degrees(&joined(columns, row, line), axis).is_some())
        };
        is_there(Slot::Lon, Axis::Longitude) && is_there(Slot::Lat, Axis::Latitude)
    }

    fn has(&self, slot: Slot) -> bool {
        self.slots.iter().any(|(of, _)| *of == slot)
    }
}

/// The fields by the map, then by their names.
fn slots(names: &[&str], map: &ColumnMap) -> Result<Vec<(Slot, Vec<usize>)>, String> {
    let mut slots = if map.is_by_number() { Vec::new() } else { assign(names) };
    for (column, name) in names.iter().enumerate() {
        let field = Field::of_position(name);
        let is_same = |earlier: &&str| {
            !name.is_empty() && (earlier == name || (field.is_some() && Field::of_position(earlier) == field))
        };
        if !map.is_by_number() && names[..column].iter().any(is_same) {
            return Err(format!("the column {name} is there twice"));
        }
    }
    let mut mapped: Vec<(Slot, Vec<usize>)> = Vec::new();
    for (field, columns) in map.iter() {
        let slot = Slot::from_name(field).ok_or_else(|| {
            let known: Vec<_> = Slot::ALL.iter().map(|slot| slot.name()).collect();
            format!("--columns: {field} is no field of a position; they are {}", known.join(", "))
        })?;
        let columns = columns.iter().map(|column| column_of(column, names)).collect::<Result<Vec<_>, _>>()?;
        mapped.push((slot, columns));
    }
    let taken = |columns: &[usize]| mapped.iter().any(|(_, taken)| taken.iter().any(|column| columns.contains(column)));
    slots.retain(|(slot, columns)| !mapped.iter().any(|(of, _)| of == slot) && !taken(columns));
    slots.extend(mapped);
    slots.sort_unstable_by_key(|(slot, _)| *slot);
    Ok(slots)
}

/// A column by its name, in any case, or by its number from 1.
fn column_of(wanted: &str, names: &[&str]) -> Result<usize, String> {
    let named = names.iter().position(|name| *name == wanted);
    let named = named.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)));
    let numbered = || wanted.parse::<usize>().ok().filter(|number| (1..=names.len()).contains(number));
    named
        .or_else(|| numbered().map(|number| number - 1))
        .ok_or_else(|| format!("--columns: there is no column {wanted}; the header has {}", names.join(", ")))
}

fn check_complete(names: &[&str], slots: &[(Slot, Vec<usize>)], has_vehicle: bool) -> Result<(), String> {
    let has = |slot: &Slot| slots.iter().any(|(of, _)| of == slot) || (*slot == Slot::VehicleId && has_vehicle);
    let needed = [Slot::VehicleId, Slot::Ts, Slot::Lon, Slot::Lat];
    let missing: Vec<_> = needed.iter().filter(|slot| !has(slot)).map(|slot| slot.name()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let looks_like_a_row = names.len() > 2 && names.iter().filter(|name| values::number(name).is_some()).count() >= 2;
    if looks_like_a_row {
        let row = names.join(", ");
        return Err(format!(
            "the first line is no header but a row ({row}); --columns vehicle_id=1,ts=2,lon=3,lat=4 gives the columns \
             by number"
        ));
    }
    Err(format!("missing {}; the header has {}: {WHAT_CSV_NEEDS}", missing.join(", "), names.join(", ")))
}

fn time_rules(
    names: &[&str],
    below: &str,
    separator: u8,
    slots: &[(Slot, Vec<usize>)],
    reading: &Reading,
) -> TimeRules {
    let columns = slots.iter().find(|(slot, _)| *slot == Slot::Ts).map(|(_, columns)| columns.as_slice());
    let columns = columns.unwrap_or_default();
    let name_says_utc = columns.iter().any(|&column| is_utc(names[column]));
    // The loggers of Columbus write yymmdd, and so named this column before all others did.
    let is_columbus = names.iter().any(|name| name.eq_ignore_ascii_case("LATITUDE N/S"));
    let mut order = reading.date_order.or(is_columbus.then_some(DateOrder::YearMonthDay));
    if order.is_none()
        && let Some(&column) = columns.first()
    {
        let mut row = Row::default();
        let cells = below.lines().take(ROWS_LOOKED_AT).filter_map(|line| {
            row.split(line, separator);
            row.cell(line, column).map(str::to_owned)
        });
        let cells: Vec<String> = cells.collect();
        order = decided_order(cells.iter().map(String::as_str));
    }
    TimeRules {
        zone: reading.time_zone.clone().or(name_says_utc.then_some(jiff::tz::TimeZone::UTC)),
        order,
        now: reading.now_ms(),
        given_by: GivenBy::Flags,
    }
}

/// The rules of times in formats that have no header.
pub(crate) fn plain_time_rules(reading: &Reading) -> times::TimeRules {
    TimeRules {
        zone: reading.time_zone.clone(),
        order: reading.date_order,
        now: reading.now_ms(),
        given_by: GivenBy::Flags,
    }
}
