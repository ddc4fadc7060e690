-- fleet_daily: what the vehicles of a fleet did on a local day.
--
-- A vehicle's day counts for the fleet in force at its last instant, a turnaround or arrival for the one at its end, a
-- departure for the one then; '' if there is none. oracle_* are the results of the files of those names.
WITH fact AS (
    SELECT vehicle_id, day, (SELECT max(until) FROM days WHERE days.day = daily.day) - interval '1 millisecond' AS at,
           'day' AS what, daily.positions > 0 AS reporting, daily.first_moved_at IS NOT NULL AS moving,
           daily.distance_m, daily.distance_m_error, daily.gap_m, daily.gap_m_error, daily.moving_s,
           daily.moving_s + daily.stopped_s + daily.offline_s AS known_s, NULL::double precision AS duration_s
    FROM oracle_vehicle_daily AS daily
    WHERE positions > 0 OR moving_s + stopped_s + offline_s > 0
    UNION ALL
    SELECT vehicle_id, pg_temp.local_date(at), at, what, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, duration_s
    FROM (SELECT vehicle_id, departed_at AS at, 'started' AS what, NULL::double precision AS duration_s
          FROM oracle_trips
          UNION ALL
          SELECT vehicle_id, arrived_at, 'completed', NULL FROM oracle_trips WHERE arrived_at IS NOT NULL
          UNION ALL
          SELECT vehicle_id, returned_at, 'turnaround', duration_s FROM oracle_turnarounds) AS instant
), labelled AS (
    SELECT fact.*, coalesce((SELECT v.fleet
                             FROM vehicles AS v
                             WHERE v.vehicle_id = fact.vehicle_id AND v.effective_from <= fact.at
                                   AND (v.effective_until IS NULL OR fact.at < v.effective_until)), '') AS fleet
    FROM fact
), summed AS (
    SELECT fleet, day,
           count(*) FILTER (WHERE what = 'day') AS vehicles_known,
           count(*) FILTER (WHERE reporting) AS vehicles_reporting,
           count(*) FILTER (WHERE moving) AS vehicles_moving,
           coalesce(sum(distance_m), 0) AS distance_m,
           coalesce(sum(distance_m_error), 0) AS distance_m_error,
           coalesce(sum(gap_m), 0) AS gap_m,
           coalesce(sum(gap_m_error), 0) AS gap_m_error,
           pg_temp.seconds(round(coalesce(sum(moving_s), 0) * 1000)::numeric) AS moving_s,
           coalesce(sum(known_s), 0) AS known_s,
           count(*) FILTER (WHERE what = 'started') AS trips_started,
           count(*) FILTER (WHERE what = 'completed') AS trips_completed,
           count(duration_s) AS turnarounds,
           avg(duration_s) AS mean_s,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_s) AS p50_s,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_s) AS p95_s
    FROM labelled
    GROUP BY fleet, day
)
SELECT fleet, day, vehicles_known, vehicles_reporting, vehicles_moving, distance_m, moving_s, trips_started,
       trips_completed, turnarounds, mean_s AS turnaround_mean_s, p50_s AS turnaround_p50_s, p95_s AS turnaround_p95_s,
       moving_s / nullif(known_s, 0) AS utilisation,
       gap_m, distance_m_error, gap_m_error,
       -- A mean is a whole number of milliseconds; percentiles are within 1 %.
       0.001::double precision AS turnaround_mean_s_error,
       p50_s * 0.01 + 0.001 AS turnaround_p50_s_error,
       p95_s * 0.01 + 0.001 AS turnaround_p95_s_error,
       1e-9::double precision AS utilisation_error
FROM summed;
