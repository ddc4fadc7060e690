-- overspeeds: a vehicle was faster than the limit in force where it was, for overspeed_min or more.
--
-- The limit at an instant is the lowest of the geofences the vehicle is in, of equal ones that with the smallest id;
-- else that of the vehicle; else the default. It may change during a segment, where a version begins or ends. A run is
-- above one limit of one geofence without interruption. One that reaches the last usable position is open while the
-- vehicle is above the same limit there and no offline follows.

-- limited: how long which vehicle was in which geofence with which limit. oracle_visits is the result of visits.sql.
CREATE TEMP TABLE limited AS
SELECT vehicle_id, geofence_id, speed_limit_kmh,
       greatest(entered_at, effective_from) AS since,
       coalesce(least(exited_at, effective_until), 'infinity') AS until
FROM oracle_visits
JOIN geofences USING (geofence_id)
WHERE speed_limit_kmh IS NOT NULL
  AND (effective_from < exited_at OR exited_at IS NULL) AND (effective_until > entered_at OR effective_until IS NULL);
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE INDEX ON limited USING gist (vehicle_id, tstzrange(since, until));
ANALYZE limited;

WITH boundary AS (
    SELECT vehicle_id, since AS at FROM limited
    UNION
    SELECT vehicle_id, until FROM limited
    UNION
    SELECT vehicle_id, effective_from FROM vehicles
    UNION
    SELECT vehicle_id, effective_until FROM vehicles
), instant AS (
    SELECT vehicle_id, ts AS at, until, is_last, speed_kmh FROM segments
    UNION ALL
    SELECT boundary.vehicle_id, at, until, is_last, speed_kmh
    FROM boundary
    JOIN LATERAL (SELECT until, is_last, speed_kmh
                  FROM segments
                  WHERE segments.vehicle_id = boundary.vehicle_id AND ts < at
                  ORDER BY ts DESC
                  LIMIT 1) AS cut ON at < until
), under AS MATERIALIZED (
    SELECT instant.*, lowest.geofence_id,
           coalesce(lowest.speed_limit_kmh, own.speed_limit_kmh, pg_temp.parameter('default_speed_limit_kmh', 60))
               AS limit_kmh
    FROM instant
    LEFT JOIN LATERAL (SELECT geofence_id, speed_limit_kmh
                       FROM limited
                       WHERE limited.vehicle_id = instant.vehicle_id AND tstzrange(since, until) @> at
                       ORDER BY speed_limit_kmh, geofence_id COLLATE "C"
                       LIMIT 1) AS lowest ON true
    LEFT JOIN vehicles AS own
           ON own.vehicle_id = instant.vehicle_id
          AND own.effective_from <= at AND (own.effective_until > at OR own.effective_until IS NULL)
), judged AS (
    SELECT *, coalesce(speed_kmh > limit_kmh, false) AS above,
           coalesce(lead(at) OVER (PARTITION BY vehicle_id ORDER BY at), until) AS at_after
    FROM under
), seam AS (
    SELECT *,
           coalesce(NOT lag(above) OVER by_time
                    OR lag(limit_kmh) OVER by_time <> limit_kmh
                    OR lag(geofence_id) OVER by_time IS DISTINCT FROM geofence_id, true) AS is_first
    FROM judged
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY at)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY vehicle_id ORDER BY at) AS number
    FROM seam
    WHERE above
), run AS (
    SELECT vehicle_id, geofence_id, limit_kmh, min(at) AS started_at, max(at_after) AS until, bool_or(is_last) AS lasts
    FROM numbered
    GROUP BY vehicle_id, number, geofence_id, limit_kmh
), ended AS MATERIALIZED (
    SELECT run.*,
           CASE WHEN NOT lasts
                  OR EXISTS (SELECT FROM oracle_offlines AS o WHERE o.vehicle_id = run.vehicle_id AND o.started_at >= run.until)
                THEN run.until END AS ended_at
    FROM run
    WHERE run.until > started_at
      AND run.until >= started_at + pg_temp.parameter('overspeed_min_ms', 0) * interval '1 millisecond'
)
SELECT vehicle_id, started_at, ended_at, geofence_id, limit_kmh,
       max_speed_kmh, distance_m, max_speed_kmh_error, distance_m_error
FROM ended
LEFT JOIN LATERAL pg_temp.measures(vehicle_id, started_at, ended_at) ON ended_at IS NOT NULL;
