-- offlines: silences of a vehicle longer than its offline_after, between two positions of any kind or from the last one
-- to now.
WITH last AS (
    SELECT DISTINCT ON (vehicle_id) vehicle_id, ts FROM heard ORDER BY vehicle_id, ts DESC
)
SELECT vehicle_id, ts_before AS started_at, ts AS ended_at
FROM heard
WHERE silent
UNION ALL
SELECT vehicle_id, ts, NULL
FROM last, pipeline
WHERE now > ts + coalesce((SELECT own.offline_after_s
                           FROM vehicles AS own
                           WHERE own.vehicle_id = last.vehicle_id AND own.effective_from <= ts
                             AND (own.effective_until > ts OR own.effective_until IS NULL)) * interval '1 second',
                          pg_temp.parameter('offline_after_ms', 1800000) * interval '1 millisecond');
