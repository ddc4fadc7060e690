-- The rules revised: marked positions, straight ways across offlines, ways with the ignition off, and vehicles' own
-- offline_after.

CREATE TABLE position_marks (
    vehicle_id text COLLATE "C" NOT NULL,
    ts         timestamptz NOT NULL,
    mark       text NOT NULL,
    PRIMARY KEY (vehicle_id, ts)
);

CREATE TABLE moves_off (
    vehicle_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    distance_m double precision NOT NULL,
    PRIMARY KEY (vehicle_id, started_at)
);

-- Tables of a pipeline made with the old rules are computed anew before anything is written to them: until then what
-- is added is 0.
ALTER TABLE trips ADD COLUMN gap_m double precision;
ALTER TABLE vehicle_daily ADD COLUMN gap_m double precision NOT NULL DEFAULT 0;
ALTER TABLE vehicle_daily ADD COLUMN towed_m double precision NOT NULL DEFAULT 0;
ALTER TABLE fleet_daily ADD COLUMN gap_m double precision NOT NULL DEFAULT 0;
ALTER TABLE vehicles ADD COLUMN offline_after_s double precision;

CREATE OR REPLACE VIEW positions AS
SELECT vehicle_id, ts, lon, lat, speed_kmh, heading_deg, accuracy_m, altitude_m, ignition, attributes,
       ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography(Point, 4326) AS geog,
       mark
FROM (SELECT DISTINCT ON (vehicle_id, ts) *
      FROM positions_log
      ORDER BY vehicle_id, ts, entry DESC, entry_index DESC) AS latest
LEFT JOIN position_marks USING (vehicle_id, ts)
WHERE NOT deleted;
COMMENT ON COLUMN positions_log.ignition IS 'As reported; empty if it was not (what was last reported then holds).';
