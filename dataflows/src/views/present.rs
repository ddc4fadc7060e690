//! The versions in force at the log's present.
//!
//! A temporal filter by the log's own clock: a row counts while `effective_from <= now <
//! effective_until`. What counts is remembered by the instant at which that will change, so a tick
//! costs as much as the rows that it makes begin or end.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::{AsCollection, Data};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use crate::control::{Control, Epoch};
use crate::views::Rows;
use watchtower_model::{BEGINNING, InForce, Millis};

/// Input of one epoch.
struct Arrivals<K> {
    answer: Capability<Epoch>,
    rows: Vec<(InForce<K>, i64)>,
    now: Millis,
}

/// The rows of `versions` that are in force at the greatest `Now` of `control` so far.
pub fn present<'s, K: Data + Copy>(
    versions: Rows<'s, InForce<K>>,
    control: StreamVec<'s, Epoch, Control>,
) -> Rows<'s, InForce<K>> {
    versions
        .inner
        .binary_frontier(control, Pipeline, Pipeline, "Present", |initial, _info| {
            drop(initial);
            let mut now = BEGINNING;
            let mut turns = BTreeSet::<(Millis, InForce<K>)>::new();
            let mut pending = BTreeMap::<Epoch, Arrivals<K>>::new();
            move |(versions, versions_frontier), (control, control_frontier), output| {
                let port = output.output_index();
                let arrivals = |answer| Arrivals { answer, rows: Vec::new(), now: BEGINNING };
                versions.for_each_stamp(|cap, containers| {
                    for (row, epoch, diff) in containers.flat_map(|batch| batch.drain(..)) {
                        pending
                            .entry(epoch)
                            .or_insert_with(|| arrivals(cap.delayed(&epoch, port)))
                            .rows
                            .push((row, diff));
                    }
                });
                control.for_each_stamp(|cap, containers| {
                    let Some(&epoch) = cap.least() else { return };
                    let entry = pending.entry(epoch).or_insert_with(|| arrivals(cap.delayed(&epoch, port)));
                    for said in containers.flat_map(|batch| batch.drain(..)) {
                        match said {
                            Control::Now(t) => entry.now = entry.now.max(t),
                            Control::Geofence(_) | Control::Vehicle(_) | Control::Rule(_) => {}
                            Control::Snapshot | Control::Restored => {}
                        }
                    }
                });
                while let Some(first) = pending.first_entry() {
                    let epoch = *first.key();
                    if versions_frontier.less_equal(&epoch) || control_frontier.less_equal(&epoch) {
                        break;
                    }
                    let Arrivals { answer, rows, now: said } = first.remove();
                    let mut delta = Vec::new();
                    for (row, diff) in rows {
                        if is_present(&row, now) {
                            delta.push((row, epoch, diff));
                        }
                        let future = [row.effective_from, row.effective_until].map(|t| (t, row));
                        for turn in future.into_iter().filter(|(t, _)| *t > now) {
                            if diff > 0 {
                                turns.insert(turn)
                            } else {
                                turns.remove(&turn)
                            };
                        }
                    }
                    now = now.max(said);
                    while let Some((t, row)) = turns.pop_first() {
                        if t > now {
                            turns.insert((t, row));
                            break;
                        }
                        delta.push((row, epoch, if t == row.effective_from { 1 } else { -1 }));
                    }
                    consolidate_updates(&mut delta);
                    output.session(&answer).give_iterator(delta.into_iter());
                }
            }
        })
        .as_collection()
}

fn is_present<K>(row: &InForce<K>, now: Millis) -> bool {
    row.effective_from <= now && now < row.effective_until
}
