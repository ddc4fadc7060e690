-- visits: every stay of a vehicle inside a geofence.
--
-- A vehicle is at a usable position from its ts until that of the next one, at the last one for ever. A version of a
-- geofence is in force from effective_from until effective_until; what begins later than the present, which
-- is now or the vehicle's last position if that is later, has not happened yet.
--
-- A stretch is the time of one position under one version that covers it, or is no farther from it than
-- exit_buffer_m. A vehicle that is inside stays inside from stretch to stretch as long as no instant lies
-- between them, and it gets inside in one that covers it: a visit lasts from the first such stretch of an
-- unbroken run to the end of the run.
WITH track AS MATERIALIZED (
    SELECT vehicle_id, ts, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS place,
           lead(ts, 1, 'infinity') OVER (PARTITION BY vehicle_id ORDER BY ts) AS until,
           greatest(now, max(ts) OVER (PARTITION BY vehicle_id)) AS present
    FROM usable, pipeline
), candidate AS (
    SELECT vehicle_id, geofence_id, geometry, border, place, radius_m, exit_buffer_m,
           greatest(ts, effective_from) AS since,
           least(until, CASE WHEN effective_until <= present THEN effective_until END) AS until
    FROM track
    JOIN reach ON box && place
    WHERE effective_from < until AND effective_from <= present AND (effective_until > ts OR effective_until IS NULL)
), measured AS MATERIALIZED (
    SELECT vehicle_id, geofence_id, since, until, geometry, place, radius_m, exit_buffer_m,
           CASE WHEN radius_m IS NULL THEN pg_temp.covers(geometry, border, place)
                ELSE ST_DWithin(geometry::geography, place::geography, radius_m, true) END AS covered
    FROM candidate
), stretch AS (
    SELECT vehicle_id, geofence_id, since, until, covered
    FROM measured
    WHERE CASE WHEN covered THEN true
               WHEN exit_buffer_m = 0 THEN false
               WHEN radius_m IS NULL THEN pg_temp.distance_m(geometry, place) <= exit_buffer_m
               ELSE ST_DWithin(geometry::geography, place::geography, radius_m + exit_buffer_m, true) END
), seam AS (
    SELECT *, since IS DISTINCT FROM
              lag(until) OVER (PARTITION BY vehicle_id, geofence_id ORDER BY since) AS is_first
    FROM stretch
), run AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY vehicle_id, geofence_id ORDER BY since) AS number
    FROM seam
), visit AS (
    SELECT vehicle_id, geofence_id, min(since) FILTER (WHERE covered) AS entered_at,
           nullif(max(until), 'infinity') AS exited_at
    FROM run
    GROUP BY vehicle_id, geofence_id, number
    HAVING bool_or(covered)
)
SELECT vehicle_id, geofence_id, entered_at, exited_at,
       coalesce(exited_at, now) >= entered_at + min_dwell_s * interval '1 second' AS confirmed
FROM visit
JOIN geofences USING (geofence_id)
CROSS JOIN pipeline
WHERE effective_from <= entered_at AND (effective_until > entered_at OR effective_until IS NULL);
