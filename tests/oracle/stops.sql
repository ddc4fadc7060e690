-- stops: a vehicle stayed within stop_radius_m of where it was first.
--
-- Its first position is an anchor. The first position farther from an anchor than the radius is the next anchor;
-- those before it are inside. A stop is an anchor with a position inside stop_min or more later. It is open while
-- no position is outside. It is in the geofence with the smallest id of those it is inside at its start:
-- oracle_visits is the result of visits.sql.
CREATE INDEX ON oracle_visits (vehicle_id, entered_at);

WITH RECURSIVE anchor AS (
    SELECT DISTINCT ON (vehicle_id) vehicle_id, ts, ts_before, lon, lat, geog
    FROM segments
    ORDER BY vehicle_id, ts
), run AS (
    SELECT * FROM anchor
    UNION ALL
    SELECT run.vehicle_id, outside.*
    FROM run,
         LATERAL (SELECT ts, ts_before, lon, lat, geog
                  FROM segments
                  WHERE segments.vehicle_id = run.vehicle_id AND segments.ts > run.ts
                    AND ST_Distance(segments.geog, run.geog) > pg_temp.parameter('stop_radius_m', 50)
                  ORDER BY ts
                  LIMIT 1) AS outside
), bounded AS (
    -- Its last position is the one before the next anchor.
    SELECT vehicle_id, ts AS started_at, lon, lat, lead(ts_before) OVER (PARTITION BY vehicle_id ORDER BY ts) AS ended_at
    FROM run
), stop AS (
    SELECT bounded.*, coalesce(ended_at, newest) AS last
    FROM bounded
    JOIN (SELECT vehicle_id, max(ts) AS newest FROM segments GROUP BY vehicle_id) AS track USING (vehicle_id)
)
SELECT vehicle_id, started_at, ended_at, lon, lat,
       (SELECT min(geofence_id COLLATE "C")
        FROM oracle_visits AS visit
        WHERE visit.vehicle_id = stop.vehicle_id
          AND entered_at <= started_at AND (exited_at > started_at OR exited_at IS NULL)) AS geofence_id
FROM stop
WHERE last > started_at AND last >= started_at + pg_temp.parameter('stop_min_ms', 300000) * interval '1 millisecond';
