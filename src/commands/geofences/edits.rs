//! Edits of geofences by hand: features of files, or deletions, into the control stream.
//!
//! They arrive now. One geofence is one entry with the field `json`: it may be large, and can be read
//! by whoever looks into the stream.

use std::borrow::Cow;
use std::path::PathBuf;

use watchtower_model::Millis;

use watchtower_core::admission::keep_tracks_ms;
use watchtower_core::events::{Event, GeofenceChange, Geometry, Limits, Rings, check_time, json, parse_time};
use watchtower_inputs::{self as inputs, FileFormat, FileReport, Reading};
use watchtower_log::append::{Layout, Outlet, Sender, Tally, Target, open_for_edits};

use crate::commands::publish::{PublishError, now_ms};

/// Features to append.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// Files of geofences.
    pub files: &'a [PathBuf],
    /// How they are to be read.
    pub reading: Reading,
    /// Pipeline that is appended to; without one the files are only read.
    pub target: Option<&'a Target>,
    /// Since when those hold that do not say it. Nothing: new ones always did, others since they arrive.
    pub valid_from: Option<Millis>,
}

/// Geofences to end.
#[derive(Clone, Debug)]
pub struct Deletion<'a> {
    /// Identifiers of the geofences to delete.
    pub ids: &'a [String],
    /// Pipeline that is appended to.
    pub target: &'a Target,
    /// Since when they are no more. Nothing: since this arrives.
    pub valid_from: Option<Millis>,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many geofences are in the stream.
    pub geofences: u64,
    /// Of polygons, those that close a ring included.
    pub vertices: u64,
    /// Geofences that are circles.
    pub circles: u64,
    /// Ids of geofences that lie across the antimeridian, where their shapes are cut.
    pub cut: Vec<String>,
    /// Geofences that are wanted from earlier on than a daemon can change anything by default.
    pub cut_off: u64,
    /// Whether a daemon of the pipeline has run, if anything was appended.
    pub by_daemon: Option<bool>,
    /// What was read of each file.
    pub files: Vec<FileReport>,
}

/// Appends the features of files that are geofences.
///
/// # Errors
/// If a file cannot be read, or Redis is not there or takes no more.
pub fn import(import: &Import<'_>) -> Result<Outcome, PublishError> {
    let limits = Limits::default();
    let (mut edits, mut files) = (Edits::default(), Vec::new());
    let received_at = now_ms();
    for path in import.files {
        let format = FileFormat::GeoJson;
        let mut source = inputs::open_with(path, format, &import.reading, &limits).map_err(PublishError::Unreadable)?;
        let mut report = FileReport::new(path, format);
        while let Some(record) = source.next_record().map_err(PublishError::Unreadable)? {
            report.count(&record);
            if let Ok(Event::Geofence(mut change)) = record.result {
                change.valid_from = change.valid_from.or(import.valid_from);
                change.received_at = Some(received_at);
                edits.push(change);
            }
        }
        report.finish(source.as_ref());
        files.push(report);
    }
    match import.target {
        Some(target) if !edits.texts.is_empty() => Ok(Outcome { files, ..edits.publish(target)? }),
        _ => Ok(Outcome { files, ..Outcome::default() }),
    }
}

/// Ends geofences.
///
/// # Errors
/// If Redis is not there or takes no more.
pub fn delete(deletion: &Deletion<'_>) -> Result<Outcome, PublishError> {
    let received_at = Some(now_ms());
    let mut edits = Edits::default();
    for id in deletion.ids {
        let geofence_id = Cow::Borrowed(id.as_str());
        edits.push(GeofenceChange { geofence_id, valid_from: deletion.valid_from, received_at, definition: None });
    }
    edits.publish(deletion.target)
}

/// The id of a geofence, as typed.
///
/// # Errors
/// If no geofence can have it.
pub fn parse_geofence_id(text: &str) -> Result<String, String> {
    let event = serde_json::json!({"type": "geofence", "geofence_id": text, "deleted": true}).to_string();
    match json::decode(event.as_bytes(), &Limits::default()) {
        Ok(_) => Ok(text.to_owned()),
        Err(rejection) => Err(rejection.detail),
    }
}

/// A `valid_from`, as typed.
///
/// # Errors
/// If it is neither RFC 3339 nor epoch milliseconds, or out of range.
pub fn parse_valid_from(text: &str) -> Result<Millis, String> {
    let ms = parse_time(text).ok_or("expected an RFC 3339 time, as in 2026-11-23T06:00:00Z, or epoch milliseconds")?;
    check_time("valid_from", ms, &Limits::default()).map_err(|rejection| rejection.detail)
}

/// Edits that wait for all of them to be found good.
#[derive(Default)]
struct Edits {
    texts: Vec<String>,
    vertices: u64,
    circles: u64,
    cut: Vec<String>,
    cut_off: u64,
}

impl Edits {
    fn push(&mut self, change: GeofenceChange<'_>) {
        let rings = |rings: &Rings| rings.iter().map(Vec::len).sum::<usize>() as u64;
        match change.definition.as_ref().map(|definition| &definition.geometry) {
            None => {}
            Some(Geometry::Polygon(polygon)) => self.vertices += rings(polygon),
            Some(Geometry::MultiPolygon(polygons)) => self.vertices += polygons.iter().map(rings).sum::<u64>(),
            Some(Geometry::Circle { .. }) => self.circles += 1,
        }
        let earliest = change.received_at.zip(keep_tracks_ms(&Limits::default())).map(|(at, ms)| at - ms);
        self.cut_off += u64::from(change.valid_from.is_some_and(|valid_from| Some(valid_from) < earliest));
        if change.definition.as_ref().is_some_and(|definition| definition.geometry.crosses_antimeridian()) {
            self.cut.push(change.geofence_id.to_string());
        }
        self.texts.push(json::encode(&Event::Geofence(change)));
    }

    fn publish(self, target: &Target) -> Result<Outcome, PublishError> {
        let (outlet, layout) = open_for_edits(target)?;
        let tally = append_to_control(target, outlet, &layout, &self.texts)?;
        Ok(Outcome {
            geofences: tally.events,
            vertices: self.vertices,
            circles: self.circles,
            cut: self.cut,
            cut_off: self.cut_off,
            by_daemon: Some(layout.by_daemon),
            files: Vec::new(),
        })
    }
}

/// Appends events as JSON, an entry each, to the control stream.
///
/// # Errors
/// If the log takes no more.
pub fn append_to_control(
    target: &Target,
    outlet: Outlet,
    layout: &Layout,
    texts: &[String],
) -> Result<Tally, PublishError> {
    let (keys, control) = (target.keys(layout.streams), usize::from(layout.streams));
    let mut chunk = outlet.empty_chunk();
    let sender = Sender::start(outlet);
    for text in texts {
        chunk.push((control, &keys[control]), &[(b"json", text.as_bytes())], 1);
        // If it is not taken, finishing says why.
        if chunk.is_full() && !sender.send(chunk.take()) {
            break;
        }
    }
    if !chunk.is_empty() {
        let _ = sender.send(chunk);
    }
    Ok(sender.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_checked() {
        assert_eq!(parse_geofence_id("yard 7").unwrap(), "yard 7");
        assert!(parse_geofence_id("").unwrap_err().contains("1 to 128 characters"));
        assert_eq!(parse_valid_from("1980-01-01T00:00:00Z"), Ok(315_532_800_000));
        assert_eq!(parse_valid_from("315532800000"), Ok(315_532_800_000));
        assert!(parse_valid_from("yesterday").unwrap_err().contains("RFC 3339"));
        assert!(parse_valid_from("1979-12-31T00:00:00Z").unwrap_err().contains("valid_from"));
    }
}
