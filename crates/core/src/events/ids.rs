//! Ids of vehicles and geofences, and which stream a vehicle's positions belong to.

use super::rejection::{Reason, Rejection, quoted};

/// The longest id, in characters.
pub const MAX_ID_CHARS: usize = 128;

/// A vehicle's id, if it is one.
pub fn check_vehicle_id(id: &str) -> Result<(), Rejection> {
    check(id, "vehicle_id", Reason::VehicleId)
}

/// A geofence's id, if it is one. A bad one is `malformed`.
pub fn check_geofence_id(id: &str) -> Result<(), Rejection> {
    check(id, "geofence_id", Reason::Malformed)
}

/// An alert rule's id, if it is one. A bad one is `malformed`.
pub fn check_rule_id(id: &str) -> Result<(), Rejection> {
    check(id, "rule_id", Reason::Malformed)
}

fn check(id: &str, name: &str, reason: Reason) -> Result<(), Rejection> {
    let plain = !id.is_empty() && id.len() <= MAX_ID_CHARS && id.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    if plain || ((1..=MAX_ID_CHARS).contains(&id.chars().count()) && !id.chars().any(char::is_control)) {
        return Ok(());
    }
    let detail =
        format!("{name}: expected 1 to {MAX_ID_CHARS} characters, none a control one, found \"{}\"", quoted(id));
    Err(Rejection::new(reason, detail))
}

/// The position stream, of `streams`, that holds this vehicle: CRC-16/XMODEM of the id, modulo.
pub fn stream_of(vehicle_id: &str, streams: u16) -> u16 {
    crc16(vehicle_id.as_bytes()) % streams.max(1)
}

/// CRC-16/XMODEM: polynomial 0x1021, from zero, nothing reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters() {
        assert!(check_vehicle_id(&"é".repeat(128)).is_ok());
        assert!(check_vehicle_id("a").is_ok());
        for id in ["", &"a".repeat(129), "a\nb", "a\u{7f}", "\u{85}"] {
            assert_eq!(check_vehicle_id(id).unwrap_err().reason, Reason::VehicleId, "{id:?}");
            assert_eq!(check_geofence_id(id).unwrap_err().reason, Reason::Malformed, "{id:?}");
        }
    }

    #[test]
    fn the_checksum_is_xmodem() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(stream_of("123456789", 16), 3);
        assert_eq!(stream_of("anything", 1), 0);
    }
}
