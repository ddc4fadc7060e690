//! Permutes the order of arrival of a log.

use watchtower_model::PositionEvent;

use crate::replay::Item;
use watchtower_core::random::SplitMix;

/// Permutes the position events among the places where the log has one. Events of the same vehicle and instant keep
/// their order, because the last of them is the valid one.
pub fn permute_positions(log: &mut [Item], seed: u64) {
    let events: Vec<PositionEvent> = log.iter().filter_map(as_position).collect();
    let mut order: Vec<usize> = (0..events.len()).collect();
    let mut random = SplitMix::new(seed);
    random.shuffle(&mut order);
    // Target place of each event; among equal keys the earlier event takes the earlier place.
    let mut places = vec![0; events.len()];
    for (place, &event) in order.iter().enumerate() {
        places[event] = place;
    }
    let mut by_key: Vec<usize> = (0..events.len()).collect();
    by_key.sort_by_key(|&i| key(&events[i]));
    let mut shuffled = events.clone();
    for group in by_key.chunk_by(|&a, &b| key(&events[a]) == key(&events[b])) {
        let mut taken: Vec<usize> = group.iter().map(|&event| places[event]).collect();
        taken.sort_unstable();
        for (&event, place) in group.iter().zip(taken) {
            shuffled[place] = events[event];
        }
    }
    let mut shuffled = shuffled.into_iter();
    for item in log.iter_mut().filter(|item| as_position(item).is_some()) {
        *item = Item::Position(shuffled.next().expect("a permutation keeps the number"));
    }
}

fn key(event: &PositionEvent) -> (u32, i64) {
    (event.vehicle.0, event.position.ts)
}

fn as_position(item: &Item) -> Option<PositionEvent> {
    match item {
        Item::Position(event) => Some(*event),
        Item::Control(_) | Item::Clock(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtower_model::{Heading, Ignition, Mark, Place, Position, Speed, VehicleId};

    fn event(vehicle: u32, ts: i64, mark: i32) -> Item {
        let position = Position {
            ts,
            place: Place { lon: mark, lat: 0 },
            speed: Speed::NONE,
            heading: Heading::NONE,
            ignition: Ignition::Unknown,
            mark: Mark::None,
        };
        Item::Position(PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false })
    }

    #[test]
    fn everything_moves_but_equal_keys_keep_their_order() {
        let mut log: Vec<Item> = (0..200).map(|i| event(i % 3, i64::from(i) / 10, i as i32)).collect();
        log.insert(100, Item::Clock(7));
        let marks = |log: &[Item]| log.iter().filter_map(as_position).map(|e| e.position.place.lon).collect::<Vec<_>>();
        let before = marks(&log);
        permute_positions(&mut log, 1);
        let after = marks(&log);
        assert!(matches!(log[100], Item::Clock(7)), "what is no position stays");
        assert_ne!(before, after);
        let mut sorted = after.clone();
        sorted.sort_unstable();
        assert_eq!(before, sorted, "nothing is lost");
        for (vehicle, ts) in (0..3).flat_map(|v| (0..20).map(move |t| (v, t))) {
            let same: Vec<_> = log.iter().filter_map(as_position).filter(|e| key(e) == (vehicle, ts)).collect();
            assert!(same.is_sorted_by_key(|e| e.position.place.lon), "vehicle {vehicle}, ts {ts}");
        }
    }
}
