-- vehicle_state: where every vehicle is, as far as its last position tells, and what it is doing.
--
-- Its speed is the reported one if that is plausible, else the mean since the position before (from whole
-- millimetres and milliseconds, rounded down to a millionth of a km/h) if there is one, no offline lies between,
-- and it is plausible; else it cannot be told, and the vehicle counts as stopped. oracle_offlines and
-- oracle_geofence_membership are the results of offlines.sql and geofence_membership.sql.
WITH rule AS (
    SELECT pg_temp.parameter('offline_after_ms', 1800000) * interval '1 millisecond' AS offline_after,
           pg_temp.parameter('idle_speed_kmh', 5) AS idle_speed_kmh,
           pg_temp.parameter('max_plausible_kmh', 250) AS max_plausible_kmh
), track AS (
    SELECT vehicle_id, ts, lon, lat, speed_kmh, heading_deg, geog,
           lag(ts) OVER earlier AS ts_before,
           lag(geog) OVER earlier AS geog_before,
           lead(ts) OVER earlier AS next
    FROM positions
    WINDOW earlier AS (PARTITION BY vehicle_id ORDER BY ts)
), last AS (
    SELECT *,
           CASE WHEN ts - ts_before <= offline_after
                THEN div(round(ST_Distance(geog, geog_before)::numeric * 1000) * 3600000,
                         round(extract(epoch FROM ts - ts_before) * 1000)) / 1000000 END AS mean_kmh
    FROM track, rule
    WHERE next IS NULL
), known AS (
    SELECT *,
           CASE WHEN speed_kmh <= max_plausible_kmh THEN speed_kmh
                WHEN mean_kmh <= max_plausible_kmh THEN mean_kmh END AS best_kmh
    FROM last
)
SELECT vehicle_id, ts, lon, lat, speed_kmh, heading_deg,
       CASE WHEN EXISTS (SELECT FROM oracle_offlines AS o WHERE o.vehicle_id = known.vehicle_id AND ended_at IS NULL)
            THEN 'offline'
            WHEN best_kmh >= idle_speed_kmh THEN 'moving'
            ELSE 'stopped' END AS status,
       ARRAY(SELECT geofence_id
             FROM oracle_geofence_membership AS m
             WHERE m.vehicle_id = known.vehicle_id
             ORDER BY geofence_id COLLATE "C") AS geofence_ids
FROM known;
