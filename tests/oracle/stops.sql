-- stops: a vehicle stayed within stop_radius_m of where it was first.
--
-- Its first position is an anchor. The first position farther from an anchor than the radius is the next anchor;
-- those before it are inside. A stop is an anchor with a position inside stop_min or more later. It is open while
-- no position is outside. It is in the geofence with the smallest id of those it is inside at its start:
-- oracle_visits is the result of visits.sql.
WITH RECURSIVE anchor AS (
    SELECT DISTINCT ON (vehicle_id) vehicle_id, ts, lon, lat, geog
    FROM segments
    ORDER BY vehicle_id, ts
), run AS (
    SELECT * FROM anchor
    UNION ALL
    SELECT run.vehicle_id, outside.ts, outside.lon, outside.lat, outside.geog
    FROM run,
         LATERAL (SELECT ts, lon, lat, geog
                  FROM segments
                  WHERE segments.vehicle_id = run.vehicle_id AND segments.ts > run.ts
                    AND ST_Distance(segments.geog, run.geog) > pg_temp.parameter('stop_radius_m', 50)
                  ORDER BY ts
                  LIMIT 1) AS outside
), bounded AS (
    SELECT *, lead(ts) OVER (PARTITION BY vehicle_id ORDER BY ts) AS ts_outside
    FROM run
), stop AS (
    SELECT vehicle_id, ts AS started_at, lon, lat, ts_outside,
           (SELECT max(segments.ts)
            FROM segments
            WHERE segments.vehicle_id = bounded.vehicle_id
              AND segments.ts > bounded.ts AND (segments.ts < ts_outside OR ts_outside IS NULL)) AS last_inside
    FROM bounded
)
SELECT vehicle_id, started_at, CASE WHEN ts_outside IS NOT NULL THEN last_inside END AS ended_at, lon, lat,
       (SELECT min(geofence_id COLLATE "C")
        FROM oracle_visits AS visit
        WHERE visit.vehicle_id = stop.vehicle_id
          AND entered_at <= started_at AND (exited_at > started_at OR exited_at IS NULL)) AS geofence_id
FROM stop
WHERE last_inside >= started_at + pg_temp.parameter('stop_min_ms', 300000) * interval '1 millisecond';
