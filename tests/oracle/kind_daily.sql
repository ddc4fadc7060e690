-- kind_daily: the confirmed visits to geofences of a kind that ended on a local day; the kind is that of the version in
-- force at entered_at, '' if it has none. oracle_visits is the result of visits.sql.
WITH ended AS (
    SELECT vehicle_id, pg_temp.local_date(exited_at) AS day,
           coalesce((SELECT g.kind
                     FROM geofences AS g
                     WHERE g.geofence_id = visit.geofence_id AND g.effective_from <= visit.entered_at
                           AND (g.effective_until IS NULL OR visit.entered_at < g.effective_until)), '') AS kind,
           pg_temp.milliseconds(exited_at - entered_at) AS dwell_ms
    FROM oracle_visits AS visit
    WHERE confirmed AND exited_at IS NOT NULL
), summed AS (
    SELECT kind, day, count(*) AS visits, count(DISTINCT vehicle_id) AS unique_vehicles, sum(dwell_ms) AS total_ms,
           pg_temp.seconds(avg(dwell_ms)) AS mean_s,
           pg_temp.seconds(percentile_disc(0.5) WITHIN GROUP (ORDER BY dwell_ms)) AS p50_s,
           pg_temp.seconds(percentile_disc(0.95) WITHIN GROUP (ORDER BY dwell_ms)) AS p95_s
    FROM ended
    GROUP BY kind, day
)
SELECT kind, day, visits, unique_vehicles, pg_temp.seconds(total_ms) AS dwell_total_s, mean_s AS dwell_mean_s,
       p50_s AS dwell_p50_s, p95_s AS dwell_p95_s,
       -- A mean is a whole number of milliseconds; percentiles are within 1 %.
       0.001::double precision AS dwell_mean_s_error,
       p50_s * 0.01 + 0.001 AS dwell_p50_s_error,
       p95_s * 0.01 + 0.001 AS dwell_p95_s_error
FROM summed;
