//! Days whose groups stay in memory though their end is long ago: see [`super::groups`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use watchtower_model::VehicleId;
use watchtower_model::facts::{Pin, Pinned};
use watchtower_model::local_time::Day;

/// Days on which groups may change though their end is long ago, with the number of pins that say so.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    /// Where groups are each of one vehicle.
    own: BTreeMap<VehicleId, BTreeMap<(Day, Day), i64>>,
    /// Where they are not: on which days how many more, or fewer, pins hold than on the day before.
    others: BTreeMap<Day, i64>,
    /// The days on which any pin of all groups holds, ascending; derived from `others` when they have changed.
    days: Vec<(Day, Day)>,
    is_stale: bool,
}

impl Pins {
    /// Adds a pin so many times, or withdraws it. `by_vehicle`: groups are each of one vehicle.
    pub(crate) fn add(&mut self, pin: &Pin, diff: i64, by_vehicle: bool) {
        let Pin { vehicle, first, last, groups } = *pin;
        if by_vehicle {
            let own = self.own.entry(vehicle).or_default();
            add(own, (first, last), diff);
            if own.is_empty() {
                self.own.remove(&vehicle);
            }
        } else if groups == Pinned::All {
            add(&mut self.others, first, diff);
            add(&mut self.others, Day(last.0.saturating_add(1)), -diff);
            self.is_stale = true;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.others.is_empty()
    }

    /// Whether groups of a vehicle, or of no single one, are pinned on any day from one to another.
    pub(crate) fn has(&self, vehicle: Option<VehicleId>, from: Day, until: Day) -> bool {
        let overlaps = |&(first, last): &(Day, Day)| first <= until && from <= last;
        match vehicle {
            Some(vehicle) => self.own.get(&vehicle).is_some_and(|days| days.keys().any(overlaps)),
            None => self.days[self.days.partition_point(|(_, last)| *last < from)..].first().is_some_and(overlaps),
        }
    }

    /// The first day on which groups of a vehicle, or of no single one, are pinned.
    pub(crate) fn since(&self, vehicle: Option<VehicleId>) -> Day {
        let first = match vehicle {
            Some(vehicle) => self.own.get(&vehicle).and_then(|days| days.keys().next()),
            None => self.days.first(),
        };
        first.map_or(Day(i32::MAX), |(first, _)| *first)
    }

    /// To be called once pins have been added or withdrawn, before anything is asked.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        self.days.clear();
        let (mut held, mut since) = (0, None);
        for (&day, diff) in &self.others {
            held += diff;
            match since {
                None if held > 0 => since = Some(day),
                Some(first) if held <= 0 => {
                    self.days.push((first, Day(day.0 - 1)));
                    since = None;
                }
                _ => {}
            }
        }
    }
}

/// Adds to a number that is 0 where there is none.
fn add<K: Ord>(counts: &mut BTreeMap<K, i64>, key: K, diff: i64) {
    match counts.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(diff);
        }
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: Pin = Pin { vehicle: VehicleId(7), first: Day(10), last: Day(12), groups: Pinned::All };

    /// The days of 0..30 on which groups are pinned.
    fn held(pins: &Pins, vehicle: Option<VehicleId>) -> Vec<i32> {
        (0..30).filter(|&day| pins.has(vehicle, Day(day), Day(day))).collect()
    }

    #[test]
    fn days_are_pinned_as_long_as_any_pin_holds() {
        let mut pins = Pins::default();
        for (pin, diff, days) in [
            (PIN, 1, vec![10, 11, 12]),
            (Pin { vehicle: VehicleId(8), first: Day(12), last: Day(14), ..PIN }, 1, vec![10, 11, 12, 13, 14]),
            (Pin { first: Day(20), last: Day(20), ..PIN }, 1, vec![10, 11, 12, 13, 14, 20]),
            (Pin { first: Day(5), last: Day(29), groups: Pinned::OwnDays, ..PIN }, 1, vec![10, 11, 12, 13, 14, 20]),
            (PIN, -1, vec![12, 13, 14, 20]),
        ] {
            pins.add(&pin, diff, false);
            pins.settle();
            assert_eq!(held(&pins, None), days, "after {diff} of {pin:?}");
        }
        assert_eq!(pins.since(None), Day(12));
        assert!(pins.has(None, Day(0), Day(12)) && !pins.has(None, Day(15), Day(19)));
    }

    #[test]
    fn groups_of_a_vehicle_are_pinned_by_its_own_pins() {
        let mut pins = Pins::default();
        pins.add(&PIN, 1, true);
        pins.add(&Pin { first: Day(20), last: Day(20), groups: Pinned::OwnDays, ..PIN }, 1, true);
        assert_eq!(held(&pins, Some(VehicleId(7))), [10, 11, 12, 20]);
        assert_eq!(held(&pins, Some(VehicleId(8))), [0; 0]);
        pins.add(&PIN, -1, true);
        assert_eq!((held(&pins, Some(VehicleId(7))), pins.since(Some(VehicleId(7)))), (vec![20], Day(20)));
        pins.add(&Pin { first: Day(20), last: Day(20), groups: Pinned::OwnDays, ..PIN }, -1, true);
        assert!(pins.is_empty());
    }
}
