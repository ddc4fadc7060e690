-- segments, which is no table of a pipeline: every position with what the rules of movement say of it. A segment
-- lasts from a position until the next one; the last one has no length.
--
-- * gap: an offline follows, up to the next position, or from the last one to now.
-- * outlier: the mean speeds from the position before and to the next one are both implausible.
-- * speed_kmh: as reported if plausible, else the mean since the position before (from whole millimetres and
--   milliseconds, rounded down to a millionth of a km/h) if that is plausible and spans no gap, else empty.
--   Outliers have none.
-- * step_mm: how far it is from the position before, outliers skipped; empty if there is none, or across a gap.
--
-- Distances may be wrong by 1e-6 of them and a millimetre a step, and so may means: speed_error_kmh.
CREATE TEMP TABLE segments AS
WITH rule AS (
    SELECT pg_temp.parameter('offline_after_ms', 1800000) * interval '1 millisecond' AS offline_after,
           pg_temp.parameter('idle_speed_kmh', 5) AS idle_speed_kmh,
           pg_temp.parameter('max_plausible_kmh', 250) AS max_plausible_kmh
), track AS (
    SELECT vehicle_id, ts, lon, lat, geog, speed_kmh, coalesce(ignition, false) AS ignition,
           lag(ts) OVER by_time AS ts_before,
           lead(ts) OVER by_time AS ts_after,
           pg_temp.milliseconds(ts - lag(ts) OVER by_time) AS elapsed_ms,
           round(ST_Distance(geog, lag(geog) OVER by_time)::numeric * 1000) AS way_mm
    FROM positions
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY ts)
), paced AS (
    SELECT *, div(way_mm * 3600000, elapsed_ms) / 1000000 AS mean_kmh
    FROM track
), judged AS (
    SELECT *,
           coalesce(ts_after, now) > ts + offline_after AS gap,
           coalesce(mean_kmh > max_plausible_kmh AND lead(mean_kmh) OVER by_time > max_plausible_kmh, false) AS outlier
    FROM paced, rule, pipeline
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY ts)
), separated AS (
    SELECT *,
           count(*) FILTER (WHERE gap) OVER (PARTITION BY vehicle_id ORDER BY ts) - gap::integer AS gaps_before,
           lag(gap) OVER (PARTITION BY vehicle_id ORDER BY ts) AS after_gap
    FROM judged
), known AS (
    SELECT *,
           CASE WHEN outlier THEN NULL
                WHEN speed_kmh <= max_plausible_kmh THEN speed_kmh
                WHEN NOT after_gap AND mean_kmh <= max_plausible_kmh THEN mean_kmh END AS best_kmh,
           CASE WHEN speed_kmh <= max_plausible_kmh THEN 0 ELSE 3.6 / elapsed_ms + mean_kmh * 1e-6 END AS error_kmh
    FROM separated
), step AS (
    SELECT vehicle_id, ts,
           CASE WHEN gaps_before = lag(gaps_before) OVER by_time
                THEN round(ST_Distance(geog, lag(geog) OVER by_time)::numeric * 1000) END AS step_mm
    FROM separated
    WHERE NOT outlier
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY ts)
)
SELECT vehicle_id, ts, ts_before, coalesce(ts_after, ts) AS until, lon, lat, geog, ignition, gap, outlier, step_mm,
       best_kmh AS speed_kmh,
       error_kmh::double precision AS speed_error_kmh,
       coalesce(best_kmh >= idle_speed_kmh, false) AS moving
FROM known
LEFT JOIN step USING (vehicle_id, ts);
CREATE UNIQUE INDEX ON segments (vehicle_id, ts);
ANALYZE segments;

-- What adds up from an instant until before another one: the steps into later positions, into the end included;
-- the time of the parts of segments between the two, of gaps neither; the greatest speed at a position between
-- the two or at the first one, or during such a part.
CREATE FUNCTION pg_temp.measures(vehicle text, since timestamptz, before timestamptz)
RETURNS TABLE (distance_m double precision, distance_m_error double precision,
               moving_s double precision, stopped_s double precision,
               max_speed_kmh double precision, max_speed_kmh_error double precision)
STABLE LANGUAGE sql AS $$
    SELECT (coalesce(sum(step_mm) FILTER (WHERE ts > since), 0) / 1000)::double precision,
           (coalesce(sum(step_mm * 1e-6 + 1) FILTER (WHERE ts > since), 0) / 1000)::double precision,
           pg_temp.seconds(coalesce(sum(pg_temp.milliseconds(last - first)) FILTER (WHERE lasts AND moving), 0)),
           pg_temp.seconds(coalesce(sum(pg_temp.milliseconds(last - first)) FILTER (WHERE lasts AND NOT moving), 0)),
           max(speed_kmh) FILTER (WHERE holds),
           max(speed_error_kmh) FILTER (WHERE holds AND speed_kmh IS NOT NULL)
    FROM segments,
         LATERAL (SELECT greatest(ts, since) AS first, least(until, before) AS last) AS part,
         LATERAL (SELECT NOT gap AND first < last AS lasts) AS length,
         LATERAL (SELECT lasts OR ts = since OR ts > since AND ts < before AS holds) AS speed
    WHERE vehicle_id = vehicle AND ts <= before
      AND ts >= coalesce((SELECT max(ts) FROM segments WHERE vehicle_id = vehicle AND ts <= since), since)
$$;
