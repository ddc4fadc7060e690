-- idlings: the ignition was on and the vehicle slower than idle_speed_kmh, for idle_min or more.
--
-- A run of such positions, two at least, that no gap divides. It lasts until the first other position; if a gap
-- ends it, until its last one. While neither has come it is open, and its positions alone must confirm it.
WITH position AS (
    SELECT vehicle_id, ts, gap,
           ignition AND coalesce(speed_kmh < pg_temp.parameter('idle_speed_kmh', 5), false) AS idle,
           lead(ts) OVER (PARTITION BY vehicle_id ORDER BY ts) AS ts_after
    FROM segments
), seam AS (
    SELECT *, coalesce(NOT lag(idle) OVER by_time OR lag(gap) OVER by_time, true) AS is_first
    FROM position
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY ts)
), run AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY vehicle_id ORDER BY ts) AS number
    FROM seam
    WHERE idle
), idling AS (
    SELECT vehicle_id, min(ts) AS started_at, max(ts) AS last, count(*) AS positions,
           -- Its last position tells what ended it.
           max(CASE WHEN gap THEN ts ELSE coalesce(ts_after, 'infinity') END) AS until
    FROM run
    GROUP BY vehicle_id, number
)
SELECT vehicle_id, started_at, nullif(until, 'infinity') AS ended_at
FROM idling
WHERE positions >= 2
  AND CASE until WHEN 'infinity' THEN last ELSE until END
      >= started_at + pg_temp.parameter('idle_min_ms', 1200000) * interval '1 millisecond';
