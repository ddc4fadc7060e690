-- offlines: silences of a vehicle longer than offline_after, between two positions or from the last one to now.
WITH track AS (
    SELECT vehicle_id, ts, lead(ts) OVER (PARTITION BY vehicle_id ORDER BY ts) AS next
    FROM positions
)
SELECT vehicle_id, ts AS started_at, next AS ended_at
FROM track, pipeline
WHERE coalesce(next, now) > ts + pg_temp.parameter('offline_after_ms', 1800000) * interval '1 millisecond';
