//! Which geofences a pipeline has: by its tables, and by the edits in its log that they do not contain yet.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::{RedisError, Value};
use secrecy::ExposeSecret;
use watchtower_core::events::{Event, Limits, decode_entry};
use watchtower_geopackage::GeoPackage;
use watchtower_log::append::Target;
use watchtower_log::file::Reader;
use watchtower_store::geopackage::claim;

use crate::commands::arguments::PlaceArgs;
use crate::commands::stored::{self, GeofenceVersion};

/// Time limit for a connection to Redis.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Entries that are read from Redis at once.
const PAGE: usize = 500;

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
    fn entry(&mut self, fields: &[(&[u8], &[u8])], limits: &Limits) {
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
        Target::Embedded(file) => of_file(file),
        Target::Redis { url, pipeline } => {
            // Before the first run of a daemon there are none.
            let versions = tables.and_then(|tables| stored::geofences(&tables).ok());
            let complete = versions.is_some();
            let mut known = Known::default();
            known.rows(versions.unwrap_or_default());
            // The daemon trims nothing that is not in the tables. A producer may be allowed to append and not to read, and
            // of a server that cannot be used appending says what is wrong.
            let is_whole = of_redis(url.expose_secret(), &pipeline.control_key(), &mut known);
            known.complete = is_whole.unwrap_or(false) || complete;
            Ok(known)
        }
    }
}

fn of_file(file: &GeoPackage) -> anyhow::Result<Known> {
    let mut known = Known { complete: true, ..Known::default() };
    if !file.path().exists() {
        return Ok(known);
    }
    let connection = file.connect_to_read()?;
    let mut at = 0;
    if let Some(stored) = claim::stored(file, &connection)? {
        at = stored.cursors.iter().map(|cursor| cursor.position.entries).sum();
        known.rows(stored::geofences_of(file)?);
    }
    let log = Reader::open_to_read(file)?;
    let (control, limits) = (usize::from(log.layout().streams), Limits::default());
    loop {
        let entries = log.read(at, u64::MAX)?;
        if entries.is_empty() {
            return Ok(known);
        }
        let (mut next, mut fields) = (entries.iter(), Vec::new());
        while let Some((stream, _)) = next.next(&mut fields) {
            if stream == control {
                known.entry(&fields, &limits);
            }
        }
        at = entries.last();
    }
}

/// Takes in the control stream, and returns whether it still has its beginning.
fn of_redis(url: &str, key: &str, known: &mut Known) -> Result<bool, RedisError> {
    let mut redis = redis::Client::open(url)?.get_connection_with_timeout(CONNECT_TIMEOUT)?;
    if !redis::cmd("EXISTS").arg(key).query::<bool>(&mut redis)? {
        return Ok(true);
    }
    let info: HashMap<String, Value> = redis::cmd("XINFO").arg("STREAM").arg(key).query(&mut redis)?;
    let added = info.get("entries-added").and_then(|added| redis::from_redis_value_ref::<u64>(added).ok());
    let (limits, mut after, mut read) = (Limits::default(), "-".to_owned(), 0);
    loop {
        let page: Vec<(String, Vec<Vec<u8>>)> =
            redis::cmd("XRANGE").arg(key).arg(&after).arg("+").arg("COUNT").arg(PAGE).query(&mut redis)?;
        let Some((last, _)) = page.last() else { break };
        after = format!("({last}");
        read += page.len() as u64;
        for (_, parts) in &page {
            let fields: Vec<(&[u8], &[u8])> =
                parts.chunks_exact(2).map(|pair| (pair[0].as_slice(), pair[1].as_slice())).collect();
            known.entry(&fields, &limits);
        }
    }
    Ok(added.is_some_and(|added| read >= added))
}
