-- idlings: the ignition was on and the vehicle did not get away, for idle_min or more.
--
-- It idles at usable positions with the ignition on at which it does not move. What ends that: the ignition is off, an
-- offline begins, or it moves farther than stop_radius_m from the last position at which it did not. Two positions at
-- least, between two of these, are an idling, from the first of them to what ends it. While nothing has, it is open,
-- and the last usable position must confirm it.
-- breakers: when something ends an idling.
CREATE TEMP TABLE breakers AS
WITH stood AS (
    SELECT *, count(*) FILTER (WHERE NOT moving) OVER (PARTITION BY vehicle_id ORDER BY k) AS number
    FROM segments
)
SELECT vehicle_id, ts AS at FROM heard WHERE ignition = false
UNION
SELECT vehicle_id, started_at FROM oracle_offlines
UNION
SELECT away.vehicle_id, away.ts
FROM stood AS away
JOIN stood AS last ON last.vehicle_id = away.vehicle_id AND last.number = away.number AND NOT last.moving
WHERE away.moving AND ST_Distance(last.geog, away.geog) > pg_temp.parameter('stop_radius_m', 50);
CREATE INDEX ON breakers (vehicle_id, at);
ANALYZE breakers;

WITH idle AS (
    -- Those that the same breaker ends are one idling; one at its very instant is an offline's first.
    SELECT vehicle_id, ts,
           (SELECT at FROM breakers
            WHERE breakers.vehicle_id = segments.vehicle_id AND at >= ts ORDER BY at LIMIT 1) AS ended_at
    FROM segments
    WHERE ignition AND NOT moving
), idling AS (
    SELECT vehicle_id, min(ts) AS started_at, count(*) AS positions, ended_at
    FROM idle
    GROUP BY vehicle_id, ended_at
)
SELECT vehicle_id, started_at, ended_at
FROM idling
JOIN (SELECT vehicle_id, ts AS newest FROM segments WHERE is_last) AS track USING (vehicle_id)
WHERE positions >= 2
  AND coalesce(ended_at, newest) >= started_at + pg_temp.parameter('idle_min_ms', 1200000) * interval '1 millisecond';
