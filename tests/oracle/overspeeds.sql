-- overspeeds: a vehicle was faster than the limit in force where it was, for overspeed_min or more.
--
-- The limit at an instant is the lowest of the geofences the vehicle is in, of equal ones that with the smallest id;
-- else that of the vehicle; else the default. It may change at positions and where a version begins or ends. A run
-- is above one limit of one geofence, and ends at the first instant at which that is no longer so. In a gap
-- nothing holds: it ends a run at its last position. What begins after the newest position is not told.

-- limited: how long which vehicle was in which geofence with which limit. oracle_visits is the result of visits.sql.
CREATE TEMP TABLE limited AS
SELECT vehicle_id, geofence_id, speed_limit_kmh,
       greatest(entered_at, effective_from) AS since,
       coalesce(least(exited_at, effective_until), 'infinity') AS until
FROM oracle_visits
JOIN geofences USING (geofence_id)
WHERE speed_limit_kmh IS NOT NULL
  AND (effective_from < exited_at OR exited_at IS NULL) AND (effective_until > entered_at OR effective_until IS NULL);
CREATE INDEX ON limited (vehicle_id);
ANALYZE limited;

WITH boundary AS (
    SELECT vehicle_id, since AS at FROM limited
    UNION
    SELECT vehicle_id, until FROM limited
    UNION
    SELECT vehicle_id, effective_from FROM vehicles
    UNION
    SELECT vehicle_id, effective_until FROM vehicles
), newest AS (
    SELECT vehicle_id, max(ts) AS newest FROM segments GROUP BY vehicle_id
), instant AS (
    SELECT vehicle_id, ts AS at, gap, speed_kmh FROM segments
    UNION ALL
    SELECT vehicle_id, at, gap, speed_kmh
    FROM boundary
    JOIN newest USING (vehicle_id)
    CROSS JOIN pipeline
    JOIN segments USING (vehicle_id)
    WHERE NOT gap AND at > ts AND (at < until OR ts = newest AND at <= now)
), under AS MATERIALIZED (
    SELECT instant.*, lowest.geofence_id,
           coalesce(lowest.speed_limit_kmh, own.speed_limit_kmh, pg_temp.parameter('default_speed_limit_kmh', 60))
               AS limit_kmh
    FROM instant
    LEFT JOIN LATERAL (SELECT geofence_id, speed_limit_kmh
                       FROM limited
                       WHERE limited.vehicle_id = instant.vehicle_id AND since <= at AND at < until
                       ORDER BY speed_limit_kmh, geofence_id COLLATE "C"
                       LIMIT 1) AS lowest ON true
    LEFT JOIN vehicles AS own
           ON own.vehicle_id = instant.vehicle_id
          AND own.effective_from <= at AND (own.effective_until > at OR own.effective_until IS NULL)
), judged AS (
    SELECT *, coalesce(speed_kmh > limit_kmh, false) AS above,
           lead(at) OVER (PARTITION BY vehicle_id ORDER BY at) AS at_after
    FROM under
), seam AS (
    SELECT *,
           coalesce(NOT lag(above) OVER by_time OR lag(gap) OVER by_time
                    OR lag(limit_kmh) OVER by_time <> limit_kmh
                    OR lag(geofence_id) OVER by_time IS DISTINCT FROM geofence_id, true) AS is_first
    FROM judged
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY at)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY vehicle_id ORDER BY at) AS number
    FROM seam
    WHERE above
), run AS (
    SELECT vehicle_id, geofence_id, limit_kmh, min(at) AS started_at,
           -- Its last instant tells what ended it.
           nullif(max(CASE WHEN gap THEN at ELSE coalesce(at_after, 'infinity') END), 'infinity') AS ended_at
    FROM numbered
    GROUP BY vehicle_id, number, geofence_id, limit_kmh
)
SELECT vehicle_id, started_at, ended_at, geofence_id, limit_kmh,
       max_speed_kmh, distance_m, max_speed_kmh_error, distance_m_error
FROM run
JOIN newest USING (vehicle_id)
LEFT JOIN LATERAL pg_temp.measures(vehicle_id, started_at, ended_at) ON ended_at IS NOT NULL
WHERE started_at <= newest
  AND coalesce(ended_at, newest)
      >= started_at + pg_temp.parameter('overspeed_min_ms', 0) * interval '1 millisecond';
