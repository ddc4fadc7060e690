//! `watchtower vehicles list`: the vehicles that the tables of a pipeline hold.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::commands::arguments::PlaceArgs;
use crate::commands::stored::{self, LastSeen, VehicleVersion, instant, lay_out};

/// Arguments of `vehicles list`.
#[derive(Debug, Args)]
pub struct ListVehiclesArgs {
    /// Pipeline whose tables are read
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print a JSON array with an object per vehicle
    #[arg(long)]
    pub json: bool,
}

/// What is known of a vehicle: its last version, unless it has none, and where it was last seen.
#[derive(Default)]
struct Known {
    version: Option<VehicleVersion>,
    seen: Option<LastSeen>,
}

/// Prints every vehicle that has sent a position or has metadata.
///
/// # Errors
/// If the tables cannot be read, or nothing can be printed.
pub(super) fn list(args: &ListVehiclesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (versions, seen) = stored::vehicles(&args.place)?;
    let mut vehicles: BTreeMap<String, Known> = BTreeMap::new();
    for version in versions {
        // Metadata that has ended is no more.
        let current = version.effective_until.is_none().then(|| version.clone());
        vehicles.entry(version.vehicle_id).or_default().version = current;
    }
    for seen in seen {
        let id = seen.vehicle_id.clone();
        vehicles.entry(id).or_default().seen = Some(seen);
    }
    if args.json {
        let rows: Vec<Value> = vehicles.iter().map(|(id, known)| known.to_json(id)).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        let rows: Vec<_> = vehicles.iter().map(|(id, known)| known.row(id)).collect();
        let header = ["ID", "NAME", "FLEET", "LIMIT", "OFFLINE AFTER", "LAST SEEN", "STATUS"];
        write!(out, "{}", lay_out(header, &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Known {
    fn row(&self, id: &str) -> [String; 7] {
        let version = self.version.as_ref();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        let number = |number: Option<f64>, unit| number.map_or_else(String::new, |number| format!("{number} {unit}"));
        [
            id.to_owned(),
            text(version.and_then(|version| version.name.as_ref())),
            text(version.and_then(|version| version.fleet.as_ref())),
            number(version.and_then(|version| version.speed_limit_kmh), "km/h"),
            number(version.and_then(|version| version.offline_after_s), "s"),
            self.seen.as_ref().and_then(|seen| instant(seen.ts)).unwrap_or_else(|| "never".to_owned()),
            text(self.seen.as_ref().map(|seen| &seen.status)),
        ]
    }

    fn to_json(&self, id: &str) -> Value {
        let version = self.version.as_ref();
        let attributes = version.and_then(|version| version.attributes.as_deref());
        json!({
            "vehicle_id": id,
            "name": version.and_then(|version| version.name.as_ref()),
            "fleet": version.and_then(|version| version.fleet.as_ref()),
            "speed_limit_kmh": version.and_then(|version| version.speed_limit_kmh),
            "offline_after_s": version.and_then(|version| version.offline_after_s),
            "attributes": attributes.and_then(|json| serde_json::from_str::<Value>(json).ok()),
            "effective_from": version.and_then(|version| instant(version.effective_from)),
            "last_seen_at": self.seen.as_ref().and_then(|seen| instant(seen.ts)),
            "status": self.seen.as_ref().map(|seen| &seen.status),
        })
    }
}
