//! `watchtower geofences list`, `show` and `export`: the geofences that the tables of a pipeline hold.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use watchtower_model::BEGINNING;

use crate::commands::arguments::PlaceArgs;
use crate::commands::publish::counted;
use crate::commands::stored::{self, GeofenceVersion, instant, lay_out, nearest};

pub(super) const EXPORT_EXAMPLE: &str = "\
Examples:
  watchtower geofences export --config lagos.toml --out geofences.geojson
  watchtower geofences import geofences.geojson --embedded fleet.gpkg

Every version is a feature whose valid_from is the instant from which it was in force, a first one that always held
has none; an end is a feature with deleted. A daemon that reads them as the beginning of its log (`publish`, `replay`) has the same versions; one that
runs already changes nothing that is longer ago than its tracks are kept.";

/// Arguments of `geofences list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Pipeline whose tables are read
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print a JSON array with an object per geofence
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `geofences show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Id of a geofence
    #[arg(value_name = "ID", required = true)]
    pub id: String,
    /// Pipeline whose tables are read
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print a JSON array with an object per version
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `geofences export`.
#[derive(Debug, Args)]
pub struct ExportGeofencesArgs {
    /// Pipeline whose tables are read
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Write into this file, which is replaced [default: print]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the versions in force at last, without those they replaced and without ended geofences
    #[arg(long)]
    pub last: bool,
}

/// The versions of one geofence after the other.
fn by_id(versions: &[GeofenceVersion]) -> impl Iterator<Item = &[GeofenceVersion]> {
    versions.chunk_by(|one, next| one.geofence_id == next.geofence_id)
}

/// Prints the last version of every geofence.
///
/// # Errors
/// If the tables cannot be read, or nothing can be printed.
pub(super) fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let versions = stored::geofences(&args.place)?;
    if args.json {
        let rows: Vec<Value> = by_id(&versions).filter_map(<[_]>::last).map(|last| last.to_json(false)).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |versions: &[GeofenceVersion]| {
        let last = versions.last().expect("a group has a version");
        [
            last.geofence_id.clone(),
            last.name.clone().unwrap_or_default(),
            last.kind.clone().unwrap_or_default(),
            last.size(),
            instant(last.effective_from).unwrap_or_else(|| "always".to_owned()),
            last.effective_until.and_then(instant).unwrap_or_default(),
            versions.len().to_string(),
        ]
    };
    let rows: Vec<_> = by_id(&versions).map(row).collect();
    write!(out, "{}", lay_out(["ID", "NAME", "KIND", "SHAPE", "SINCE", "UNTIL", "VERSIONS"], &rows))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints all versions of a geofence.
///
/// # Errors
/// If there is none of this id, or the tables cannot be read.
pub(super) fn show(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let versions = stored::geofences(&args.place)?;
    let Some(found) = by_id(&versions).find(|versions| versions[0].geofence_id == args.id) else {
        bail!("{}", unknown(&args.id, by_id(&versions).map(|versions| versions[0].geofence_id.as_str())));
    };
    if args.json {
        let rows: Vec<Value> = found.iter().map(|version| version.to_json(true)).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}: {}", args.id, counted(found.len() as u64, "version", "versions"))?;
    for version in found {
        let since = instant(version.effective_from).map_or_else(|| "always".to_owned(), |from| format!("from {from}"));
        let until =
            version.effective_until.and_then(instant).map_or_else(String::new, |until| format!(" until {until}"));
        writeln!(out, "\n{since}{until}: {}", version.size())?;
        for (name, value) in version.properties() {
            writeln!(out, "  {name:<16} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
        }
        if version.cut_off {
            let wanted = instant(version.valid_from).unwrap_or_else(|| "the beginning".to_owned());
            writeln!(out, "  {:<16} wanted from {wanted}, which could not be changed any more", "cut_off")?;
        }
        writeln!(out, "  {:<16} {}", "geometry", version.shape.geojson())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said of an id that no geofence has.
pub(super) fn unknown<'k>(id: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match nearest(id, known) {
        Some(near) => format!("there is no geofence {id:?}; the nearest is {near:?}"),
        None => format!("there is no geofence {id:?}, and no other"),
    }
}

/// Writes the versions of all geofences as GeoJSON.
///
/// # Errors
/// If the tables cannot be read, or the file cannot be written.
pub(super) fn export(args: &ExportGeofencesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let versions = stored::geofences(&args.place)?;
    let features = features(&versions, args.last);
    let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{}\n]}}\n", features.join(",\n"));
    let Some(path) = &args.out else {
        out.write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let geofences = counted(by_id(&versions).count() as u64, "geofence", "geofences");
    writeln!(out, "{} of {geofences}: {}", counted(features.len() as u64, "feature", "features"), path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// A feature a version, and one of each end that no other version follows.
fn features(versions: &[GeofenceVersion], last: bool) -> Vec<String> {
    let mut features = Vec::new();
    for versions in by_id(versions) {
        for (index, version) in versions.iter().enumerate() {
            let next = versions.get(index + 1);
            if last && (next.is_some() || version.effective_until.is_some()) {
                continue;
            }
            // What always held by its author's word is without a date; of a later version the instant from which it was in
            // force counts, because two of them may share a valid_from.
            let always = version.valid_from == BEGINNING && index == 0;
            features.push(feature(version, last || always));
            if let Some(until) = version.effective_until
                && next.is_none_or(|next| next.effective_from != until)
            {
                let properties = json!({"valid_from": instant(until), "deleted": true});
                let id = &version.geofence_id;
                features
                    .push(json!({"type": "Feature", "id": id, "properties": properties, "geometry": null}).to_string());
            }
        }
    }
    features
}

/// `undated`: as if it had always held.
fn feature(version: &GeofenceVersion, undated: bool) -> String {
    let mut properties = version.properties();
    if !undated {
        properties.insert("valid_from".to_owned(), json!(instant(version.effective_from)));
    }
    let (id, geometry) = (json!(version.geofence_id), version.shape.geojson());
    let properties = Value::Object(properties);
    format!(r#"{{"type":"Feature","id":{id},"properties":{properties},"geometry":{geometry}}}"#)
}

#[cfg(test)]
mod tests {
    use watchtower_model::geometry::Shape;

    use super::*;

    fn version(id: &str, from: i64, until: Option<i64>) -> GeofenceVersion {
        GeofenceVersion {
            geofence_id: id.to_owned(),
            effective_from: from,
            effective_until: until,
            valid_from: from,
            name: Some("Yard 7".to_owned()),
            kind: Some("depot".to_owned()),
            anchor: true,
            tags: vec!["a".to_owned()],
            min_dwell_s: 0.0,
            exit_buffer_m: 25.5,
            speed_limit_kmh: None,
            shape: Shape::circle([3.1, 6.5], 150.0).unwrap().into(),
            cut_off: false,
        }
    }

    #[test]
    fn an_end_is_a_feature_unless_the_next_version_begins_there() {
        let start = 1_795_392_000_000;
        let versions = [
            version("a", BEGINNING, Some(start)),
            version("a", start, Some(start + 1)),
            version("a", start + 2, None),
            version("b", start, Some(start + 5)),
        ];
        let found = features(&versions, false);
        assert_eq!(
            found[0],
            r#"{"type":"Feature","id":"a","properties":{"name":"Yard 7","kind":"depot","tags":["a"],"exit_buffer_m":25.5,"#
                .to_owned()
                + r#""radius_m":150.0},"geometry":{"type":"Point","coordinates":[3.1,6.5]}}"#
        );
        let deleted: Vec<bool> = found.iter().map(|feature| feature.contains("\"deleted\":true")).collect();
        assert_eq!(deleted, [false, false, true, false, false, true]);
        assert!(found[2].contains("2026-11-23T00:00:00.001Z"), "{}", found[2]);
        let last = features(&versions, true);
        assert!(last.len() == 1 && !last[0].contains("valid_from"), "{last:?}");
    }
}
