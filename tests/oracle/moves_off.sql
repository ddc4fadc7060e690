-- moves_off: ways of more than tow_min_m with the ignition known to be off.
--
-- A run is usable positions in a row at which it is, without an offline between. Its legs are those that end at one of
-- them other than the first, and add something. It lasts from where the first leg starts, but not before the run nor
-- before the end of a stop that the leg leaves, to the end of the last.

-- towed: these legs.
CREATE TEMP TABLE towed AS
WITH seam AS (
    SELECT *,
           coalesce(lag(ignition) OVER by_time IS DISTINCT FROM false OR lag(session) OVER by_time <> session, true) AS is_first
    FROM segments
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY k)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY vehicle_id ORDER BY k) AS number
    FROM seam
    WHERE ignition = false
), run AS (
    SELECT *, min(ts) OVER (PARTITION BY vehicle_id, number) AS first_at
    FROM numbered
), leg AS (
    SELECT run.vehicle_id, number, legs.ended_at, legs.way_mm,
           greatest(left_.ts, first_at,
                    (SELECT least(ts, legs.ended_at) FROM segments AS stood
                     WHERE stood.vehicle_id = left_.vehicle_id AND stood.k = left_.stop_last)) AS started_at
    FROM run
    JOIN legs ON legs.vehicle_id = run.vehicle_id AND legs.to_k = run.k
    JOIN segments AS left_ ON left_.vehicle_id = legs.vehicle_id AND left_.k = legs.from_k
    WHERE NOT is_first AND legs.way_mm > 0
)
SELECT *,
       first_value(started_at) OVER (PARTITION BY vehicle_id, number ORDER BY leg.ended_at) AS moved_at,
       sum(way_mm) OVER (PARTITION BY vehicle_id, number) AS all_mm
FROM leg;
DELETE FROM towed WHERE all_mm <= pg_temp.parameter('tow_min_mm', 500000);

SELECT vehicle_id, moved_at AS started_at, max(ended_at) AS ended_at,
       (sum(way_mm) / 1000)::double precision AS distance_m,
       (sum(way_mm * 1e-6 + 1) / 1000)::double precision AS distance_m_error
FROM towed
GROUP BY vehicle_id, number, moved_at;
