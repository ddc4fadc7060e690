-- vehicle_daily: what a vehicle did on a local day.
--
-- Positions and movement count on the day of the position, legs and gaps on that of their end; times are split at
-- midnight; facts count on the day of their end. Silence that lasts is counted by full hours, of any at most
-- offline_count; open idlings and overspeeds up to the last usable position. A speed counts on each day on which it held
-- or was reported outside stops. oracle_* are the results of the files of those names.
WITH newest AS (
    SELECT vehicle_id, ts AS newest FROM segments WHERE is_last
), stretch AS (
    SELECT vehicle_id, since, until, CASE WHEN moving THEN 'moving' ELSE 'stopped' END AS what, speed_kmh, speed_error_kmh
    FROM parts
    UNION ALL
    SELECT vehicle_id, started_at,
           least(coalesce(ended_at, greatest(started_at, pg_temp.hour_of(now))),
                 started_at + pg_temp.parameter('offline_count_ms', 604800000) * interval '1 millisecond'),
           'offline', NULL, NULL
    FROM oracle_offlines, pipeline
    UNION ALL
    SELECT vehicle_id, started_at, coalesce(ended_at, newest), 'idling', NULL, NULL
    FROM oracle_idlings
    JOIN newest USING (vehicle_id)
    UNION ALL
    SELECT vehicle_id, started_at, coalesce(ended_at, newest), 'overspeed', NULL, NULL
    FROM oracle_overspeeds
    JOIN newest USING (vehicle_id)
), part (vehicle_id, day, what, amount, error, speed_kmh, speed_error_kmh, moved_at) AS (
    SELECT vehicle_id, day, what,
           pg_temp.milliseconds(least(stretch.until, days.until) - greatest(stretch.since, days.since)), NULL::numeric,
           speed_kmh, speed_error_kmh, NULL::timestamptz
    FROM stretch
    JOIN days ON span && tstzrange(stretch.since, stretch.until)
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(ts), 'position', NULL, NULL, NULL, NULL, NULL
    FROM heard
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(ts), 'usable', NULL, NULL, outside_kmh, 0, CASE WHEN moving THEN ts END
    FROM segments
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(ended_at), 'leg', way_mm, way_mm * 1e-6 + 1, NULL, NULL, NULL
    FROM legs
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(ended_at), 'gap', way_mm, way_mm * 1e-6 + 1, NULL, NULL, NULL
    FROM gaps
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(ended_at), 'towed', way_mm, way_mm * 1e-6 + 1, NULL, NULL, NULL
    FROM towed
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(ended), what, NULL, NULL, NULL, NULL, NULL
    FROM (SELECT vehicle_id, ended_at AS ended, 'overspeed ended' AS what FROM oracle_overspeeds
          UNION ALL
          SELECT vehicle_id, ended_at, 'stop ended' FROM oracle_stops
          UNION ALL
          SELECT vehicle_id, exited_at, 'visit ended' FROM oracle_visits WHERE confirmed
          UNION ALL
          SELECT vehicle_id, arrived_at, 'trip ended' FROM oracle_trips) AS fact
    WHERE ended IS NOT NULL
)
SELECT vehicle_id, day,
       (coalesce(sum(amount) FILTER (WHERE what = 'leg'), 0) / 1000)::double precision AS distance_m,
       pg_temp.seconds(coalesce(sum(amount) FILTER (WHERE what = 'moving'), 0)) AS moving_s,
       pg_temp.seconds(coalesce(sum(amount) FILTER (WHERE what = 'stopped'), 0)) AS stopped_s,
       pg_temp.seconds(coalesce(sum(amount) FILTER (WHERE what = 'idling'), 0)) AS idling_s,
       pg_temp.seconds(coalesce(sum(amount) FILTER (WHERE what = 'offline'), 0)) AS offline_s,
       max(speed_kmh)::double precision AS max_speed_kmh,
       count(*) FILTER (WHERE what = 'position') AS positions,
       count(*) FILTER (WHERE what = 'overspeed ended') AS overspeeds,
       pg_temp.seconds(coalesce(sum(amount) FILTER (WHERE what = 'overspeed'), 0)) AS overspeed_s,
       count(*) FILTER (WHERE what = 'stop ended') AS stops,
       count(*) FILTER (WHERE what = 'visit ended') AS visits,
       count(*) FILTER (WHERE what = 'trip ended') AS trips,
       min(moved_at) AS first_moved_at,
       max(moved_at) AS last_moved_at,
       (coalesce(sum(amount) FILTER (WHERE what = 'gap'), 0) / 1000)::double precision AS gap_m,
       (coalesce(sum(amount) FILTER (WHERE what = 'towed'), 0) / 1000)::double precision AS towed_m,
       (coalesce(sum(error) FILTER (WHERE what = 'leg'), 0) / 1000)::double precision AS distance_m_error,
       (coalesce(sum(error) FILTER (WHERE what = 'gap'), 0) / 1000)::double precision AS gap_m_error,
       (coalesce(sum(error) FILTER (WHERE what = 'towed'), 0) / 1000)::double precision AS towed_m_error,
       max(speed_error_kmh) FILTER (WHERE speed_kmh IS NOT NULL) AS max_speed_kmh_error
FROM part
GROUP BY vehicle_id, day;
