//! What the holder of a token may do.

use std::fmt;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sends events of vehicles.
    Ingest,
    /// Reads tables.
    Read,
    /// Edits geofences and vehicles; also sends and reads.
    Admin,
}

impl Role {
    /// Every role, with its name.
    pub const NAMES: [(&str, Self); 3] = [("ingest", Self::Ingest), ("read", Self::Read), ("admin", Self::Admin)];

    /// Its name in tables, configurations and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    /// Whether a holder of this role may do what needs `needed`.
    pub fn includes(self, needed: Self) -> bool {
        self == needed || self == Self::Admin
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the holder of a token may do: a role, and what narrows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// Only vehicles of this fleet; None: of every fleet and of none.
    pub fleet: Option<String>,
    /// Only this vehicle: the token of a device.
    pub vehicle_id: Option<String>,
    /// Only the source of this name; None: all sources, and the native API.
    pub source: Option<String>,
}

impl Grant {
    /// Everything.
    pub fn everything() -> Self {
        Self { role: Role::Admin, fleet: None, vehicle_id: None, source: None }
    }

    /// Whether it is for all vehicles.
    pub fn covers_all_vehicles(&self) -> bool {
        self.fleet.is_none() && self.vehicle_id.is_none()
    }

    /// Whether it is for events of a vehicle that is in this fleet.
    pub fn covers(&self, vehicle_id: &str, fleet: Option<&str>) -> bool {
        self.vehicle_id.as_deref().is_none_or(|own| own == vehicle_id)
            && self.fleet.as_deref().is_none_or(|own| Some(own) == fleet)
    }

    /// Whether it is for a source; the native API is none.
    pub fn covers_source(&self, source: Option<&str>) -> bool {
        self.source.as_deref().is_none_or(|own| Some(own) == source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_administrators_have_other_roles() {
        for (name, role) in Role::NAMES {
            assert_eq!(Role::from_name(name), Some(role));
            for (_, needed) in Role::NAMES {
                assert_eq!(role.includes(needed), role == needed || role == Role::Admin, "{role} {needed}");
            }
        }
        assert_eq!(Role::from_name("root"), None);
    }

    #[test]
    fn a_grant_is_for_its_fleet_vehicle_and_source() {
        let all = Grant { role: Role::Ingest, ..Grant::everything() };
        assert!(all.covers("T1", None) && all.covers_all_vehicles() && all.covers_source(Some("phones")));
        let fleet = Grant { fleet: Some("VPC".into()), ..all.clone() };
        assert!(fleet.covers("T1", Some("VPC")));
        assert!(!fleet.covers("T1", Some("other")) && !fleet.covers("T1", None) && !fleet.covers_all_vehicles());
        let device = Grant { vehicle_id: Some("T1".into()), ..all.clone() };
        assert!(device.covers("T1", Some("VPC")) && !device.covers("T2", Some("VPC")));
        let source = Grant { source: Some("phones".into()), ..all };
        assert!(source.covers_source(Some("phones")));
        assert!(!source.covers_source(Some("loconav")) && !source.covers_source(None));
    }
}
