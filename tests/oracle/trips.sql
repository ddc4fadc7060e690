-- trips: from leaving a confirmed anchor to the next one.
--
-- A vehicle departs when a visit ends and no other one lasts or begins, and arrives with the next one that begins
-- later; of several at once that with the smallest id counts. Without one the trip is open.

-- anchored: the confirmed visits to what was an anchor when it was entered. oracle_visits is the result of visits.sql.
CREATE TEMP TABLE anchored AS
SELECT vehicle_id, geofence_id, entered_at, exited_at, coalesce(kind = 'terminal', false) AS terminal
FROM oracle_visits
JOIN geofences USING (geofence_id)
WHERE confirmed AND anchor
  AND effective_from <= entered_at AND (effective_until > entered_at OR effective_until IS NULL);
CREATE INDEX ON anchored (vehicle_id, entered_at);
ANALYZE anchored;

WITH departure AS (
    SELECT vehicle_id, exited_at AS departed_at, min(geofence_id COLLATE "C") AS origin_id
    FROM anchored
    WHERE exited_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM anchored AS other
                      WHERE other.vehicle_id = anchored.vehicle_id AND other.entered_at <= anchored.exited_at
                        AND (other.exited_at > anchored.exited_at OR other.exited_at IS NULL))
    GROUP BY vehicle_id, exited_at
), trip AS (
    SELECT vehicle_id, departed_at, origin_id, arrived_at, destination_id
    FROM departure
    LEFT JOIN LATERAL (SELECT entered_at AS arrived_at, geofence_id AS destination_id
                       FROM anchored
                       WHERE anchored.vehicle_id = departure.vehicle_id AND entered_at > departed_at
                       ORDER BY entered_at, geofence_id COLLATE "C"
                       LIMIT 1) AS arrival ON true
)
SELECT vehicle_id, departed_at, arrived_at, origin_id, destination_id, distance_m,
       pg_temp.seconds(pg_temp.milliseconds(arrived_at - departed_at)) AS duration_s,
       moving_s, stopped_s,
       CASE WHEN arrived_at IS NOT NULL
            THEN (SELECT count(*)
                  FROM oracle_stops AS stop
                  WHERE stop.vehicle_id = trip.vehicle_id AND started_at >= departed_at AND started_at < arrived_at)
            END AS stops,
       max_speed_kmh, gap_m, distance_m_error, gap_m_error, max_speed_kmh_error
FROM trip
LEFT JOIN LATERAL pg_temp.measures(vehicle_id, departed_at, arrived_at) ON arrived_at IS NOT NULL;
