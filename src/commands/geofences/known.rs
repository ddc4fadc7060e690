//! Which geofences a pipeline has: by its tables, and by the edits in its log that they do not contain yet.

use std::collections::BTreeMap;

use watchtower_core::events::{Event, Limits, decode_entry};
use watchtower_geopackage::GeoPackage;
use watchtower_log::append::{Fields, Target, read_control};
use watchtower_store::{Options, Store};

use crate::commands::arguments::PlaceArgs;
use crate::commands::runtime;
use crate::commands::stored::{self, GeofenceVersion};

/// Geofences by id, and whether each is there: false once it was deleted.
#[derive(Debug, Default)]
pub(super) struct Known {
    geofences: BTreeMap<String, bool>,
    /// Whether there can be no others: everything that ever became of geofences was read.
    pub(super) complete: bool,
}

impl Known {
    /// Whether a geofence of this id is there; one that was deleted counts if `ever`.
    pub(super) fn has(&self, id: &str, ever: bool) -> bool {
        self.geofences.get(id).is_some_and(|there| *there || ever)
    }

    /// The ids of geofences that are there.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.geofences.iter().filter(|(_, there)| **there).map(|(id, _)| id.as_str())
    }

    /// Takes in rows of the table, of which the last of an id counts.
    fn rows(&mut self, versions: Vec<GeofenceVersion>) {
        for version in versions {
            self.geofences.insert(version.geofence_id, version.effective_until.is_none());
        }
    }

    /// Takes in the geofence events of an entry.
    fn entry(&mut self, fields: Fields<'_>, limits: &Limits) {
        // An entry of a later version of the format halts the daemon: nothing is known of it here.
        let _ = decode_entry(fields, limits, |decoded| {
            if let Ok(Event::Geofence(change)) = decoded.result {
                self.geofences.insert(change.geofence_id.into_owned(), change.definition.is_some());
            }
        });
    }
}

/// The geofences of a pipeline. Of one in a Redis without `tables` only the control stream is read, whose beginning may
/// be trimmed.
///
/// # Errors
/// If the tables or the file cannot be read.
pub(super) fn known(target: &Target, tables: Option<PlaceArgs>) -> anyhow::Result<Known> {
    match target {
        Target::Embedded(file) => of_file(target, file),
        Target::Redis { .. } => {
            // Before the first run of a daemon there are none.
            let versions = tables.and_then(|tables| stored::geofences(&tables).ok());
            let complete = versions.is_some();
            let mut known = Known::default();
            known.rows(versions.unwrap_or_default());
            // The daemon trims nothing that is not in the tables. A producer may be allowed to append and not to read, and
            // of a server that cannot be used appending says what is wrong.
            let limits = Limits::default();
            let is_whole = read_control(target, &[], |fields| known.entry(fields, &limits));
            known.complete = is_whole.unwrap_or(false) || complete;
            Ok(known)
        }
    }
}

fn of_file(target: &Target, file: &GeoPackage) -> anyhow::Result<Known> {
    let mut known = Known { complete: true, ..Known::default() };
    if !file.path().exists() {
        return Ok(known);
    }
    let store = Store::new(&Options::File(file.clone()))?;
    let (stored, versions) = runtime()?.block_on(async {
        let Some(stored) = store.stored(&store.connect().await?).await? else { return anyhow::Ok((None, Vec::new())) };
        Ok((Some(stored), stored::geofences_of(&mut store.reader().await?).await?))
    })?;
    known.rows(versions);
    // An edit that the rows above contain already is passed on once more if a commit came between: the last one counts.
    let (cursors, limits) = (stored.map_or_else(Vec::new, |stored| stored.cursors), Limits::default());
    read_control(target, &cursors, |fields| known.entry(fields, &limits))?;
    Ok(known)
}
