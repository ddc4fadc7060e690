-- turnarounds: from leaving a terminal to reaching one, if another anchor is entered in between.
--
-- Departure and return are those of trips, over terminals alone: trips.sql has made the table of confirmed anchors.
-- Of several terminals at once that with the smallest id counts; clients are in the order of their entries.
WITH departure AS (
    SELECT vehicle_id, exited_at AS departed_at, min(geofence_id COLLATE "C") AS terminal_left_id
    FROM anchored
    WHERE terminal AND exited_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM anchored AS other
                      WHERE other.terminal
                        AND other.vehicle_id = anchored.vehicle_id AND other.entered_at <= anchored.exited_at
                        AND (other.exited_at > anchored.exited_at OR other.exited_at IS NULL))
    GROUP BY vehicle_id, exited_at
), round AS (
    SELECT vehicle_id, departed_at, terminal_left_id, returned_at, terminal_reached_id,
           (SELECT string_agg(geofence_id, ';' ORDER BY entered_at, geofence_id COLLATE "C")
            FROM anchored
            WHERE anchored.vehicle_id = departure.vehicle_id AND NOT terminal
              AND entered_at >= departed_at AND entered_at < returned_at) AS clients
    FROM departure,
         LATERAL (SELECT entered_at AS returned_at, geofence_id AS terminal_reached_id
                  FROM anchored
                  WHERE anchored.vehicle_id = departure.vehicle_id AND terminal AND entered_at > departed_at
                  ORDER BY entered_at, geofence_id COLLATE "C"
                  LIMIT 1) AS return
)
SELECT vehicle_id, departed_at, returned_at, terminal_left_id, terminal_reached_id, clients, distance_m,
       pg_temp.seconds(pg_temp.milliseconds(returned_at - departed_at)) AS duration_s,
       distance_m_error
FROM round, LATERAL pg_temp.measures(vehicle_id, departed_at, returned_at)
WHERE clients IS NOT NULL;
