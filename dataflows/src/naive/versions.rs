//! Which of the edits of one thing is in force when.

use std::collections::{BTreeMap, BTreeSet};

use watchtower_model::{END, Edit, Geofence, GeofenceId, InForce, Millis};

/// The edits of each key.
pub(super) type Histories<'a, K, D> = BTreeMap<K, Vec<&'a Edit<K, D>>>;

/// The edits of each geofence.
pub(super) type Geofences<'a> = Histories<'a, GeofenceId, Geofence>;

pub(super) fn histories<K: Copy + Ord, D>(edits: &[Edit<K, D>]) -> Histories<'_, K, D> {
    let mut histories = Histories::new();
    for edit in edits {
        histories.entry(edit.key).or_default().push(edit);
    }
    histories
}

/// The edit in force at `t`, which may be a deletion.
fn edit_at<'a, K, D>(history: &[&'a Edit<K, D>], t: Millis) -> Option<&'a Edit<K, D>> {
    let effective = history.iter().filter(|edit| edit.effective_from <= t);
    effective.max_by_key(|edit| (edit.valid_from, edit.seq)).copied()
}

/// The definition in force at `t`; `None` before the first edit and after a deletion.
pub(super) fn definition_at<'a, K, D>(history: &[&'a Edit<K, D>], t: Millis) -> Option<&'a D> {
    edit_at(history, t).and_then(|edit| edit.definition.as_deref())
}

/// The definition of a geofence at `t`.
pub(super) fn geofence_at<'a>(geofences: &Geofences<'a>, geofence: GeofenceId, t: Millis) -> Option<&'a Geofence> {
    geofences.get(&geofence).and_then(|history| definition_at(history, t))
}

/// The id of a geofence in the log, which all its versions have.
pub(super) fn name<'a>(geofences: &Geofences<'a>, geofence: GeofenceId) -> Option<&'a str> {
    let mut definitions = geofences.get(&geofence)?.iter().filter_map(|edit| edit.definition.as_deref());
    definitions.next().map(|geofence| &*geofence.id)
}

/// Of several geofences the one with the smallest id in the log.
pub(super) fn smallest(geofences: &Geofences<'_>, of: impl Iterator<Item = GeofenceId>) -> Option<GeofenceId> {
    of.min_by_key(|&geofence| name(geofences, geofence))
}

/// The times at which another edit comes into force, ascending, with that edit.
pub(super) fn changes<'a, K, D>(history: &[&'a Edit<K, D>]) -> Vec<(Millis, &'a Edit<K, D>)> {
    let times: BTreeSet<Millis> = history.iter().map(|edit| edit.effective_from).collect();
    let mut changes: Vec<(Millis, &Edit<K, D>)> =
        times.into_iter().filter_map(|t| Some((t, edit_at(history, t)?))).collect();
    changes.dedup_by_key(|(_, edit)| (edit.valid_from, edit.seq));
    changes
}

/// When which version is in force.
pub(super) fn in_force_rows<K: Copy + Ord, D>(histories: &Histories<'_, K, D>) -> BTreeSet<InForce<K>> {
    let mut rows = BTreeSet::new();
    for (&key, history) in histories {
        let changes = changes(history);
        for (i, &(effective_from, edit)) in changes.iter().enumerate() {
            let effective_until = changes.get(i + 1).map_or(END, |&(t, _)| t);
            if edit.definition.is_some() {
                rows.insert(InForce {
                    key,
                    effective_from,
                    effective_until,
                    valid_from: edit.valid_from,
                    seq: edit.seq,
                });
            }
        }
    }
    rows
}
